"""What a history tells of each state: read from executions of all shapes, whichever way they ended."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ops.workflows.asl import inline
from ops.workflows.asl.definition import compile_machine
from ops.workflows.graph.shape import END, START
from ops.workflows.mocks import MockedStates
from ops.workflows.steps import Mark, Outcome, Step, outcomes_of, standing_of, steps_of, ways_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TASK = "arn:aws:states:local:000000000000:activity:refund-invoice"
PAY: dict[str, Any] = {"Type": "Task", "Resource": TASK, "End": True}
REFUSED = {"Throw": {"Error": "Stripe.Declined", "Cause": "no"}}


def ran(states: dict[str, Any], answers: dict[str, Any], given: Any = None) -> tuple[str, list[Step]]:
    machine = compile_machine({"StartAt": next(iter(states)), "States": states})
    ended = inline.run(machine, given or {}, MockedStates(answers), now=NOW)
    marks = [Mark(event.id, event.previous, event.type, event.name or "", event.at) for event in ended.history]
    return ended.status, steps_of(marks)


def both(**more: Any) -> dict[str, Any]:
    branches = [
        {"StartAt": "Sleep", "States": {"Sleep": {"Type": "Wait", "Seconds": 60, "End": True}}},
        {"StartAt": "Pay", "States": {"Pay": PAY}},
    ]
    return {"Type": "Parallel", "Branches": branches, "End": True} | more


def test_a_state_that_was_tried_again_is_one_step_with_its_tries():
    retry = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 5}]
    answers = {"Pay": {"0": REFUSED, "1": {"Return": {"ok": True}}}}
    status, steps = ran({"Pay": {**PAY, "Retry": retry}}, answers)
    (step,) = steps
    assert (status, step.tries, len(step.failures), step.outcome) == ("SUCCEEDED", 2, 1, Outcome.DONE)
    assert step.left_at is not None
    assert (step.left_at - step.entered_at).total_seconds() == 5


def test_what_was_caught_says_so_and_its_way_is_that_of_the_catcher():
    caught = {**PAY, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Tell"}]}
    _, steps = ran({"Pay": caught, "Tell": {"Type": "Succeed"}}, {"Pay": REFUSED})
    assert [(step.name, step.outcome) for step in steps] == [("Pay", Outcome.CAUGHT), ("Tell", Outcome.DONE)]
    ways = ways_of(steps, ended_well=True)
    assert ways == {(START, "Pay"): {False}, ("Pay", "Tell"): {True}, ("Tell", END): {False}}


def test_a_branch_that_fails_breaks_off_its_siblings_and_its_states():
    status, steps = ran({"Both": both()}, {"Pay": REFUSED})
    assert status == "FAILED"
    assert outcomes_of(steps) == {"Both": Outcome.FAILED, "Sleep": Outcome.STOPPED, "Pay": Outcome.FAILED}
    by_name = {step.name: step for step in steps}
    assert by_name["Sleep"].parent == by_name["Pay"].parent == by_name["Both"].entered


def test_after_a_parallel_that_was_caught_one_goes_on_outside_of_it():
    states = {"Both": both(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Tell"}]), "Tell": {"Type": "Succeed"}}
    status, steps = ran(states, {"Pay": REFUSED})
    assert status == "SUCCEEDED"
    assert outcomes_of(steps)["Both"] is Outcome.CAUGHT
    assert steps[-1].parent is None
    assert ("Both", "Tell") in ways_of(steps, ended_well=True)


def test_after_a_parallel_that_succeeded_one_goes_on_outside_of_it():
    later = both(Next="Tell")
    del later["End"]
    _, steps = ran({"Both": later, "Tell": {"Type": "Succeed"}}, {"Pay": {"Return": 1}})
    assert outcomes_of(steps) == dict.fromkeys(["Both", "Sleep", "Pay", "Tell"], Outcome.DONE)
    assert steps[-1].parent is None


def test_of_a_map_the_worst_of_its_items_counts():
    items = {"StartAt": "Check", "States": {"Check": {"Type": "Choice", "Choices": CHECKS, "Default": "Bad"}, **ENDS}}
    _, steps = ran({"Each": {"Type": "Map", "ItemProcessor": items, "End": True}}, {}, given=[1, 2, 1])
    found = outcomes_of(steps)
    assert (found["Each"], found["Bad"], found["Good"]) == (Outcome.FAILED, Outcome.FAILED, Outcome.DONE)


CHECKS = [{"Variable": "$", "NumericEquals": 1, "Next": "Good"}]
ENDS = {"Good": {"Type": "Succeed"}, "Bad": {"Type": "Fail", "Error": "Odd"}}


# the end of an execution that a person or its time has ended, and what becomes of the state where it stood
@pytest.mark.parametrize(
    ("type_", "outcome"), [("ExecutionAborted", Outcome.STOPPED), ("ExecutionTimedOut", Outcome.FAILED)]
)
def test_where_it_stood_when_it_was_ended(type_, outcome):
    marks = [Mark(1, 0, "ExecutionStarted", "", NOW), Mark(2, 1, "WaitStateEntered", "Sleep", NOW)]
    (step,) = steps_of([*marks, Mark(3, 2, type_, "", NOW)])
    assert step.outcome is outcome


def test_a_redriven_state_is_another_step_and_the_last_counts():
    marks = [
        Mark(1, 0, "ExecutionStarted", "", NOW),
        Mark(2, 1, "TaskStateEntered", "Pay", NOW),
        Mark(3, 2, "TaskScheduled", "", NOW),
        Mark(4, 3, "TaskFailed", "", NOW),
        Mark(5, 4, "ExecutionFailed", "", NOW),
        Mark(6, 5, "ExecutionRedriven", "", NOW),
        Mark(7, 6, "TaskStateEntered", "Pay", NOW),
    ]
    steps = steps_of(marks)
    assert [step.outcome for step in steps] == [Outcome.FAILED, Outcome.RUNNING]
    assert outcomes_of(steps) == {"Pay": Outcome.RUNNING}


def test_on_aws_a_redriven_state_is_not_entered_anew_and_goes_on():
    """What lies inside of a Parallel goes on inside of it."""
    failed = [
        Mark(1, 0, "ExecutionStarted", "", NOW),
        Mark(2, 1, "ParallelStateEntered", "Both", NOW),
        Mark(3, 2, "ParallelStateStarted", "", NOW),
        Mark(4, 3, "TaskStateEntered", "Pay", NOW),
        Mark(5, 4, "TaskScheduled", "", NOW),
        Mark(6, 5, "TaskFailed", "", NOW),
        Mark(7, 6, "ParallelStateFailed", "", NOW),
        Mark(8, 7, "ExecutionFailed", "", NOW),
    ]
    redriven = [Mark(9, 8, "ExecutionRedriven", "", NOW), Mark(10, 9, "TaskScheduled", "", NOW)]
    assert [step.outcome for step in steps_of(failed)] == [Outcome.FAILED] * 2
    steps = steps_of([*failed, *redriven])
    assert [(step.name, step.outcome, step.tries) for step in steps] == [
        ("Both", Outcome.RUNNING, 0),
        ("Pay", Outcome.RUNNING, 2),
    ]
    done = [
        Mark(11, 10, "TaskSucceeded", "", NOW),
        Mark(12, 11, "TaskStateExited", "Pay", NOW),
        Mark(13, 12, "ParallelStateSucceeded", "", NOW),
        Mark(14, 13, "ParallelStateExited", "Both", NOW),
    ]
    assert [step.outcome for step in steps_of([*failed, *redriven, *done])] == [Outcome.DONE] * 2


def test_a_result_that_was_given_by_hand_ends_the_step_that_failed():
    marks = [
        Mark(1, 0, "ExecutionStarted", "", NOW),
        Mark(2, 1, "TaskStateEntered", "Pay", NOW),
        Mark(3, 2, "TaskFailed", "", NOW),
        Mark(4, 3, "ExecutionFailed", "", NOW),
        Mark(5, 4, "ExecutionRedriven", "", NOW),
        Mark(6, 5, "TaskSucceeded", "", NOW),
        Mark(7, 6, "TaskStateExited", "Pay", NOW),
        Mark(8, 7, "SucceedStateEntered", "Done", NOW),
    ]
    steps = steps_of(marks)
    assert [(step.name, step.outcome) for step in steps] == [("Pay", Outcome.DONE), ("Done", Outcome.RUNNING)]
    assert steps[1].parent is None


def test_a_history_tells_where_its_execution_stands_or_failed():
    _, steps = ran({"Both": both()}, {"Pay": REFUSED})
    assert standing_of(steps) == ["Pay", "Both"]
    marks = [Mark(1, 0, "ExecutionStarted", "", NOW), Mark(2, 1, "WaitStateEntered", "Sleep", NOW)]
    assert standing_of(steps_of(marks)) == ["Sleep"]
    assert standing_of(steps_of([*marks, Mark(3, 2, "ExecutionAborted", "", NOW)])) == ["Sleep"]
    assert standing_of([]) == []
