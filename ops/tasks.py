"""Celery's doors into operations: each makes one domain call."""

from celery import shared_task
from django.utils import timezone

from ops.effects.destinations.log import prune
from ops.remediation.findings import look


@shared_task(name="ops.tasks.look_for_problems")
def look_for_problems() -> None:
    """Open findings for what is wrong and close those whose cause is gone."""
    look(now=timezone.now())


@shared_task(name="ops.tasks.prune_destination_log")
def prune_destination_log() -> None:
    """Delete requests to destinations that are older than they are kept."""
    prune(now=timezone.now())
