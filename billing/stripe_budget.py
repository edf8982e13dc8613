"""One budget of calls to Stripe for each account and mode, shared by all workers and commands through Redis.

Calls of people's pages go first: they wait only where the pages alone would use up the limit, and what they take,
background work waits for. When Stripe says "too many" the budget rests for everybody (Stripe docs: "Rate limits").
When Redis is away each process keeps to a careful share of its own.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from django.conf import settings

from billing import metrics, turns
from billing.turns import AHEAD, Lane, Turn

PAGE_PATIENCE = 1.0  # seconds that a page's call waits at most; then it asks all the same
FIRST_REST = 1.0  # seconds after a "too many" without Retry-After; doubled while it goes on
LONGEST_REST = 30.0
TOO_MANY = 429

_paid: ContextVar[bool] = ContextVar("stripe_call_paid", default=False)


@contextmanager
def paid() -> Iterator[None]:
    """Calls inside this block took their turn before: they are not counted as a page's."""
    token = _paid.set(True)
    try:
        yield
    finally:
        _paid.reset(token)


def take_for_page(secret_key: str) -> None:
    """Count a call that somebody waits for, unless its turn was taken before; wait for a moment at most."""
    if not _paid.get():
        take(secret_key, lane=Lane.PAGE, patience=PAGE_PATIENCE)


def take(secret_key: str, *, lane: Lane = Lane.BACKGROUND, patience: float | None = None) -> None:
    """Wait until the account of this key may be called once more; for `patience` seconds at most."""
    began = time.monotonic()
    while True:
        turn = ask_for_turn(secret_key, lane)
        left = turn.wait if patience is None else min(turn.wait, began + patience - time.monotonic())
        if left > 0:
            time.sleep(left if turn.kept else min(left, AHEAD))
        if turn.kept or (patience is not None and time.monotonic() >= began + patience):
            break
    metrics.budget_used.set(turn.full)
    metrics.budget_wait_seconds.observe(time.monotonic() - began)


def ask_for_turn(secret_key: str, lane: Lane) -> Turn:
    share = settings.STRIPE_RATE_LIMIT_LOCAL_SHARE
    return turns.ask_for_turn(name_of(secret_key), rate_of(secret_key), lane, local_share=share)


def rest(secret_key: str, *, retry_after: float = 0.0) -> None:
    """Stripe said "too many": nobody calls for `retry_after` seconds, or for as long as experience teaches."""
    turns.rest(name_of(secret_key), asked=retry_after, first=FIRST_REST, longest=LONGEST_REST)


def concerns_one_object(headers: Mapping[str, str]) -> bool:
    """Whether a "too many" was said of one object only (Stripe docs: "Rate limits", Stripe-Rate-Limited-Reason)."""
    return headers.get("Stripe-Rate-Limited-Reason") == "resource-specific"


def seconds_asked(headers: Mapping[str, str]) -> float:
    """Retry-After in seconds; 0 when there is none. A wish beyond all measure is cut."""
    try:
        return min(max(float(headers.get("Retry-After", 0)), 0.0), 10 * LONGEST_REST)
    except ValueError:
        return 0.0


def rate_of(secret_key: str) -> float:
    """Calls a second that the settings allow for this key's mode."""
    return float(settings.STRIPE_RATE_LIMIT_LIVE if "_live_" in secret_key else settings.STRIPE_RATE_LIMIT_TEST)


def name_of(secret_key: str) -> str:
    """The key itself must not stand in Redis."""
    return f"kessai:stripe-budget:{hashlib.sha256(secret_key.encode()).hexdigest()[:24]}"
