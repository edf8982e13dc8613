"""Queues on the AWS of `tests.aws`."""

import secrets
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from billing.inbox.sqs import Queue, open_queue


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


def wait_until(state: Callable[[], Any], *, seconds: float) -> Any:
    """Return what `state` says as soon as it is true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (said := state()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return said
