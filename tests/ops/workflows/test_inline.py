"""Executions in memory: waits, retries, catches, branches, limits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.workflows.asl.definition import compile_machine
from ops.workflows.asl.errors import Failure
from ops.workflows.asl.inline import Execution, run
from ops.workflows.asl.retry import Retrier
from ops.workflows.asl.running import Answer
from ops.workflows.asl.validate import InvalidDefinition, check, read_definition
from ops.workflows.mocks import InvalidMock, MockedStates

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TASK = "arn:aws:states:local:000000000000:activity:refund-invoice"


class Counting:
    """A world that fails so often, and counts how often it was asked and when."""

    def __init__(self, fails: int, error: str = "Busy") -> None:
        self.fails, self.error, self.asked = fails, error, 0

    def call(self, call, *, state, attempt):
        self.asked += 1
        return Answer(failure=Failure(self.error, "later")) if self.asked <= self.fails else Answer({"ok": True})


def task(**more) -> dict:
    state = {"Type": "Task", "Resource": TASK, "End": True, **more}
    return {"StartAt": "Refund", "States": {"Refund": state, "Sorry": {"Type": "Pass", "End": True}}}


def retry(**more) -> list[dict]:
    return [{"ErrorEquals": ["Busy"], "IntervalSeconds": 10, "MaxAttempts": 3, **more}]


def test_a_failing_task_is_tried_again_after_its_intervals():
    execution = Execution(compile_machine(task(Retry=retry(BackoffRate=2))), {}, Counting(3), now=NOW)
    ended = execution.run()
    assert (ended.status, ended.output) == ("SUCCEEDED", {"ok": True})
    assert execution.now - NOW == timedelta(seconds=10 + 20 + 40)


def test_a_task_that_fails_too_often_is_caught():
    world = Counting(9)
    catch = [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Sorry"}]
    ended = run(compile_machine(task(Retry=retry(), Catch=catch)), {"invoice": "in_1"}, world, now=NOW)
    assert world.asked == 4
    assert ended.output == {"invoice": "in_1", "error": {"Error": "Busy", "Cause": "later"}}


def test_the_first_retrier_that_names_an_error_decides():
    retriers = [{"ErrorEquals": ["Busy"], "MaxAttempts": 0}, {"ErrorEquals": ["States.ALL"], "MaxAttempts": 5}]
    world = Counting(1)
    assert run(compile_machine(task(Retry=retriers)), {}, world, now=NOW).failure.error == "Busy"
    assert world.asked == 1


@given(
    interval=st.integers(1, 100),
    rate=st.floats(1, 4),
    longest=st.none() | st.integers(101, 500),
    attempt=st.integers(1, 12),
    drawn=st.floats(0, 1),
)
def test_delays_grow_up_to_their_limit(interval, rate, longest, attempt, drawn):
    plain = Retrier(("Busy",), interval, 99, rate, longest)
    jittered = Retrier(("Busy",), interval, 99, rate, longest, full_jitter=True)
    delay = plain.delay(attempt, lambda: drawn)
    assert interval <= delay <= (longest or float("inf")) or delay == longest
    assert delay <= plain.delay(attempt + 1, lambda: drawn)
    assert 0 <= jittered.delay(attempt, lambda: drawn) <= delay


def test_a_wait_of_weeks_passes_at_once_and_is_told():
    wait = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 14 * 86_400, "End": True}}}
    execution = Execution(compile_machine(wait), {"a": 1}, MockedStates({}), now=NOW)
    assert execution.run().output == {"a": 1}
    assert execution.now == NOW + timedelta(days=14)


def test_one_branch_that_fails_ends_the_others():
    slow = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 99, "End": True}}}
    fails = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "No", "Cause": "never"}}}
    parallel = {"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": [slow, fails], "End": True}}}
    execution = Execution(compile_machine(parallel), {}, MockedStates({}), now=NOW)
    assert execution.run().failure == Failure("No", "never")
    assert execution.now == NOW


def distributed(**more) -> dict:
    flow = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Even",
        "States": {
            "Even": {
                "Type": "Choice",
                "Choices": [{"Variable": "$", "NumericGreaterThan": 7, "Next": "No"}],
                "Default": "Yes",
            },
            "Yes": {"Type": "Succeed"},
            "No": {"Type": "Fail", "Error": "TooLarge"},
        },
    }
    return {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": flow, "End": True, **more}}}


@pytest.mark.parametrize(
    ("tolerance", "status"),
    [
        ({}, "FAILED"),  # none is tolerated unless it is said
        ({"ToleratedFailureCount": 1}, "FAILED"),
        ({"ToleratedFailureCount": 2}, "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 19.9}, "FAILED"),
        ({"ToleratedFailurePercentage": 20}, "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 100, "ToleratedFailureCount": 1}, "FAILED"),  # both must hold
    ],
)
def test_a_distributed_map_tolerates_as_many_failures_as_it_says(tolerance, status):
    ended = run(compile_machine(distributed(**tolerance)), list(range(10)), MockedStates({}), now=NOW)
    assert ended.status == status
    if status == "FAILED":
        assert ended.failure.error == "States.ExceedToleratedFailureThreshold"


def test_items_are_handed_on_in_batches():
    flow = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "P",
        "States": {"P": {"Type": "Pass", "End": True}},
    }
    batcher = {"MaxItemsPerBatch": 2, "BatchInput": {"key.$": "$.key"}}
    state = {"Type": "Map", "ItemsPath": "$.items", "ItemBatcher": batcher, "ItemProcessor": flow, "End": True}
    ended = run(
        compile_machine({"StartAt": "M", "States": {"M": state}}),
        {"key": 7, "items": [1, 2, 3]},
        MockedStates({}),
        now=NOW,
    )
    assert ended.output == [{"BatchInput": {"key": 7}, "Items": [1, 2]}, {"BatchInput": {"key": 7}, "Items": [3]}]


@given(items=st.lists(st.integers(), max_size=12), concurrency=st.integers(0, 5))
def test_a_map_keeps_the_order_of_its_items(items, concurrency):
    flow = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    state = {"Type": "Map", "MaxConcurrency": concurrency, "ItemProcessor": flow, "End": True}
    machine = compile_machine({"StartAt": "M", "States": {"M": state}})
    assert run(machine, items, MockedStates({}), now=NOW).output == items


def test_a_loop_without_an_end_is_ended():
    loop = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}}}
    ended = run(compile_machine(loop), {}, MockedStates({}), now=NOW)
    assert ended.status == "FAILED"
    assert "maximum number of history events" in (ended.failure.cause or "")


def test_an_output_that_is_too_large_fails_its_state():
    large = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": "a" * 262_200, "End": True}}}
    assert run(compile_machine(large), {}, MockedStates({}), now=NOW).failure.error == "States.DataLimitExceeded"


def test_every_fault_of_a_definition_is_told_at_once_with_its_place():
    definition = {
        "StartAt": "Pay",
        "States": {
            "Pay": {"Type": "Task", "Resource": "arn:aws:states:::nothing:here", "Next": "Gone", "Paramters": {}},
            "Wait": {"Type": "Wait", "Seconds": -1, "End": True},
            "Alone": {"Type": "Succeed"},
        },
    }
    told = {(fault.path, fault.severity) for fault in check(definition)}
    assert told == {
        ("/States/Pay/Paramters", "ERROR"),
        ("/States/Pay/Resource", "ERROR"),
        ("/States/Pay/Next", "ERROR"),
        ("/States/Wait/Seconds", "ERROR"),
        ("/States/Wait", "WARNING"),
        ("/States/Alone", "WARNING"),
    }


@pytest.mark.parametrize("text", ["", "[]", "{", '{"StartAt": "A", "StartAt": "B", "States": {}}', "[" * 100_000])
def test_what_is_no_definition_is_refused(text):
    with pytest.raises(InvalidDefinition):
        read_definition(text)


def test_a_mock_says_what_each_attempt_answers():
    world = MockedStates({"Refund": {"0-1": {"Throw": {"Error": "Busy"}}, "2": {"Return": {"id": "re_1"}}}})
    ended = run(compile_machine(task(Retry=retry())), {}, world, now=NOW)
    assert ended.output == {"id": "re_1"}


@pytest.mark.parametrize("mock", [{}, {"first": {"Return": 1}}, {"0": {"Answer": 1}}, {"²": {"Return": 1}}, []])
def test_a_mock_that_says_nothing_is_refused(mock):
    with pytest.raises(InvalidMock):
        MockedStates({"Refund": mock})
