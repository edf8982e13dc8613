"""Waiting for a state: the event itself wakes, or has come already; whatever comes between, one answer and no less."""

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from billing.models import InboxEvent, InboxState
from ops.models import EventWait
from ops.rules.envelopes import Received, forms_around
from ops.rules.patterns import compile_pattern
from ops.workflows import acts, engine
from ops.workflows.models import CallState, Execution, Status, TaskCall
from ops.workflows.waits import register
from ops.workflows.waits.wanted import Keys, keys_of
from tests.ops.rows import make_customer, make_event, make_invoice, make_plan, make_subscription
from tests.ops.workflows.moving import Clock, finish, machine_of
from tests.ops.workflows.waiting import PAID, await_event, begin, dispatch, invoice_paid, waiting_machine

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def advance(clock: Clock) -> None:
    engine.advance_due(clock, budget_seconds=5)


def test_the_event_wakes_the_execution_and_is_its_result(clock):
    execution = begin(waiting_machine(Object="in_1"), now=NOW)
    advance(clock)
    assert TaskCall.objects.get().state == CallState.WAITING
    assert execution.task_calls.get().wait.object_id == "in_1"
    invoice_paid("in_2", LATER)
    event = invoice_paid("in_1", LATER)
    dispatch(clock)
    advance(clock)
    execution.refresh_from_db()
    assert execution.status == Status.SUCCEEDED
    assert execution.output["id"] == event.external_id
    assert (execution.output["source"], execution.output["detail-type"]) == ("stripe.com", "invoice.paid")
    assert execution.output["detail"] == event.payload
    assert not EventWait.objects.exists()
    told = list(execution.history.order_by("number").values_list("type", flat=True))
    assert told[2:5] == ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]


def test_an_event_that_came_since_the_start_is_found(clock):
    execution = begin(waiting_machine(Object="in_1"), now=NOW)
    invoice_paid("in_1", received_at=NOW - timedelta(seconds=1))
    event = invoice_paid("in_1", received_at=NOW + timedelta(seconds=1))
    dispatch(clock)
    advance(clock)
    execution.refresh_from_db()
    assert execution.output["id"] == event.external_id
    assert not EventWait.objects.exists()


def test_events_between_the_one_that_began_it_and_its_start_count(clock):
    began = make_event(NOW, type="invoice.payment_failed", object_id="in_1", received_at=NOW - timedelta(minutes=2))
    paid = invoice_paid("in_1", received_at=NOW - timedelta(minutes=1))
    dispatch(clock)
    execution = begin(waiting_machine(Object="in_1"), now=NOW, event_id=began.external_id)
    advance(clock)
    execution.refresh_from_db()
    assert execution.output["id"] == paid.external_id


def test_the_event_that_began_it_is_no_answer(clock):
    began = invoice_paid("in_1", received_at=NOW)
    begin(waiting_machine(Object="in_1"), now=NOW, event_id=began.external_id)
    advance(clock)
    dispatch(clock)
    advance(clock)
    assert TaskCall.objects.get().state == CallState.WAITING


@pytest.mark.parametrize("dispatched_first", [True, False])
def test_since_says_from_when_events_count_whoever_finds_them(dispatched_first, clock):
    execution = begin(waiting_machine(Object="in_1", **{"Since.$": "$.since"}), given={"since": str(LATER)}, now=NOW)
    before = [invoice_paid("in_1", received_at=LATER - timedelta(seconds=1))]
    if dispatched_first:
        dispatch(clock)
    advance(clock)
    dispatch(clock)
    at = invoice_paid("in_1", received_at=LATER)
    dispatch(clock)
    advance(clock)
    execution.refresh_from_db()
    assert execution.output["id"] == at.external_id != before[0].external_id


def test_the_mirrored_object_may_be_so_already(clock):
    invoice = invoice_of_alice()
    state = {"source": ["stripe.com"], "detail": {"data": {"object": {"status": ["paid"]}}}}
    execution = begin(waiting_machine(pattern=state, Object=invoice), now=NOW)
    advance(clock)
    execution.refresh_from_db()
    assert execution.output["detail-type"] == "mirrored"
    assert execution.output["detail"]["data"]["object"]["id"] == invoice
    assert not EventWait.objects.exists()


def invoice_of_alice() -> str:
    return make_invoice(
        make_subscription(make_customer(None, now=NOW), make_plan("Team", now=NOW), now=NOW), now=NOW
    ).id


def test_a_wait_for_a_type_waits_for_an_event_of_it(clock):
    begin(waiting_machine(Object=invoice_of_alice()), now=NOW)
    advance(clock)
    assert TaskCall.objects.get().state == CallState.WAITING


def test_it_waits_no_longer_than_it_says(clock):
    state = await_event(Object="in_1", TimeoutSeconds=14 * 86_400, Next="Paid")
    state["Catch"] = [{"ErrorEquals": ["States.Timeout"], "Next": "Unpaid"}]
    unpaid = {"Type": "Pass", "Result": "unpaid", "Next": "Rest"}
    rest = {"Type": "Wait", "Seconds": 60, "End": True}
    execution = begin(machine_of(Await=state, Paid={"Type": "Succeed"}, Unpaid=unpaid, Rest=rest), now=NOW)
    advance(clock)
    assert EventWait.objects.get().until == NOW + timedelta(days=14)
    clock.now = NOW + timedelta(days=14)
    advance(clock)
    assert not EventWait.objects.exists()
    assert TaskCall.objects.get().state == CallState.DROPPED
    invoice_paid("in_1", LATER)
    dispatch(clock)
    finish(clock)
    execution.refresh_from_db()
    assert execution.output == "unpaid"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"Pattern": {"source": "stripe.com"}}, "InvalidPattern"),
        ({"Pattern": {}}, "InvalidPattern"),
        ({}, "InvalidInput"),
        ({"Pattern": PAID, "Object": 1}, "InvalidInput"),
        ({"Pattern": PAID, "Until": "tomorrow"}, "InvalidInput"),
        ({"Pattern": PAID, "Since": "yesterday"}, "InvalidInput"),
        ({"Pattern": PAID, "Since": "2026-03-01T12:00:00"}, "InvalidInput"),
    ],
)
def test_what_cannot_be_waited_for_fails_at_once(given, error, clock):
    state = {**await_event(), "Parameters": given}
    execution = begin(machine_of(Await=state), now=NOW)
    advance(clock)
    execution.refresh_from_db()
    assert (execution.status, execution.error) == (Status.FAILED, error)
    assert execution.cause
    assert not EventWait.objects.exists()


def test_stopped_it_waits_for_nothing(clock, django_user_model):
    olga = django_user_model.objects.create(email="olga@example.com")
    execution = begin(waiting_machine(Object="in_1"), now=NOW)
    advance(clock)
    acts.stop(execution, olga, reason="a test", now=NOW)
    assert not EventWait.objects.exists()
    assert TaskCall.objects.get().state == CallState.DROPPED


def test_what_comes_while_it_is_paused_is_kept_for_it(clock, django_user_model):
    olga = django_user_model.objects.create(email="olga@example.com")
    execution = begin(waiting_machine(Object="in_1"), now=NOW)
    advance(clock)
    acts.pause(execution, olga, reason="a test", now=NOW)
    invoice_paid("in_1", LATER)
    dispatch(clock)
    advance(clock)
    execution.refresh_from_db()
    assert execution.status == Status.RUNNING
    acts.resume(execution, olga, reason="a test", now=NOW)
    advance(clock)
    execution.refresh_from_db()
    assert execution.status == Status.SUCCEEDED


def test_redriven_it_finds_what_came_meanwhile(clock, django_user_model):
    olga = django_user_model.objects.create(email="olga@example.com")
    execution = begin(waiting_machine(Object="in_1", TimeoutSeconds=60), now=NOW)
    finish(clock)
    event = invoice_paid("in_1", LATER)
    dispatch(clock)
    acts.redrive(execution, olga, reason="it was paid", now=clock.now)
    advance(clock)
    execution.refresh_from_db()
    assert execution.output["id"] == event.external_id


def test_a_branch_that_is_broken_off_waits_no_longer(clock):
    flows = [
        {"StartAt": "Await", "States": {"Await": await_event(Object="in_1")}},
        {
            "StartAt": "Rest",
            "States": {"Rest": {"Type": "Wait", "Seconds": 1, "Next": "No"}, "No": {"Type": "Fail", "Error": "No"}},
        },
    ]
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Long"}]
    both = {"Type": "Parallel", "Branches": flows, "Catch": catch, "End": True}
    begin(machine_of(Both=both, Long={"Type": "Wait", "Seconds": 3600, "End": True}), now=NOW)
    advance(clock)
    assert EventWait.objects.count() == 1
    clock.now += timedelta(seconds=1)
    advance(clock)
    assert not EventWait.objects.exists()
    assert Execution.objects.get().status == Status.RUNNING


def test_many_who_wait_for_one_event_are_all_woken(clock):
    machine = waiting_machine(Object="in_1")
    for number in range(5):
        begin(machine, f"w{number}", now=NOW)
    advance(clock)
    invoice_paid("in_1", LATER)
    invoice_paid("in_1", LATER)
    dispatch(clock)
    advance(clock)
    assert set(Execution.objects.values_list("status", flat=True)) == {Status.SUCCEEDED}
    assert Execution.objects.values("output").distinct().count() == 1


def test_events_of_others_are_found_by_what_is_in_them(clock):
    pattern = {"source": ["aws.cloudformation"], "detail": {"stack-id": ["arn:stack/1"], "status": ["CREATE_COMPLETE"]}}
    execution = begin(waiting_machine(pattern=pattern), now=NOW)
    advance(clock)
    assert EventWait.objects.get().keys == ["detail.stack-id=arn:stack/1"]
    for stack, status in [
        ("arn:stack/2", "CREATE_COMPLETE"),
        ("arn:stack/1", "CREATE_FAILED"),
        ("arn:stack/1", "CREATE_COMPLETE"),
    ]:
        envelope = {
            "source": "aws.cloudformation",
            "detail-type": "Stack",
            "detail": {"stack-id": stack, "status": status},
        }
        make_event(LATER, source="aws.cloudformation", state=InboxState.STORED, payload=envelope, type="Stack")
    dispatch(clock)
    advance(clock)
    execution.refresh_from_db()
    assert execution.output == envelope


def test_waits_that_an_event_does_not_concern_are_not_looked_at(clock):
    machine = waiting_machine(**{"Object.$": "$.invoice"})
    for number in range(20):
        begin(machine, f"w{number}", {"invoice": f"in_{number}"}, now=NOW)
    advance(clock)
    invoice_paid("in_7", LATER)
    with CaptureQueriesContext(connection) as few:
        dispatch(clock)
    assert len(few) < 25
    assert EventWait.objects.count() == 19


# --- no event is missed, and none answers twice ---

STEPS = {"event": ["arrive", "settle", "dispatch"], "wait": ["commit", "look back"]}
ORDERS = [
    order
    for order in permutations(STEPS["event"] + STEPS["wait"])
    if all([step for step in order if step in steps] == steps for steps in STEPS.values())
]


@pytest.mark.parametrize("order", ORDERS, ids=" · ".join)
def test_in_whatever_order_they_meet_there_is_one_answer(order, clock, monkeypatch):
    """The steps of an event and of a wait, each one transaction, in every order that there is."""
    execution = begin(waiting_machine(Object="in_1"), now=NOW)
    look_back = register.look_back
    early, late = order[: order.index("commit")], order[order.index("commit") + 1 : order.index("look back")]
    rest = order[order.index("look back") + 1 :]

    def take(steps) -> None:
        for step in steps:
            if step == "arrive":
                invoice_paid("in_1", LATER, external_id="evt_1", state=InboxState.RECEIVED)
            elif step == "settle":
                InboxEvent.objects.update(state=InboxState.MIRRORED, due_at=None)
            else:
                dispatch(clock)

    def between(wait, *, now):
        take(late)
        return look_back(wait, now=now)

    monkeypatch.setattr(register, "look_back", between)
    take(early)
    advance(clock)
    take(rest)
    dispatch(clock)
    advance(clock)
    execution.refresh_from_db()
    assert execution.output["id"] == "evt_1"
    assert execution.history.filter(type="ActivitySucceeded").count() == 1
    assert not EventWait.objects.exists()


VALUES = st.sampled_from(["in_10000001", "in_10000002", "paid", "open", "stripe.com", "invoice.paid"])
TESTS = st.lists(
    VALUES | st.sampled_from([{"prefix": "in_1"}, {"exists": True}, {"anything-but": "paid"}, {"exists": False}]),
    min_size=1,
    max_size=2,
)
OBJECTS = st.dictionaries(st.sampled_from(["id", "status", "customer"]), TESTS, min_size=1, max_size=3)
PATTERNS = st.fixed_dictionaries(
    {}, optional={"source": TESTS, "detail-type": TESTS, "detail": OBJECTS.map(lambda o: {"data": {"object": o}})}
).filter(bool)
CONTENTS = st.dictionaries(st.sampled_from(["id", "status", "customer"]), VALUES | st.lists(VALUES, max_size=2))


@given(PATTERNS, CONTENTS, VALUES)
def test_an_event_that_fits_has_one_of_the_keys_of_the_wait(pattern, content, type_):
    compiled = compile_pattern(json.dumps(pattern))
    row = Received(1, "stripe.com", "evt_1", type_, "", False, str(content.get("id", "")), "", NOW, NOW, 0, "")
    (form,) = forms_around(row, {"data": {"object": content}})
    name, keys = keys_of(compiled, "")
    had = {*Keys([name]).around(row), *Keys([name]).of(form)}
    assert not compiled.matches(form) or had & set(keys)
