"""Waits and events at once, on connections of their own: no event is missed, and none answers twice."""

import random
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from billing.models import InboxEvent
from ops.models import EventWait
from ops.rules import dispatch as dispatching
from ops.rules import take
from ops.workflows import engine
from ops.workflows.models import CallState, Execution, Status, TaskCall
from ops.workflows.waits import met
from tests.ops.workflows.waiting import begin, dispatch, invoice_paid, waiting_machine

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 60


def in_thread(run: Callable[[], object]) -> threading.Thread:
    def closing() -> None:
        try:
            run()
        finally:
            connections.close_all()

    thread = threading.Thread(target=closing)
    thread.start()
    return thread


def advance() -> None:
    engine.advance_due(timezone.now, budget_seconds=10)


@pytest.mark.parametrize(
    ("place", "name"),
    [(take, "take"), (met, "names"), (met, "wake"), (take, "mark")],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_a_dispatch_that_is_under_way_while_somebody_begins_to_wait_misses_nothing(place, name, monkeypatch):
    """The dispatch rests inside its transaction, after the step of this name, until the wait has looked back."""
    invoice_paid("in_0")
    begin(waiting_machine(Object="in_0"), now=timezone.now())  # somebody waits: events are looked at
    advance()
    execution = begin(waiting_machine(Object="in_1"), now=timezone.now() - timedelta(minutes=1))
    invoice_paid("in_1")
    reached, go_on = threading.Event(), threading.Event()
    step = getattr(place, name)

    def resting(*args, **more):
        done = step(*args, **more)
        if threading.current_thread() is dispatcher:
            reached.set()
            go_on.wait(10)
        return done

    monkeypatch.setattr(place, name, resting)
    dispatcher = in_thread(dispatch)
    assert reached.wait(10)
    waiter = in_thread(advance)
    waiter.join(3)
    go_on.set()
    dispatcher.join(10)
    waiter.join(10)
    advance()
    execution.refresh_from_db()
    assert execution.status == Status.SUCCEEDED
    assert execution.history.filter(type="ActivitySucceeded").count() == 1


def test_among_many_at_once_each_wait_has_its_one_answer(monkeypatch):
    monkeypatch.setattr(engine, "BATCH", 7)
    monkeypatch.setattr(dispatching, "BATCH", 5)
    machine, began = waiting_machine(**{"Object.$": "$.invoice"}), timezone.now() - timedelta(minutes=1)
    chance = random.Random(11)
    starts = chance.sample(range(MANY), MANY)
    payments = chance.sample(range(MANY), MANY)
    over = threading.Event()

    def start_all() -> None:
        for number in starts:
            begin(machine, f"w{number}", {"invoice": f"in_{number}"}, now=began)

    def pay_all() -> None:
        for number in payments:
            invoice_paid(f"in_{number}", external_id=f"evt_{number}")

    def until_over(work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            while not over.is_set():
                work()

        return run

    busy = [in_thread(start_all), in_thread(pay_all)]
    workers = [in_thread(until_over(work)) for work in (advance, advance, dispatch, dispatch)]
    for thread in busy:
        thread.join(60)
    over.set()
    for thread in workers:
        thread.join(60)
    dispatch()
    advance()
    executions = Execution.objects.filter(machine=machine)
    assert {execution.status for execution in executions} == {Status.SUCCEEDED}
    assert all(execution.output["id"] == f"evt_{execution.name[1:]}" for execution in executions)
    assert all(execution.history.filter(type="ActivitySucceeded").count() == 1 for execution in executions)
    assert not EventWait.objects.exists()
    assert set(TaskCall.objects.values_list("state", flat=True)) == {CallState.TAKEN}
    assert InboxEvent.objects.filter(dispatched_at=None).count() == 0
