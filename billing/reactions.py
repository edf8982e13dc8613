"""What follows from a mirrored object, in the mirror's own transaction: orders are settled, activities published.

Nothing here calls the world. The mirror says what an object was before and is now; what changed between is news.
An object seen for the first time is news only when an event brought it soon after it was made: a resync that fills
an empty mirror tells no stories.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from djstripe import models as mirror

from accounts.customers import organization_of
from accounts.models import Organization
from billing.activity import verbs
from billing.activity.publish import publish
from billing.checkout.models import CheckoutOrder, OrderState
from billing.checkout.settle import settle_by_session, settle_by_subscription
from billing.inbox.models import InboxEvent
from billing.mirror.facts import (
    InvoiceFacts,
    SubscriptionFacts,
    SubscriptionStatus,
    invoice_facts,
    subscription_facts,
)
from billing.mirror.querysets import failure_of, living_subscription
from billing.mirror.shapes import id_of, required_time

FRESH = timedelta(days=1)

Data = dict[str, Any]


def after_mirrored(kind: str, before: Data | None, after: Data, *, event: InboxEvent | None, now: datetime) -> None:
    """React to one mirrored object; `kind` is Stripe's `object`, `before` None when it was not mirrored yet."""
    reaction = REACTIONS.get(kind)
    if reaction:
        at = event.occurred_at if event else now
        fresh = before is not None or (event is not None and now - required_time(after.get("created") or 0) < FRESH)
        reaction(before, after, fresh=fresh, at=at, now=now)


def react_to_subscription(before: Data | None, after: Data, *, fresh: bool, at: datetime, now: datetime) -> None:
    old, new = subscription_facts(before) if before else None, subscription_facts(after)
    order = settle_by_subscription(new, now=now)
    if not fresh and order is None:
        return
    news = [*news_of_status(old, new), *news_of_ending(old, new), *news_of_plan(old, new)]
    organization = organization_of(new.customer_id) if news else None
    for verb, key in news:
        tell(organization, verb, new.id, describe(new), key=f"{new.id}:{key}", at=at)
    tell_new_method(
        old.default_payment_method_id if old else None, new.default_payment_method_id, new.customer_id, at=at
    )


def describe(subscription: SubscriptionFacts) -> Data:
    end = subscription.ends_at
    return {
        "product_id": subscription.product_id,
        "price_id": subscription.price_id,
        "status": subscription.status,
        "ends_at": int(end.timestamp()) if end else None,
    }


def news_of_status(old: SubscriptionFacts | None, new: SubscriptionFacts) -> list[tuple[str, str]]:
    """Return the verb and the key of the state that the subscription came into, none when it was in it before."""
    if old and old.status is new.status:
        return []
    news = {
        SubscriptionStatus.ACTIVE: (verbs.SUBSCRIPTION_ACTIVATED, new.latest_invoice_id),
        SubscriptionStatus.TRIALING: (verbs.SUBSCRIPTION_ACTIVATED, "trial"),
        SubscriptionStatus.PAST_DUE: (verbs.SUBSCRIPTION_PAST_DUE, new.latest_invoice_id),
        SubscriptionStatus.PAUSED: (verbs.SUBSCRIPTION_PAUSED, new.latest_invoice_id),
        SubscriptionStatus.CANCELED: (verbs.SUBSCRIPTION_CANCELED, ""),
        SubscriptionStatus.INCOMPLETE_EXPIRED: (verbs.SUBSCRIPTION_CANCELED, ""),
    }.get(new.status)
    return [news] if news else []


def news_of_ending(old: SubscriptionFacts | None, new: SubscriptionFacts) -> list[tuple[str, str]]:
    if old is None or not new.living or old.ends_at == new.ends_at:
        return []
    if new.ends_at:
        return [(verbs.SUBSCRIPTION_CANCELLATION_SCHEDULED, f"{new.ends_at}:{new.canceled_at or ''}")]
    return [(verbs.SUBSCRIPTION_RESUMED, f"{old.ends_at.isoformat() if old.ends_at else ''}:{old.canceled_at or ''}")]


def news_of_plan(old: SubscriptionFacts | None, new: SubscriptionFacts) -> list[tuple[str, str]]:
    if old is None or not new.living or not old.product_id or old.product_id == new.product_id:
        return []
    return [(verbs.SUBSCRIPTION_CHANGED, f"{new.price_id}:{new.latest_invoice_id}")]


def react_to_invoice(before: Data | None, after: Data, *, fresh: bool, at: datetime, now: datetime) -> None:
    if not fresh:
        return
    old, new = invoice_facts(before) if before else None, invoice_facts(after)
    if new.paid_at and new.amount_paid > 0 and not (old and old.paid_at):
        tell_invoice(verbs.INVOICE_PAID, new, {"amount": new.amount_paid}, key=new.id, at=at)
    tried = old.attempt_count if old else 0
    if new.failed and new.attempt_count > tried:
        failure = failure_of(new)
        words = (
            {"code": failure.code, "decline_code": failure.decline_code, "message": failure.message} if failure else {}
        )
        data = {"amount": new.amount_remaining, **words}
        tell_invoice(verbs.INVOICE_PAYMENT_FAILED, new, data, key=f"{new.id}:{new.attempt_count}", at=at)


def tell_invoice(verb: str, invoice: InvoiceFacts, data: Data, *, key: str, at: datetime) -> None:
    data = {"currency": invoice.currency, "number": invoice.number, **data}
    tell(organization_of(invoice.customer_id), verb, invoice.id, data, key=key, at=at)


def react_to_session(before: Data | None, after: Data, *, fresh: bool, at: datetime, now: datetime) -> None:
    order = settle_by_session(after, now=now) or CheckoutOrder.objects.filter(session_id=after["id"]).first()
    if order is None:
        return
    product = mirror.Price.objects.filter(id=order.price_id).values_list("product_id", flat=True).first() or ""
    data = {"product_id": product, "price_id": order.price_id}
    if after.get("status") == "complete":
        tell(order.organization, verbs.CHECKOUT_COMPLETED, after["id"], data, key=after["id"], at=at)
    elif order.state == OrderState.EXPIRED:
        tell(order.organization, verbs.CHECKOUT_EXPIRED, after["id"], data, key=after["id"], at=at)


def react_to_customer(before: Data | None, after: Data, *, fresh: bool, at: datetime, now: datetime) -> None:
    """A customer's default pays only for subscriptions that have none of their own: those tell it themselves."""
    organization = organization_of(after["id"]) if before is not None else None
    living = living_subscription(organization) if organization else None
    if before is not None and not (living and living.default_payment_method_id):
        tell_new_method(default_method(before), default_method(after), after["id"], at=at)


def default_method(customer: Data) -> str:
    return id_of((customer.get("invoice_settings") or {}).get("default_payment_method"))


def tell_new_method(old: str | None, new: str, customer_id: str, *, at: datetime) -> None:
    """Tell that another payment method pays from now on. Pages listen: by now the mirror must say so too."""
    if old is None or not new or old == new:
        return
    data = mirror.PaymentMethod.objects.filter(id=new).values_list("stripe_data", flat=True).first() or {}
    details = data.get(data.get("type") or "") or {}
    news = {"type": data.get("type"), "brand": details.get("brand"), "last4": details.get("last4")}
    key = f"{customer_id}:{new}:{at:%Y-%m-%dT%H}"
    tell(organization_of(customer_id), verbs.PAYMENT_METHOD_CHANGED, new, news, key=key, at=at)


def tell(organization: Organization | None, verb: str, subject: str, data: Data, *, key: str, at: datetime) -> None:
    """Publish, when we know whose news it is; the same fact has the same key, whichever event brought it."""
    if organization:
        publish(organization, verb, subject_id=subject, data=data, dedup_key=f"{verb}:{key}", now=at)


REACTIONS: dict[str, Callable[..., None]] = {
    "subscription": react_to_subscription,
    "invoice": react_to_invoice,
    "checkout.session": react_to_session,
    "customer": react_to_customer,
}
