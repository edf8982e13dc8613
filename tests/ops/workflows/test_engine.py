"""The durable engine: executions in rows, advanced by any number of workers."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from ops.effects.outcome import Done, Refused, Retry
from ops.workflows import engine
from ops.workflows.asl.history import MOST_EVENTS
from ops.workflows.machines import save_version
from ops.workflows.models import Execution, HistoryEvent, StateMachine, Status, TaskCall
from ops.workflows.start import InputTooLarge, start
from tests.ops.workflows.moving import Clock, World, definition, finish, machine_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REFUND = "arn:aws:states:local:000000000000:activity:refund-invoice"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def refund(**more) -> dict:
    return {"Type": "Task", "Resource": REFUND, "End": True, **more}


def test_an_execution_runs_to_its_end_and_tells_its_history(clock):
    machine = machine_of(Begin={"Type": "Pass", "Result": {"paid": True}, "Next": "End"}, End={"Type": "Succeed"})
    execution = start(machine, "once", {"invoice": "in_1"}, now=NOW)
    finish(clock)
    execution.refresh_from_db()
    assert (execution.status, execution.output) == (Status.SUCCEEDED, {"paid": True})
    assert list(execution.history.order_by("number").values_list("type", flat=True)) == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "SucceedStateEntered",
        "SucceedStateExited",
        "ExecutionSucceeded",
    ]


def test_starting_again_by_name_starts_nothing(clock):
    machine = machine_of(Begin={"Type": "Succeed"})
    first = start(machine, "refund-in_1", {"n": 1}, now=NOW)
    second = start(machine, "refund-in_1", {"n": 2}, now=NOW)
    assert first == second
    assert Execution.objects.count() == 1
    assert HistoryEvent.objects.count() == 1


def test_an_input_that_is_too_large_starts_nothing():
    with pytest.raises(InputTooLarge):
        start(machine_of(Begin={"Type": "Succeed"}), "large", "a" * 300_000, now=NOW)
    assert not Execution.objects.exists()


def test_a_task_is_called_with_one_key_however_often_it_fails(clock):
    world = World(Retry("Busy: later"), Retry("Busy: later"), Done({"id": "re_1"}))
    execution = start(machine_of(Refund=refund()), "r", {"invoice": "in_1"}, now=NOW)
    finish(clock, make=world)
    execution.refresh_from_db()
    assert execution.output == {"id": "re_1"}
    assert Counter(world.keys) == {f"{execution.machine.name}:r:1": 3}


def test_what_is_refused_goes_to_the_states_own_catch(clock):
    world = World(Refused("AlreadyRefunded: nothing is left"))
    catch = [{"ErrorEquals": ["AlreadyRefunded"], "ResultPath": "$.why", "Next": "Fine"}]
    machine = machine_of(Refund=refund(Catch=catch), Fine={"Type": "Succeed"})
    execution = start(machine, "r", {"invoice": "in_1"}, now=NOW)
    finish(clock, make=world)
    execution.refresh_from_db()
    assert execution.output["why"] == {"Error": "AlreadyRefunded", "Cause": "nothing is left"}


def test_a_state_tried_again_calls_with_a_new_key(clock):
    world = World(Refused("Busy: now"), Done(1))
    retry = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 60, "MaxAttempts": 1}]
    start(machine_of(Refund=refund(Retry=retry)), "r", {}, now=NOW)
    finish(clock, make=world)
    assert len(set(world.keys)) == 2
    assert clock.now >= NOW + timedelta(seconds=60)


def test_it_sleeps_for_weeks_without_being_looked_at(clock):
    machine = machine_of(Wait={"Type": "Wait", "Seconds": 14 * 86_400, "Next": "Done"}, Done={"Type": "Succeed"})
    execution = start(machine, "w", {}, now=NOW)
    engine.advance_due(clock, budget_seconds=5)
    assert not engine.waiting(NOW + timedelta(days=14, seconds=-1))
    assert engine.waiting(NOW + timedelta(days=14))
    clock.now = NOW + timedelta(days=14)
    engine.advance_due(clock, budget_seconds=5)
    execution.refresh_from_db()
    assert execution.finished_at == NOW + timedelta(days=14)


def test_a_machine_times_out(clock):
    machine = machine_of({"TimeoutSeconds": 60}, Wait={"Type": "Wait", "Seconds": 3600, "End": True})
    execution = start(machine, "w", {}, now=NOW)
    finish(clock)
    execution.refresh_from_db()
    assert (execution.status, execution.finished_at) == (Status.TIMED_OUT, NOW + timedelta(seconds=60))


def test_a_task_whose_answer_does_not_come_times_out(clock):
    world = World(*[Retry("Busy: later")] * 12)
    execution = start(machine_of(Refund=refund(TimeoutSeconds=3)), "r", {}, now=NOW)
    finish(clock, make=world)
    execution.refresh_from_db()
    assert (execution.status, execution.error) == (Status.FAILED, "States.Timeout")
    assert TaskCall.objects.get().state == "dropped"


def test_branches_wait_for_each_other(clock):
    world = answer_by_state
    flows = [definition(**{f"Refund {number}": refund()}) for number in range(3)]
    machine = machine_of(All={"Type": "Parallel", "Branches": flows, "End": True})
    execution = start(machine, "p", {}, now=NOW)
    finish(clock, make=world)
    execution.refresh_from_db()
    assert execution.output == ["Refund 0", "Refund 1", "Refund 2"]


def test_a_loop_without_an_end_is_ended_and_stops_nobody(clock):
    loop = machine_of(A={"Type": "Pass", "Next": "B"}, B={"Type": "Choice", "Choices": ALWAYS, "Default": "C"}, C=END)
    other = machine_of(Begin={"Type": "Succeed"})
    endless, quick = start(loop, "l", {}, now=NOW), start(other, "q", {}, now=NOW)
    engine.advance_batch(clock)
    quick.refresh_from_db()
    assert quick.status == Status.SUCCEEDED
    finish(clock)
    endless.refresh_from_db()
    assert endless.status == Status.FAILED
    assert endless.history.count() == MOST_EVENTS
    assert endless.history.order_by("-number").first().type == "ExecutionFailed"


def answer_by_state(made, *, now):
    return Done(made.state)


ALWAYS = [{"Variable": "$", "IsPresent": True, "Next": "A"}]
END = {"Type": "Succeed"}


def test_a_running_execution_keeps_its_version(clock):
    machine = machine_of(
        Wait={"Type": "Wait", "Seconds": 60, "Next": "Old"}, Old={"Type": "Pass", "Result": 1, "End": True}
    )
    execution = start(machine, "v", {}, now=NOW)
    engine.advance_due(clock, budget_seconds=5)
    save_version(machine.name, WAIT_THEN_NEW, reason="another end", now=NOW)
    machine.refresh_from_db()
    later = start(machine, "later", {}, now=NOW)
    finish(clock)
    execution.refresh_from_db()
    later.refresh_from_db()
    assert (execution.output, later.output) == (1, 2)


WAIT_THEN_NEW = '{"StartAt": "New", "States": {"New": {"Type": "Pass", "Result": 2, "End": true}}}'


def test_one_that_cannot_be_walked_fails_alone(clock):
    machine = machine_of(Begin={"Type": "Succeed"})
    bad, good = start(machine, "bad", {}, now=NOW), start(machine, "good", {}, now=NOW)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ops_execution SET walkers = '[{}]' WHERE id = %s", [bad.pk])
    finish(clock)
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.status, good.status) == (Status.FAILED, Status.SUCCEEDED)
    assert bad.walkers == []  # nothing that a redrive could read


def test_versions_are_the_same_where_nothing_changed():
    machine = machine_of(Begin={"Type": "Succeed"})
    assert save_version(machine.name, machine.current.definition, reason="again", now=NOW) == machine.current
    assert StateMachine.objects.get().versions.count() == 1


NUL = {"Type": "Pass", "Parameters": {"a.$": "States.StringToJson($.text)"}, "End": True}


def test_what_cannot_be_kept_fails_its_execution_and_no_other(clock):
    machine, other = machine_of(Begin=NUL), machine_of(Begin={"Type": "Succeed"})
    bad = start(machine, "bad", {"text": '"\\u0000"'}, now=NOW)
    good = [start(other, f"good-{number}", {}, now=NOW) for number in range(3)]
    finish(clock)
    bad.refresh_from_db()
    assert (bad.status, bad.error) == (Status.FAILED, "States.Runtime")
    assert {Execution.objects.get(pk=each.pk).status for each in good} == {Status.SUCCEEDED}
    assert list(bad.history.order_by("number").values_list("type", flat=True)) == [
        "ExecutionStarted",
        "ExecutionFailed",
    ]


def test_rows_that_somebody_changed_by_hand_fail_their_execution_and_no_other(clock):
    bad = start(machine_of(Refund=refund()), "bad", {}, now=NOW)
    good = [start(machine_of(Begin={"Type": "Succeed"}), "good", {}, now=NOW) for _ in range(3)]
    for number in range(3):
        TaskCall.objects.create(
            execution=bad, number=number, walker=0, state_name="Refund", resource="arn", due_at=None
        )
    finish(clock)
    bad.refresh_from_db()
    assert (bad.status, bad.error) == (Status.FAILED, "States.Runtime")
    assert "by hand" in bad.cause
    assert {Execution.objects.get(pk=each.pk).status for each in good} == {Status.SUCCEEDED}


def test_numbers_of_any_length_are_walked_with(clock):
    execution = start(machine_of(Begin={"Type": "Succeed"}), "large", {"n": 10**30}, now=NOW)
    finish(clock)
    execution.refresh_from_db()
    assert execution.output == {"n": 10**30}


def test_a_result_that_cannot_be_kept_is_an_error(clock):
    execution = start(machine_of(Refund=refund()), "r", {}, now=NOW)
    finish(clock, make=World(Done({"text": "a\x00b"})))
    execution.refresh_from_db()
    assert (execution.status, execution.error) == (Status.FAILED, "States.Runtime")
