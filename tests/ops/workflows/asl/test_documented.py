"""The States Language where no recorded case asks: what AWS's documents say, state by state."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ops.workflows.asl import inline
from ops.workflows.asl.definition import compile_machine
from ops.workflows.asl.running import Ended
from ops.workflows.asl.validate import check
from ops.workflows.mocks import MockedStates
from tests.ops.workflows.moving import definition

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DISTRIBUTED = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}


def run(given: Any = None, **states: dict[str, Any]) -> Ended:
    return inline.run(compile_machine(definition(**states)), given or {}, MockedStates({}), now=NOW)


def passed(**more: Any) -> dict[str, Any]:
    return {"Type": "Pass", "End": True, **more}


def map_of(*, distributed: bool, **more: Any) -> dict[str, Any]:
    processor = {**definition(X=passed()), **({"ProcessorConfig": DISTRIBUTED} if distributed else {})}
    return {"Type": "Map", "ItemProcessor": processor, "End": True, **more}


def test_a_distributed_map_goes_through_the_pairs_of_an_object() -> None:
    assert run({"a": 1, "b": 2}, M=map_of(distributed=True)).output == [
        {"Key": "a", "Value": 1},
        {"Key": "b", "Value": 2},
    ]
    selector = {"k.$": "$$.Map.Item.Key", "v.$": "$$.Map.Item.Value", "n.$": "$$.Map.Item.Index"}
    assert run({"a": 1}, M=map_of(distributed=True, ItemSelector=selector)).output == [{"k": "a", "v": 1, "n": 0}]


def test_an_inline_map_takes_no_object() -> None:
    assert run({"a": 1}, M=map_of(distributed=False)).failure.error == "States.Runtime"


# docs, "Handling errors": no choice, intrinsics and paths that fail are States.Runtime, which nothing catches
@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": True, "Next": "Done"}]},
        passed(Parameters={"v.$": "States.ArrayGetItem($.list, 5)"}),
        passed(Parameters={"v.$": "$.missing"}),
    ],
)
def test_what_a_definition_does_wrong_is_caught_by_nothing(state: dict[str, Any]) -> None:
    branch = definition(Wrong=state, Done=passed())
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    ended = run(
        {"list": []}, P={"Type": "Parallel", "Branches": [branch], "Catch": catch, "End": True}, Caught=passed()
    )
    assert (ended.status, ended.failure.error) == ("FAILED", "States.Runtime")


def test_a_variable_assigned_inside_that_is_assigned_around_it_is_warned_of() -> None:
    branch = definition(Inside=passed(Assign={"x.$": "$", "y": 1}))
    catch = [{"ErrorEquals": ["States.ALL"], "Assign": {"x": 1}, "Next": "Caught"}]
    both = {"Type": "Parallel", "Branches": [branch], "Catch": catch, "End": True}
    faults = check(definition(Both=both, Caught=passed(Assign={"z": 1})))
    assert [(fault.path, fault.severity) for fault in faults] == [
        ("/States/Both/Branches/0/States/Inside/Assign/x.$", "WARNING")
    ]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.a[?(@.x>1)].x", [2]),
        ("$.a[?(@.x<=1)].x", [1]),
        ("$.a[?(@.n=='q')].x", [2]),
        ("$.a[?(@.x==1||@.x==2)].x", [1, 2]),
        ("$.a[?(@.x>=1&&@.n!='q')].x", [1]),
        ("$.a[?(!@.x)].y", [5]),
        ("$.a[?(@.x > 1)].x", [2]),
    ],
)
def test_a_filter_needs_no_blanks(path: str, found: list[int]) -> None:
    given = {"a": [{"x": 1, "n": "p"}, {"x": 2, "n": "q"}, {"y": 5}]}
    assert run(given, A=passed(Parameters={"v.$": path})).output == {"v": found}
