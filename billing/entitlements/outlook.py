"""What will become of a subscription if nothing changes, as far as somebody has said so: a row that pages read.

Whoever acts on subscriptions by itself (a workflow that duns) writes down what it will do, and when, and changes it as
it goes on. Nothing here acts: the row is what a customer can know beforehand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from django.db import transaction

from accounts.models import Organization
from billing.activity import verbs
from billing.activity.publish import publish
from billing.entitlements.foreseen import Act, OutlookFacts, Step
from billing.entitlements.models import Outlook
from billing.mirror import querysets


@dataclass(frozen=True)
class Subject:
    """Whose outlook it is, and who acts: `source` is the one execution that will, `by` its workflow's name."""

    organization: Organization
    customer_id: str
    subscription_id: str
    invoice_id: str
    source: str
    by: str


def open_outlook(subject: Subject, steps: Sequence[Step], *, now: datetime) -> Outlook:
    """Begin to tell what will be done; told before by the same source, it is brought up to date."""
    with transaction.atomic():
        row, _ = Outlook.objects.select_for_update().get_or_create(
            source=subject.source,
            defaults={
                "organization": subject.organization,
                "customer_id": subject.customer_id,
                "subscription_id": subject.subscription_id,
                "invoice_id": subject.invoice_id,
                "by": subject.by,
                "changed_at": now,
            },
        )
        write(row, steps, now=now)
    return row


def change(row: Outlook, steps: Sequence[Step], *, now: datetime) -> None:
    """Say anew what will be done, in the caller's transaction; where nothing more will, the row goes."""
    if steps:
        write(row, steps, now=now)
        return
    row.delete()
    if row.steps:
        tell(row, [], now=now)


def write(row: Outlook, steps: Sequence[Step], *, now: datetime) -> None:
    said = [{"act": step.act.value, "at": step.at.isoformat()} for step in sorted(steps, key=lambda step: step.at)]
    news = row.steps != said or row.held
    row.steps, row.held, row.changed_at = said, False, now
    row.save()
    if news:
        tell(row, said, now=now)


def hold(source: str, *, now: datetime) -> None:
    """Say nothing while whoever acts is paused: what was said would not be done."""
    for row in Outlook.objects.select_for_update().filter(source=source, held=False):
        row.held = True
        row.save(update_fields=["held"])
        tell(row, [], now=now)


def forget(sources: Iterable[str], *, now: datetime) -> None:
    """Whoever acted will not any more."""
    for row in Outlook.objects.select_for_update().filter(source__in=list(sources)):
        change(row, [], now=now)


def tell(row: Outlook, said: list[dict[str, str]], *, now: datetime) -> None:
    """Let open pages look again. It is no news to be listed: nothing has happened yet."""
    what = sha256(repr((said, row.changed_at.isoformat())).encode()).hexdigest()[:16]
    publish(
        row.organization,
        verbs.OUTLOOK_CHANGED,
        subject_id=row.subscription_id,
        dedup_key=f"{verbs.OUTLOOK_CHANGED}:{row.source}:{what}",
        now=now,
    )


def outlooks_of(organization: Organization) -> tuple[OutlookFacts, ...]:
    """Return what is said of the organization's subscriptions in the present mode."""
    rows = Outlook.objects.filter(
        organization=organization, held=False, customer_id__in=querysets.customer_ids_of(organization)
    )
    return tuple(facts_of(row) for row in rows.order_by("pk"))


def facts_of(row: Outlook) -> OutlookFacts:
    steps = tuple(Step(Act(step["act"]), datetime.fromisoformat(step["at"])) for step in row.steps)
    return OutlookFacts(row.subscription_id, row.invoice_id, steps)
