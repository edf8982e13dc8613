"""Invoices: the list, page by page, and one of them with its lines and documents."""

from dataclasses import dataclass
from datetime import datetime

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.permissions import Act
from accounts.viewer import OrganizationRequest, organization_page
from billing.mirror import querysets
from billing.mirror.facts import InvoiceFacts, InvoiceStatus
from billing.thread.shapes import ATTENTION, GOOD, STOPPED, WAITING
from billing.thread.words import reason_words
from billing.views.addresses import live_url

PAGE_SIZE = 25
SHOWN_ON_OVERVIEW = 3


@dataclass(frozen=True)
class InvoiceRow:
    """An invoice with its state in a word and a tone."""

    facts: InvoiceFacts
    word: str
    tone: str


@require_safe
@organization_page(Act.SEE_INVOICES)
def invoices(request: OrganizationRequest) -> HttpResponse:
    news = live_url(request.organization)
    before, after = request.GET.get("before", ""), request.GET.get("after", "")
    found, newer, older = querysets.page_of_invoices(request.organization, size=PAGE_SIZE, before=before, after=after)
    now = timezone.now()
    context = {
        "now": now,
        "live_url": news,
        "has_plan": not found and querysets.living_subscription(request.organization) is not None,
        "rows": [describe_invoice(invoice, now=now) for invoice in found],
        "newer": found[0].id if found and newer else "",
        "older": found[-1].id if found and older else "",
    }
    return render(request, "billing/invoices.html", context)


@require_safe
@organization_page(Act.SEE_INVOICES)
def invoice(request: OrganizationRequest, invoice_id: str) -> HttpResponse:
    news = live_url(request.organization)
    found = querysets.find_invoice(request.organization, invoice_id)
    if found is None:
        raise Http404
    failure = querysets.failure_of(found) if found.owed else None
    now = timezone.now()
    context = {
        "now": now,
        "live_url": news,
        "row": describe_invoice(found, now=now),
        "invoice": found,
        "reason": reason_words(failure),
    }
    return render(request, "billing/invoice.html", context)


def describe_invoice(invoice: InvoiceFacts, *, now: datetime) -> InvoiceRow:
    word, tone = invoice_state(invoice, now=now)
    return InvoiceRow(invoice, word, tone)


def invoice_state(invoice: InvoiceFacts, *, now: datetime) -> tuple[str, str]:
    """Say an invoice's state: what Stripe calls open is one of four things to the one who pays."""
    if invoice.status is InvoiceStatus.OPEN and not invoice.owed:
        return _("Paid"), GOOD
    if invoice.failed:
        return _("Payment failed"), ATTENTION
    if invoice.owed and invoice.due_date and invoice.due_date < now:
        return _("Overdue"), ATTENTION
    return {
        InvoiceStatus.PAID: (_("Paid"), GOOD),
        InvoiceStatus.OPEN: (_("To be paid"), WAITING),
        InvoiceStatus.VOID: (_("Void"), STOPPED),
        InvoiceStatus.UNCOLLECTIBLE: (_("Not collected"), STOPPED),
        InvoiceStatus.DRAFT: (_("Draft"), WAITING),
    }.get(invoice.status, (_("Unknown"), WAITING))
