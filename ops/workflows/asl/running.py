"""What a running execution is made of: who walks through its flows, where each stands, what the world answers.

All of it is data that JSON can hold, so that an execution can be laid aside between any two steps.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from ops.workflows.asl.errors import Failure
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
    """How an execution ended: SUCCEEDED with its output; FAILED, TIMED_OUT or ABORTED with why, and in which states."""

    status: str
    output: Json = None
    failure: Failure = field(default_factory=Failure)
    history: tuple[Event, ...] = ()
    states: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that a walker has begun and waits for."""

    walker: int
    number: int
    state: str
    attempt: int
    call: Call
    token: str  # of a call that is answered from outside; empty where it is not
    retries: int = 0  # the number of the call that is tried again with it; 0 where it is the first of its state


class Phase(StrEnum):
    """What a walker does next, when it is due."""

    BEGIN = "begin"  # its flow begins
    ENTER = "enter"  # it enters a state
    AGAIN = "again"  # it tries the state again in which it stands
    SLEEP = "sleep"  # it leaves a Wait state
    CALL = "call"  # it waits for an answer; due, it has waited too long
    ANSWER = "answer"  # it goes on with the answer that has come
    FORK = "fork"  # it waits for the flows inside its state; never due by itself
    GATHER = "gather"  # it goes on with their outputs
    BROKEN = "broken"  # one of them failed


@dataclass(slots=True)
class Gathering:
    """The flows inside a state that a walker waits for: which have yet to begin, and what the others gave."""

    branches: int
    concurrency: int
    distributed: bool = False
    tolerated_count: float | None = None
    tolerated_percentage: float | None = None
    waiting: list[list[Json]] = field(default_factory=list)  # [index, branch's number, input, item] of each
    outputs: dict[str, Json] = field(default_factory=dict)  # index → output
    running: int = 0
    failed: int = 0


@dataclass(slots=True)
class Walker:
    """Who walks through one flow: where it stands, with what, and for whom."""

    id: int
    scope: list[list[Json]]  # from the machine inwards: [state, number of the flow inside it] each
    state: str
    input: Json
    variables: dict[str, Json]
    phase: Phase
    due: datetime | None
    parent: int | None = None
    index: int = 0  # of its flow among its parent's
    item: Mapping[str, Json] | None = None
    used: dict[str, int] = field(default_factory=dict)  # retrier → how often
    entered_id: int = 0
    entered_at: datetime | None = None
    last_id: int = 0
    call_number: int = (
        0  # of the calls that the execution has made, the latest of the state in which this walker stands
    )
    quiet: bool = False  # inside a distributed Map, whose children have histories of their own
    answer: dict[str, Json] | None = None  # {"result": …} or {"error": …, "cause": …}
    failure: dict[str, Json] | None = None
    gathering: Gathering | None = None
    stopped: bool = False  # broken off, since a flow beside it has failed: it does nothing until it is redriven

    @property
    def attempts(self) -> int:
        """How often the state was tried again."""
        return sum(self.used.values())


def states_of(walkers: Iterable[Walker]) -> tuple[str, ...]:
    """The names of the states in which walkers stand, without those that were broken off."""
    return tuple(sorted({walker.state for walker in walkers if not walker.stopped}))


def to_json(walker: Walker) -> dict[str, Json]:
    """A walker as JSON; moments are left to whoever writes it."""
    return asdict(walker)


def from_json(data: dict[str, Json]) -> Walker:
    """A walker from its JSON."""
    gathering = data.get("gathering")
    given = {
        **data,
        "phase": Phase(data["phase"]),
        "due": moment(data["due"]),
        "entered_at": moment(data["entered_at"]),
        "gathering": Gathering(**gathering) if gathering else None,
    }
    return Walker(**given)


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
