"""Celery's doors into billing: each makes one domain call. What is to be done stands in the rows."""

import random

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from billing.customer_details import tell_stripe
from billing.inbox.claim import due
from billing.inbox.models import EventForm
from billing.inbox.nudge import message_taken, mirror_soon
from billing.inbox.poll import poll
from billing.mirror import apply, drift
from billing.retention.keep import keep
from billing.stripe_accounts import by_name, configured
from billing.stripe_client import stripe_client

JITTER_SECONDS = 15.0  # so that not everybody asks Stripe at the full minute
BUDGET_SECONDS = 60.0  # then the task ends, so that a worker can be stopped; the sweep finds what is left
ARCHIVE_BUDGET_SECONDS = 200.0


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


@shared_task(name="billing.tasks.poll_events")
def poll_events() -> None:
    """Read the events API of every account, each by a message of its own."""
    for account in configured():
        if account.secret_key:
            wait = random.uniform(0, JITTER_SECONDS)  # noqa: S311 - not a secret
            poll_account.apply_async(kwargs={"account": account.name}, countdown=wait, retry=False)


@shared_task(name="billing.tasks.poll_account")
def poll_account(*, account: str) -> None:
    """Read one account's events API, both of its lists, for what the other doors missed."""
    for form in EventForm:
        poll(by_name(account), timezone.now, form=form)


@shared_task(name="billing.tasks.tell_customer_details")
def tell_customer_details() -> None:
    """Tell Stripe the names and addresses that organizations have changed."""
    tell_stripe(stripe_client())


@shared_task(name="billing.tasks.check_drift")
def check_drift() -> None:
    """Compare every account's mirror with Stripe, each by a message of its own."""
    for account in configured():
        if account.secret_key:
            check_account_drift.apply_async(kwargs={"account": account.name}, retry=False)


@shared_task(name="billing.tasks.check_account_drift")
def check_account_drift(*, account: str) -> None:
    """Compare a sample of each kind, and what changed lately, with Stripe; heal what differs."""
    drift.check_drift(drift.comparable(), account=by_name(account), clock=timezone.now, sample=settings.DRIFT_SAMPLE)


@shared_task(name="billing.tasks.archive_inbox")
def archive_inbox() -> None:
    """Archive and drop payloads that are old enough, where an archive is configured."""
    if settings.INBOX_ARCHIVE_BUCKET:
        keep(now=timezone.now(), budget_seconds=ARCHIVE_BUDGET_SECONDS)
