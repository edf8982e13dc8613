"""Other plans and quantities in the billing portal: http://HOST/p/session/test_…/update/sub_…"""

from collections.abc import Mapping
from typing import Any

from starlette.responses import RedirectResponse, Response

from sandbox import objects
from sandbox.billing import items, portal_plans, preview, sums
from sandbox.billing.checkout_codes import UnknownCode
from sandbox.billing.portal_plans import Change
from sandbox.billing.redeeming import Refused
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.hosted import code_words
from sandbox.hosted.missing import missing_page
from sandbox.hosted.portal import Visit, described, finished, own, shared, visit_of
from sandbox.kinds import Doc
from sandbox.pages import show
from sandbox.routes import PageRequest, page

SAME = "Choose something else than you have now."
WRONG_QUANTITY = "Choose a quantity from %(least)s to %(most)s."
WRONG_QUANTITY_OPEN = "Choose a quantity of %(least)s or more."
NOT_OFFERED = "This plan is not offered any more. Choose another one."


@page("GET", "/p/session/{token}/update/{id}")
def show_update(ctx: Context, request: PageRequest, token: str, id: str) -> Response:
    """The plans that the customer may choose from"""
    visit = visit_of(ctx, token)
    subscription = _changeable(ctx, visit, id)
    if visit is None or subscription is None:
        return missing_page(request)
    return _choice_page(ctx, request, visit, subscription)


def _changeable(ctx: Context, visit: Visit | None, id: str) -> Doc | None:
    subscription = own(ctx, visit, id)
    enabled = visit is not None and visit.features["subscription_update"]["enabled"]
    return subscription if enabled and subscription and portal_plans.obstacle(subscription) is None else None


def _choice_page(
    ctx: Context,
    request: PageRequest,
    visit: Visit,
    subscription: Doc,
    *,
    error: str | None = None,
    wrong: str = "",
    **values: Any,
) -> Response:
    [item] = subscription["items"]["data"]
    offers = portal_plans.offered(ctx, visit.configuration, subscription)
    return show(
        "portal_update.html",
        status=422 if error else 200,
        **shared(ctx, request, visit),
        subscription=subscription,
        item=item,
        offers=[(items.product_name(ctx, price), price, sums.price_amount(price, 1)) for price in offers],
        adjustable=any(portal_plans.bounds(visit.configuration, price) for price in offers),
        picked=str(request.query.get("price") or item["price"]["id"]),
        quantity=str(request.query.get("quantity") or item["quantity"]),
        code=str(request.query.get("code") or ""),
        takes_codes=portal_plans.takes_codes(visit.configuration),
        error=error,
        wrong=wrong,
        values=values,
    )


@page("GET", "/p/session/{token}/update/{id}/confirm")
def show_confirm(ctx: Context, request: PageRequest, token: str, id: str) -> Response:
    """What the change means, before it is made"""
    visit = visit_of(ctx, token)
    subscription = _changeable(ctx, visit, id)
    if visit is None or subscription is None:
        return missing_page(request)
    try:
        change = _change(ctx, visit, subscription, request.query)
    except (ApiError, ValueError) as error:
        return _wrong(ctx, request, visit, subscription, error)
    return _confirm_page(ctx, request, visit, subscription, change)


def _change(ctx: Context, visit: Visit, subscription: Doc, chosen: Mapping[str, Any]) -> Change:
    """What was chosen, or what the session is for. Raises ApiError, and ValueError for a quantity that is no number."""
    price, quantity, code = (str(chosen.get(name) or "").strip() for name in ("price", "quantity", "code"))
    confirm = (visit.session["flow"] or {}).get("subscription_update_confirm") or {}
    wanted: Doc = {}
    if confirm.get("subscription") == subscription["id"] and not price:
        wanted = confirm["items"][0]
    count = int(quantity) if quantity else wanted.get("quantity")
    change = portal_plans.planned(ctx, visit.configuration, subscription, price or wanted.get("price"), count)
    if code and portal_plans.takes_codes(visit.configuration):
        return portal_plans.with_code(ctx, subscription, change, code)
    return portal_plans.with_discounts(subscription, change, (confirm.get("discounts") or []) if wanted else [])


def _wrong(ctx: Context, request: PageRequest, visit: Visit, subscription: Doc, error: Exception) -> Response:
    if isinstance(error, Refused | UnknownCode):
        return _choice_page(ctx, request, visit, subscription, error=code_words.sentence(error), wrong="code")
    param = getattr(error, "param", "") or "items[quantity]"
    if param.endswith("[price]"):
        return _choice_page(ctx, request, visit, subscription, error=NOT_OFFERED)
    if not param.endswith("[quantity]"):
        return _choice_page(ctx, request, visit, subscription, error=SAME)
    picked = (
        objects.find(ctx, "price", str(request.query.get("price") or "")) or subscription["items"]["data"][0]["price"]
    )
    least, most = portal_plans.bounds(visit.configuration, picked) or (1, None)
    words = WRONG_QUANTITY if most else WRONG_QUANTITY_OPEN
    return _choice_page(ctx, request, visit, subscription, error=words, wrong="quantity", least=least, most=most)


def _confirm_page(
    ctx: Context, request: PageRequest, visit: Visit, subscription: Doc, change: Change, error: str | None = None
) -> Response:
    invoice = portal_plans.foreseen(ctx, subscription, change)
    waiting = [] if invoice else _waiting(ctx, subscription, change)
    return show(
        "portal_confirm.html",
        status=422 if error else 200,
        **shared(ctx, request, visit),
        **described(ctx, subscription),
        change=change,
        name=items.product_name(ctx, change.price),
        amount=sums.price_amount(change.price, change.quantity),
        code=str(request.query.get("code") or request.form.get("code") or ""),
        invoice=invoice,
        waiting=waiting,
        error=error,
    )


def _waiting(ctx: Context, subscription: Doc, change: Change) -> list[Doc]:
    """The prorations that the change leaves for the next invoice."""
    if not change.now:
        return []
    asked = {"subscription": subscription["id"], "subscription_details": change.params}
    lines = preview.preview(ctx, asked)["lines"]["data"]
    return [line for line in lines if ((line["parent"] or {}).get("subscription_item_details") or {}).get("proration")]


@page("POST", "/p/session/{token}/update/{id}/confirm")
def submit_update(ctx: Context, request: PageRequest, token: str, id: str) -> Response:
    """Change the subscription; a second click finds nothing left to change"""
    visit = visit_of(ctx, token)
    subscription = own(ctx, visit, id)
    if visit is None or subscription is None:
        return missing_page(request)
    if _changeable(ctx, visit, id) is None:
        return RedirectResponse(f"{visit.address}?home=1", status_code=303)
    try:
        change = _change(ctx, visit, subscription, request.form)
    except (ApiError, ValueError):
        return RedirectResponse(f"{visit.address}?home=1", status_code=303)
    return _carry_out(ctx, request, visit, subscription, change)


def _carry_out(ctx: Context, request: PageRequest, visit: Visit, subscription: Doc, change: Change) -> Response:
    ctx.tx.sql("SAVEPOINT change")
    try:
        portal_plans.carry_out(ctx, subscription, change)
    except ApiError as error:
        ctx.tx.sql("ROLLBACK TO change")
        return _confirm_page(ctx, request, visit, subscription, change, error.message)
    flow = (visit.session["flow"] or {}).get("type", "subscription_update")
    return finished(ctx, request, visit, flow, "updated" if change.now else "planned")


@page("POST", "/p/session/{token}/keep/{id}")
def submit_keep(ctx: Context, request: PageRequest, token: str, id: str) -> Response:
    """Take a planned change back"""
    visit = visit_of(ctx, token)
    subscription = own(ctx, visit, id)
    if visit is None or subscription is None or not visit.features["subscription_update"]["enabled"]:
        return missing_page(request)
    portal_plans.keep(ctx, subscription)
    return RedirectResponse(f"{visit.address}?home=1&said=kept", status_code=303)
