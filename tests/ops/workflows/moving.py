"""Executions for tests: machines in a line, a clock that moves to what is due next, a world that answers in turn."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from django.db.models import Min

from ops.effects.outcome import Outcome
from ops.workflows import engine
from ops.workflows.calls import Make
from ops.workflows.machines import save_version
from ops.workflows.models import CallState, Execution, StateMachine, Status, TaskCall
from ops.workflows.resources import make

numbers = count(1)


@dataclass
class Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass
class World:
    """Answers calls in turn, the last answer for ever; remembers their keys."""

    answers: list[Outcome]
    keys: list[str] = field(default_factory=list)

    def __init__(self, *answers: Outcome) -> None:
        self.answers, self.keys = list(answers), []

    def __call__(self, made: Any, *, now: datetime) -> Outcome:
        self.keys.append(made.key)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def definition(more: dict | None = None, /, **states: dict) -> dict:
    return {"StartAt": next(iter(states)), "States": states, **(more or {})}


def machine_of(more: dict | None = None, /, **states: dict) -> StateMachine:
    text = json.dumps(definition(more, **states))
    return save_version(f"machine-{next(numbers)}", text, reason="a test", now=datetime(2026, 1, 1, tzinfo=UTC)).machine


def finish(clock: Clock, *, make: Make = make, most: int = 500) -> None:
    """Advance, moving the clock to what is due next, until nothing ever will be."""
    for _ in range(most):
        engine.advance_due(clock, budget_seconds=60, make=make)
        upcoming = next_due()
        if upcoming is None:
            return
        clock.now = max(clock.now + timedelta(microseconds=1), upcoming)
    raise AssertionError("It does not come to an end.")


def next_due() -> datetime | None:
    due = [
        Execution.objects.filter(status=Status.RUNNING).aggregate(at=Min("due_at"))["at"],
        TaskCall.objects.filter(state=CallState.DUE).aggregate(at=Min("due_at"))["at"],
    ]
    return min((at for at in due if at is not None), default=None)
