"""Turns under one rate, shared by all workers and commands through Redis: for whatever may be called only so often.

A turn is a point in time. Each call moves the next turn of its lane on by one interval; where two lanes share a rate,
those of people's pages go first. When Redis is away each process keeps to a careful share of its own.
"""

import threading
import time
from dataclasses import dataclass
from enum import Enum
from typing import Any

from billing.nudge import nudge_redis, quietly

AHEAD = 0.25  # seconds: a turn further away than this is not promised yet, so that a rest reaches everybody in time
BURST_SECONDS = 0.25  # what may come at once after a pause, as time's worth of the rate
LOCAL_SHARE = 0.25  # of the rate, for each process, while Redis is away
FORGOTTEN_AFTER = 60_000  # milliseconds: an unused rate is a full one

# Times are microseconds. A page's call moves background's turn too. Answers: how long to wait, whether the turn is kept
# (else ask again), how full it is in ‰, and when to come back for those who go away rather than wait: they are
# spread over the turns to come, so that they do not all come at once.
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, ahead, lane = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local kept = redis.call('HMGET', KEYS[1], 'page', 'background', 'rest', 'later')
local turn = {page = tonumber(kept[1] or 0), background = tonumber(kept[2] or 0)}
local start = math.max(now, tonumber(kept[3] or 0), turn[lane] - burst)
local wait = start - now
local full = math.min(1000, math.max(0, math.floor((turn.background - now) * 1000 / math.max(burst, 1))))
if wait > ahead then
  if ARGV[6] ~= 'leaves' then return {wait, 0, full, wait} end
  local later = math.max(start, tonumber(kept[4] or 0)) + interval
  redis.call('HSET', KEYS[1], 'later', later)
  redis.call('PEXPIRE', KEYS[1], math.max(ARGV[5], math.ceil((later - now) / 1000)))
  return {wait, 0, full, later - now}
end
turn[lane] = math.max(turn[lane], start) + interval
if lane == 'page' then turn.background = math.max(turn.background, now) + interval end
redis.call('HSET', KEYS[1], 'page', turn.page, 'background', turn.background)
redis.call('PEXPIRE', KEYS[1], math.max(ARGV[5], math.ceil((turn[lane] - now) / 1000)))
return {wait, 1, full, wait}
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
redis.call('PEXPIRE', KEYS[1], math.max(ARGV[4], math.ceil(length / 1000)))
return length
"""


class Lane(Enum):
    """Who is calling."""

    PAGE = "page"  # a person waits for the answer
    BACKGROUND = "background"  # workers and commands: they may wait


@dataclass(frozen=True)
class Turn:
    """The answer to one question for a turn, in seconds; not kept: ask again after the wait, or come back later."""

    wait: float
    kept: bool
    full: float
    back: float = 0.0


def ask_for_turn(
    name: str,
    rate: float,
    lane: Lane = Lane.BACKGROUND,
    *,
    burst: float = BURST_SECONDS,
    leaves: bool = False,
    local_share: float = LOCAL_SHARE,
) -> Turn:
    """Ask for the next turn at `rate` a second under `name`. `burst` seconds' worth may come at once after a pause.

    `leaves`: who gets no turn goes away, and `Turn.back` says when to come again.
    """
    answer: Any = quietly(
        lambda: nudge_redis().eval(
            TAKE,
            1,
            name,
            1e6 / rate,
            burst * 1e6,
            AHEAD * 1e6,
            lane.value,
            FORGOTTEN_AFTER,
            "leaves" if leaves else "waits",
        )
    )
    if answer is None:
        return local_turns(name).turn(rate * local_share, time.monotonic())
    wait, kept, full, back = answer
    return Turn(wait / 1e6, bool(kept), full / 1000, back / 1e6)


def rest(name: str, *, asked: float, first: float, longest: float) -> None:
    """Nobody takes a turn for `asked` seconds, or, where that is 0, for what experience teaches: `first`, doubled."""
    answer = quietly(
        lambda: nudge_redis().eval(REST, 1, name, asked * 1e6, first * 1e6, longest * 1e6, FORGOTTEN_AFTER)
    )
    if answer is None:
        local_turns(name).rest(time.monotonic() + max(asked, first))


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
            return Turn(start - now, kept, min(1.0, max(0.0, (self._next - now) / BURST_SECONDS)), start - now)

    def rest(self, until: float) -> None:
        with self._lock:
            self._rest = max(self._rest, until)


_local_turns: dict[str, LocalShare] = {}


def local_turns(name: str) -> LocalShare:
    return _local_turns.setdefault(name, LocalShare())
