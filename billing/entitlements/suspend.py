"""Suspending and restoring access: the row, the news and the event of our own are one transaction.

The organization's row is locked meanwhile, so that a payment that is mirrored at the same moment is seen before or
lifts the suspension after; it is never between the two.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from djstripe import models as mirror

from accounts.customers import organization_of
from accounts.models import Organization
from billing.activity import verbs
from billing.activity.publish import publish
from billing.entitlements.access import unsettled
from billing.entitlements.models import Reason, Suspension
from billing.inbox import own
from billing.mirror.facts import ENDED, InvoiceFacts, invoice_facts, subscription_facts


@dataclass(frozen=True)
class Order:
    """Whose access is to rest and why. `key` is the call's: the same order again finds what the first one did."""

    customer_id: str
    reason: Reason
    by: str
    key: str
    subscription_id: str = ""
    invoice_id: str = ""
    cancels_at: datetime | None = None


class CannotSuspend(Exception):
    """Access cannot rest. `name` is the error's, the text says why."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name


def suspend(order: Order, *, now: datetime, depth: int = 0) -> Suspension:
    """Let a customer's access rest until it is restored, or its cause is gone; what rests already goes on resting.

    `depth` is handed on to the event of our own. Raises CannotSuspend, with `NoOrganization`, `SubscriptionEnded` or
    `NotOwed`.
    """
    with transaction.atomic():
        organization = locked_organization(order.customer_id)
        before = Suspension.objects.filter(key=order.key).first() or open_one(order)
        if before:
            return before
        invoice = check(order)
        row = Suspension.objects.create(
            organization=organization,
            customer_id=order.customer_id,
            subscription_id=order.subscription_id,
            invoice_id=order.invoice_id,
            reason=order.reason,
            since=now,
            cancels_at=order.cancels_at,
            by=order.by[:255],
            key=order.key,
        )
        tell(row, verbs.ACCESS_SUSPENDED, own.ACCESS_SUSPENDED, invoice, at=now, depth=depth)
    return row


def locked_organization(customer_id: str) -> Organization:
    found = organization_of(customer_id)
    if found is None:
        raise CannotSuspend("NoOrganization", f"The customer “{customer_id}” belongs to no organization here.")
    return Organization.objects.select_for_update(no_key=True).get(pk=found.pk)


def open_one(order: Order) -> Suspension | None:
    same = {"subscription_id": order.subscription_id, "invoice_id": order.invoice_id}
    return Suspension.objects.filter(customer_id=order.customer_id, lifted_at=None, **same).first()


def check(order: Order) -> InvoiceFacts | None:
    """Return the invoice that access waits for. Raises CannotSuspend where the cause is gone, or is another's."""
    if order.subscription_id:
        data = data_of(mirror.Subscription, order.subscription_id, order.customer_id)
        if data is None or subscription_facts(data).status in ENDED:
            raise CannotSuspend("SubscriptionEnded", f"{order.subscription_id} is not a living one of this customer.")
    if not order.invoice_id:
        return None
    data = data_of(mirror.Invoice, order.invoice_id, order.customer_id)
    invoice = invoice_facts(data) if data else None
    if invoice is None or not unsettled(invoice):
        raise CannotSuspend("NotOwed", f"Nothing is owed on {order.invoice_id}: it is paid, void, or another's.")
    return invoice


def data_of(model: Any, object_id: str, customer_id: str) -> dict[str, Any] | None:
    """What the mirror holds of an object, if it is this customer's."""
    found: dict[str, Any] | None = (
        model.objects.filter(id=object_id, customer_id=customer_id).values_list("stripe_data", flat=True).first()
    )
    return found


def restore(
    customer_id: str, *, by: str, now: datetime, subscription_id: str = "", invoice_id: str = "", depth: int = 0
) -> int:
    """Lift a customer's suspensions, those of a subscription or an invoice alone where one is given; return how many.

    None open: nothing happens, and nothing is told. Raises CannotSuspend (`NoOrganization`).
    """
    with transaction.atomic():
        locked_organization(customer_id)
        chosen = Suspension.objects.filter(customer_id=customer_id, lifted_at=None)
        if subscription_id:
            chosen = chosen.filter(subscription_id__in=["", subscription_id])
        if invoice_id:
            chosen = chosen.filter(invoice_id=invoice_id)
        lifted = list(chosen.select_related("organization").order_by("pk"))
        for row in lifted:
            row.lifted_at, row.lifted_by = now, by[:255]
            row.save(update_fields=["lifted_at", "lifted_by"])
            tell(row, verbs.ACCESS_RESTORED, own.ACCESS_RESTORED, None, at=now, depth=depth)
    return len(lifted)


def tell(row: Suspension, verb: str, event: str, invoice: InvoiceFacts | None, *, at: datetime, depth: int) -> None:
    """Publish what became of a suspension: news for the organization, an event of our own for rules."""
    money = {"amount": invoice.amount_remaining, "currency": invoice.currency} if invoice else {}
    subject = row.subscription_id or row.invoice_id or row.customer_id
    data = {"reason": row.reason, **money}
    publish(row.organization, verb, subject_id=subject, data=data, dedup_key=f"{verb}:{row.pk}", now=at)
    detail = {
        "organization": row.organization.public_id,
        "customer": row.customer_id,
        "subscription": row.subscription_id,
        "invoice": row.invoice_id,
        "reason": row.reason,
        "since": row.since.isoformat(),
        "by": row.lifted_by or row.by,
        **money,
    }
    own.publish(event, key=str(row.pk), detail=detail, now=at, resources=(row.customer_id,), depth=depth)
