"""What happened in an execution, in Step Functions' event types and order (API reference, "HistoryEvent")."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MOST_EVENTS = 25_000  # Step Functions docs, "Quotas": the execution history of a standard workflow


# Each is the last event of its execution: there is always room for it.
LAST = frozenset({"ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"})


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `previous` is the id of the event that led to it; `name` the state's, where it is a state's."""

    id: int
    previous: int
    type: str
    at: datetime
    name: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class HistoryFull(Exception):
    """The execution has more events than an execution may have: it loops."""


class History:
    """The events of one execution, numbered from 1."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, type_: str, *, at: datetime, previous: int, name: str | None = None, **details: Any) -> int:
        """Add an event; return its id. Raises HistoryFull."""
        if len(self.events) >= MOST_EVENTS - (type_ not in LAST):
            raise HistoryFull
        number = len(self.events) + 1
        self.events.append(Event(number, previous, type_, at, name, details))
        return number


def call_word(resource: str) -> str:
    """Return the word with which the events of a call of this resource begin: Lambda's own, an activity's, a task's."""
    if ":lambda:" in resource and ":function:" in resource:
        return "LambdaFunction"
    return "Activity" if ":activity:" in resource else "Task"


def submits(resource: str) -> bool:
    """Whether a call of this resource is answered first and done later (.sync, .waitForTaskToken)."""
    return resource.endswith((".sync", ".sync:2", ".waitForTaskToken"))
