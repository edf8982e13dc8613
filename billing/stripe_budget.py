"""One budget of calls to Stripe for each account and mode, shared by all workers and commands through Redis.

Calls of people's pages go first: they wait only where the pages alone would use up the limit, and what they take,
background work waits for. When Stripe says "too many" the budget rests for everybody (Stripe docs: "Rate limits").
When Redis is away each process keeps to a careful share of its own.
"""

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.conf import settings

from billing import metrics
from billing.nudge import nudge_redis, quietly

PAGE_PATIENCE = 1.0  # seconds that a page's call waits at most; then it asks all the same
AHEAD = 0.25  # seconds: a turn further away than this is not promised yet, so that a rest reaches everybody in time
BURST_SECONDS = 0.25  # what may come at once after a pause, as time's worth of the rate
FIRST_REST = 1.0  # seconds after a "too many" without Retry-After; doubled while it goes on
LONGEST_REST = 30.0
FORGOTTEN_AFTER = 60_000  # milliseconds: an unused budget is a full one
TOO_MANY = 429

# A turn is a point in time (microseconds). Each call moves the next turn of its lane on by one interval; a page's call
# moves background's too. Answers: how long to wait, whether the turn is kept (else ask again), how full it is in ‰.
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, ahead, lane = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local kept = redis.call('HMGET', KEYS[1], 'page', 'background', 'rest')
local turn = {page = tonumber(kept[1] or 0), background = tonumber(kept[2] or 0)}
local start = math.max(now, tonumber(kept[3] or 0), turn[lane] - burst)
local wait = start - now
local full = math.min(1000, math.max(0, math.floor((turn.background - now) * 1000 / burst)))
if wait > ahead then return {wait, 0, full} end
turn[lane] = math.max(turn[lane], start) + interval
if lane == 'page' then turn.background = math.max(turn.background, now) + interval end
redis.call('HSET', KEYS[1], 'page', turn.page, 'background', turn.background)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {wait, 1, full}
"""
# One "too many" begins a rest; those of calls that were already under way change nothing.
REST = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local asked, first, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'rest', 'strikes')
local rest, strikes = tonumber(kept[1] or 0), tonumber(kept[2] or 0)
if now < rest then return rest - now end
if now - rest > 10 * longest then strikes = 0 end
if now - rest > 2 * first * 2 ^ strikes then strikes = math.max(0, strikes - 1) end
local length = math.max(asked, math.min(longest, first * 2 ^ strikes))
redis.call('HSET', KEYS[1], 'rest', now + length, 'strikes', math.min(strikes + 1, 10))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return length
"""


class Lane(Enum):
    """Who is calling."""

    PAGE = "page"  # a person waits for the answer
    BACKGROUND = "background"  # workers and commands: they may wait


@dataclass(frozen=True)
class Turn:
    """The answer to one question for a turn, in seconds; not kept: ask again after the wait."""

    wait: float
    kept: bool
    full: float


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
    rate = rate_of(secret_key)
    answer: Any = quietly(
        lambda: nudge_redis().eval(
            TAKE, 1, name_of(secret_key), 1e6 / rate, BURST_SECONDS * 1e6, AHEAD * 1e6, lane.value, FORGOTTEN_AFTER
        )
    )
    if answer is None:
        return local_share(secret_key).turn(rate * settings.STRIPE_RATE_LIMIT_LOCAL_SHARE, time.monotonic())
    wait, kept, full = answer
    return Turn(wait / 1e6, bool(kept), full / 1000)


def rest(secret_key: str, *, retry_after: float = 0.0) -> None:
    """Stripe said "too many": nobody calls for `retry_after` seconds, or for as long as experience teaches."""
    answer = quietly(
        lambda: nudge_redis().eval(
            REST, 1, name_of(secret_key), retry_after * 1e6, FIRST_REST * 1e6, LONGEST_REST * 1e6, FORGOTTEN_AFTER
        )
    )
    if answer is None:
        local_share(secret_key).rest(time.monotonic() + max(retry_after, FIRST_REST))


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


class LocalShare:
    """The same reckoning within one process, for as long as Redis is away: one lane, a small rate."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0
        self._rest = 0.0

    def turn(self, rate: float, now: float) -> Turn:
        """Give out the next turn at `rate` calls a second. `now` is monotonic seconds."""
        with self._lock:
            start = max(now, self._rest, self._next)
            kept = start - now <= AHEAD
            if kept:
                self._next = start + 1 / rate
            return Turn(start - now, kept, min(1.0, max(0.0, (self._next - now) / BURST_SECONDS)))

    def rest(self, until: float) -> None:
        with self._lock:
            self._rest = max(self._rest, until)


_local_shares: dict[str, LocalShare] = {}


def local_share(secret_key: str) -> LocalShare:
    return _local_shares.setdefault(name_of(secret_key), LocalShare())
