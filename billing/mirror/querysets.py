"""What pages ask the mirror about one organization. Every answer is local and bounded: found by the read model's
columns (`billing.mirror.questions` asks about all), read from `stripe_data`.

Whose customer is whose is asked of the customer links, never of Stripe's metadata.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Collate
from django.utils.translation import get_language
from djstripe import models as mirror

from accounts.models import CustomerLink, Organization
from billing.mirror.facts import (
    ENDED,
    InvoiceFacts,
    PaymentFailure,
    PaymentMethodFacts,
    ScheduleFacts,
    SubscriptionFacts,
    SubscriptionStatus,
    invoice_facts,
    payment_failure,
    payment_method_facts,
    schedule_facts,
    subscription_facts,
)
from billing.mirror.models import MirrorGate
from billing.mirror.questions import InvoiceQuestions
from billing.mirror.readtables import InvoiceRow
from billing.mirror.shapes import id_of
from billing.plans.catalog import Catalog, read_catalog
from billing.stripe_accounts import PRIMARY

MOST_SUBSCRIPTIONS = 50
MOST_OWED = 20
MOST_ATTEMPTS = 50
LAST_MADE = ("-created", "-djstripe_id")  # of what was made in one second, what the mirror learnt last
# Where two invoices are of one second, the later number is the newer one. Compared byte by byte, as Python compares:
# one order for what the database sorts and for what is sorted here (`by_time_and_number`).
NUMBER = Collate("number", "C")
NEWEST = ("-created_at", NUMBER.desc(), "-pk")
OLDEST = ("created_at", NUMBER.asc(), "pk")

# Which of several subscriptions a page speaks of: the one that is in use, then the one that could be again.
PRECEDENCE = (
    SubscriptionStatus.ACTIVE,
    SubscriptionStatus.TRIALING,
    SubscriptionStatus.PAST_DUE,
    SubscriptionStatus.UNPAID,
    SubscriptionStatus.PAUSED,
    SubscriptionStatus.UNKNOWN,
    SubscriptionStatus.INCOMPLETE,
    SubscriptionStatus.CANCELED,
    SubscriptionStatus.INCOMPLETE_EXPIRED,
)


def customer_ids_of(organization: Organization) -> QuerySet[CustomerLink, str | None]:
    """Return the organization's Stripe customers in the present mode, as a subquery."""
    links = CustomerLink.objects.filter(organization=organization, livemode=settings.STRIPE_LIVE_MODE)
    return links.exclude(customer_id=None).values_list("customer_id", flat=True)


def subscriptions_of(organization: Organization) -> list[SubscriptionFacts]:
    """Return the organization's subscriptions, the one that matters most first; ended ones too, at most 50."""
    rows = mirror.Subscription.objects.filter(customer_id__in=customer_ids_of(organization))
    newest = rows.order_by(*LAST_MADE).values_list("stripe_data", flat=True)[:MOST_SUBSCRIPTIONS]
    return sorted((subscription_facts(data) for data in newest), key=precedence)


def current_subscription(organization: Organization) -> SubscriptionFacts | None:
    """Return the subscription that matters most, which may have ended; None when there never was one."""
    return next(iter(subscriptions_of(organization)), None)


def living_subscription(organization: Organization) -> SubscriptionFacts | None:
    """Return a subscription that has not ended: while there is one, no second is sold."""
    rows = mirror.Subscription.objects.filter(customer_id__in=customer_ids_of(organization))
    living = rows.exclude(row__status__in=[status.value for status in ENDED]).order_by(*LAST_MADE)
    found = (subscription_facts(data) for data in living.values_list("stripe_data", flat=True)[:MOST_SUBSCRIPTIONS])
    return min(found, key=precedence, default=None)


def precedence(subscription: SubscriptionFacts) -> tuple[int, float]:
    """The one that matters most first; of two that matter the same, the newer one."""
    return PRECEDENCE.index(subscription.status), -subscription.created.timestamp()


def with_living_subscriptions(organization_pks: Collection[int]) -> set[int]:
    """Return those of the organizations that have a subscription which has not ended."""
    links = CustomerLink.objects.filter(
        organization__in=organization_pks, livemode=settings.STRIPE_LIVE_MODE, customer_id__isnull=False
    )
    customers = dict(links.values_list("customer_id", "organization_id"))
    rows = mirror.Subscription.objects.filter(customer_id__in=customers.keys() - {None})
    living = rows.exclude(row__status__in=[status.value for status in ENDED])
    return {customers[customer] for customer in living.values_list("customer_id", flat=True)}


def invoices_of(organization: Organization) -> InvoiceQuestions:
    """Return the organization's invoices, drafts excluded (they may still change), newest first."""
    rows: InvoiceQuestions = InvoiceRow.objects.filter(customer_id__in=customer_ids_of(organization))
    return rows.published().order_by(*NEWEST)


def page_of_invoices(
    organization: Organization, *, size: int, before: str = "", after: str = ""
) -> tuple[list[InvoiceFacts], bool, bool]:
    """Return one page, whether there are newer ones and whether there are older ones.

    The page begins after the invoice `before` (going back in time) or ends before the invoice `after`; an unknown
    id begins at the newest. Two queries at most, whatever the number of invoices.
    """
    rows = invoices_of(organization)
    edge = rows.filter(pk=before or after).first() if before or after else None
    if edge is None:
        found = read_invoices(rows[: size + 1])
        return found[:size], False, len(found) > size
    if after:
        found = read_invoices(beyond(edge, rows, "gt").order_by(*OLDEST)[: size + 1])
        return found[:size][::-1], len(found) > size, True
    found = read_invoices(beyond(edge, rows, "lt")[: size + 1])
    return found[:size], True, len(found) > size


def beyond(edge: InvoiceRow, rows: InvoiceQuestions, side: str) -> InvoiceQuestions:
    """Return what stands on one side of an invoice in the list: `lt`, the older ones, or `gt`, the newer ones."""
    of_its_second = Q(**{f"numbered__{side}": edge.number}) | Q(number=edge.number, **{f"pk__{side}": edge.pk})
    found: InvoiceQuestions = rows.annotate(numbered=NUMBER).filter(
        Q(**{f"created_at__{side}": edge.created_at}) | of_its_second,
        **{f"created_at__{side}e": edge.created_at},  # what the index finds; the rest is a filter
    )
    return found


def find_invoice(organization: Organization, invoice_id: str) -> InvoiceFacts | None:
    """Return the organization's invoice; None when it is another's, a draft, or unknown."""
    return next(iter(read_invoices(invoices_of(organization).filter(pk=invoice_id)[:1])), None)


def invoices_for_thread(organization: Organization, *, latest: int) -> list[InvoiceFacts]:
    """Return the latest invoices, drafts too, with every owed one among them; newest first; two queries."""
    rows = InvoiceRow.objects.filter(customer_id__in=customer_ids_of(organization)).exclude(status="deleted")
    rows = rows.order_by(*NEWEST)
    found = read_invoices(rows[:latest]) + read_invoices(rows.open()[:MOST_OWED])
    return sorted({invoice.id: invoice for invoice in found}.values(), key=by_time_and_number, reverse=True)


def by_time_and_number(invoice: InvoiceFacts) -> tuple[datetime, str, str]:
    """Where two are of one second, the later number is the newer one."""
    return invoice.created, invoice.number, invoice.id


def unsettled_invoices(organization: Organization) -> list[InvoiceFacts]:
    """Return what lacks money, given up or not, newest first; at most 20."""
    rows = InvoiceRow.objects.filter(customer_id__in=customer_ids_of(organization)).unsettled()
    return read_invoices(rows.order_by(*NEWEST)[:MOST_OWED])


def read_invoices(rows: InvoiceQuestions) -> list[InvoiceFacts]:
    return [invoice_facts(data) for data in rows.values_list("invoice__stripe_data", flat=True)]


def payment_method_of(organization: Organization, subscription: SubscriptionFacts | None) -> PaymentMethodFacts | None:
    """Return what the next payment would be made with: the subscription's own, else its customer's default."""
    method_id = subscription.default_payment_method_id if subscription else ""
    if not method_id:
        method_id = default_method_id(organization, subscription)
    if not method_id:
        return None
    data = mirror.PaymentMethod.objects.filter(id=method_id).values_list("stripe_data", flat=True).first()
    return payment_method_facts(data) if data else None


def default_method_id(organization: Organization, subscription: SubscriptionFacts | None) -> str:
    customers = mirror.Customer.objects.filter(id__in=customer_ids_of(organization))
    if subscription:
        customers = customers.filter(id=subscription.customer_id)
    data = customers.order_by(*LAST_MADE).values_list("stripe_data", flat=True).first() or {}
    return id_of((data.get("invoice_settings") or {}).get("default_payment_method"))


def currency_of(organization: Organization) -> str:
    """Return the currency that Stripe has fixed for the organization's customer, empty before the first payment."""
    customers = mirror.Customer.objects.filter(id__in=customer_ids_of(organization)).order_by(*LAST_MADE)
    data = customers.values_list("stripe_data", flat=True).first() or {}
    return str(data.get("currency") or "")


def failure_of(invoice: InvoiceFacts) -> PaymentFailure | None:
    """Return why the invoice's last payment did not succeed; None when Stripe has given no reason.

    Where the invoice does not name its payment intents (`payments` is not expanded in events), the customer's
    newest one of the same sum since the invoice is taken.
    """
    intents = mirror.PaymentIntent.objects.filter(customer_id=invoice.customer_id).order_by(*LAST_MADE)
    if invoice.payment_intent_ids:
        intents = intents.filter(id__in=invoice.payment_intent_ids)
        return next((payment_failure(data) for data in intents.values_list("stripe_data", flat=True)[:1]), None)
    since = intents.filter(created__gte=invoice.created).values_list("stripe_data", flat=True)[:MOST_ATTEMPTS]
    wanted = (invoice.amount_due, invoice.currency)
    same_sum = (data for data in since if (data.get("amount"), data.get("currency")) == wanted)
    return next((payment_failure(data) for data in same_sum), None)


def schedule_of(subscription: SubscriptionFacts) -> ScheduleFacts | None:
    if not subscription.schedule_id:
        return None
    rows = mirror.SubscriptionSchedule.objects.filter(id=subscription.schedule_id)
    data = rows.values_list("stripe_data", flat=True).first()
    return schedule_facts(data) if data else None


def product_names(product_ids: Iterable[str]) -> dict[str, str]:
    """Return names by product id; products that are not mirrored are left out."""
    rows = mirror.Product.objects.filter(id__in=set(product_ids))
    return {product_id: name for product_id, name in rows.values_list("id", "name") if name}


def products_of_prices(price_ids: Iterable[str]) -> dict[str, str]:
    """Return product ids by price id."""
    rows = mirror.Price.objects.filter(id__in=set(price_ids))
    return dict(rows.values_list("id", "product_id"))


def catalog() -> Catalog:
    """Return the plans on offer, in the reader's language; two queries."""
    plans = ours(mirror.Product.objects.filter(active=True, metadata__has_key="kessai_plan"), "product")
    products: list[Mapping[str, Any]] = list(plans.values_list("stripe_data", flat=True))
    ids = [product["id"] for product in products]
    prices = ours(mirror.Price.objects.filter(active=True, product_id__in=ids), "price")
    language = (get_language() or "").split("-")[0]
    return read_catalog(products, prices.values_list("stripe_data", flat=True), language=language)


def ours(rows: QuerySet[Any], kind: str) -> QuerySet[Any]:
    """Those of the rows that can be sold: of the present mode, and no other account's than the primary one.

    Whose key has brought a row its gate tells. One without a gate is older than the mirror, and ours.
    """
    brought = MirrorGate.objects.filter(object_id=OuterRef("id"), kind=kind, version__gt=0)
    others, our_own = Exists(brought.exclude(owner=PRIMARY)), Exists(brought.filter(owner=PRIMARY))
    return rows.filter(~others | our_own, livemode=settings.STRIPE_LIVE_MODE)
