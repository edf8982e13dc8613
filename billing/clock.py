"""What time it is for workflows and pages: the machine's time, and in the demo the sandbox's, which can be moved on.

Who moves the sandbox's time on by a month wants to see the workflows of that month. So where CLOCK_URL names an
address that tells a time ({"now": unix seconds}), that time counts. Where it jumps, workflows stand still for a moment
(`settling`): what Stripe tells of the way there is to arrive before anybody concludes that it did not happen. Without
CLOCK_URL nothing is asked.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import httpx
import structlog
from django.conf import settings
from django.utils import timezone

log = structlog.get_logger(__name__)

ASK_EVERY = 0.2  # seconds
SETTLES_AFTER = 3.0  # seconds after a jump
STRETCH = 5.0  # seconds by which two clocks that go alike may seem to differ


def now() -> datetime:
    """Return what time it is."""
    return timezone.now() + ahead()


def ahead() -> timedelta:
    """Return by how much that time is ahead of the machine's."""
    return timedelta(seconds=FOLLOWER.ahead()) if settings.CLOCK_URL else timedelta()


def settling() -> bool:
    """Whether that time has just jumped: what waits for it is to be left alone for a moment."""
    return bool(settings.CLOCK_URL) and FOLLOWER.settling()


def told_by(url: str) -> float:
    """Return by how many seconds a told time is ahead of the machine's. Raises OSError, ValueError, httpx.HTTPError."""
    answer = httpx.get(url, timeout=2, trust_env=False)
    return float(answer.json()["now"]) - time.time()


class Follower:
    """Follows a clock, and knows when it jumped last. Safe to use from threads."""

    def __init__(self, ask: Callable[[], float], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._monotonic = ask, monotonic
        self._lock = threading.Lock()
        self._told: float | None = None  # None: nothing was heard yet
        self._jumped_at = self._asked_at = float("-inf")

    def ahead(self) -> float:
        """Return what was told, in seconds; a clock that does not answer goes on as it went."""
        with self._lock:
            self._listen()
            return self._told or 0.0

    def settling(self) -> bool:
        """Whether it jumped a moment ago."""
        with self._lock:
            self._listen()
            return self._monotonic() - self._jumped_at < SETTLES_AFTER

    def _listen(self) -> None:
        at = self._monotonic()
        if at - self._asked_at < ASK_EVERY:
            return
        self._asked_at = at
        try:
            told = self._ask()
        except (OSError, ValueError, KeyError, httpx.HTTPError):
            log.warning("clock:silent")
            return
        if self._told is not None and abs(told - self._told) > STRETCH:
            self._jumped_at = at
        if self._told is None or abs(told - self._told) > STRETCH:
            self._told = told


FOLLOWER = Follower(lambda: told_by(settings.CLOCK_URL))
