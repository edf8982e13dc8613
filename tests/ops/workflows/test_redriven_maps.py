"""A redrive of a distributed Map: the same run, and of its children those alone that have not succeeded."""

from datetime import timedelta

import pytest

from ops.workflows import acts, engine
from ops.workflows.models import Execution, MapRun, Status, TaskCall
from ops.workflows.start import start
from tests.ops.workflows.moving import Clock, finish, machine_of
from tests.ops.workflows.test_redrive import (
    DISTRIBUTED,
    NOW,
    ByState,
    map_of,
    redrive,
    run,
    task,
    types,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def test_children_that_succeeded_do_not_run_again_and_the_run_is_the_same(clock, olga):
    world = ByState(2, 5)
    machine = machine_of(Each=map_of(mode=DISTRIBUTED, MaxConcurrency=2, ToleratedFailureCount=1))
    execution = run(machine, clock, world, list(range(7)))
    assert execution.error == "States.ExceedToleratedFailureThreshold"
    world.refused.clear()
    assert redrive(execution, olga, clock, world).output == [f"Call {number}" for number in range(7)]
    assert world.made == {f"Call:{number}": 2 if number in (2, 5) else 1 for number in range(7)}
    (map_run,) = MapRun.objects.all()
    assert (map_run.started, map_run.succeeded, map_run.failed, map_run.redrives) == (7, 7, 0, 1)
    assert types(execution, after="ExecutionRedriven") == [
        "MapRunRedriven",
        "MapRunSucceeded",
        "MapStateSucceeded",
        "MapStateExited",
        "ExecutionSucceeded",
    ]
    child = Execution.objects.get(map_index=5)
    assert (child.redrives, child.events) == (1, child.history.count())


def test_stopped_children_and_those_not_begun_go_on_no_more_at_once_than_may(clock, olga):
    rest = {"Type": "Wait", "Seconds": 60, "Next": "Call"}
    each = map_of(mode=DISTRIBUTED, states={"Rest": rest, "Call": task()}, MaxConcurrency=2)
    execution = start(machine_of(Each=each), "r", list(range(5)), now=NOW)
    world = ByState()
    engine.advance_due(clock, budget_seconds=10, make=world)
    acts.stop(execution, olga, reason="a test", now=NOW)
    engine.advance_due(clock, budget_seconds=10, make=world)
    below = Execution.objects.exclude(pk=execution.pk)
    assert below.filter(status=Status.ABORTED).count() == 2
    acts.redrive(execution, olga, reason="a test", now=NOW)
    for _ in range(3):
        assert below.filter(status=Status.RUNNING).count() <= 2
        engine.advance_due(clock, budget_seconds=10, make=world)
        clock.now += timedelta(seconds=60)
    finish(clock, make=world)
    execution.refresh_from_db()
    assert execution.output == [f"Call {number}" for number in range(5)]
    assert set(world.made.values()) == {1}


def test_children_still_running_when_their_parent_is_redriven_just_go_on(clock, olga):
    rest = {"Type": "Wait", "Seconds": 60, "Next": "Call"}
    execution = start(
        machine_of(Each=map_of(mode=DISTRIBUTED, states={"Rest": rest, "Call": task()})), "r", [1, 2], now=NOW
    )
    world = ByState()
    engine.advance_due(clock, budget_seconds=10, make=world)
    acts.stop(execution, olga, reason="a test", now=NOW)
    assert redrive(execution, olga, clock, world).output == ["Call 1", "Call 2"]
    assert Execution.objects.filter(redrives__gt=0).count() == 1


def test_too_many_that_fail_again_fail_it_again(clock, olga):
    world = ByState(2)
    execution = run(machine_of(Each=map_of(mode=DISTRIBUTED)), clock, world, [1, 2, 3])
    assert redrive(execution, olga, clock, world).error == "States.ExceedToleratedFailureThreshold"
    world.refused.clear()
    assert redrive(execution, olga, clock, world).output == ["Call 1", "Call 2", "Call 3"]
    assert world.made["Call:1"] == 1


def test_a_map_inside_of_the_children_of_another_is_redriven_too(clock, olga):
    world = ByState(3)
    inner = map_of(mode=DISTRIBUTED)
    execution = run(machine_of(Outer=map_of(mode=DISTRIBUTED, states={"Inner": inner})), clock, world, [[1, 2], [3, 4]])
    assert execution.status == Status.FAILED
    world.refused.clear()
    assert redrive(execution, olga, clock, world).output == [["Call 1", "Call 2"], ["Call 3", "Call 4"]]
    assert (world.made["Call:1"], world.made["Call:3"]) == (1, 2)
    assert MapRun.objects.count() == 3


def test_a_child_alone_is_redriven_by_its_parent_alone(clock, olga):
    run(machine_of(Each=map_of(mode=DISTRIBUTED)), clock, ByState(2), [1, 2])
    with pytest.raises(acts.CannotAct, match="redrive the execution in which the Map runs"):
        acts.redrive(Execution.objects.get(map_index=1), olga, reason="a test", now=NOW)


def test_a_child_given_its_result_by_hand_counts_once_its_parent_is_redriven(clock, olga):
    world = ByState(2)
    execution = run(machine_of(Each=map_of(mode=DISTRIBUTED)), clock, world, [1, 2])
    acts.give_result(Execution.objects.get(map_index=1), "by hand", olga, reason="a test", now=NOW)
    assert redrive(execution, olga, clock, world).output == ["Call 1", "by hand"]
    assert world.made["Call:2"] == 1
    assert not TaskCall.objects.filter(state__in=["due", "waiting"]).exists()
