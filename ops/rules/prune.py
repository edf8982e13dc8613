"""Matches and calls are kept as long as the settings say; what is due or a dead letter as long as it is so."""

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from ops.rules.models import Delivery, DeliveryState, Match

AT_ONCE = 500  # matches a transaction: locks are short
OPEN = (DeliveryState.DUE, DeliveryState.DEAD)


def prune(*, now: datetime, budget_seconds: float) -> int:
    """Delete old matches with their calls, batch by batch, until none is left or time is up; return how many.

    An event whose match is deleted is not matched again: its own row says that rules were asked.
    """
    if settings.RULES_LOG_DAYS <= 0:
        return 0
    end, total = time.monotonic() + budget_seconds, 0
    before = now - timedelta(days=settings.RULES_LOG_DAYS)
    while time.monotonic() < end:
        deleted = prune_batch(before)
        total += deleted
        if deleted < AT_ONCE:
            break
    return total


def prune_batch(before: datetime) -> int:
    waiting = Delivery.objects.filter(state__in=OPEN).values("match_id")
    old = Match.objects.filter(matched_at__lt=before).exclude(pk__in=waiting).order_by("matched_at")
    with transaction.atomic():
        pks = list(old.values_list("pk", flat=True)[:AT_ONCE])
        Match.objects.filter(pk__in=pks).delete()
    return len(pks)
