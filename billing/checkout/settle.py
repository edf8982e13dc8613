"""How an order ends: paid when its subscription is in the mirror, expired when Stripe says that its page has."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Q
from djstripe import models as mirror

from accounts.customers import organization_of
from billing.checkout.models import CheckoutOrder, OrderState
from billing.checkout.orders import UNFINISHED
from billing.mirror.facts import SubscriptionFacts, SubscriptionStatus, order_key, subscription_facts
from billing.mirror.shapes import id_of

UNPAID_YET = (SubscriptionStatus.INCOMPLETE, SubscriptionStatus.INCOMPLETE_EXPIRED)


def with_orders(subscriptions: Iterable[dict[str, Any]]) -> set[str]:
    """Return the ids of those subscriptions for which an order may be waiting: one statement, none without any."""
    keys = {data["id"]: order_key(data) for data in subscriptions}
    if not keys:
        return set()
    by_key = Q(idempotency_key__in=[key for key in keys.values() if key])
    orders = CheckoutOrder.objects.filter(Q(subscription_id__in=list(keys)) | by_key).exclude(state=OrderState.PAID)
    waiting = {name for order in orders.values_list("subscription_id", "idempotency_key") for name in order if name}
    return {subscription_id for subscription_id, key in keys.items() if {subscription_id, key} & waiting}


def settle_by_subscription(subscription: SubscriptionFacts, *, now: datetime) -> CheckoutOrder | None:
    """Mark the order that this mirrored subscription came from as paid; return it when that changed anything.

    Stripe's word counts even for an order that we had taken for expired: it was paid in the last second.
    """
    if subscription.status in UNPAID_YET:
        return None
    order = order_of(subscription)
    if order is None:
        return None
    changed = CheckoutOrder.objects.filter(pk=order.pk).exclude(state=OrderState.PAID)
    return order if changed.update(state=OrderState.PAID, subscription_id=subscription.id, finished_at=now) else None


def order_of(subscription: SubscriptionFacts) -> CheckoutOrder | None:
    """Find the order by the subscription's id or, its customer being the order's own, by the key in its metadata."""
    by_key = Q(idempotency_key=subscription.order_key) if subscription.order_key else Q(pk=None)
    orders = CheckoutOrder.objects.filter(Q(subscription_id=subscription.id) | by_key).exclude(state=OrderState.PAID)
    order = orders.first()
    if order is None or organization_of(subscription.customer_id) != order.organization:
        return None
    return order


def settle_by_session(session: dict[str, Any], *, now: datetime) -> CheckoutOrder | None:
    """Take over what Stripe says of a checkout session; return the order when that finished it."""
    order = CheckoutOrder.objects.filter(session_id=session["id"]).first()
    if order is None:
        return None
    if session.get("status") == "expired":
        expired = CheckoutOrder.objects.filter(pk=order.pk, state__in=UNFINISHED)
        return order if expired.update(state=OrderState.EXPIRED, finished_at=now) else None
    subscription_id = id_of(session.get("subscription"))
    if session.get("status") != "complete" or not subscription_id:
        return None
    CheckoutOrder.objects.filter(pk=order.pk).exclude(state=OrderState.PAID).update(subscription_id=subscription_id)
    return settle_by_mirror(subscription_id, now=now)


def settle_by_mirror(subscription_id: str, *, now: datetime) -> CheckoutOrder | None:
    data = mirror.Subscription.objects.filter(id=subscription_id).values_list("stripe_data", flat=True).first()
    return settle_by_subscription(subscription_facts(data), now=now) if data else None
