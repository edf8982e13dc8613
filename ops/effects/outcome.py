"""What came of one call of an effect, in the three ways in which a caller must go on: on, again, or not at all."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True)
class Done:
    """It was done. `result` is what JSON can hold, and holds no secret."""

    result: Any = None


@dataclass(frozen=True)
class Retry:
    """It was not done, or nobody knows, and the same call with the same key may come through later.

    `error` is "Name: sentence", with no secret in it. `after` is how long the other side wants to be left alone; None:
    it said nothing, and the caller backs off as it sees fit. `tried` is whether anything can have left this place: a
    call that only waits for its turn (rate limit, open circuit breaker) is no attempt, and must not use one up.
    """

    error: str
    after: timedelta | None = None
    tried: bool = True


@dataclass(frozen=True)
class Refused:
    """It was refused for good: the same call would be refused again. `error` as in `Retry`."""

    error: str


@dataclass(frozen=True)
class Later:
    """It has begun something that will answer it: nothing is to be done until then. Only a workflow's call waits."""


Outcome = Done | Retry | Refused
