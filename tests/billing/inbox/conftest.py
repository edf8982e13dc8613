"""An AWS of this test process's own, played by moto, and queues on it."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import httpx
import pytest

from billing.inbox.sqs import Queue, open_queue

AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(url), seconds=60)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def aws(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the AWS, which boto3 finds in the environment as it would in a deployment."""
    for name, value in (AWS | {"AWS_ENDPOINT_URL": aws_url}).items():
        monkeypatch.setitem(os.environ, name, value)
    return aws_url


@pytest.fixture
def sqs_client(aws: str) -> Any:
    return boto3.client("sqs")


@pytest.fixture
def queue(sqs_client: Any) -> Queue:
    """A queue that nobody used before."""
    return open_queue(sqs_client.create_queue(QueueName=f"events-{secrets.token_hex(4)}")["QueueUrl"])


@pytest.fixture
def put(sqs_client: Any, queue: Queue) -> Callable[..., None]:
    """Put bodies into the queue."""

    def put_all(*bodies: str) -> None:
        for body in bodies:
            sqs_client.send_message(QueueUrl=queue.url, MessageBody=body)

    return put_all


@pytest.fixture
def left(sqs_client: Any, queue: Queue) -> Callable[[], int]:
    """How many messages are in the queue, held by somebody or not."""

    def count() -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = sqs_client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    return count


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/moto-api/", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def wait_until(state: Callable[[], Any], *, seconds: float) -> Any:
    """Return what `state` says as soon as it is true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (said := state()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return said
