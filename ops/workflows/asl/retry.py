"""Retriers: how often and after how long a state is tried again (ASL, "Retrying after error")."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.workflows.asl.errors import matches


@dataclass(frozen=True, slots=True)
class Retrier:
    """One entry of a state's Retry."""

    errors: tuple[str, ...]
    interval_seconds: float = 1
    max_attempts: int = 3
    backoff_rate: float = 2.0
    max_delay_seconds: float | None = None
    full_jitter: bool = False

    def delay(self, attempt: int, draw: Callable[[], float]) -> float:
        """Return seconds to wait before retry number `attempt` (from 1). `draw` gives a number from 0 to 1."""
        seconds = self.interval_seconds * self.backoff_rate ** (attempt - 1)
        if self.max_delay_seconds is not None:
            seconds = min(seconds, self.max_delay_seconds)
        return seconds * draw() if self.full_jitter else seconds


def retrier_of(entry: Mapping[str, Any]) -> Retrier:
    return Retrier(
        errors=tuple(entry["ErrorEquals"]),
        interval_seconds=entry.get("IntervalSeconds", 1),
        max_attempts=entry.get("MaxAttempts", 3),
        backoff_rate=entry.get("BackoffRate", 2.0),
        max_delay_seconds=entry.get("MaxDelaySeconds"),
        full_jitter=entry.get("JitterStrategy") == "FULL",
    )


@dataclass(frozen=True, slots=True)
class Again:
    """A state is to be tried again: after so many seconds, by which retrier, which then has been used so often."""

    delay_seconds: float
    retrier: int
    attempt: int


def next_try(
    retriers: Sequence[Retrier], error: str | None, used: Mapping[int, int], draw: Callable[[], float]
) -> Again | None:
    """Return when a state that failed is tried again; None when no retrier wants it, or the one that does is used up.

    `used` says how often each retrier, by its number, has been used for this state already. Only the first retrier
    that names the error counts.
    """
    for number, retrier in enumerate(retriers):
        if matches(list(retrier.errors), error):
            attempt = used.get(number, 0) + 1
            if attempt > retrier.max_attempts:
                return None
            return Again(retrier.delay(attempt, draw), number, attempt)
    return None
