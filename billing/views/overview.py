"""The organization's first page: the thread, the plan, the payment method, the latest invoices."""

import secrets
from dataclasses import dataclass, replace

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from accounts.models import Organization
from accounts.permissions import Act, may
from accounts.viewer import OrganizationRequest, organization_page
from billing import clock
from billing.mirror import querysets
from billing.mirror.facts import InvoiceFacts, InvoiceStatus, ItemFacts, SubscriptionFacts, SubscriptionStatus
from billing.plans.prices import interval_words, price_words
from billing.provisioning.facts import ProvisionFacts
from billing.provisioning.states import WORDS
from billing.subscriptions.cancel import can_cancel, can_resume
from billing.thread import Situation, build_thread
from billing.thread.load import load_situation
from billing.thread.present import plan_name, what_is_so
from billing.thread.server import TONES
from billing.thread.shapes import Now
from billing.thread.words import method_words
from billing.views.addresses import live_url
from billing.views.covering import describe_covered, describe_payer, mark_of
from billing.views.invoices import SHOWN_ON_OVERVIEW, InvoiceRow, describe_invoice

IN_TROUBLE = frozenset({SubscriptionStatus.PAST_DUE, SubscriptionStatus.INCOMPLETE, SubscriptionStatus.UNPAID})


@dataclass(frozen=True)
class PlanLine:
    """One line of what is subscribed: "Business", "3 × ¥5,000 per month"."""

    name: str
    price: str


@dataclass(frozen=True)
class OtherLine:
    """One more subscription: its name, its price, how it stands."""

    name: str
    price: str
    now: Now


@dataclass(frozen=True)
class Server:
    """The server that the subscription pays for, with its state in a word."""

    provision: ProvisionFacts
    tone: str
    word: str


@dataclass(frozen=True)
class Trouble:
    """A payment in question, with the page of Stripe's on which it can be paid."""

    invoice: InvoiceFacts
    pay_url: str


@require_safe
@organization_page(Act.SEE_BILLING)
def overview(request: OrganizationRequest) -> HttpResponse:
    news = live_url(request.organization)
    subscriptions = querysets.subscriptions_of(request.organization)
    situation = load_situation(
        request.organization,
        now=clock.now(),
        language=get_language() or "en",
        subscription=next(iter(subscriptions), None),
        with_cover=True,
    )
    subscription = situation.subscription
    sees_invoices = may(request.membership.role, Act.SEE_INVOICES)
    manages = may(request.membership.role, Act.MANAGE_BILLING)
    context = {
        "now": situation.now,
        "live_url": live_above(news, request.organization, situation),
        "intent": secrets.token_hex(8),
        "thread": build_thread(situation),
        "subscription": subscription,
        "living": bool(subscription and subscription.living),
        "order": situation.order,
        "lines": plan_lines(situation),
        "others": [describe_other(other, situation) for other in subscriptions[1:] if other.living],
        "method": method_words(situation.method),
        "method_facts": situation.method,
        "trouble": trouble_of(situation) if sees_invoices else None,
        "waiting": situation.waiting if sees_invoices else (),
        "invoices": latest_invoices(situation) if sees_invoices else [],
        "server": describe_server(situation),
        "payer": describe_payer(request, situation.cover) if situation.cover else None,
        "covered": describe_covered(request) if manages and subscription and subscription.living else [],
        "can_cancel": can_cancel(subscription),
        "can_resume": can_resume(subscription),
    }
    return render(request, "billing/overview.html", context)


def live_above(news: str, organization: Organization, situation: Situation) -> str:
    """Let the stream look above too, where an organization stands above: its news tell this one nothing else."""
    return f"{news}-{mark_of(situation.cover)}" if organization.parent_id else news


def plan_lines(situation: Situation) -> list[PlanLine]:
    sub = situation.subscription
    if sub is None or not sub.living:
        return []
    return [
        PlanLine(situation.product_names.get(item.product_id, ""), say_price(item, situation)) for item in sub.items
    ]


def describe_server(situation: Situation) -> Server | None:
    """Tell of the server, while there is one."""
    provision = situation.provision
    if provision is None or not provision.state.is_there:
        return None
    return Server(provision, TONES[provision.state], str(WORDS[provision.state]))


def describe_other(other: SubscriptionFacts, situation: Situation) -> OtherLine:
    """Tell in one line of a subscription beside the one that the page is about: somebody made it at Stripe."""
    names = querysets.product_names({item.product_id for item in other.items})
    own = replace(situation, subscription=other, order=None, invoices=(), activities=(), product_names=names)
    prices = [say_price(item, own) for item in other.items]
    return OtherLine(plan_name(other, own), " + ".join(prices), what_is_so(own))


def say_price(item: ItemFacts, situation: Situation) -> str:
    """Say what an item costs; how often alone, when the amount depends on usage or tiers."""
    if item.amount is None or item.unit_amount is None:
        return interval_words(item.interval, item.interval_count)
    words = price_words(item.unit_amount, item.currency, item.interval, item.interval_count, situation.language)
    return f"{item.quantity} × {words}" if item.quantity != 1 else words


def trouble_of(situation: Situation) -> Trouble | None:
    """Return the payment that needs somebody now: a failed one, or any owed while the subscription depends on it."""
    sub, invoice = situation.subscription, situation.troubled
    if invoice is None or not (invoice.failed or (sub and sub.status in IN_TROUBLE)):
        return None
    return Trouble(invoice, invoice.hosted_url)


def latest_invoices(situation: Situation) -> list[InvoiceRow]:
    final = [invoice for invoice in situation.invoices if invoice.status is not InvoiceStatus.DRAFT]
    return [describe_invoice(invoice, now=situation.now) for invoice in final[:SHOWN_ON_OVERVIEW]]
