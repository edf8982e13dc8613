"""What pages, console and analytics ask, each as a person would make it be asked."""

from collections.abc import Callable
from datetime import timedelta

from django.test import Client
from django.utils import timezone

from accounts.models import CustomerLink, Organization
from billing.mirror import querysets
from billing.mirror.questions import monthly_income
from billing.models import InvoiceRow, SubscriptionRow
from ops.console.flow import read_flow

WEEK = timedelta(days=7)
FIRST = 50
SUBSCRIPTIONS, INVOICES = "/admin/djstripe/subscription/", "/admin/djstripe/invoice/"


def questions(operator: Client, organization: Organization) -> dict[str, Callable[[], object]]:
    """Return the questions by name. The organization owns the customer `cus_7`; the operator is signed in."""
    now = timezone.now()
    CustomerLink.objects.get_or_create(
        organization=organization, livemode=False, defaults={"idempotency_key": "many", "customer_id": "cus_7"}
    )
    subscriptions, invoices = SubscriptionRow.objects, InvoiceRow.objects

    def page(address: str) -> Callable[[], object]:
        def ask() -> object:
            answer = operator.get(address)
            assert answer.status_code == 200, address
            return answer

        return ask

    return {
        "past due, first fifty": lambda: list(subscriptions.past_due().order_by("-created_at")[:FIRST]),
        "ending this week": lambda: list(subscriptions.ending(now=now, within=WEEK)[:FIRST]),
        "trials ending this week": lambda: list(subscriptions.trials_ending(now=now, within=WEEK)[:FIRST]),
        "renewals of the next hour": lambda: list(subscriptions.renewals(now=now, within=timedelta(hours=1))[:FIRST]),
        "of one plan, newest first": lambda: list(subscriptions.of_plan("prod_3").order_by("-created_at")[:FIRST]),
        "with a plan among several": lambda: list(subscriptions.of_plan("prod_seat").order_by("-created_at")[:FIRST]),
        "of one organization": lambda: list(subscriptions.filter(organization=organization)),
        "how many of each status": subscriptions.by_status,
        "income a month by plan": lambda: monthly_income(livemode=False),
        "open invoices by age": lambda: invoices.owed_by_age(now=now),
        "overdue invoices": lambda: list(invoices.overdue(now=now)[:FIRST]),
        "payments tried again today": lambda: list(invoices.tried_again(now=now, within=timedelta(days=1))[:FIRST]),
        "an organization's subscriptions": lambda: querysets.subscriptions_of(organization),
        "its living subscription": lambda: querysets.living_subscription(organization),
        "its invoices, one page": lambda: querysets.page_of_invoices(organization, size=20),
        "its invoices for the thread": lambda: querysets.invoices_for_thread(organization, latest=12),
        "console: first page": lambda: read_flow(now),
        "console: subscriptions": page(SUBSCRIPTIONS),
        "console: subscriptions past due": page(f"{SUBSCRIPTIONS}?status=past_due"),
        "console: subscriptions of a plan": page(f"{SUBSCRIPTIONS}?product=prod_3"),
        "console: subscriptions going to end": page(f"{SUBSCRIPTIONS}?ending=yes"),
        "console: subscriptions of a company": page(f"{SUBSCRIPTIONS}?q=Company+77"),
        "console: subscriptions by period": page(f"{SUBSCRIPTIONS}?o=4"),
        "console: invoices": page(INVOICES),
        "console: open invoices": page(f"{INVOICES}?status=open"),
        "console: an invoice by number": page(f"{INVOICES}?q=N-77"),
        "console: customers": page("/admin/djstripe/customer/"),
        "console: a customer by company": page("/admin/djstripe/customer/?q=Company+77"),
        "console: inbox": page("/admin/billing/inboxevent/"),
        "console: failed events": page("/admin/billing/inboxevent/?state__exact=failed"),
    }
