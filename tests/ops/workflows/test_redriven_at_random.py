"""Whatever fails, is lost or is stopped, and whenever: redriven until it succeeds, an execution has done each effect
once in each place, and comes to what it would have come to at once.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from ops.workflows import acts, calls, children, engine
from ops.workflows.asl import inline
from ops.workflows.asl.definition import compile_machine
from ops.workflows.models import Execution, Status, TaskCall
from ops.workflows.start import start
from tests.ops.workflows.failing import BEFORE, FAULTS, Faulty, Perfect, machines
from tests.ops.workflows.moving import Clock, finish, machine_of, next_due

EXAMPLES = int(os.environ.get("REDRIVE_EXAMPLES", "20"))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACTS = ["advance", "advance", "call", "call", "children", "later", "stop"]
MOST_REDRIVES = 60

pytestmark = pytest.mark.django_db


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    definition=machines(),
    faults=st.lists(FAULTS, max_size=25),
    moves=st.lists(st.sampled_from(ACTS), max_size=40),
    steps=st.sampled_from([1, 500]),  # after which it is laid down though it could go on
)
def test_each_effect_is_done_once_and_the_result_is_that_of_a_run_that_never_failed(
    olga: User, definition: dict[str, Any], faults: list[str], moves: list[str], steps: int
) -> None:
    perfect = Perfect()
    wanted = inline.run(compile_machine(definition), BEFORE, perfect, now=NOW)
    assert wanted.status == "SUCCEEDED", wanted.failure
    with transaction.atomic(), patch.object(engine, "MOST_STEPS", steps):
        world, clock = Faulty(list(faults)), Clock(NOW)
        execution = start(machine_of(**definition["States"]), "r", BEFORE, now=NOW)
        for move in moves:
            do(move, execution, world, clock, olga)
        until_it_succeeds(execution, world, clock, olga)
        assert execution.output == wanted.output
        assert world.done == perfect.done
        numbers = list(execution.history.order_by("number").values_list("number", flat=True))
        assert numbers == list(range(1, len(numbers) + 1))
        assert not TaskCall.objects.filter(execution=execution, state__in=["due", "waiting"]).exists()
        transaction.set_rollback(True)


def do(move: str, execution: Execution, world: Faulty, clock: Clock, olga: User) -> None:
    """One move of the workers, of time, or of a person."""
    execution.refresh_from_db()
    if move == "advance":
        engine.advance_batch(clock, limit=1)
    elif move == "call":
        calls.make_due(clock, make=world)
    elif move == "children":
        children.go_on(now=clock.now)
    elif move == "later":
        clock.now = max(clock.now + timedelta(microseconds=1), next_due() or clock.now)
    elif execution.status == Status.RUNNING:
        acts.stop(execution, olga, reason="at random", now=clock.now)
    if execution.status in acts.REDRIVABLE:
        acts.redrive(execution, olga, reason="at random", now=clock.now)


def until_it_succeeds(execution: Execution, world: Faulty, clock: Clock, olga: User) -> None:
    for _ in range(MOST_REDRIVES):
        finish(clock, make=world)
        execution.refresh_from_db()
        if execution.status == Status.SUCCEEDED:
            return
        assert execution.status in acts.REDRIVABLE, (execution.status, execution.walkers)
        acts.redrive(execution, olga, reason="until it succeeds", now=clock.now)
    raise AssertionError("It does not succeed.")
