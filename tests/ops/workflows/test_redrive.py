"""A redrive goes on from each branch and item that failed or was broken off; what succeeded is not done again."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from ops.effects.outcome import Done, Refused
from ops.effects.outcome import Outcome as Answer
from ops.workflows import acts, answers, engine
from ops.workflows.models import Execution, MapRun, Status
from ops.workflows.prune import prune
from ops.workflows.start import start
from ops.workflows.steps import Mark, Outcome, steps_of
from ops.workflows.tokens import token_of
from tests.ops.workflows.moving import Clock, World, definition, finish, machine_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EFFECT = "arn:aws:states:local:000000000000:activity:refund-invoice"
DISTRIBUTED = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
ODD = [{"ErrorEquals": ["Odd"], "IntervalSeconds": 1, "MaxAttempts": 2}]

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


class ByState:
    """A world that refuses calls of some states, or with some arguments, and counts all."""

    def __init__(self, *refused: Any) -> None:
        self.refused, self.made = list(refused), Counter[str]()

    def __call__(self, made: Any, *, now: datetime) -> Answer:
        self.made[f"{made.state}:{made.arguments}"] += 1
        if made.state in self.refused or made.arguments in self.refused:
            return Refused("Odd: it is odd")
        return Done(f"{made.state} {made.arguments}")


def task(**more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": EFFECT, "End": True, **more}


def parallel(*flows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Type": "Parallel", "Branches": list(flows), "End": True, **more}


def map_of(*, mode: dict[str, str] | None = None, states: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    processor = {**definition(**(states or {"Call": task()})), **({"ProcessorConfig": mode} if mode else {})}
    return {"Type": "Map", "ItemProcessor": processor, "End": True, **more}


def redrive(execution: Execution, olga: User, clock: Clock, world: Any) -> Execution:
    acts.redrive(execution, olga, reason="a test", now=clock.now)
    finish(clock, make=world)
    execution.refresh_from_db()
    return execution


def run(machine: Any, clock: Clock, world: Any, given: Any = "x") -> Execution:
    execution = start(machine, "r", given, now=clock.now)
    finish(clock, make=world)
    execution.refresh_from_db()
    return execution


def types(execution: Execution, *, after: str = "ExecutionStarted") -> list[str]:
    told = list(execution.history.order_by("number").values_list("type", flat=True))
    return told[len(told) - told[::-1].index(after) :]


def test_a_branch_that_succeeded_is_not_called_again(clock, olga):
    world = ByState("Bad")
    machine = machine_of(Both=parallel(definition(Good=task()), definition(Bad=task())))
    execution = run(machine, clock, world)
    assert execution.status == Status.FAILED
    world.refused.clear()
    assert redrive(execution, olga, clock, world).output == ["Good x", "Bad x"]
    assert world.made == {"Good:x": 1, "Bad:x": 2}
    assert execution.redrives == 1
    assert types(execution, after="ExecutionRedriven") == [
        "ActivityScheduled",
        "ActivityStarted",
        "ActivitySucceeded",
        "TaskStateExited",
        "ParallelStateExited",
        "ExecutionSucceeded",
    ]


def test_only_items_that_failed_run_again_and_results_stand_in_their_order(clock, olga):
    world = ByState(3)
    execution = run(machine_of(Each=map_of(MaxConcurrency=2)), clock, world, [1, 2, 3, 4, 5])
    assert execution.status == Status.FAILED
    world.refused.clear()
    assert redrive(execution, olga, clock, world).output == [f"Call {number}" for number in range(1, 6)]
    assert (world.made["Call:1"], world.made["Call:2"], world.made["Call:3"]) == (1, 1, 2)


def test_flows_inside_of_flows_go_on_where_each_stood(clock, olga):
    inner = parallel(definition(Deep=task()), definition(Deeper=task()))
    world = ByState("Deeper")
    each = map_of(states={"First": {**task(), "ResultPath": None, "Next": "Inner"}, "Inner": inner}, MaxConcurrency=1)
    del each["ItemProcessor"]["States"]["First"]["End"]
    machine = machine_of(Both=parallel(definition(Each=each), definition(Beside=task())))
    execution = run(machine, clock, world, [1, 2])
    assert execution.status == Status.FAILED
    world.refused.clear()
    assert redrive(execution, olga, clock, world).status == Status.SUCCEEDED
    assert execution.output == [[["Deep 1", "Deeper 1"], ["Deep 2", "Deeper 2"]], "Beside [1, 2]"]
    assert world.made["First:1"] == world.made["Deep:1"] == world.made["Beside:[1, 2]"] == 1
    assert world.made["Deeper:1"] == 2


def test_a_redrive_of_a_redrive_goes_on_from_what_failed_then(clock, olga):
    world = ByState("Bad", "Worse")
    flows = [definition(Good=task()), definition(Bad=task()), definition(Worse=task())]
    execution = run(machine_of(All=parallel(*flows)), clock, world)
    world.refused = ["Worse"]
    assert redrive(execution, olga, clock, world).status == Status.FAILED
    world.refused.clear()
    assert redrive(execution, olga, clock, world).output == ["Good x", "Bad x", "Worse x"]
    assert world.made["Good:x"] == 1
    assert execution.redrives == 2


def test_a_redriven_state_has_all_its_retries_again(clock, olga):
    world = ByState("Bad")
    execution = run(machine_of(Both=parallel(definition(Bad=task(Retry=ODD)))), clock, world)
    assert world.made["Bad:x"] == 3
    assert redrive(execution, olga, clock, world).status == Status.FAILED
    assert world.made["Bad:x"] == 6


def test_a_parallel_that_its_retry_begins_anew_forgets_what_its_branches_came_to(clock, olga):
    world = ByState("Bad")
    machine = machine_of(Both=parallel(definition(Good=task()), definition(Bad=task()), Retry=ODD))
    execution = run(machine, clock, world)
    assert (execution.status, world.made["Good:x"], world.made["Bad:x"]) == (Status.FAILED, 3, 3)
    world.refused.clear()
    assert redrive(execution, olga, clock, world).status == Status.SUCCEEDED
    assert (world.made["Good:x"], world.made["Bad:x"]) == (3, 4)


def test_what_a_catcher_has_led_away_from_is_not_redriven(clock, olga):
    world = ByState("Bad", "Tell")
    both = parallel(definition(Bad=task()), Catch=[{"ErrorEquals": ["Odd"], "Next": "Tell"}])
    execution = run(machine_of(Both=both, Tell=task()), clock, world)
    world.refused.clear()
    assert [walker["state"] for walker in execution.walkers] == ["Tell"]
    assert redrive(execution, olga, clock, world).status == Status.SUCCEEDED
    assert world.made["Bad:x"] == 1
    assert execution.walkers == []


def test_stopped_it_goes_on_in_all_its_branches(clock, olga):
    first = {**task(), "Next": "Rest"}
    del first["End"]
    slow = definition(First=first, Rest={"Type": "Wait", "Seconds": 60, "End": True})
    execution = start(machine_of(Both=parallel(slow, definition(Good=task()))), "r", "x", now=NOW)
    world = ByState()
    engine.advance_due(clock, budget_seconds=10, make=world)
    acts.stop(execution, olga, reason="a test", now=NOW)
    assert redrive(execution, olga, clock, world).output == ["First x", "Good x"]
    assert set(world.made.values()) == {1}
    assert execution.finished_at == NOW + timedelta(seconds=60)


def test_an_answer_that_came_before_it_was_stopped_is_taken_after_the_redrive(clock, olga):
    execution = start(machine_of(Call=task()), "r", "x", now=NOW)
    engine.advance_batch(clock)
    world = ByState()
    engine.calls.make_due(clock, make=world)
    acts.stop(execution, olga, reason="a test", now=NOW)
    assert redrive(execution, olga, clock, world).output == "Call x"
    assert world.made == {"Call:x": 1}


def test_a_token_of_before_answers_nothing_after(clock, olga):
    ask = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "Parameters": {}}
    execution = start(machine_of(Both=parallel(definition(Ask={**ask, "End": True}))), "r", {}, now=NOW)
    engine.advance_due(clock, budget_seconds=10, make=World(Done({})))
    acts.stop(execution, olga, reason="a test", now=NOW)
    acts.redrive(execution, olga, reason="a test", now=NOW)
    engine.advance_due(clock, budget_seconds=10, make=World(Done({})))
    assert answers.succeed(token_of(execution.pk, 1), 1, now=NOW) is answers.Answered.LATE
    assert answers.succeed(token_of(execution.pk, 2), 2, now=NOW) is answers.Answered.TAKEN
    finish(clock)
    execution.refresh_from_db()
    assert execution.output == [2]


def test_the_machines_time_begins_anew(clock, olga):
    machine = machine_of({"TimeoutSeconds": 30}, Rest={"Type": "Wait", "Seconds": 20, "Next": "Call"}, Call=task())
    world = ByState("Call")
    execution = run(machine, clock, world)
    assert (execution.status, clock.now) == (Status.FAILED, NOW + timedelta(seconds=20))
    clock.now += timedelta(hours=1)
    acts.redrive(execution, olga, reason="a test", now=clock.now)
    execution.refresh_from_db()
    assert execution.ends_by == clock.now + timedelta(seconds=30)


def test_variables_and_items_are_as_they_were(clock, olga):
    note = {"Type": "Pass", "Assign": {"who.$": "$"}, "Next": "Call"}
    tell = {"Type": "Pass", "QueryLanguage": "JSONata", "End": True}
    told = "$states.context.Execution"
    tell["Output"] = f"{{% [$who, $states.context.Map.Item.Index, {told}.RedriveCount, $exists({told}.RedriveTime)] %}}"
    states = {"Note": note, "Call": {**task(), "Next": "Tell"}, "Tell": tell}
    del states["Call"]["End"]
    world = ByState("b")
    execution = run(machine_of(Each=map_of(states=states)), clock, world, ["a", "b"])
    world.refused.clear()
    assert redrive(execution, olga, clock, world).output == [["a", 0, 0, False], ["b", 1, 1, True]]


def test_a_fail_state_is_entered_again_and_fails_again(clock, olga):
    execution = run(machine_of(No={"Type": "Fail", "Error": "No"}), clock, World(Done({})))
    assert redrive(execution, olga, clock, World(Done({}))).status == Status.FAILED
    assert types(execution, after="ExecutionRedriven") == ["FailStateEntered", "ExecutionFailed"]


def test_what_broke_in_the_engine_goes_on_from_before(clock, olga, monkeypatch):
    world = ByState()
    execution = start(machine_of(Both=parallel(definition(One=task()), definition(Two=task()))), "r", "x", now=NOW)
    engine.advance_batch(clock)
    engine.calls.make_due(clock, make=world)
    with monkeypatch.context() as patch:
        patch.setattr(engine.Walking, "gathered", lambda *_: 1 / 0)
        patch.setitem(engine.Walking.act.__globals__["ACTS"], engine.Phase.GATHER, lambda *_: 1 / 0)
        engine.advance_batch(clock)
    execution.refresh_from_db()
    assert (execution.status, execution.error) == (Status.FAILED, "States.Runtime")
    assert redrive(execution, olga, clock, world).output == ["One x", "Two x"]
    assert set(world.made.values()) == {1}


def test_what_is_kept_goes_with_the_history(clock, olga, settings):
    settings.WORKFLOWS_HISTORY_DAYS, settings.WORKFLOWS_ROW_DAYS = 30, 60
    execution = run(machine_of(Each=map_of(mode=DISTRIBUTED)), clock, ByState(1), [1, 2])
    assert execution.walkers
    prune(now=NOW + timedelta(days=31), budget_seconds=10)
    with connection.cursor() as cursor:  # what a commit checks
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert not MapRun.objects.exists()
    execution.refresh_from_db()
    assert execution.walkers == []
    with pytest.raises(acts.CannotAct, match="not kept any more"):
        acts.redrive(execution, olga, reason="too late", now=NOW)


# --- how its history reads ---


def steps(execution: Execution) -> dict[str, tuple[Outcome, int]]:
    marks = execution.history.order_by("number").values_list("number", "previous", "type", "name", "at")
    return {step.name: (step.outcome, step.tries) for step in steps_of(Mark(*mark) for mark in marks)}


def test_a_state_that_was_redriven_is_one_visit_with_more_tries(clock, olga):
    slow = definition(Rest={"Type": "Wait", "Seconds": 60, "End": True})
    world = ByState("Bad")
    machine = machine_of(Both=parallel(slow, definition(Good=task()), definition(Bad=task())))
    execution = run(machine, clock, world)
    assert steps(execution) == {
        "Both": (Outcome.FAILED, 0),
        "Rest": (Outcome.STOPPED, 0),
        "Good": (Outcome.DONE, 1),
        "Bad": (Outcome.FAILED, 1),
    }
    acts.redrive(execution, olga, reason="a test", now=clock.now)
    running = steps(execution)
    assert (running["Both"], running["Rest"], running["Good"], running["Bad"]) == (
        (Outcome.RUNNING, 0),
        (Outcome.RUNNING, 0),
        (Outcome.DONE, 1),
        (Outcome.RUNNING, 1),
    )
    execution.refresh_from_db()
    assert execution.standing.split("\n") == ["Bad", "Both", "Rest"]
    world.refused.clear()
    finish(clock, make=world)
    assert steps(execution) == {
        "Both": (Outcome.DONE, 0),
        "Rest": (Outcome.DONE, 0),
        "Good": (Outcome.DONE, 1),
        "Bad": (Outcome.DONE, 2),
    }


def test_an_item_that_was_redriven_is_one_visit_of_its_state(clock, olga):
    world = ByState(2)
    execution = run(machine_of(Each=map_of(MaxConcurrency=1)), clock, world, [1, 2, 3])
    world.refused.clear()
    redrive(execution, olga, clock, world)
    marks = execution.history.order_by("number").values_list("number", "previous", "type", "name", "at")
    found = steps_of(Mark(*mark) for mark in marks)
    assert [(step.name, step.outcome, step.tries) for step in found] == [
        ("Each", Outcome.DONE, 0),
        ("Call", Outcome.DONE, 1),
        ("Call", Outcome.DONE, 2),
        ("Call", Outcome.DONE, 1),
    ]
    assert {step.parent for step in found[1:]} == {found[0].entered}


def test_a_fail_state_that_is_entered_again_is_another_visit(clock, olga):
    execution = run(machine_of(No={"Type": "Fail", "Error": "No"}), clock, World(Done({})))
    redrive(execution, olga, clock, World(Done({})))
    marks = execution.history.order_by("number").values_list("number", "previous", "type", "name", "at")
    assert [step.outcome for step in steps_of(Mark(*mark) for mark in marks)] == [Outcome.FAILED, Outcome.FAILED]
