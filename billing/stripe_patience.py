"""How long somebody who has clicked waits for Stripe: one span of time for all the calls that their page makes.

Without it a Stripe that hangs is waited for three times (the client's two retries), and that for each of a page's
calls. What is given up here may be asked again: each call carries the idempotency key that was committed before it.
Background work is not hurried: nobody sits before it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

from django.conf import settings

# Of what is left, for one call: where a connection has died, there is time for a second try on another.
SHARE = 0.6

_until: ContextVar[float | None] = ContextVar("stripe_patience_until", default=None)

Answer = TypeVar("Answer")


def in_time(view: Callable[..., Answer]) -> Callable[..., Answer]:
    """Decorate a view whose click calls Stripe: it answers about when patience ends, whatever Stripe does."""

    @wraps(view)
    def hurried(*args: Any, **kwargs: Any) -> Answer:
        with patience(settings.STRIPE_PAGE_PATIENCE_SECONDS):
            return view(*args, **kwargs)

    return hurried


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Let the calls inside this block take so long together."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def somebody_waits() -> bool:
    return _until.get() is not None


def is_over() -> bool:
    """Whether whoever waits has waited long enough; never where nobody does."""
    until = _until.get()
    return until is not None and time.monotonic() >= until


def seconds_for_a_call(longest: float) -> float:
    """How long the next call may take: `longest` where nobody waits."""
    until = _until.get()
    return longest if until is None else max(0.1, min(longest, SHARE * (until - time.monotonic())))
