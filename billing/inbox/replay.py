"""Replay: the mirror looks at events again, as if they had just come."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from billing.inbox.models import InboxEvent, InboxState
from billing.inbox.nudge import mirror_soon


def replay(event_ids: Iterable[int], *, now: datetime) -> int:
    """Make the inbox events with these row ids due again; return how many there were.

    Safe at any time: the mirror asks Stripe for the present state, and what follows from it happens once.
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
