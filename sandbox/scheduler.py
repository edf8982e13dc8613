"""The loop that does what is due: jobs in order, webhook deliveries side by side."""

import logging
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import httpx

from sandbox import jobs, webhooks
from sandbox.engine import Engine
from sandbox.json_text import dumps

LONGEST_NAP = 1.0
SIDE_BY_SIDE = 16
PER_ENDPOINT = 4
"""So that a receiver which hangs does not keep others waiting."""
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
        self._under_way: dict[int, str] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Waits for the round under way, not for receivers that take their time."""
        self._stopping.set()
        self._engine.work.set()
        self._thread.join(timeout=5)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

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
        for delivery, endpoint in self._due():
            with self._lock:
                busy = list(self._under_way.values())
                if delivery in self._under_way or busy.count(endpoint) >= PER_ENDPOINT:
                    continue
                self._under_way[delivery] = endpoint
            sent = self._pool.submit(webhooks.deliver, self._engine, self._client, delivery)
            sent.add_done_callback(partial(self._sent, delivery))

    def _due(self) -> list[tuple[int, str]]:
        """What is to be sent now, oldest first, without the endpoints that have enough under way."""
        with self._lock:
            busy = Counter(self._under_way.values())
        full = [endpoint for endpoint, count in busy.items() if count >= PER_ENDPOINT]
        with self._engine.store.read() as tx:
            return tx.sql(
                "SELECT id, endpoint FROM deliveries WHERE state='pending' AND due_at<=? "
                "AND endpoint NOT IN (SELECT value FROM json_each(?)) ORDER BY due_at, id LIMIT 200",
                self._engine.clock.now(), dumps(full),
            ).fetchall()  # fmt: skip

    def _sent(self, delivery: int, future: "Future[None]") -> None:
        with self._lock:
            self._under_way.pop(delivery, None)
        if not future.cancelled() and (error := future.exception()):
            log.error("delivery %s failed: %r", delivery, error)
        self._engine.work.set()
