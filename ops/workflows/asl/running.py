"""What a running execution is made of: who walks through its flows, what is waited for, what the world answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ops.workflows.asl.definition import Flow
from ops.workflows.asl.errors import Failure
from ops.workflows.asl.fork import Fork
from ops.workflows.asl.history import Event
from ops.workflows.asl.step import Call

Json = Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What a resource answered, after so many seconds: a result, or a failure."""

    result: Json = None
    failure: Failure | None = None
    seconds: float = 0.0


class World(Protocol):
    """Whatever answers the calls of Task states."""

    def call(self, call: Call, *, state: str, attempt: int) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How an execution ended: SUCCEEDED with its output, or FAILED or TIMED_OUT with why."""

    status: str
    output: Json = None
    failure: Failure = field(default_factory=Failure)
    history: tuple[Event, ...] = ()


@dataclass(eq=False, slots=True)
class Walker:
    """Who walks through one flow: where it stands, with what, and whom it tells when it is through."""

    flow: Flow
    state: str
    input: Json
    variables: dict[str, Json]
    parent: "Gathering | None" = None
    index: int = 0
    item: Mapping[str, Json] | None = None
    used: dict[int, int] = field(default_factory=dict)
    entered_id: int = 0
    entered_at: datetime | None = None
    last_id: int = 0
    quiet: bool = False  # inside a distributed Map, whose children have histories of their own
    dead: bool = False


@dataclass(eq=False, slots=True)
class Gathering:
    """A walker that waits for the flows inside its state."""

    owner: Walker
    fork: Fork
    outputs: list[Json]
    waiting: list[int]
    walkers: list[Walker] = field(default_factory=list)
    running: int = 0
    failed: int = 0
