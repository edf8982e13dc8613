"""The thread, put together."""

from dataclasses import dataclass

from billing.thread.coming import what_comes
from billing.thread.past import what_happened
from billing.thread.present import what_is_so
from billing.thread.shapes import Moment, Now
from billing.thread.situation import Situation

__all__ = ["Moment", "Now", "Thread", "build_thread"]


@dataclass(frozen=True)
class Thread:
    """`past` newest first, `next` soonest first."""

    past: list[Moment]
    now: Now
    next: list[Moment]


def build_thread(situation: Situation, *, past_limit: int = 12) -> Thread:
    """Say what happened, what is so now and why, and what comes next and when.

    Sentences are in the active language (gettext), dates in the active zone; nothing is read from anywhere else.
    """
    return Thread(
        past=what_happened(situation, limit=past_limit),
        now=what_is_so(situation),
        next=what_comes(situation),
    )
