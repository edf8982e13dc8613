"""Read a situation from the database: the one place where the thread's facts come from. At most fourteen queries, and
a few more for an organization that another one may pay for."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from accounts.models import Organization, Role, User
from billing.activity.feed import recent
from billing.checkout.models import CheckoutOrder, OrderState
from billing.checkout.orders import unfinished_order
from billing.entitlements.outlook import outlooks_of
from billing.entitlements.resolve import cover_of, suspensions_of
from billing.mirror import querysets
from billing.mirror.facts import ScheduleFacts, SubscriptionFacts
from billing.provisioning.read import provision_of
from billing.thread.present import name_of_items
from billing.thread.situation import ActivityFacts, CoverFacts, OrderFacts, Situation

LATEST_INVOICES = 12
LATEST_ACTIVITIES = 20
# How long a page that was never paid may go on being mentioned: Stripe's own word on it may be late.
GRACE_OF_ORDER = timedelta(minutes=5)
LONGEST_CONFIRMATION = timedelta(days=1)  # for one that may have been paid: by then a resync has brought the truth


def load_situation(
    organization: Organization,
    *,
    now: datetime,
    language: str,
    subscription: SubscriptionFacts | None = None,
    with_cover: bool = False,
) -> Situation:
    """Return the organization's situation, about `subscription` or else about the one that matters most.

    `with_cover` looks for an organization above that pays, where the subscription is none or has ended: for a page
    about the organization, not for one about that subscription.
    """
    subscription = subscription or querysets.current_subscription(organization)
    order = unfinished_order(organization)
    schedule = querysets.schedule_of(subscription) if subscription else None
    activities = latest_activities(organization)
    price_products = price_products_of(schedule, order)
    invoices = tuple(querysets.invoices_for_thread(organization, latest=LATEST_INVOICES))
    living = subscription is not None and subscription.living
    situation = Situation(
        now=now,
        language=language,
        subscription=subscription,
        invoices=invoices,
        method=querysets.payment_method_of(organization, subscription),
        schedule=schedule,
        activities=activities,
        provision=provision_of(subscription.id) if subscription else None,
        suspensions=suspensions_of(organization) if living else (),
        outlooks=outlooks_of(organization) if living else (),
        cover=cover_beside(subscription, organization) if with_cover else None,
        price_products=price_products,
        product_names=querysets.product_names(products_named(subscription, activities, price_products.values())),
    )
    return with_failure(with_order(situation, order))


def cover_shown(organization: Organization) -> CoverFacts | None:
    """Return what the organization's overview shows of another one's subscription; None where it shows none."""
    return cover_beside(querysets.current_subscription(organization), organization)


def cover_beside(subscription: SubscriptionFacts | None, organization: Organization) -> CoverFacts | None:
    """Look above an organization for a cover, unless it has a subscription of its own that has not ended."""
    if organization.parent_id is None or (subscription is not None and subscription.living):
        return None
    return load_cover(organization)


def load_cover(organization: Organization) -> CoverFacts | None:
    """Return whose subscription covers the organization; None where none above it has one that has not ended."""
    cover = cover_of(organization)
    if cover.payer == organization:
        return None
    subscriptions = querysets.subscriptions_of(cover.payer)
    subscription = next((each for each in subscriptions if each.id == cover.access.subscription_id), None)
    if subscription is None:
        return None  # it has gone between two looks
    names = querysets.product_names({item.product_id for item in subscription.items})
    owner = User.objects.filter(memberships__organization=cover.payer, memberships__role=Role.OWNER).first()
    return CoverFacts(
        payer_id=cover.payer.public_id,
        payer_name=cover.payer.name,
        plan_name=name_of_items(subscription, names),
        state=cover.access.state,
        ends_at=subscription.ends_at,
        contact_name=owner.name if owner else "",
        contact_email=owner.email if owner else cover.payer.billing_email,
    )


def latest_activities(organization: Organization) -> tuple[ActivityFacts, ...]:
    rows = recent(organization, limit=LATEST_ACTIVITIES)
    return tuple(ActivityFacts(row.verb, row.subject_id, row.data, row.at) for row in rows)


def price_products_of(schedule: ScheduleFacts | None, order: CheckoutOrder | None) -> dict[str, str]:
    prices = [price for phase in schedule.phases for price in phase.price_ids] if schedule else []
    if order:
        prices.append(order.price_id)
    return querysets.products_of_prices(prices) if prices else {}


def products_named(
    subscription: SubscriptionFacts | None, activities: Iterable[ActivityFacts], others: Iterable[str]
) -> set[str]:
    own = {item.product_id for item in subscription.items} if subscription else set()
    told = {str(activity.data.get("product_id") or "") for activity in activities}
    return (own | told | set(others)) - {""}


def with_order(situation: Situation, order: CheckoutOrder | None) -> Situation:
    if order is None or is_over(order, situation.now):
        return situation
    product_id = situation.price_products.get(order.price_id, "")
    facts = OrderFacts(
        plan_name=situation.product_names.get(product_id, product_id),
        expires_at=order.expires_at,
        returned=order.returned_at is not None,
    )
    return replace(situation, order=facts)


def is_over(order: CheckoutOrder, now: datetime) -> bool:
    """Whether an order can be passed over: it is opening still, or its page has been closed for long enough."""
    if order.expires_at is None or order.state == OrderState.OPENING:
        return True
    return order.expires_at + (LONGEST_CONFIRMATION if order.returned_at else GRACE_OF_ORDER) < now


def with_failure(situation: Situation) -> Situation:
    """Add the bank's reason where a payment is in question; the query is spared everybody else."""
    invoice = situation.troubled
    return replace(situation, failure=querysets.failure_of(invoice)) if invoice else situation
