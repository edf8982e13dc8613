"""Back from the payment page: pending until the mirror says otherwise."""

from datetime import timedelta

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from accounts.permissions import Act
from accounts.viewer import OrganizationRequest, organization_page
from billing.checkout.models import CheckoutOrder, OrderState
from billing.checkout.orders import note_return
from billing.mirror import querysets
from billing.thread import build_thread
from billing.thread.load import load_situation
from billing.views.addresses import live_url, local

LONG = timedelta(minutes=3)  # after this the page says what to do, not only what it waits for


@require_safe
@organization_page(Act.SEE_BILLING)
def checkout_return(request: OrganizationRequest) -> HttpResponse:
    """Show how the order stands, read from our own tables; Stripe's redirect proves nothing and is not believed."""
    news = live_url(request.organization)
    order = find_order(request)
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
        "thread": build_thread(situation),
    }
    return render(request, "billing/checkout_return.html", context)


def find_order(request: OrganizationRequest) -> CheckoutOrder | None:
    """Return the order of the session in the address, else the latest; another organization's session is unknown."""
    orders = CheckoutOrder.objects.filter(organization=request.organization).exclude(session_id="")
    session_id = request.GET.get("session", "")
    if not session_id:
        return orders.order_by("-created_at", "-pk").first()
    order = orders.filter(session_id=session_id).first()
    if order is None:
        raise Http404
    return order


def plan_of(order: CheckoutOrder) -> str:
    products = querysets.products_of_prices([order.price_id])
    return querysets.product_names(products.values()).get(products.get(order.price_id, ""), "")
