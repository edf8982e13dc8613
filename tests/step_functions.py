"""An AWS of this test process's own whose Step Functions run what they are given.

def test_…(states_aws):      # boto3 finds it by the environment, as it would in a deployment
"""

import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.aws import AWS
from tests.billing.inbox.conftest import wait_until
from tests.ports import next_port


@pytest.fixture(scope="session")
def states_url() -> Iterator[str]:
    port = next_port()
    command = [sys.executable, "-m", "tests.ops.workflows.aws.moto_states", str(port)]
    environment = os.environ | AWS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(url), seconds=60)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def states_aws(states_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the AWS, which boto3 finds in the environment as it would in a deployment."""
    for name, value in (AWS | {"AWS_ENDPOINT_URL": states_url}).items():
        monkeypatch.setitem(os.environ, name, value)
    return states_url
