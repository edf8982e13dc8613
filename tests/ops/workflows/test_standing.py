"""Where an execution stands, or failed, is written beside it: what the console counts for each state."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from ops.effects.outcome import Done, Refused
from ops.workflows import acts, engine
from ops.workflows.models import LONGEST_STANDING, Execution, Status, written_states
from ops.workflows.start import start
from tests.ops.workflows.moving import Clock, World, definition, finish, machine_of

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TASK = "arn:aws:states:local:000000000000:activity:refund-invoice"
PAY = {"Type": "Task", "Resource": TASK, "End": True}


def run(machine, *answers, to_the_end=True) -> Execution:
    execution = start(machine, "one", {}, now=NOW)
    assert execution.standing == next(iter(machine.current.states_at_top))
    clock = Clock(NOW)
    if to_the_end:
        finish(clock, make=World(*answers))
    else:
        engine.advance_due(clock, budget_seconds=10, make=World(*answers))
    execution.refresh_from_db()
    return execution


def both() -> dict:
    """Two flows at once: one waits, one pays."""
    wait = definition(Sleep={"Type": "Wait", "Seconds": 60, "End": True})
    return {"Type": "Parallel", "Branches": [wait, definition(Pay=PAY)], "End": True}


def test_one_that_waits_stands_in_each_state_of_its_flows():
    execution = run(machine_of(Both=both()), Done({}), to_the_end=False)
    assert execution.standing.split("\n") == ["Both", "Sleep"]


def test_one_that_failed_names_the_innermost_state_first():
    execution = run(machine_of(Both=both()), Refused("Stripe.Declined: no money"))
    assert (execution.status, execution.standing.split("\n")) == (Status.FAILED, ["Pay", "Both"])


def test_what_was_caught_is_no_place_of_failing():
    caught = {**PAY, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Tell"}]}
    execution = run(machine_of(Pay=caught, Tell={"Type": "Fail", "Error": "GaveUp"}), Refused("Stripe.Declined: no"))
    assert execution.standing == "Tell"


def test_one_that_succeeded_stands_nowhere():
    execution = run(machine_of(Pay=PAY), Done({}))
    assert (execution.status, execution.standing) == (Status.SUCCEEDED, "")


def test_one_that_ran_out_of_time_or_was_stopped_stands_where_it_was(olga):
    machine = machine_of({"TimeoutSeconds": 30}, Sleep={"Type": "Wait", "Seconds": 60, "End": True})
    execution = run(machine)
    assert (execution.status, execution.standing) == (Status.TIMED_OUT, "Sleep")
    acts.redrive(execution, olga, reason="again", now=timezone.now())
    execution.refresh_from_db()
    assert (execution.status, execution.standing) == (Status.RUNNING, "Sleep")
    acts.stop(execution, olga, reason="enough", now=timezone.now())
    execution.refresh_from_db()
    assert (execution.status, execution.standing) == (Status.ABORTED, "Sleep")


def test_more_names_than_an_index_holds_are_left_out_whole():
    names = [f"状態{number:03d}" + "あ" * 70 for number in range(60)]
    written = written_states(names)
    assert len(written.encode()) <= LONGEST_STANDING
    assert set(written.split("\n")) < set(names)
