"""Tasks of Step Functions when AWS throttles, is away, waits no more, or has redriven an execution."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse

from ops.effects.outcome import Done, Refused, Retry
from ops.workflows import prune as pruning
from ops.workflows.aws import activities, tasks
from ops.workflows.aws.activities import Worker, patience
from ops.workflows.aws.models import ActivityTask, TaskState
from ops.workflows.models import EventWait, Execution, Status
from tests.cast import sign_in
from tests.ops.workflows.aws.here import HERE
from tests.ops.workflows.aws.played import BEGAN, Played, Refusal, TimedOut, on
from tests.ops.workflows.moving import Clock, World, machine_of

ACTIVITY = HERE.activity("refund-invoice")
ARN = "arn:aws:states:us-east-1:123456789012:execution:refunds:pay"
PAID = Done({"refund": "re_1"})

pytestmark = pytest.mark.django_db


@pytest.fixture
def played(monkeypatch) -> Played:
    played = on(monkeypatch, Played())
    played.redrives = 0
    played.answers |= {
        "SendTaskSuccess": {},
        "SendTaskFailure": {},
        "SendTaskHeartbeat": {},
        "DescribeExecution": lambda _: {
            "executionArn": ARN, "stateMachineArn": HERE.machine("refunds"), "status": "RUNNING", "startDate": BEGAN,
            "redriveCount": played.redrives, "input": "{}",
        },
    }  # fmt: skip
    return played


@pytest.fixture
def clock():
    return Clock(BEGAN)


def received(clock, token="token-1", *, execution=ARN, **changes):
    told = {"execution": execution, "state": "Pay", "entered": "2026-03-01T09:00:00Z", "tried": 0} | changes
    text = json.dumps({"kessai": told, "input": {"invoice": "in_1"}})
    return tasks.receive(ACTIVITY, token, text, now=clock.now)


def sent(played):
    return [name for name in played.names() if name.startswith("SendTask")]


def one():
    return ActivityTask.objects.get()


# --- answers ---


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_an_answer_that_is_not_wanted_any_more_says_what_aws_said(played, clock, olga, code):
    played.answers["SendTaskSuccess"] = Refusal(code, "Task Timed Out: 'Provided task does not exist anymore'")
    tasks.perform(received(clock), clock, make=World(PAID))
    assert (one().state, one().due_at, one().answer) == (TaskState.LATE, None, {"result": {"refund": "re_1"}})
    assert one().error.startswith(f"{code}: Task Timed Out")
    row = execution_of(Status.TIMED_OUT)
    shown = sign_in(olga).get(reverse("admin:ops_execution_change", args=[row.pk])).content.decode()
    assert f"Step Functions waits no more ({code}: Task Timed Out" in shown
    assert "Its answer is kept" in shown


def execution_of(status, **more):
    machine = machine_of(Pay={"Type": "Succeed"})
    given = {"machine": machine, "version": machine.current, "name": "pay", "arn": ARN, "started_at": BEGAN}
    return Execution.objects.create(status=status, **given, **more)


@pytest.mark.parametrize(
    "trouble", [Refusal("ThrottlingException", "Rate exceeded"), TimedOut(), Refusal("X", "", 503)]
)
def test_where_step_functions_is_away_the_answer_is_told_later_and_the_effect_not_called_again(played, clock, trouble):
    world = World(PAID)
    played.answers["SendTaskSuccess"] = trouble
    tasks.perform(received(clock), clock, make=world)
    waits = []
    for _ in range(6):
        waits.append(one().due_at - clock.now)
        assert tasks.sweep(clock) == []
        clock.now = one().due_at
        [task] = tasks.sweep(clock)
        tasks.perform(task, clock, make=world)
    assert waits[5] > 4 * waits[0]  # longer each time
    assert one().state == TaskState.ANSWERED
    played.answers["SendTaskSuccess"] = {}
    clock.now = one().due_at
    [task] = tasks.sweep(clock)
    tasks.perform(task, clock, make=world)
    assert (one().state, one().error, len(world.keys)) == (TaskState.TOLD, "", 1)


def test_a_failure_is_told_with_its_name_and_cause(played, clock):
    tasks.perform(received(clock), clock, make=World(Refused("Stripe.card_declined: No funds.")))
    [(_, given)] = [each for each in played.asked if each[0] == "SendTaskFailure"]
    assert given == {"taskToken": "token-1", "error": "Stripe.card_declined", "cause": "No funds."}


# --- heartbeats ---


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist"])
def test_a_heartbeat_that_nobody_wants_ends_the_calls(played, clock, code):
    task = received(clock)
    tasks.record(task, Retry("Connection: away."), now=clock.now)
    played.answers["SendTaskHeartbeat"] = Refusal(code, "Task Timed Out")
    assert tasks.heartbeat(task)
    assert (one().state, one().due_at, one().error) == (TaskState.LATE, None, f"{code}: Task Timed Out")


def test_a_heartbeat_with_a_token_that_is_called_invalid_ends_nothing(played, clock):
    """An emulator says so of states without HeartbeatSeconds; the answer is what tells."""
    played.answers["SendTaskHeartbeat"] = Refusal("InvalidToken", "Invalid Token")
    assert tasks.heartbeat(received(clock))
    assert one().state == TaskState.DUE


@pytest.mark.parametrize("trouble", [Refusal("ThrottlingException", "Rate exceeded"), TimedOut()])
def test_a_beat_ends_where_aws_is_asked_too_often(played, clock, trouble):
    for number in range(3):
        received(clock, f"token-{number}", entered=f"2026-03-01T09:00:0{number}Z")
    clock.now += timedelta(seconds=activities.HEARTBEAT_SECONDS + 1)
    played.answers["SendTaskHeartbeat"] = trouble
    worker = Worker(HERE, ["refund-invoice"], clock)
    worker.beat()
    assert sent(played) == ["SendTaskHeartbeat"]
    played.answers["SendTaskHeartbeat"] = {}
    played.asked.clear()
    worker.beat()
    assert sent(played) == ["SendTaskHeartbeat"] * 3
    assert set(ActivityTask.objects.values_list("state", flat=True)) == {TaskState.DUE}


def test_trouble_is_waited_out_for_longer_each_time_and_never_all_at_once():
    waits = [patience(troubles) for troubles in (1, 2, 3, 4, 5, 9, 99)]
    assert all(longest / 2 <= wait <= longest for wait, longest in zip(waits, (2, 4, 8, 16, 32, 60, 60), strict=True))
    assert len({patience(9) for _ in range(20)}) > 1


# --- redriven ---


def test_a_call_of_which_nobody_knows_is_redriven_under_its_key(played, clock):
    """A redrive counts a state's tries from 0, and what the first call did is not known."""
    first = received(clock)
    tasks.record(first, Retry("Connection: away."), now=clock.now)
    ActivityTask.objects.update(state=TaskState.LATE, due_at=None)
    played.redrives = 1
    again = received(clock, "token-2")
    assert (again.pk, again.key, again.state, again.redriven) == (first.pk, first.key, TaskState.DUE, 1)
    assert received(clock, "token-2") == again


def test_a_call_that_was_done_is_answered_again_when_its_state_is_redriven(played, clock):
    world = World(PAID)
    played.answers["SendTaskSuccess"] = Refusal("TaskTimedOut")
    tasks.perform(received(clock), clock, make=world)
    played.answers["SendTaskSuccess"] = {}
    played.redrives = 1
    tasks.perform(received(clock, "token-2"), clock, make=world)
    assert (len(world.keys), one().state) == (1, TaskState.TOLD)


def test_a_refusal_is_called_anew_when_its_state_is_redriven(played, clock):
    world = World(Refused("Stripe.card_declined: No."), PAID)
    tasks.perform(received(clock), clock, make=world)
    played.redrives = 1
    tasks.perform(received(clock, "token-2"), clock, make=world)
    assert len(set(world.keys)) == 2
    assert one().answer == {"result": {"refund": "re_1"}}


def test_a_state_that_is_entered_anew_by_a_redrive_keeps_the_key_of_what_nobody_knows(played, clock):
    first = received(clock)
    ActivityTask.objects.update(state=TaskState.LATE, due_at=None)
    played.redrives = 1
    assert received(clock, "token-2", entered="2026-03-02T09:00:00Z").key == first.key


def test_without_a_redrive_the_same_again_is_another_call(played, clock):
    """Another item of a Map, or another round of a loop."""
    first = received(clock)
    ActivityTask.objects.update(state=TaskState.LATE, due_at=None)
    for number, entered in enumerate(["2026-03-01T09:00:00Z", "2026-03-02T09:00:00Z"]):
        assert received(clock, f"other-{number}", entered=entered).key != first.key


def test_items_of_a_map_that_are_redriven_take_one_call_each(played, clock):
    calls = [received(clock, f"token-{number}") for number in range(3)]
    assert len({call.key for call in calls}) == 3
    tasks.perform(calls[1], clock, make=World(PAID))
    ActivityTask.objects.exclude(pk=calls[1].pk).update(state=TaskState.LATE, due_at=None)
    played.redrives = 1
    again = {received(clock, f"again-{number}").pk for number in range(2)}
    assert again == {calls[0].pk, calls[2].pk}


def test_where_aws_does_not_say_whether_it_was_redriven_nothing_is_done_twice(played, clock):
    first = received(clock)
    ActivityTask.objects.update(state=TaskState.LATE, due_at=None)
    played.answers["DescribeExecution"] = TimedOut()
    assert received(clock, "token-2").key == first.key


def test_a_first_task_asks_aws_nothing(played, clock):
    received(clock)
    assert played.asked == []


# --- pruned ---

OLD = BEGAN + timedelta(days=200)


def prune(now=OLD):
    pruning.prune(now=now, budget_seconds=5)
    return ActivityTask.objects.count()


def told(clock, **more):
    task = received(clock)
    ActivityTask.objects.update(state=TaskState.TOLD, due_at=None, **more)
    return task


def test_old_tasks_go_once_their_execution_can_ask_no_more(played, clock):
    told(clock)
    row = execution_of(Status.FAILED, finished_at=OLD - timedelta(days=15))
    assert prune() == 1  # it may be redriven, and is read a little later
    Execution.objects.filter(pk=row.pk).update(finished_at=OLD - timedelta(days=17))
    assert prune(BEGAN + timedelta(days=89)) == 1
    assert prune() == 0


# what is kept however old it is: an execution that runs, an answer to be told, a task of an unknown execution
@pytest.mark.parametrize("kept", ["runs", "untold", "unknown"])
def test_what_may_yet_be_asked_about_stays(played, clock, kept):
    told(clock)
    if kept != "unknown":
        ends = None if kept == "runs" else OLD - timedelta(days=100)
        execution_of(Status.RUNNING if kept == "runs" else Status.SUCCEEDED, finished_at=ends)
    if kept == "untold":
        ActivityTask.objects.update(state=TaskState.ANSWERED, due_at=OLD)
    assert prune() == 1
    if kept == "unknown":
        assert prune(BEGAN + timedelta(days=390)) == 0


def test_what_a_task_of_an_ended_execution_waited_for_is_waited_for_no_more(played, clock):
    told(clock)
    ActivityTask.objects.update(state=TaskState.WAITING)
    row = execution_of(Status.RUNNING)
    token = f"step-functions:{one().pk}"
    EventWait.objects.create(foreign_token=token, pattern="{}", key_name="x", keys=[], since=BEGAN, created_at=BEGAN)
    assert prune() == 1
    Execution.objects.filter(pk=row.pk).update(status=Status.ABORTED, finished_at=OLD - timedelta(days=17))
    assert (prune(), EventWait.objects.count()) == (0, 0)


def test_tasks_are_kept_for_ever_where_the_settings_say_so(played, clock, settings):
    settings.WORKFLOWS_TASK_DAYS = 0
    told(clock)
    execution_of(Status.SUCCEEDED, finished_at=BEGAN)
    assert prune() == 1
