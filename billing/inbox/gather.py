"""Requests that arrive together share a commit: one thread a process stores for all of them.

While one commit waits for the disk, the next requests gather; so the busier it is, the more share one. Each is answered
only after its own event's commit.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from django.db import InterfaceError, OperationalError, connection

from billing.inbox.intake import Arrival, Stored, store
from billing.inbox.nudge import mirror_soon

log = structlog.get_logger(__name__)

BATCH = 128  # events a statement: beyond it one more costs as much as the last
BATCH_CHARACTERS = 4_000_000
MOST_WAITING = 2_000  # events, and
MOST_CHARACTERS = 64_000_000  # characters of theirs that wait in memory; what comes then is to come again
CLOSING_SECONDS = 20.0
NUDGE_PAUSE_SECONDS = 0.02  # one nudge says as much as fifty

Outcome = Stored | Exception


class Full(Exception):
    """More has arrived than is being stored: bring it again later."""


@dataclass(eq=False, slots=True)
class Waiter:
    """A request that waits for its event's commit."""

    arrival: Arrival
    future: "asyncio.Future[Stored]"
    loop: asyncio.AbstractEventLoop


class Gathering:
    """A queue of bounded length and the thread that empties it. Its threads start with the first event."""

    def __init__(
        self,
        store: Callable[[Sequence[Arrival]], list[Stored]] = store,
        nudge: Callable[[], object] = mirror_soon,
        *,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._store = store
        self._nudger = Nudger(nudge)
        self._most_waiting = most_waiting
        self._queue: deque[Waiter] = deque()
        self._characters = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._waking = False

    async def bring(self, arrival: Arrival) -> Stored:
        """Store an event; return when it is committed. Raises Full, or what the database raised."""
        loop = asyncio.get_running_loop()
        waiter = Waiter(arrival, loop.create_future(), loop)
        self._put(waiter)
        return await waiter.future

    def _put(self, waiter: Waiter) -> None:
        with self._changed:
            full = len(self._queue) >= self._most_waiting or self._characters >= MOST_CHARACTERS
            if full or self._closing:
                raise Full(Full.__doc__)
            self._queue.append(waiter)
            self._characters += len(waiter.arrival.body)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="inbox-writer", daemon=True)
                self._thread.start()
        if not self._waking:
            # After all requests that the loop has at hand: woken by the first, the thread would take that one alone.
            self._waking = True
            waiter.loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._waking = False
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        while batch := self._take():
            outcomes = self._outcomes([waiter.arrival for waiter in batch])
            tell(batch, outcomes)
            if Stored.NEW in outcomes:
                self._nudger.nudge_soon()
        connection.close()

    def _take(self) -> list[Waiter]:
        """Wait for events and take what has gathered; nothing once it is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            batch: list[Waiter] = []
            characters = 0
            while self._queue and len(batch) < BATCH and characters < BATCH_CHARACTERS:
                batch.append(self._queue.popleft())
                characters += len(batch[-1].arrival.body)
            self._characters -= characters
            return batch

    def _outcomes(self, arrivals: list[Arrival]) -> list[Outcome]:
        """Store a batch, on a fresh connection when the old one has died. One bad event does not spoil the others."""
        try:
            return list(self._store_again(arrivals))
        except (OperationalError, InterfaceError) as error:
            log.error("inbox:database", error=type(error).__name__, events=len(arrivals))
            return [error] * len(arrivals)
        except Exception as error:
            log.exception("inbox:unstorable", events=[arrival.event.id for arrival in arrivals])
            if len(arrivals) == 1:
                return [error]
        return [self._outcomes([arrival])[0] for arrival in arrivals]

    def _store_again(self, arrivals: list[Arrival]) -> list[Stored]:
        try:
            return self._store(arrivals)
        except (OperationalError, InterfaceError):
            connection.close()
            return self._store(arrivals)  # whether or not the first was committed: a row is stored once
        finally:
            if connection.errors_occurred:
                connection.close()

    def close(self) -> None:
        """Store what has gathered, take nothing more, and end the threads."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join(CLOSING_SECONDS)
        self._nudger.close()


def tell(batch: Sequence[Waiter], outcomes: Sequence[Outcome]) -> None:
    """Wake the requests, with one call for each event loop."""
    pairs = list(zip(batch, outcomes, strict=True))
    for loop in {waiter.loop for waiter in batch}:
        if not loop.is_closed():
            loop.call_soon_threadsafe(resolve, [pair for pair in pairs if pair[0].loop is loop])


def resolve(pairs: Sequence[tuple[Waiter, Outcome]]) -> None:
    for waiter, outcome in pairs:
        if waiter.future.done():
            continue  # whoever asked has gone away; the event is stored all the same
        if isinstance(outcome, Exception):
            waiter.future.set_exception(outcome)
        else:
            waiter.future.set_result(outcome)


class Nudger:
    """Nudges in a thread of its own, so that a Redis that hangs delays no commit and no answer."""

    def __init__(self, nudge: Callable[[], object]) -> None:
        self._nudge = nudge
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def nudge_soon(self) -> None:
        self._wanted.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="inbox-nudger", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            try:
                self._nudge()
            except Exception:
                log.exception("nudge:failed")  # the sweep finds what is due
            if self._closing.wait(NUDGE_PAUSE_SECONDS) and not self._wanted.is_set():
                return

    def close(self) -> None:
        self._closing.set()
        self._wanted.set()
        if self._thread:
            self._thread.join(CLOSING_SECONDS)
