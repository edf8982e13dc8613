"""Which worker does which rows: a lease, taken by a conditional UPDATE, that ends by itself when its worker dies."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from billing.inbox.models import InboxEvent, InboxState

LEASE = timedelta(seconds=90)  # longer than any batch takes, shorter than anybody would wait after a crash


def due(now: datetime) -> QuerySet[InboxEvent]:
    """Events that wait for the mirror, that are due, and that no living worker holds."""
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    return InboxEvent.objects.filter(free, state=InboxState.RECEIVED, due_at__lte=now)


def claim(*, limit: int, now: datetime) -> list[InboxEvent]:
    """Lease up to `limit` due events, oldest first; rows that another worker is just claiming are passed over."""
    with transaction.atomic():
        rows = list(due(now).select_for_update(skip_locked=True).defer("payload").order_by("due_at", "pk")[:limit])
        InboxEvent.objects.filter(pk__in=[row.pk for row in rows]).update(claimed_until=now + LEASE)
    return rows


def release(events: Iterable[InboxEvent]) -> None:
    """Give back what was claimed and not looked at."""
    pks = [event.pk for event in events]
    InboxEvent.objects.filter(pk__in=pks, state=InboxState.RECEIVED).update(claimed_until=None)
