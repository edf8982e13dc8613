"""Back from the payment page: pending until the mirror says otherwise, or until Stripe was asked."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.permissions import Act
from accounts.viewer import OrganizationRequest, organization_page
from billing.checkout.ask import ask_stripe
from billing.checkout.models import CheckoutOrder, OrderState
from billing.checkout.orders import note_return
from billing.mirror import querysets
from billing.stripe_answers import Unreachable
from billing.stripe_patience import in_time
from billing.thread import build_thread
from billing.thread.load import load_situation
from billing.thread.words import moment_words
from billing.views.addresses import live_url, local
from billing.views.answers import Retry, show_answer

SOON = timedelta(seconds=4)  # after this Stripe can be asked: its event comes sooner, when it comes
LONG = timedelta(minutes=3)  # after this the page says what to do, not only what it waits for


@require_safe
@organization_page(Act.SEE_BILLING)
def checkout_return(request: OrganizationRequest) -> HttpResponse:
    """Show how the order stands, read from our own tables; Stripe's redirect proves nothing and is not believed."""
    news = live_url(request.organization)
    order = find_order(request, request.GET.get("session", ""))
    if order is None:
        return redirect(local("billing:overview", request.organization))
    now = timezone.now()
    if order.state == OrderState.OPEN and "session" in request.GET:
        note_return(order, now=now)
    situation = load_situation(request.organization, now=now, language=get_language() or "en")
    context = {
        "now": now,
        "live_url": news,
        "order": order,
        "paid": order.state == OrderState.PAID,
        "expired": order.state == OrderState.EXPIRED,
        "long": bool(order.returned_at and now - order.returned_at > LONG),
        "plan_name": plan_of(order),
        "question": describe_question(order, now=now),
        "thread": build_thread(situation),
    }
    return render(request, "billing/checkout_return.html", context)


def find_order(request: OrganizationRequest, session_id: str) -> CheckoutOrder | None:
    """Return the order of that session, else the latest; another organization's session is unknown."""
    orders = CheckoutOrder.objects.filter(organization=request.organization).exclude(session_id="")
    if not session_id:
        return orders.order_by("-created_at", "-pk").first()
    order = orders.filter(session_id=session_id).first()
    if order is None:
        raise Http404
    return order


def plan_of(order: CheckoutOrder) -> str:
    products = querysets.products_of_prices([order.price_id])
    return querysets.product_names(products.values()).get(products.get(order.price_id, ""), "")


@dataclass(frozen=True)
class Question:
    """What a page that waits offers: to ask Stripe, by a click or, the first time, by itself."""

    after: int  # seconds until it is offered
    by_itself: bool
    answer: str  # what Stripe said when it was last asked
    unpaid: bool  # and whether that was: the payment page is still open


def describe_question(order: CheckoutOrder, *, now: datetime) -> Question | None:
    """Return the question to offer; None where nobody came back, or there is nothing left to ask."""
    if order.state != OrderState.OPEN or order.returned_at is None:
        return None
    wait = max(order.returned_at + SOON - now, timedelta())
    return Question(
        after=round(wait.total_seconds()),
        by_itself=order.asked_at is None,
        answer=say_answer(order, now=now),
        unpaid=order.answer == "open",
    )


def say_answer(order: CheckoutOrder, *, now: datetime) -> str:
    """Say what is known of an order that has been asked about and is still open."""
    if order.asked_at is None:
        return ""
    language = get_language() or "en"
    asked = moment_words(order.asked_at, now=now, language=language)
    if order.answer == "complete":
        return _("Stripe was asked on %(moment)s: it has your payment and has not finished with it.") % {
            "moment": asked
        }
    if order.answer == "open":
        return _("Stripe was asked on %(moment)s: the payment page has not been paid.") % {"moment": asked}
    return _("Stripe was asked on %(moment)s, and has not answered.") % {"moment": asked}


@require_POST
@organization_page(Act.SEE_BILLING)
@in_time
def ask(request: OrganizationRequest) -> HttpResponse:
    """Ask Stripe about one of the organization's own orders; its page says what came of it."""
    order = find_order(request, request.POST.get("session", ""))
    if order is None:
        return redirect(local("billing:overview", request.organization))
    page = f"{local('billing:checkout_return', request.organization)}?session={order.session_id}"
    answer = ask_stripe(order, now=timezone.now())
    if isinstance(answer, Unreachable):
        retry = Retry(
            local("billing:checkout_ask", request.organization), _("Ask Stripe again"), {"session": order.session_id}
        )
        return show_answer(request, answer, retry=retry, back=page)
    return redirect(page)
