"""One subscription as an operator sees it: the customer's own thread, and behind it every event, id and act."""

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import get_language
from djstripe.models import Subscription

from accounts.customers import organization_of
from accounts.models import Organization
from billing import clock
from billing.entitlements.resolve import access_of
from billing.mirror.facts import InvoiceFacts, SubscriptionFacts, invoice_facts, subscription_facts
from billing.mirror.querysets import NEWEST
from billing.models import CheckoutOrder, InboxEvent, InvoiceRow, Suspension
from billing.thread import Thread, build_thread
from billing.thread.load import load_situation
from ops.console.event_page import matches_of
from ops.console.workflows.origins import executions_for
from ops.models import StaffAct

EVENTS = 100
INVOICES = 24


def subscription_context(row: Subscription) -> dict[str, Any]:
    """Return what the page of one subscription shows: a fixed number of queries."""
    facts = subscription_facts(row.stripe_data)
    invoices = invoices_of(facts.id)
    events = events_of(facts.id, facts.customer_id, [invoice.id for invoice in invoices])
    organization = row.customer.subscriber or organization_of(facts.customer_id)
    now = clock.now()
    return {
        "now": now,
        "subscription": row,
        "facts": facts,
        "status": row.stripe_data.get("status"),
        "organization": organization,
        "thread": thread_of(organization, facts, now) if organization else None,
        "access": access_of(organization) if organization else None,
        "suspensions": suspensions_of(facts),
        "invoices": invoices,
        "events": events,
        "matches": matches_of(customer_id=facts.customer_id) if facts.customer_id else [],
        "executions": executions_for(facts.customer_id),
        "orders": CheckoutOrder.objects.filter(subscription_id=facts.id).order_by("-created_at"),
        "acts": acts_about(facts.id, facts.customer_id, events),
        "dashboard_url": dashboard_url(row),
    }


def thread_of(organization: Organization, facts: SubscriptionFacts, now: datetime) -> Thread:
    """Tell the same thread that the customer reads on their own page."""
    language = get_language() or "en"
    return build_thread(load_situation(organization, now=now, language=language, subscription=facts))


def suspensions_of(facts: SubscriptionFacts) -> QuerySet[Suspension]:
    """Return what let access to a subscription rest, the newest first; lifted ones too."""
    rows = Suspension.objects.filter(customer_id=facts.customer_id, subscription_id__in=["", facts.id])
    return rows.order_by("-since")[:EVENTS]


def invoices_of(subscription_id: str) -> list[InvoiceFacts]:
    """Read the newest invoices of a subscription."""
    rows = InvoiceRow.objects.filter(subscription_id=subscription_id).order_by(*NEWEST)
    return [invoice_facts(data) for data in rows.values_list("invoice__stripe_data", flat=True)[:INVOICES]]


def events_of(subscription_id: str, customer_id: str, invoice_ids: list[str]) -> list[InboxEvent]:
    """Read the newest events of the subscription, its customer and its invoices, in the order they happened."""
    about = Q(object_id__in=[subscription_id, *invoice_ids])
    if customer_id:
        about |= Q(customer_id=customer_id) | Q(object_id=customer_id)
    found = InboxEvent.objects.filter(about).defer("payload").order_by("-occurred_at", "-pk")
    return list(found[:EVENTS])


def acts_about(subscription_id: str, customer_id: str, events: list[InboxEvent]) -> QuerySet[StaffAct]:
    subjects = [subscription_id, customer_id, *(event.external_id for event in events)]
    return StaffAct.objects.filter(subject_id__in=subjects).select_related("actor").order_by("-at")[:EVENTS]


def dashboard_url(row: Any) -> str:
    """Return the object's page in Stripe's dashboard, which only live or test keys' owners can open."""
    return str(row.get_stripe_dashboard_url())
