"""Due calls are made, recorded, tried again, given up, redriven; a slow target holds up no other."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from billing.inbox.models import InboxEvent
from ops.effects.outcome import Done, Outcome, Refused, Retry
from ops.models import Delivery, DeliveryState, Finding, StaffAct
from ops.rules import deliver, due
from ops.rules.deliver import deliver_due, wait_after
from ops.rules.dispatch import dispatch_due
from ops.rules.due import LEASE
from ops.rules.redrive import dead_letters, redrive
from ops.rules.targets import kinds
from ops.rules.targets.call import TargetCall
from tests.ops.rules.made import finding_target, make_rule, paid_invoice, target

pytestmark = pytest.mark.django_db
# Where threads of the test's own meet the rows.
in_threads = pytest.mark.django_db(transaction=True)

QUEUE, TOPIC = "arn:aws:sqs:us-east-1:123456789012:q", "arn:aws:sns:us-east-1:123456789012:t"


class Scripted:
    """The outside, as it answers: one outcome a call, the last one for ever."""

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.calls: list[TargetCall] = []
        self.before: Callable[[TargetCall], object] = lambda _call: None

    def __call__(self, call: TargetCall) -> Outcome:
        self.calls.append(call)
        self.before(call)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scripted]:
    def answering(*outcomes: Outcome | Exception, kind: str = "queue") -> Scripted:
        scripted = Scripted(*outcomes)
        monkeypatch.setattr(kinds, "CALLS", kinds.CALLS | {kind: scripted})
        monkeypatch.setattr(deliver, "CALLS", kinds.CALLS)
        return scripted

    return answering


def due_call(events: int = 1, arn: str = QUEUE, **fields: Any) -> None:
    make_rule(arn.split(":")[2], targets=[target("t", arn, **fields)])
    for _ in range(events):
        paid_invoice(customer_id="cus_1")
    dispatch_due(timezone.now, budget_seconds=10)


def run(at: datetime | None = None) -> int:
    return deliver_due(lambda: at or timezone.now(), budget_seconds=10)


def a_worker() -> threading.Thread:
    """A worker beside the test, that leaves no database connection behind."""

    def work() -> None:
        try:
            deliver_due(timezone.now, budget_seconds=1)
        finally:
            connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    return worker


def test_a_due_call_is_made_once_and_its_result_kept(outside) -> None:
    queue = outside(Done({"message": "m-1"}))
    due_call()
    assert run() == 1
    assert run() == 0
    call = Delivery.objects.get()
    assert (call.state, call.attempts, call.result, call.error) == (DeliveryState.DONE, 1, {"message": "m-1"}, "")
    assert call.finished_at
    assert call.due_at is None
    [made] = queue.calls
    assert (made.key, made.depth, made.customer_id, made.event_type) == (call.key, 1, "cus_1", "invoice.paid")


def test_what_failed_is_tried_again_with_the_same_key_until_it_is_done(outside) -> None:
    queue = outside(Retry("Away: no answer."), ValueError("ours"), Done())
    due_call()
    now = timezone.now()
    for minutes in (0, 1, 2):
        run(now + timedelta(minutes=minutes))
    call = Delivery.objects.get()
    assert (call.state, call.attempts) == (DeliveryState.DONE, 3)
    assert len({made.key for made in queue.calls}) == 1


def test_it_waits_before_it_tries_again_and_as_long_as_it_was_asked_to(outside) -> None:
    queue = outside(Retry("Busy: later.", after=timedelta(minutes=10)))
    due_call()
    now = timezone.now()
    run(now)
    assert run(now + timedelta(minutes=9)) == 0
    assert run(now + timedelta(minutes=11)) == 1
    assert len(queue.calls) == 2


@pytest.mark.parametrize(
    ("attempts", "least", "most"), [(1, 2.5, 5), (2, 5, 10), (5, 40, 80), (9, 240, 480), (185, 240, 480)]
)
def test_waits_grow(attempts: int, least: float, most: float) -> None:
    for _ in range(20):
        assert least <= wait_after(attempts, asked=None).total_seconds() <= most


def test_after_the_last_try_it_is_a_dead_letter_and_an_event_of_our_own(outside) -> None:
    queue = outside(Retry("Away: no answer."))
    due_call(max_retries=2)
    now = timezone.now()
    for minutes in range(6):
        run(now + timedelta(minutes=minutes))
    assert len(queue.calls) == 3, "once, and two retries"
    call = Delivery.objects.get()
    assert (call.state, call.attempts, call.error) == (DeliveryState.DEAD, 3, "Away: no answer.")
    event = InboxEvent.objects.get(source="kessai")
    assert (event.type, event.depth) == ("rule.dead-letter", 1)
    assert event.payload["detail"] == {
        "rule": "sqs",
        "target": "t",
        "arn": QUEUE,
        "event": call.match.event_id,
        "customer": "cus_1",
        "error": "Away: no answer.",
        "attempts": 3,
        "key": call.key,
    }


def test_what_is_too_old_is_given_up(outside) -> None:
    queue = outside(Retry("Away: no answer."))
    due_call(max_age_seconds=60)
    now = timezone.now()
    run(now)
    assert Delivery.objects.get().state == DeliveryState.DUE
    run(now + timedelta(seconds=56))  # the next time would be after a minute
    assert Delivery.objects.get().state == DeliveryState.DEAD
    assert len(queue.calls) == 2


def test_what_is_refused_for_good_is_not_tried_again(outside) -> None:
    queue = outside(Refused("NoSuchQueue: it is gone."))
    due_call()
    run()
    run(timezone.now() + timedelta(hours=2))
    assert len(queue.calls) == 1
    assert Delivery.objects.get().state == DeliveryState.DEAD


def test_waiting_for_a_turn_is_no_try(outside) -> None:
    outside(Retry("Wait: not our turn.", after=timedelta(seconds=1), tried=False))
    due_call(max_retries=0)
    now = timezone.now()
    for minutes in range(4):
        run(now + timedelta(minutes=minutes))
    call = Delivery.objects.get()
    assert (call.state, call.attempts) == (DeliveryState.DUE, 0)


def test_a_worker_that_died_leaves_its_calls_to_the_next_when_its_lease_ends(outside) -> None:
    queue = outside(Done())
    due_call()
    now = timezone.now()
    assert len(due.claim(limit=5, of_each=5, busy=[], now=now)) == 1
    assert run(now + timedelta(seconds=1)) == 0
    assert run(now + LEASE) == 1
    assert len(queue.calls) == 1


def test_an_outcome_that_comes_after_the_lease_ended_spoils_nothing(outside) -> None:
    outside(Done())
    due_call()
    now = timezone.now()
    [late] = due.claim(limit=5, of_each=5, busy=[], now=now)
    [again] = due.claim(limit=5, of_each=5, busy=[], now=now + LEASE)
    deliver.record([(late, Refused("Late: no."))], now=now)
    assert Delivery.objects.get().state == DeliveryState.DUE, "the lease is another's"
    deliver.record([(again, Done({"n": 2}))], now=now)
    deliver.record([(late, Retry("Late: no."))], now=now)
    assert Delivery.objects.get().state == DeliveryState.DONE


@in_threads
def test_no_transaction_is_open_while_a_target_is_called(outside) -> None:
    workers = connections["default"]  # the worker's own: calls are made in threads
    queue = outside(Done())
    seen: list[bool] = []
    queue.before = lambda _call: seen.append(workers.in_atomic_block)
    due_call()
    run()
    assert seen == [False]


@in_threads
def test_a_target_that_hangs_holds_up_no_other(outside, settings) -> None:
    """Twenty calls wait for a queue that hangs; a topic's call, made due last, is made meanwhile."""
    settings.RULES_CALLS_AT_ONCE = 6
    hangs, let_go = outside(Done()), threading.Event()
    at_once: list[int] = []
    running = threading.Semaphore(1000)

    def hang(_call: TargetCall) -> None:
        running.acquire()
        at_once.append(1000 - running._value)
        let_go.wait(120)
        running.release()

    hangs.before = hang
    topic = outside(Done(), kind="topic")
    due_call(20)
    due_call(1, arn=TOPIC)
    worker = a_worker()
    deadline = time.monotonic() + 60
    while not topic.calls and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(topic.calls) >= 1
    assert max(at_once) <= deliver.OF_EACH
    assert Delivery.objects.filter(state=DeliveryState.DONE, kind="queue").count() == 0
    let_go.set()
    worker.join(60)
    assert not worker.is_alive()


@in_threads
def test_two_workers_make_no_call_twice(outside) -> None:
    queue = outside(Done())
    queue.before = lambda _call: time.sleep(0.005)
    due_call(30)
    workers = [a_worker() for _ in range(3)]
    for worker in workers:
        worker.join(60)
    assert len(queue.calls) == len({made.key for made in queue.calls}) == 30
    assert set(Delivery.objects.values_list("state", flat=True)) == {DeliveryState.DONE}


def test_findings_are_opened_by_the_worker_itself() -> None:
    make_rule(targets=[finding_target()])
    event = paid_invoice()
    dispatch_due(timezone.now, budget_seconds=10)
    assert run() == 1
    assert Finding.objects.get().subject == event.object_id
    opened = InboxEvent.objects.get(source="kessai")
    assert (opened.type, opened.depth) == ("finding.opened", 1)


def test_dead_letters_are_redriven_with_their_old_key_and_that_is_written_down(outside, olga) -> None:
    queue = outside(Refused("Gone: no."))
    due_call(3)
    run()
    assert dead_letters().count() == dead_letters(rule="sqs", target="t").count() == 3
    assert dead_letters(rule="other").count() == 0
    one = dead_letters().order_by("pk")[:1]
    now = timezone.now()
    assert redrive(dead_letters().filter(pk__in=one), olga, reason="It is back.", now=now) == 1
    again = outside(Done())
    assert run() == 1
    assert again.calls[0].key in {made.key for made in queue.calls}
    assert dead_letters().count() == 2
    act = StaffAct.objects.get()
    assert (act.act, act.subject_id, act.reason, act.actor) == ("rule-calls:redrive", "sqs", "It is back.", olga)


def test_a_redriven_call_has_its_whole_time_and_all_its_tries_again(outside) -> None:
    outside(Retry("Away: no."))
    due_call(max_retries=0, max_age_seconds=600)
    run()
    later = timezone.now() + timedelta(days=3)
    assert redrive(dead_letters(), None, reason="again", now=later) == 1
    call = Delivery.objects.get()
    assert (call.attempts, call.give_up_at) == (0, later + timedelta(seconds=600))
    assert redrive(dead_letters(), None, reason="again", now=later) == 0


def test_a_call_that_never_had_an_input_is_not_redriven() -> None:
    template = finding_target(input_template='{"title": "<o>"}', input_paths_map={"o": "$.detail"})
    make_rule(targets=[template])
    paid_invoice()
    dispatch_due(timezone.now, budget_seconds=10)
    assert dead_letters().count() == 1
    assert redrive(dead_letters(), None, reason="again", now=timezone.now()) == 0


def test_what_the_outside_says_is_kept_as_far_as_it_can_be(outside) -> None:
    outside(Retry("Odd: \x00 and \ud800."), Done({"said": "\x00"}))
    due_call()
    now = timezone.now()
    run(now)
    assert Delivery.objects.get().error == "Odd: \ufffd and \ufffd\ufffd\ufffd."
    run(now + timedelta(minutes=1))
    assert Delivery.objects.get().result == {"said": "\ufffd"}
