"""The plans, for visitors and for members, and the click on one of them."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.permissions import Act
from accounts.viewer import OrganizationRequest, current_membership, organization_page
from billing import clock
from billing.checkout.orders import unfinished_order
from billing.checkout.outcomes import AlreadySubscribed, AwaitingConfirmation, NotOffered, Outcome, Started, Superseded
from billing.checkout.start import start_checkout
from billing.mirror import querysets
from billing.mirror.facts import SubscriptionFacts
from billing.money import format_money
from billing.plans.catalog import Catalog, Plan, PlanPrice
from billing.plans.prices import choose_currency, choose_interval, interval_words, price_words
from billing.stripe_client import stripe_client
from billing.stripe_patience import in_time
from billing.subscriptions.refresh import refresh
from billing.views.addresses import checkout_urls, local
from billing.views.answers import Retry, show_answer
from billing.views.covering import payer_of
from billing.views.standing import standing_of


@dataclass(frozen=True)
class Offer:
    """One plan as the page shows it; `price` is None when the plan has none in the interval that is shown."""

    plan: Plan
    price: PlanPrice | None
    amount: str  # "¥5,000"
    often: str  # "per month"
    words: str  # both
    current: bool


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """The front door: members go to their organization, operators to the console, visitors see the plans."""
    if request.user.is_authenticated:
        membership = current_membership(request)
        if membership is None:
            return redirect("admin:index" if request.user.is_staff else "accounts:organization_new")
        return redirect(local("billing:overview", membership.organization))
    return render(request, "billing/landing.html", describe_offers(request, querysets.catalog()))


@require_safe
@organization_page(Act.SEE_BILLING)
def plans(request: OrganizationRequest) -> HttpResponse:
    living = querysets.living_subscription(request.organization)
    context = describe_offers(
        request, querysets.catalog(), living=living, fixed=querysets.currency_of(request.organization)
    )
    context["living"] = living
    context["standing"] = standing_of(living, now=clock.now(), language=get_language() or "en") if living else None
    context["payer"] = None if living else payer_of(request)
    context["left"] = "left" in request.GET
    context["open_order"] = order = open_page_of(request)
    context["awaited_order"] = order if order and order.returned_at and order.answer != "open" else None
    context["overview_url"] = local("billing:overview", request.organization)
    return render(request, "billing/plans.html", context)


def describe_offers(
    request: HttpRequest, catalog: Catalog, *, living: SubscriptionFacts | None = None, fixed: str = ""
) -> dict[str, Any]:
    language = get_language() or "en"
    currency = choose_currency(catalog, fixed=fixed, asked=request.GET.get("currency", ""), language=language)
    its_own = living.items[0].interval if living and living.items else ""
    interval = choose_interval(catalog, currency, asked=request.GET.get("interval") or its_own)
    return {
        "offers": [describe_offer(plan, currency, interval, living, language) for plan in catalog.plans],
        "currency": currency,
        "currencies": () if fixed in catalog.currencies else catalog.currencies,
        "interval": interval,
        "intervals": catalog.intervals(currency),
    }


def describe_offer(plan: Plan, currency: str, interval: str, living: SubscriptionFacts | None, language: str) -> Offer:
    price = plan.price_for(currency, interval)
    current = bool(living and any(item.product_id == plan.product_id for item in living.items))
    if price is None:
        return Offer(plan, None, "", "", "", current)
    amount = format_money(price.unit_amount, price.currency, language)
    words = price_words(price.unit_amount, price.currency, price.interval, price.interval_count, language)
    return Offer(plan, price, amount, interval_words(price.interval, price.interval_count), words, current)


def open_page_of(request: OrganizationRequest) -> Any:
    """Return the order whose payment page is still open; its price tells which button leads back to it."""
    order = unfinished_order(request.organization)
    return order if order and order.expires_at and order.expires_at > timezone.now() else None


@require_POST
@organization_page(Act.MANAGE_BILLING)
@in_time
def subscribe(request: OrganizationRequest) -> HttpResponse:
    price_id = request.POST.get("price", "")
    outcome = start_checkout(
        request.organization,
        price_id,
        stripe=stripe_client(),
        now=timezone.now(),
        urls=checkout_urls(request.organization),
        language=get_language() or "en",
    )
    return answer_click(request, outcome, price_id)


def answer_click(request: OrganizationRequest, outcome: Outcome, price_id: str) -> HttpResponse:
    """Turn what the click came to into the page that comes next."""
    to_plans = local("billing:plans", request.organization)
    match outcome:
        case Started(url=url):
            return redirect(url)
        case AwaitingConfirmation(session_id=session_id):
            return redirect(f"{local('billing:checkout_return', request.organization)}?session={session_id}")
        case AlreadySubscribed(subscription_id=subscription_id):
            refresh(subscription_id, now=timezone.now())  # it may be one that only Stripe knew of
            messages.info(request, _("You have a subscription already, so no second one was started."))
            return redirect(local("billing:overview", request.organization))
        case NotOffered():
            messages.error(request, _("This price is no longer on offer. Choose one of these; nothing was charged."))
            return redirect(to_plans)
        case Superseded():
            messages.warning(
                request,
                _("Another plan was chosen in another window at the same moment. Nothing was charged; choose again."),
            )
            return redirect(to_plans)
    retry = Retry(local("billing:subscribe", request.organization), _("Try again"), {"price": price_id})
    return show_answer(request, outcome, retry=retry, back=to_plans)
