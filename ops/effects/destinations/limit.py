"""A destination's rate, kept by all workers together (`billing.turns`)."""

import time
from datetime import timedelta

from billing import turns
from ops.effects.destinations.models import Destination
from ops.effects.outcome import Retry

PATIENCE_SECONDS = 1.0  # that a worker waits for a turn; then the call comes again later
FIRST_REST, LONGEST_REST = 1.0, 60.0  # seconds, after a "too many"


def take_turn(destination: Destination) -> Retry | None:
    """Wait a moment for the destination's next turn; a Retry says when to come again where it takes longer.

    Turns are spread evenly: no burst, so that in any second no more calls go out than its limit.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        turn = ask(destination)
        left = until - time.monotonic()
        if not turn.kept and turn.wait > left:
            turn = ask(destination, leaves=True)
            if not turn.kept:
                return too_fast(destination, turn)
        time.sleep(max(turn.wait if turn.kept else min(turn.wait, turns.AHEAD), 0))
        if turn.kept:
            return None


def ask(destination: Destination, *, leaves: bool = False) -> turns.Turn:
    return turns.ask_for_turn(name_of(destination), destination.rate_limit, burst=0.0, leaves=leaves)


def too_fast(destination: Destination, turn: turns.Turn) -> Retry:
    said = f"{destination.name} is called {destination.rate_limit} times a second already; this call waits its turn."
    return Retry(f"RateLimited: {said}", timedelta(seconds=max(turn.back, turn.wait)), tried=False)


def rest(destination: Destination, asked: timedelta | None) -> None:
    """The destination said "too many": nobody calls it for as long as it asked, a minute at most."""
    seconds = min(asked.total_seconds(), LONGEST_REST) if asked else 0.0
    turns.rest(name_of(destination), asked=seconds, first=FIRST_REST, longest=LONGEST_REST)


def name_of(destination: Destination) -> str:
    return f"kessai:destination:{destination.pk}"
