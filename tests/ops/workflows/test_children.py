"""Executions that start executions: once, waited for or not, told of once, stopped with their parent."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from ops.workflows import acts
from ops.workflows.models import CallState, Execution, Status, TaskCall
from ops.workflows.start import start
from tests.ops.workflows.moving import Clock, finish, machine_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = "arn:aws:states:::states:startExecution"
MACHINE = "arn:aws:states:local:000000000000:stateMachine:"

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def parent_of(child, how: str = "", **more):
    given = {"StateMachineArn": MACHINE + getattr(child, "name", child), "Input.$": "$", **more.pop("Parameters", {})}
    return machine_of(Call={"Type": "Task", "Resource": START + how, "Parameters": given, "End": True, **more})


def ended(execution: Execution) -> Execution:
    execution.refresh_from_db()
    return execution


def test_one_that_is_not_waited_for_is_only_started(clock):
    child = machine_of(Rest={"Type": "Wait", "Seconds": 60, "End": True})
    parent = start(parent_of(child), "p", {"n": 1}, now=NOW)
    finish(clock, most=1000)
    assert ended(parent).finished_at == NOW
    started = Execution.objects.get(machine=child)
    assert parent.output["ExecutionArn"].endswith(f":execution:{child.name}:{started.name}")
    assert (started.input, started.status, started.parent_call) == ({"n": 1}, Status.SUCCEEDED, None)


@pytest.mark.parametrize(("how", "output"), [(".sync", '{"n":1}'), (".sync:2", {"n": 1})])
def test_one_that_is_waited_for_gives_its_description(how, output, clock):
    child = machine_of(Rest={"Type": "Wait", "Seconds": 60, "End": True})
    parent = ended_parent(clock, parent_of(child, how))
    assert parent.status == Status.SUCCEEDED
    assert parent.finished_at >= NOW + timedelta(seconds=60)
    assert (parent.output["Status"], parent.output["Output"], parent.output["Input"]) == ("SUCCEEDED", output, output)
    assert parent.output["StateMachineArn"] == MACHINE + child.name
    assert parent.output["StopDate"] - parent.output["StartDate"] == 60_000


def ended_parent(clock, machine) -> Execution:
    parent = start(machine, "p", {"n": 1}, now=NOW)
    finish(clock)
    return ended(parent)


def test_one_that_fails_fails_its_call(clock):
    child = machine_of(No={"Type": "Fail", "Error": "Broke", "Cause": "it did"})
    parent = ended_parent(clock, parent_of(child, ".sync:2"))
    assert (parent.status, parent.error) == (Status.FAILED, "States.TaskFailed")
    told = json.loads(parent.cause)
    assert (told["Status"], told["Error"], told["Cause"]) == ("FAILED", "Broke", "it did")


def test_it_is_started_once_however_often_its_call_is_made(clock):
    child = machine_of(Begin={"Type": "Succeed"})
    start(parent_of(child, ".sync"), "p", {}, now=NOW)
    finish(clock)
    TaskCall.objects.update(state=CallState.DUE, due_at=clock.now)
    finish(clock)
    assert Execution.objects.filter(machine=child).count() == 1


@pytest.mark.parametrize("how", ["stop", "time-out"])
def test_it_is_stopped_when_nobody_waits_for_it_any_more(how, clock, django_user_model):
    child = machine_of(Rest={"Type": "Wait", "Seconds": 3600, "End": True})
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 7200, "MaxAttempts": 1}]
    limits = {"TimeoutSeconds": 60, "Retry": retry} if how == "time-out" else {}
    parent = start(parent_of(parent_of(child, ".sync"), ".sync", **limits), "p", {}, now=NOW)
    for _ in range(3):
        finish_now(clock)
    if how == "stop":
        olga = django_user_model.objects.create(email="olga@example.com")
        acts.stop(parent, olga, reason="a test", now=clock.now)
    else:
        clock.now += timedelta(seconds=60)
    for _ in range(3):
        finish_now(clock)
    below = Execution.objects.exclude(pk=parent.pk)
    assert {execution.status for execution in below} == {Status.ABORTED}
    assert below.count() == 2
    assert not TaskCall.objects.filter(state=CallState.DROPPED).exclude(due_at=None).exists()


def finish_now(clock) -> None:
    from ops.workflows import engine

    engine.advance_due(clock, budget_seconds=10)


@pytest.mark.parametrize(
    ("machine", "how", "error"),
    [
        ("nowhere", "", "StepFunctions.StateMachineDoesNotExistException"),
        ("nowhere", ".sync", "StepFunctions.StateMachineDoesNotExistException"),
    ],
)
def test_a_machine_that_is_not_there_is_an_error_that_can_be_caught(machine, how, error, clock):
    assert ended_parent(clock, parent_of(machine, how)).error == error


def test_a_name_that_another_has_is_refused_to_who_waits(clock):
    child = machine_of(Begin={"Type": "Succeed"})
    start(child, "taken", {}, now=NOW)
    parent = ended_parent(clock, parent_of(child, ".sync", Parameters={"Name": "taken"}))
    assert parent.error == "StepFunctions.ExecutionAlreadyExistsException"


def test_a_machine_that_starts_itself_comes_to_an_end(clock):
    machine = machine_of(Begin={"Type": "Succeed"})
    again = {"Type": "Task", "Resource": START, "Parameters": {"StateMachineArn": MACHINE + machine.name}, "End": True}
    text = json.dumps({"StartAt": "Again", "States": {"Again": again}})
    from ops.workflows.machines import save_version

    machine = save_version(machine.name, text, reason="loop", now=NOW).machine
    start(machine, "p", {}, now=NOW)
    finish(clock)
    last = Execution.objects.order_by("-depth").first()
    assert (last.status, last.error) == (Status.FAILED, "States.Runtime")
    assert "loop" in last.cause


@pytest.mark.parametrize("resource", ["arn:aws:states:::ecs:runTask.sync", "arn:aws:states:::glue:startJobRun.sync"])
def test_what_nothing_here_waits_for_is_refused_before_it_is_begun(resource, clock):
    parent = ended_parent(clock, machine_of(Run={"Type": "Task", "Resource": resource, "End": True}))
    assert parent.error == "States.Runtime"
    assert "await-event" in parent.cause
