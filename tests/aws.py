"""An AWS of this test process's own, played by moto, whose stacks live and tell of it (`config.demo.aws`).

def test_…(aws):             # boto3 finds it by the environment, as it would in a deployment
def test_…(stacks):          # the same, where CloudFormation or EC2 is called, which take seconds to import
def test_…(fail_builds):     # the next so many stacks cannot be built
    fail_builds(1)
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import boto3
import httpx
import pytest
from botocore.config import Config

from config.env import BASE_DIR

EVENTS = "own-events"  # the queue into which AWS's own events are led
CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    command = [sys.executable, "-m", "config.demo.aws", "--port", "0", "--queue", EVENTS]
    process = subprocess.Popen(command, cwd=BASE_DIR, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    try:
        first_line = process.stdout.readline()
        assert first_line.startswith("listening on "), f"the AWS did not start: {first_line!r}"
        yield first_line.removeprefix("listening on ").strip()
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


@pytest.fixture
def aws(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the AWS, which boto3 finds in the environment as it would in a deployment."""
    for name, value in (AWS | {"AWS_ENDPOINT_URL": aws_url}).items():
        monkeypatch.setitem(os.environ, name, value)
    return aws_url


@pytest.fixture(scope="session")
def stacks_url(aws_url: str) -> str:
    """The AWS, once it has imported what stacks are made of: no call of the portal waits for that long."""
    slow = Config(read_timeout=120)
    client = boto3.client("cloudformation", endpoint_url=aws_url, config=slow, **CREDENTIALS)
    client.list_stacks()
    return aws_url


@pytest.fixture
def stacks(stacks_url: str, aws: str) -> str:
    """The address of an AWS that builds stacks."""
    return aws


@pytest.fixture
def fail_builds(stacks: str) -> Iterator[Callable[[int], None]]:
    """Make the next so many builds fail; none is left failing for whoever comes next."""

    def fail(times: int) -> None:
        httpx.post(f"{stacks}/_stacks/fail", data={"times": str(times)}, timeout=60, trust_env=False)

    yield fail
    fail(0)
