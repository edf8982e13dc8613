"""Replay: the mirror looks at events again, as if they had just come."""

from collections.abc import Callable, Iterable
from datetime import datetime

import structlog
from django.db import OperationalError, connection, transaction
from django.db.models import Max, QuerySet

from billing.inbox.models import InboxEvent, InboxState
from billing.inbox.nudge import mirror_soon

log = structlog.get_logger(__name__)

BATCH = 500  # rows a transaction: locks are short, and workers take up the first while the last are found
TRIES = 3  # of a batch that met a worker on the same rows


def replay(event_ids: Iterable[int], *, now: datetime) -> int:
    """Make the inbox events with these row ids due again; return how many there were.

    Safe at any time: the mirror never goes back in time, and what follows from an event happens once.
    """
    count = InboxEvent.objects.filter(pk__in=list(event_ids)).update(
        state=InboxState.RECEIVED,
        due_at=now,
        claimed_until=None,
        attempts=0,
        error="",
        mirrored_at=None,
    )
    if count:
        transaction.on_commit(mirror_soon)
    return count


def replay_all(
    events: QuerySet[InboxEvent], *, now: datetime, seen: Callable[[int], object] = lambda _count: None
) -> int:
    """Make all these events due again, batch by batch in the order in which they came; return how many.

    Events that come meanwhile are not among them. Killed and begun again, it does what is left once more, and that is
    harmless. `seen` is told how many each batch had.
    """
    last = events.aggregate(last=Max("pk"))["last"]
    chosen = events.filter(pk__lte=last or 0).order_by("pk").values_list("pk", flat=True)
    total, at = 0, 0
    while pks := list(chosen.filter(pk__gt=at)[:BATCH]):
        count = replay_batch(pks, now=now)
        total, at = total + count, pks[-1]
        seen(count)
    log.info("replay:done", events=total)
    return total


def replay_batch(pks: list[int], *, now: datetime) -> int:
    """One short transaction. A deadlock with a worker ends one of the two: then this is tried again."""
    for tries_left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                list(InboxEvent.objects.filter(pk__in=pks).order_by("pk").select_for_update().values_list("pk"))
                return replay(pks, now=now)
        except OperationalError:
            if not tries_left or connection.in_atomic_block:
                raise
    raise AssertionError("unreachable")


def examples(events: QuerySet[InboxEvent], *, limit: int = 5) -> list[InboxEvent]:
    """The latest of these events, without their payloads."""
    return list(events.defer("payload").order_by("-received_at", "-pk")[:limit])
