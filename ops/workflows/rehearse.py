"""A definition run through the durable engine on a simulated clock, with mocked answers, leaving nothing behind.

For conformance and for tests: what runs is what runs in production, but for the world and the clock.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db.models import Min

from ops.effects.outcome import Done, Outcome, Refused, Retry
from ops.workflows import engine
from ops.workflows.asl.errors import Failure
from ops.workflows.asl.history import Event
from ops.workflows.asl.running import Answer, Ended, World
from ops.workflows.asl.step import Call
from ops.workflows.made import Made
from ops.workflows.models import CallState, Execution, StateMachine, StateMachineVersion, Status, TaskCall
from ops.workflows.start import start

Json = Any
MOST_MOMENTS = 10_000


@dataclass
class Moving:
    """A clock that stands until it is moved."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


def rehearse(definition: Mapping[str, Json], given: Json, world: World, *, now: datetime, role_arn: str = "") -> Ended:
    """Run a definition to its end through rows of its own, which are deleted then. Must not be in a transaction."""
    machine = StateMachine.objects.create(name=f"rehearsal-{uuid4().hex[:24]}", role_arn=role_arn)
    version = StateMachineVersion.objects.create(
        machine=machine, number=1, definition=json.dumps(definition), changed_at=now, reason="rehearsal"
    )
    machine.current = version
    machine.save(update_fields=["current"])
    try:
        execution = start(machine, "rehearsal", given, now=now)
        run_to_end(execution, world, Moving(now))
        execution.refresh_from_db()
        return ended(execution)
    finally:
        clear(machine)


def run_to_end(execution: Execution, world: World, clock: Moving) -> None:
    answers = Answers(world)
    for _ in range(MOST_MOMENTS):
        engine.advance_due(clock, budget_seconds=60.0, make=answers)
        moment = next_moment(execution)
        if moment is None:
            return
        clock.now = max(moment, clock.now + timedelta(microseconds=1))


def next_moment(execution: Execution) -> datetime | None:
    """When the execution, one of its children, or one of their calls is due next; None when nothing ever will be."""
    family = Execution.objects.filter(machine_id=execution.machine_id)
    if not family.filter(pk=execution.pk, status=Status.RUNNING).exists():
        return None
    at = family.filter(status=Status.RUNNING).aggregate(at=Min("due_at"))["at"]
    due = TaskCall.objects.filter(execution__machine_id=execution.machine_id, state=CallState.DUE)
    calls = due.aggregate(at=Min("due_at"))["at"]
    return min((moment for moment in (at, calls) if moment is not None), default=None)


class Answers:
    """Answers the engine's calls from a mocked world; those that take their time come when it is over."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._asked: dict[str, tuple[datetime, Answer]] = {}

    def __call__(self, made: Made, *, now: datetime) -> Outcome:
        if made.key not in self._asked:
            call = Call(made.resource, made.arguments)
            answer = self._world.call(call, state=made.state, attempt=0)
            self._asked[made.key] = now + timedelta(seconds=answer.seconds), answer
        at, answer = self._asked[made.key]
        if now < at:
            return Retry("Waiting: it takes its time.", after=at - now, tried=False)
        if answer.failure:
            return Refused(f"{answer.failure.error or ''}: {answer.failure.cause or ''}")
        return Done(answer.result)


def ended(execution: Execution) -> Ended:
    history = tuple(
        Event(event.number, event.previous, event.type, event.at, event.name or None, event.details)
        for event in execution.history.order_by("number")
    )
    failure = Failure(execution.error or None, execution.cause or None)
    return Ended(execution.status, execution.output, failure, history)


def clear(machine: StateMachine) -> None:
    Execution.objects.filter(machine=machine).delete()
    StateMachine.objects.filter(pk=machine.pk).update(current=None)
    StateMachineVersion.objects.filter(machine=machine).delete()
    machine.delete()
