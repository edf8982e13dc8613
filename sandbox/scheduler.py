"""The loop that does what is due: jobs in order, webhook deliveries side by side."""

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import httpx

from sandbox import jobs, webhooks
from sandbox.engine import Engine

LONGEST_NAP = 1.0
SIDE_BY_SIDE = 8
log = logging.getLogger(__name__)


class Scheduler:
    """Start with `start()`, end with `stop()`. What was under way when the process died is still pending in the
    store and is done by the next one: at least once, as with Stripe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="scheduler", daemon=True)
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="webhook")
        self._client = httpx.Client(trust_env=False, follow_redirects=False)
        self._under_way: set[int] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._engine.work.set()
        self._thread.join(timeout=5)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self._engine.work.wait(LONGEST_NAP)
            self._engine.work.clear()
            try:
                jobs.run_due(self._engine)
                self._send_due()
            except Exception:
                log.exception("the scheduler's round failed")

    def _send_due(self) -> None:
        for delivery in self._due():
            with self._lock:
                if delivery in self._under_way or len(self._under_way) >= 4 * SIDE_BY_SIDE:
                    continue
                self._under_way.add(delivery)
            sent = self._pool.submit(webhooks.deliver, self._engine, self._client, delivery)
            sent.add_done_callback(lambda future, delivery=delivery: self._sent(delivery, future))  # type: ignore[misc]

    def _due(self) -> list[int]:
        with self._engine.store.read() as tx:
            rows = tx.sql(
                "SELECT id FROM deliveries WHERE state='pending' AND due_at<=? ORDER BY due_at, id LIMIT 200",
                self._engine.clock.now(),
            ).fetchall()
        return [row[0] for row in rows]

    def _sent(self, delivery: int, future: "Future[None]") -> None:
        with self._lock:
            self._under_way.discard(delivery)
        if not future.cancelled() and (error := future.exception()):
            log.error("delivery %s failed: %r", delivery, error)
        self._engine.work.set()
