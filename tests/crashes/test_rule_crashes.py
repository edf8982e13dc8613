"""A worker is killed at every comma between an event and a target; the next one finishes, and nothing happens twice."""

import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.utils import timezone

from ops.models import Delivery, DeliveryState, Finding, Match
from ops.rules import deliver
from ops.rules.dispatch import dispatch_due
from ops.rules.due import LEASE
from tests.crashes.rules_worker import COMMAS, call_outside, run_worker
from tests.ops.rules.made import finding_target, make_rule, paid_invoice, target

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]

QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"


class Outside:
    """What a target sees: every request by its key. It acts once for each key, as one should who is given keys."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outside.keys.append(self.headers["Idempotency-Key"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    outside = Outside()
    thread = threading.Thread(target=outside.server.serve_forever)
    thread.start()
    monkeypatch.setitem(os.environ, "TARGET_URL", outside.url)
    monkeypatch.setattr(deliver, "CALLS", {**deliver.CALLS, "queue": call_outside})
    yield outside
    outside.server.shutdown()
    thread.join(60)
    outside.server.server_close()


@pytest.mark.parametrize("comma", list(COMMAS))
def test_killed_at_a_comma_the_next_worker_finishes_and_nothing_happens_twice(outside: Outside, comma: str) -> None:
    make_rule(targets=[target("out", QUEUE), finding_target()])
    event = paid_invoice()
    assert run_worker(comma) == -signal.SIGKILL
    dispatch_due(timezone.now, budget_seconds=30)
    deliver.deliver_due(timezone.now, budget_seconds=30)
    # What the dead one leased is left to it until its lease ends.
    deliver.deliver_due(lambda: timezone.now() + LEASE + timedelta(seconds=1), budget_seconds=30)
    assert Match.objects.get().inbox_id == event.pk
    assert [call.state for call in Delivery.objects.all()] == [DeliveryState.DONE] * 2
    assert len(set(outside.keys)) == 1, "called with one key"
    assert len(outside.keys) <= 2
    assert Finding.objects.get().evidence["events"] == 1


def test_a_worker_that_lives_does_it_all_alone(outside: Outside) -> None:
    """What the crashes are compared with: were this to fail, they would show nothing."""
    make_rule(targets=[target("out", QUEUE), finding_target()])
    paid_invoice()
    assert run_worker("none") == 0
    assert [call.state for call in Delivery.objects.all()] == [DeliveryState.DONE] * 2
    assert len(outside.keys) == 1
