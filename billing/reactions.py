"""What follows from mirrored objects, in the mirror's own transaction: orders are settled, activities published.

Nothing here calls the world. The mirror says what an object was before, what states it went through and what it is
now; what changed from one to the next is news. An object seen for the first time is news only when an event brought
it soon after it was made: a resync that fills an empty mirror tells no stories.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from djstripe import models as mirror

from accounts.models import CustomerLink
from billing.activity import verbs
from billing.activity.publish import News, publish_many
from billing.checkout.models import CheckoutOrder, OrderState
from billing.checkout.settle import settle_by_session, settle_by_subscription, with_orders
from billing.mirror.facts import (
    InvoiceFacts,
    SubscriptionFacts,
    SubscriptionStatus,
    invoice_facts,
    subscription_facts,
)
from billing.mirror.querysets import failure_of, living_subscription
from billing.mirror.shapes import id_of, inner, made_at, number, word

FRESH = timedelta(days=1)

# What the news of a subscription are told by: its state, its end, its plan, what pays for it.
TELLING = ("status", "cancel_at", "cancel_at_period_end", "canceled_at", "items", "default_payment_method")

Data = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A state that an object went through, and when."""

    data: Data
    at: datetime


@dataclass(frozen=True)
class Changed:
    """One object that was mirrored: what it was before (None: not mirrored), went through, and is now."""

    kind: str  # Stripe's `object`
    before: Data | None
    after: Data
    steps: tuple[Step, ...] = ()
    at: datetime | None = None  # when it happened, by the event that told; None when no event did


@dataclass(frozen=True)
class Told:
    """News about a customer, who may be nobody's; `key` makes the same fact the same, whichever event brought it."""

    customer_id: str
    verb: str
    subject_id: str
    data: Data
    key: str
    at: datetime

    def of(self, organization_id: int) -> News:
        return News(organization_id, self.verb, self.subject_id, self.data, f"{self.verb}:{self.key}", self.at)


@dataclass
class Batch:
    """What is looked up once for all the objects that are written together, and the news they make."""

    now: datetime
    orders: set[str]  # subscriptions that an unpaid order may wait for
    told: list[Told] = field(default_factory=list)
    news: list[News] = field(default_factory=list)  # of organizations that are known already


def react(changes: Sequence[Changed], *, now: datetime) -> None:
    """React to objects that one transaction mirrors. A fixed number of statements when nothing special happened."""
    relevant = [change for change in changes if change.kind in REACTIONS]
    if not relevant:
        return
    batch = Batch(now, orders=with_orders(change.after for change in relevant if change.kind == "subscription"))
    for change in relevant:
        for before, after, at in transitions(change, now=now):
            fresh = before is not None or (change.at is not None and now - made_at(after) < FRESH)
            REACTIONS[change.kind](before, after, batch, fresh=fresh, at=at)
    publish_many([*batch.news, *news_of_customers(batch.told)])


def transitions(change: Changed, *, now: datetime) -> Iterable[tuple[Data | None, Data, datetime]]:
    before = change.before
    for step in (*change.steps, Step(change.after, change.at or now)):
        yield before, step.data, step.at
        before = step.data


def news_of_customers(told: Sequence[Told]) -> list[News]:
    """Address what was told about customers to their organizations; what concerns nobody is left out."""
    if not told:
        return []
    links = CustomerLink.objects.filter(customer_id__in={news.customer_id for news in told})
    owners = dict(links.values_list("customer_id", "organization_id"))
    return [news.of(owners[news.customer_id]) for news in told if news.customer_id in owners]


def react_to_subscription(before: Data | None, after: Data, batch: Batch, *, fresh: bool, at: datetime) -> None:
    if after["id"] not in batch.orders and before is not None and tells_nothing(before, after):
        return
    old, new = subscription_facts(before) if before else None, subscription_facts(after)
    order = settle_by_subscription(new, now=batch.now) if new.id in batch.orders else None
    if not fresh and order is None:
        return
    for verb, key in [*news_of_status(old, new), *news_of_ending(old, new), *news_of_plan(old, new)]:
        batch.told.append(Told(new.customer_id, verb, new.id, describe(new), f"{new.id}:{key}", at))
    tell_new_method(
        batch, old.default_payment_method_id if old else None, new.default_payment_method_id, new.customer_id, at=at
    )


def tells_nothing(before: Data, after: Data) -> bool:
    """Whether a subscription has no news: what they are told by is the same. Spares reading its facts twice."""
    return all(before.get(name) == after.get(name) for name in TELLING)


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
        SubscriptionStatus.UNPAID: (verbs.SUBSCRIPTION_UNPAID, new.latest_invoice_id),
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


def react_to_invoice(before: Data | None, after: Data, batch: Batch, *, fresh: bool, at: datetime) -> None:
    if not fresh:
        return
    newly_paid = bool(paid_at(after)) and not (before and paid_at(before))
    tried_again = attempts(after) > (attempts(before) if before else 0)
    if not newly_paid and not tried_again:
        return
    new = invoice_facts(after)
    if newly_paid and new.amount_paid > 0:
        tell_invoice(batch, verbs.INVOICE_PAID, new, {"amount": new.amount_paid}, key=new.id, at=at)
    if tried_again and new.failed:
        failure = failure_of(new)
        words = (
            {"code": failure.code, "decline_code": failure.decline_code, "message": failure.message} if failure else {}
        )
        data = {"amount": new.amount_remaining, **words}
        tell_invoice(batch, verbs.INVOICE_PAYMENT_FAILED, new, data, key=f"{new.id}:{new.attempt_count}", at=at)


def paid_at(invoice: Data) -> int | None:
    return inner(invoice.get("status_transitions")).get("paid_at")


def attempts(invoice: Data) -> int:
    return number(invoice.get("attempt_count"))


def tell_invoice(batch: Batch, verb: str, invoice: InvoiceFacts, data: Data, *, key: str, at: datetime) -> None:
    data = {"currency": invoice.currency, "number": invoice.number, **data}
    batch.told.append(Told(invoice.customer_id, verb, invoice.id, data, key, at))


def react_to_session(before: Data | None, after: Data, batch: Batch, *, fresh: bool, at: datetime) -> None:
    order = settle_by_session(after, now=batch.now) or CheckoutOrder.objects.filter(session_id=after["id"]).first()
    if order is None:
        return
    product = mirror.Price.objects.filter(id=order.price_id).values_list("product_id", flat=True).first() or ""
    data = {"product_id": product, "price_id": order.price_id}
    verb = None
    if after.get("status") == "complete":
        verb = verbs.CHECKOUT_COMPLETED
    elif order.state == OrderState.EXPIRED:
        verb = verbs.CHECKOUT_EXPIRED
    if verb:
        batch.news.append(Told("", verb, after["id"], data, after["id"], at).of(order.organization_id))


def react_to_customer(before: Data | None, after: Data, batch: Batch, *, fresh: bool, at: datetime) -> None:
    """A customer's default pays only for subscriptions that have none of their own: those tell it themselves."""
    if before is None or default_method(before) == default_method(after):
        return
    link = CustomerLink.objects.select_related("organization").filter(customer_id=after["id"]).first()
    living = living_subscription(link.organization) if link else None
    if not (living and living.default_payment_method_id):
        tell_new_method(batch, default_method(before), default_method(after), after["id"], at=at)


def default_method(customer: Data) -> str:
    return id_of(inner(customer.get("invoice_settings")).get("default_payment_method"))


def tell_new_method(batch: Batch, old: str | None, new: str, customer_id: str, *, at: datetime) -> None:
    """Tell that another payment method pays from now on. Pages listen: by now the mirror must say so too."""
    if old is None or not new or old == new:
        return
    data = mirror.PaymentMethod.objects.filter(id=new).values_list("stripe_data", flat=True).first() or {}
    details = inner(data.get(word(data.get("type"))))
    news = {"type": data.get("type"), "brand": details.get("brand"), "last4": details.get("last4")}
    key = f"{customer_id}:{new}:{at:%Y-%m-%dT%H}"
    batch.told.append(Told(customer_id, verbs.PAYMENT_METHOD_CHANGED, new, news, key, at))


REACTIONS: dict[str, Callable[..., None]] = {
    "subscription": react_to_subscription,
    "invoice": react_to_invoice,
    "checkout.session": react_to_session,
    "customer": react_to_customer,
}
