"""What time it is for workflows and pages: the machine's time, and in the demo the sandbox's, which can be moved on.

Who moves the sandbox's time on by a month wants to see the workflows of that month. So where CLOCK_URL names an
address that tells a time ({"now": unix seconds}), that time counts. It is followed with a delay: what Stripe tells of
the way there is to arrive before anybody concludes that it did not happen. Without CLOCK_URL nothing is asked.
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

ASK_EVERY = 1.0  # seconds
SETTLES_AFTER = 3.0  # seconds for which a new time must have been told
STRETCH = 5.0  # seconds by which two clocks that go alike may seem to differ


def now() -> datetime:
    """Return what time it is."""
    return timezone.now() + ahead()


def ahead() -> timedelta:
    """Return by how much that time is ahead of the machine's."""
    return timedelta(seconds=FOLLOWER.ahead()) if settings.CLOCK_URL else timedelta()


def told_by(url: str) -> float:
    """Return by how many seconds a told time is ahead of the machine's. Raises OSError, ValueError, httpx.HTTPError."""
    answer = httpx.get(url, timeout=2, trust_env=False)
    return float(answer.json()["now"]) - time.time()


class Follower:
    """Follows a clock: takes over what it tells once it has told the same for a while. Safe to use from threads."""

    def __init__(self, ask: Callable[[], float], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._monotonic = ask, monotonic
        self._lock = threading.Lock()
        self._ahead: float | None = None  # what counts; None: nothing was heard yet
        self._seen, self._seen_since, self._asked_at = 0.0, 0.0, float("-inf")

    def ahead(self) -> float:
        """Return what counts, in seconds; a clock that does not answer goes on as it went."""
        with self._lock:
            at = self._monotonic()
            if at - self._asked_at >= ASK_EVERY:
                self._asked_at = at
                self._hear(at)
            return self._ahead or 0.0

    def _hear(self, at: float) -> None:
        try:
            told = self._ask()
        except (OSError, ValueError, KeyError, httpx.HTTPError):
            log.warning("clock:silent")
            return
        if abs(told - self._seen) > STRETCH:
            self._seen, self._seen_since = told, at
        if self._ahead is None or at - self._seen_since >= SETTLES_AFTER:
            self._ahead = self._seen


FOLLOWER = Follower(lambda: told_by(settings.CLOCK_URL))
