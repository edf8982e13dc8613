"""Effects served to Step Functions: called once, however often their tasks are handed out and wherever we die."""

import json
import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from io import StringIO
from secrets import token_hex

import boto3
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from billing.inbox.models import Door, InboxEvent
from ops.effects import aws as aws_calls
from ops.effects.outcome import Done, Refused, Retry
from ops.models import Approval, Decision, EventWait, Finding
from ops.remediation import approvals
from ops.workflows.aws import origins, tasks
from ops.workflows.aws.models import ActivityTask, TaskState
from ops.workflows.calls import LEASE
from tests.ops.workflows.aws.here import HERE
from tests.ops.workflows.aws.running import ended, put, run, served
from tests.ops.workflows.moving import Clock, World, definition
from tests.ops.workflows.waiting import dispatch, invoice_paid

REFUND = "arn:aws:states:local:000000000000:activity:refund-invoice"
NOTICE = "arn:aws:states:local:000000000000:activity:open-finding"
ACTIVITY = HERE.activity("refund-invoice")
NOW = datetime(2026, 3, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_aws(states_aws):
    aws_calls.made.cache_clear()
    origins.cause_of.cache_clear()
    yield
    aws_calls.made.cache_clear()


def refund(**more):
    return {"Type": "Task", "Resource": REFUND, "End": True, **more}


def given_to(**changes):
    """What the moved definition gives to the activity."""
    told = {"execution": "", "state": "Pay", "entered": "2026-03-01T00:00:00Z", "tried": 0}
    return json.dumps({"kessai": told | changes, "input": {"invoice": "in_1"}})


def test_an_effect_is_called_for_an_execution_there_and_its_result_goes_on():
    machine = put(definition(Pay=refund(Parameters={"invoice.$": "$.id"}, ResultPath="$.refund")))
    world = World(Done({"refund": "re_1"}))
    with served("refund-invoice", make=world):
        said = run(machine, {"id": "in_1"})
    assert said["status"] == "SUCCEEDED"
    assert json.loads(said["output"]) == {"id": "in_1", "refund": {"refund": "re_1"}}
    task = ActivityTask.objects.get()
    assert (task.state, task.arguments, task.state_name) == (TaskState.TOLD, {"invoice": "in_1"}, "Pay")
    assert task.execution == said["executionArn"]
    assert world.keys == [task.key]


def test_a_registered_effect_runs_as_it_does_here_and_knows_the_event():
    InboxEvent.objects.create(
        source="stripe.com", external_id="evt_1", door=Door.SQS, type="invoice.paid", customer_id="cus_1",
        occurred_at=NOW, received_at=NOW, payload={},
    )  # fmt: skip
    machine = put(definition(Tell={"Type": "Task", "Resource": NOTICE, "Parameters": {"title": "Look."}, "End": True}))
    with served("open-finding", make=tasks.make):
        said = run(machine, {"source": "stripe.com", "detail": {"id": "evt_1"}})
    finding = Finding.objects.get()
    assert json.loads(said["output"]) == {"finding": finding.pk}
    assert "evt_1" in json.dumps(finding.evidence)


def test_an_error_of_an_effect_is_caught_by_its_name():
    caught = {"Type": "Pass", "End": True}
    state = refund(Catch=[{"ErrorEquals": ["Stripe.not_paid"], "ResultPath": "$.why", "Next": "Caught"}])
    machine = put(definition(Pay=state, Caught=caught))
    with served("refund-invoice", make=World(Refused("Stripe.not_paid: It was never paid."))):
        said = run(machine, {})
    assert json.loads(said["output"]) == {"why": {"Error": "Stripe.not_paid", "Cause": "It was never paid."}}


def test_a_state_that_is_tried_again_after_a_time_out_calls_under_the_same_key():
    """Nobody knows whether the first call did something: the second must not do it twice."""
    retry = [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "MaxAttempts": 3}]
    machine = put(definition(Pay=refund(TimeoutSeconds=1, Retry=retry)))
    states = boto3.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=machine, name="again", input="{}")["executionArn"]
    first = states.get_activity_task(activityArn=ACTIVITY)  # and its worker dies before it has written anything
    world = World(Retry("Connection: nobody knows.", after=timedelta(0)), Done({"refund": "re_1"}))
    with served("refund-invoice", make=world):
        said = ended(arn)
    assert said["status"] == "SUCCEEDED"
    assert first["taskToken"]
    assert len(world.keys) > 1
    assert len(set(world.keys)) == 1


def test_a_refusal_that_is_tried_again_is_another_call():
    first = tasks.receive(ACTIVITY, "token-1", given_to(), now=NOW)
    tasks.record(first, Refused("Stripe.card_declined: No."), now=NOW)
    tasks.told(first, "token-1", TaskState.TOLD)
    second = tasks.receive(ACTIVITY, "token-2", given_to(tried=1), now=NOW)
    assert (second.pk, second.state, second.answer) == (first.pk, TaskState.DUE, None)
    assert second.key != first.key


@pytest.mark.parametrize("state", [TaskState.ANSWERED, TaskState.TOLD, TaskState.LATE])
def test_a_call_that_was_done_is_answered_again_and_not_made_again(state):
    first = tasks.receive(ACTIVITY, "token-1", given_to(), now=NOW)
    tasks.record(first, Done({"refund": "re_1"}), now=NOW)
    ActivityTask.objects.update(state=state)
    second = tasks.receive(ACTIVITY, "token-2", given_to(tried=1), now=NOW)
    assert (second.state, second.answer) == (TaskState.ANSWERED, {"result": {"refund": "re_1"}})


@pytest.mark.parametrize(
    "other",
    [
        {"state": "Refund"},
        {"entered": "2026-03-01T00:00:01Z"},  # a loop came there again
        {"tried": 0},  # an item of a Map that is just like it, and as early
    ],
)
def test_other_calls_have_other_keys(other):
    first = tasks.receive(ACTIVITY, "token-1", given_to(), now=NOW)
    second = tasks.receive(ACTIVITY, "token-2", given_to(**other), now=NOW)
    assert first.key != second.key


def test_of_calls_with_one_origin_the_one_that_failed_is_tried_again():
    done, failed = (tasks.receive(ACTIVITY, f"token-{number}", given_to(), now=NOW) for number in (1, 2))
    tasks.record(done, Done({"refund": "re_1"}), now=NOW)
    tasks.told(done, "token-1", TaskState.TOLD)
    tasks.record(failed, Refused("Stripe.card_declined: No."), now=NOW)
    tasks.told(failed, "token-2", TaskState.TOLD)
    third = tasks.receive(ACTIVITY, "token-3", given_to(tried=1), now=NOW)
    assert (third.pk, third.state) == (failed.pk, TaskState.DUE)
    assert tasks.receive(ACTIVITY, "token-3", given_to(tried=1), now=NOW) == third


def test_items_of_a_map_are_calls_of_their_own():
    each = {"Type": "Map", "ItemProcessor": definition(Pay=refund()), "End": True}
    machine = put(definition(Each=each))
    world = World(Done("done"))
    with served("refund-invoice", make=world, pollers=3):
        said = run(machine, [{"invoice": "in_1"}] * 5)
    assert json.loads(said["output"]) == ["done"] * 5
    assert len(set(world.keys)) == len(world.keys) == 5


@pytest.fixture
def waiting():
    """An execution that waits for its refund, and the task that it handed out."""
    machine = put(definition(Pay=refund()))
    states = boto3.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=machine, name="waiting", input='{"invoice": "in_1"}')["executionArn"]
    given = states.get_activity_task(activityArn=ACTIVITY)
    return arn, given


class Killed(BaseException):
    pass


def kill(*_args, **_more):
    raise Killed


@pytest.mark.parametrize("comma", ["before the call", "after the call before it was recorded", "before it was told"])
def test_killed_at_any_comma_the_refund_is_made_once_and_told(waiting, monkeypatch, comma):
    arn, given = waiting
    clock, world = Clock(timezone.now()), World(Done({"refund": "re_1"}))
    task = tasks.receive(ACTIVITY, given["taskToken"], given["input"], now=clock.now)
    with monkeypatch.context() as dying, pytest.raises(Killed):
        if comma == "before the call":
            tasks.perform(task, clock, make=kill)
        name = "record" if comma == "after the call before it was recorded" else "tell"
        dying.setattr(tasks, name, kill)
        tasks.perform(task, clock, make=world)
    assert tasks.sweep(clock) == []  # it may still live
    clock.now += LEASE
    [left] = tasks.sweep(clock)
    tasks.perform(left, clock, make=world)
    assert json.loads(ended(arn)["output"]) == {"refund": "re_1"}
    assert len(set(world.keys)) == 1
    assert ActivityTask.objects.get().state == TaskState.TOLD


def effect(name, **parameters):
    return {"Type": "Task", "Resource": REFUND.replace("refund-invoice", name), "Parameters": parameters, "End": True}


def until(state):
    deadline = time.monotonic() + 60
    while not (said := state()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return said


def test_an_execution_there_waits_for_an_event_and_is_woken_by_it():
    waits = effect("await-event", Pattern={"detail-type": ["invoice.paid"]}, Object="in_1")
    machine = put(definition(Wait=waits), effects={"await-event"})
    states = boto3.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=machine, name=token_hex(6), input="{}")["executionArn"]
    with served("await-event", make=tasks.make):
        task = until(lambda: ActivityTask.objects.filter(state=TaskState.WAITING).first())
        assert EventWait.objects.get().foreign_token == f"step-functions:{task.pk}"
        invoice_paid("in_1", timezone.now() + timedelta(seconds=30))
        dispatch()
        said = ended(arn)
    assert json.loads(said["output"])["detail-type"] == "invoice.paid"
    assert not EventWait.objects.exists()


def test_a_person_decides_for_an_execution_there(olga):
    asks = effect("ask-approval", question="Refund in_1?")
    machine = put(definition(Ask=asks), effects={"ask-approval"})
    states = boto3.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=machine, name=token_hex(6), input="{}")["executionArn"]
    with served("ask-approval", make=tasks.make):
        until(lambda: ActivityTask.objects.filter(state=TaskState.WAITING).first())
        approvals.decide(Approval.objects.get(), olga, Decision.APPROVED, reason="It is ours.", now=NOW)
        said = ended(arn)
    assert json.loads(said["output"])["approved"] is True
    assert ActivityTask.objects.get().state == TaskState.TOLD


def test_an_answer_that_nobody_waits_for_any_more_is_kept():
    task = tasks.receive(ACTIVITY, "nobodys", given_to(), now=NOW)
    tasks.perform(task, Clock(NOW), make=World(Done({"refund": "re_1"})))
    row = ActivityTask.objects.get()
    assert (row.state, row.due_at, row.answer) == (TaskState.LATE, None, {"result": {"refund": "re_1"}})


def test_the_token_stands_in_no_row_in_clear():
    tasks.receive(ACTIVITY, "a-token-of-aws", given_to(), now=NOW)
    row = ActivityTask.objects.values().get()
    assert "a-token-of-aws" not in str(row)


def test_what_comes_from_a_definition_of_others_is_known_by_its_token():
    first = tasks.receive(ACTIVITY, "token-1", '{"invoice": "in_1"}', now=NOW)
    second = tasks.receive(ACTIVITY, "token-2", '{"invoice": "in_1"}', now=NOW)
    assert first.arguments == {"invoice": "in_1"}
    assert first.key != second.key


def test_the_command_serves_until_it_is_told_to_stop_and_says_what_it_did():
    """SIGTERM comes while it polls: the poll is waited for, and nothing is lost."""
    machine = put(definition(Tell=effect("open-finding", title="Look.")), effects={"open-finding"})
    states = boto3.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=machine, name=token_hex(6), input="{}")["executionArn"]
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop():
        ended(arn)
        os.kill(os.getpid(), signal.SIGTERM)

    stopping, out = threading.Thread(target=stop, daemon=True), StringIO()
    stopping.start()
    try:
        call_command("work_activities", "open-finding", "--json", stdout=out)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert json.loads(out.getvalue()) == {"tasks": 1, "resumed": 0, "trouble": 0, "finished": True}
    assert Finding.objects.count() == 1


def test_the_command_says_what_it_would_serve_and_knows_its_effects():
    out = StringIO()
    call_command("work_activities", "--dry-run", "--json", stdout=out)
    assert {ACTIVITY, HERE.activity("await-event")} <= set(json.loads(out.getvalue()))
    with pytest.raises(CommandError, match="No effect is registered as make-coffee"):
        call_command("work_activities", "make-coffee")
