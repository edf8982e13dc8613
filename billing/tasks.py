"""Celery's doors into billing: each loads nothing but ids and makes one domain call."""

from celery import shared_task


@shared_task(name="billing.tasks.sweep_inbox")
def sweep_inbox() -> None:
    """Look for due inbox events that no message announced."""
