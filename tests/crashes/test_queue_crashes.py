"""The process that empties the queue is killed again and again: no event is lost, and each is stored once."""

import json
import signal

import pytest

from billing.inbox.models import AsideMessage, InboxEvent
from tests import processes
from tests.billing.events import an_event
from tests.billing.inbox.conftest import left, put, queue, sqs_client, wait_until  # noqa: F401 - fixtures
from tests.billing.inbox.test_bus import an_envelope

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]

COUNT = 120


@pytest.fixture
def receive(queue):  # noqa: F811
    """Start a process that empties the queue; what it held when it was killed comes again after two seconds."""
    started = []

    def start():
        options = ["--queue-url", queue.url, "--threads", "2", "--visibility", "2", "--wait", "1"]
        started.append(processes.start("manage", "receive_sqs", *options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_killed_in_the_middle_the_next_one_stores_the_rest_and_nothing_twice(receive, put, left):  # noqa: F811
    bodies = [json.dumps(an_envelope(detail=an_event(id=f"evt_{number}"))) for number in range(COUNT)]
    put(*bodies, "no event")
    for enough in (1, COUNT // 3):
        process = receive()
        wait_until(lambda enough=enough: InboxEvent.objects.count() >= enough, seconds=60)
        process.send_signal(signal.SIGKILL)
        process.wait()
    receive()
    wait_until(lambda: left() == 0, seconds=60)
    assert InboxEvent.objects.count() == COUNT
    assert AsideMessage.objects.count() == 1
