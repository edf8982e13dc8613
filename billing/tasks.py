"""Celery's doors into billing: each makes one domain call. What is to be done stands in the rows."""

from celery import shared_task
from django.utils import timezone

from billing.customer_details import tell_stripe
from billing.inbox.claim import due
from billing.inbox.nudge import message_taken, mirror_soon
from billing.mirror import apply
from billing.stripe_client import stripe_client

BUDGET_SECONDS = 60.0  # then the task ends, so that a worker can be stopped; the sweep finds what is left


@shared_task(name="billing.tasks.mirror_due")
def mirror_due() -> None:
    """Mirror what is due."""
    message_taken()
    apply.mirror_due(timezone.now, budget_seconds=BUDGET_SECONDS, on_full_batch=mirror_soon)


@shared_task(name="billing.tasks.sweep_inbox")
def sweep_inbox() -> None:
    """Look for due inbox events that no message announced, or whose worker died."""
    if due(timezone.now()).exists():
        mirror_soon()


@shared_task(name="billing.tasks.tell_customer_details")
def tell_customer_details() -> None:
    """Tell Stripe the names and addresses that organizations have changed."""
    tell_stripe(stripe_client())
