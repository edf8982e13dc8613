"""One running sandbox: its store, its clock, its settings. What app.py and the scheduler share."""

import threading
from dataclasses import dataclass, field

from sandbox.clock import Clock
from sandbox.context import Context, Scope
from sandbox.idempotency import InFlight
from sandbox.store import Store, Transaction


@dataclass
class Engine:
    store: Store
    clock: Clock
    base_url: str
    retry_delays: tuple[int, ...]
    """Seconds between the attempts to deliver a webhook."""
    timeout: float = 20.0
    """Seconds that a webhook receiver may take."""
    in_flight: InFlight = field(default_factory=InFlight)
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever runs jobs, so that they run in the order of their time."""
    work: threading.Event = field(default_factory=threading.Event)
    """Set after a commit: the scheduler should look now."""

    def context(self, tx: Transaction, scope: Scope, *, now: int | None = None) -> Context:
        """A context of the sandbox's own acts (jobs, pages): without a request."""
        current = self.clock.now()
        return Context(tx, current if now is None else now, scope, self.base_url, sandbox_now=current)
