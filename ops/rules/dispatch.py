"""Events to matches: each settled event is held against all rules and waits, once, and what follows is made due.

Taking an event, writing its matches and marking it are one transaction: killed anywhere, the next worker begins it
again, and any number of workers may run. What was made due is called by `ops.rules.deliver`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction

from billing.mirror import silence
from billing.mirror.apply import no_collecting
from ops import metrics
from ops.rules import book, matches, take
from ops.rules.book import Book
from ops.rules.envelopes import OWN, Received
from ops.rules.matches import Found
from ops.workflows.waits import met
from ops.workflows.waits.wanted import OBJECT

log = structlog.get_logger(__name__)

BATCH = 500
SILENT = 100  # notes of changes without an event, each of one page at most
TRIES = 3  # of a batch whose rule was deleted under it

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Dispatched:
    """What one batch came to."""

    events: int = 0
    matches: int = 0
    due: int = 0

    def __add__(self, other: "Dispatched") -> "Dispatched":
        return Dispatched(self.events + other.events, self.matches + other.matches, self.due + other.due)


def dispatch_due(
    clock: Clock,
    *,
    budget_seconds: float,
    on_full_batch: Callable[[], object] = lambda: None,
    on_due: Callable[[], object] = lambda: None,
) -> Dispatched:
    """Match until no event waits or the budget is used up. Any number of workers may run.

    `on_full_batch` is called when there is more than this worker takes at once, `on_due` when calls were made due.
    """
    end = time.monotonic() + budget_seconds
    total = Dispatched()
    while time.monotonic() < end:
        with no_collecting():
            batch = dispatch_batch(clock)
        total += batch
        if batch.due:
            on_due()
        if batch.events < BATCH:
            break
        on_full_batch()
    while time.monotonic() < end and tell_of_silence(now=clock()) == SILENT:
        pass
    return total


def tell_of_silence(*, now: datetime) -> int:
    """Hold what changed without an event against the waits for it; return how many notes of it were taken.

    Events come first: where one tells of the same change, it is the answer.
    """
    with transaction.atomic():
        changes = silence.take(SILENT)
        # After the notes were taken: see `waits.register`.
        if changes and OBJECT in met.names():
            met.wake_in_silence(changes, now=now)
    return len(changes)


def dispatch_batch(clock: Clock) -> Dispatched:
    for tries_left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                return match_batch(now=clock())
        except IntegrityError:
            if not tries_left:
                raise
    raise AssertionError("unreachable")


def match_batch(*, now: datetime) -> Dispatched:
    """Take, match, write, mark, in the caller's transaction."""
    pks = take.take(BATCH)
    if not pks:
        return Dispatched()
    # After the events were taken: see `book`, and `waits.register`.
    rules, waited = book.current(), met.names()
    made, due = 0, 0
    if rules or waited:
        rows = take.read(pks)
        made, due = matches.write(find(rows, rules), now=now)
        if waited:
            met.wake(rows, waited, now=now)
        for row in rows:
            metrics.dispatch_lag.observe(max(0.0, (now - row.received_at).total_seconds()))
    take.mark(pks, now=now)
    metrics.dispatched.inc(len(pks))
    if made:
        log.info("rules:matched", events=len(pks), matches=made, calls=due)
    return Dispatched(len(pks), made, due)


def find(rows: Sequence[Received], rules: Book) -> list[Found]:
    """Return what fits the rules that were on when it came."""
    for row in rows:
        if ends_here(row):
            log.warning("rules:loop", event_id=row.external_id, depth=row.depth)
        elif row.payload is None:
            log.warning("rules:archived", event_id=row.external_id)  # it waited for longer than payloads are kept
    chain = [row for row in rows if not ends_here(row)]
    return [each for each in find_in_past(chain, rules) if each.rule.is_on_for(each.row)]


def find_in_past(rows: Sequence[Received], rules: Book) -> list[Found]:
    """Return what fits, whenever it came; one event that cannot be read does not hold up the others."""
    found: list[Found] = []
    for row in rows:
        try:
            fitting = rules.matches(row)
        except Exception:  # ours to mend; the others go on
            log.exception("rules:unreadable", event_id=row.external_id)
            continue
        found += [Found(rule, row, form) for rule, form in fitting]
    return found


def ends_here(row: Received) -> bool:
    """Whether so many rules lie before this event of our own that it is taken for a loop: kept, and matched no more."""
    return row.source == OWN and row.depth >= settings.RULES_LONGEST_CHAIN
