"""The billing portal's page: http://HOST/p/session/test_…"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from starlette.responses import RedirectResponse, Response

from sandbox import objects
from sandbox.billing import items, portal_acts, portal_plans
from sandbox.context import Context, Scope
from sandbox.errors import CardError
from sandbox.hosted.card_form import FIELDS, PLACES, TEST_CARDS, card_data, wrong_card, wrong_email
from sandbox.hosted.missing import missing_page
from sandbox.hosted.words import choose, tools
from sandbox.kinds import Doc
from sandbox.pages import show
from sandbox.resources import payments
from sandbox.resources.account import account
from sandbox.resources.payment_methods import from_data
from sandbox.routes import PageRequest, page

VALID_FOR = 3600
"""Seconds that a session can be used."""
REASONS = (
    "too_expensive", "missing_features", "switched_service", "unused", "customer_service", "too_complex",
    "low_quality", "other",
)  # fmt: skip


UPDATES = ("subscription_update", "subscription_update_confirm")


@dataclass(frozen=True)
class Visit:
    """A session that may be used, with whose it is."""

    token: str
    session: Doc
    customer: Doc
    configuration: Doc

    @property
    def features(self) -> Doc:
        """What the customer may do here."""
        features: Doc = self.configuration["features"]
        return features

    @property
    def address(self) -> str:
        return f"/p/session/{self.token}"


def visit_of(ctx: Context, token: str) -> Visit | None:
    """Whose session an address names. None for an address that is wrong, or too old."""
    named = _named(token)
    if named is None:
        return None
    account_id, mode, secret = named
    ctx.enter(str(Scope(account_id, mode == "live")))
    for session in objects.query(ctx, "billing_portal.session", _secret=secret):
        customer = objects.find(ctx, "customer", session["customer"])
        if customer and ctx.now < session["created"] + VALID_FOR:
            configuration = objects.load(ctx, "billing_portal.configuration", session["configuration"])
            return Visit(token, session, customer, configuration)
    return None


def _named(token: str) -> list[str] | None:
    body = token.partition("_")[2]
    try:
        parts = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode().split(",")
    except (binascii.Error, ValueError):
        return None
    return parts if len(parts) == 3 else None


@page("GET", "/p/session/{token}")
def show_portal(ctx: Context, request: PageRequest, token: str) -> Response:
    """The customer's subscriptions, cards and invoices; or the one thing that the session is for"""
    visit = visit_of(ctx, token)
    if visit is None:
        return missing_page(request)
    flow = (visit.session["flow"] or {}).get("type")
    if flow == "payment_method_update" and "home" not in request.query:
        return _card_page(ctx, request, visit)
    if flow == "customer_update" and "home" not in request.query:
        return show_details(ctx, request, token)  # type: ignore[no-any-return]
    if flow == "subscription_cancel" and "home" not in request.query:
        return _cancel_page(ctx, request, visit, visit.session["flow"]["subscription_cancel"]["subscription"])
    if flow in UPDATES and "home" not in request.query:
        about = visit.session["flow"][flow]["subscription"]
        last = "/confirm" if flow == "subscription_update_confirm" else ""
        return RedirectResponse(f"{visit.address}/update/{about}{last}", status_code=303)
    return _home(ctx, request, visit)


def shared(ctx: Context, request: PageRequest, visit: Visit) -> dict[str, Any]:
    """What every page of the portal is given."""
    seller = account(ctx)["business_profile"]["name"]
    return tools(choose(visit.session["locale"], request.languages)) | {
        "visit": visit,
        "seller": seller,
        "return_url": visit.session["return_url"],
        "livemode": ctx.livemode,
    }


def _home(ctx: Context, request: PageRequest, visit: Visit) -> Response:
    id = visit.customer["id"]
    invoices = ctx.tx.page(
        ctx.scope, "invoice", {"customer": id, "status": ["open", "paid", "uncollectible"]}, limit=24
    )
    held = [(card, portal_acts.is_default(ctx, visit.customer, card)) for card in portal_acts.cards(ctx, id)]
    return show(
        "portal.html",
        **shared(ctx, request, visit),
        subscriptions=[described(ctx, doc) for doc in portal_acts.live_subscriptions(ctx, id)],
        cards=held,
        invoices=invoices,
        said=str(request.query.get("said", "")),
    )


def described(ctx: Context, subscription: Doc) -> dict[str, Any]:
    """A subscription with its products' names and the day that matters next."""
    held = subscription["items"]["data"]
    names = [(items.product_name(ctx, item["price"]), item.get("quantity"), item["price"]) for item in held]
    ends = subscription["cancel_at"] or max(item["current_period_end"] for item in held)
    return {
        "subscription": subscription, "names": names, "ends": ends, "planned": _planned(ctx, subscription),
        "changeable": portal_plans.obstacle(subscription) is None,
    }  # fmt: skip


def _planned(ctx: Context, subscription: Doc) -> dict[str, Any] | None:
    """The change that a schedule will make: when, to what."""
    schedule = objects.find(ctx, "subscription_schedule", subscription["schedule"])
    coming = next((phase for phase in (schedule or {"phases": []})["phases"] if phase["start_date"] > ctx.now), None)
    price = objects.find(ctx, "price", coming["items"][0]["price"]) if coming else None
    if coming is None or price is None:
        return None
    name, quantity = items.product_name(ctx, price), coming["items"][0].get("quantity")
    return {"at": coming["start_date"], "name": name, "quantity": quantity, "price": price}


@page("GET", "/p/session/{token}/card")
def show_card_form(ctx: Context, request: PageRequest, token: str) -> Response:
    """Add a card"""
    visit = visit_of(ctx, token)
    return _card_page(ctx, request, visit) if visit else missing_page(request)


def _card_page(
    ctx: Context,
    request: PageRequest,
    visit: Visit,
    *,
    typed: dict[str, str] | None = None,
    error: str | None = None,
    field: str | None = None,
) -> Response:
    held = dict.fromkeys(FIELDS, "") | {"name": visit.customer["name"] or ""}
    return show(
        "portal_card.html",
        status=422 if error else 200,
        **shared(ctx, request, visit),
        typed=held | (typed or {}),
        error=error,
        field=field,
        cards=TEST_CARDS,
    )


@page("POST", "/p/session/{token}/card")
def submit_card(ctx: Context, request: PageRequest, token: str) -> Response:
    """Keep the card, and pay with it from now on"""
    visit = visit_of(ctx, token)
    if visit is None:
        return missing_page(request)
    typed = {name: str(request.form.get(name, "")).strip() for name in FIELDS}
    if wrong := wrong_card(typed):
        return _card_page(ctx, request, visit, typed=typed, error=wrong[1], field=wrong[0])
    try:
        card = from_data(ctx, card_data(typed, email=visit.customer["email"]))
    except CardError as error:
        return _card_page(ctx, request, visit, typed=typed, error=error.message, field=PLACES.get(error.param or ""))
    back = f"{ctx.base_url}{visit.address}/return"
    intent = portal_acts.add_card(ctx, visit.session, card, return_url=back)
    return _after_card(ctx, request, visit, intent, typed)


def _after_card(ctx: Context, request: PageRequest, visit: Visit, intent: Doc, typed: dict[str, str]) -> Response:
    if intent["status"] == "succeeded":
        return finished(ctx, request, visit, "payment_method_update", "card")
    if intent["status"] == "requires_action":
        return RedirectResponse(payments.challenge_url(ctx, intent), status_code=303)
    error = intent["last_setup_error"]
    return _card_page(
        ctx, request, visit, typed=typed, error=error["message"], field=PLACES.get(error.get("param", ""))
    )


@page("GET", "/p/session/{token}/return")
def return_to_portal(ctx: Context, request: PageRequest, token: str) -> Response:
    """Back from the bank's page"""
    visit = visit_of(ctx, token)
    intent = objects.find(ctx, "setup_intent", str(request.query.get("setup_intent", ""))) if visit else None
    if visit is None or intent is None or intent["customer"] != visit.customer["id"]:
        return missing_page(request)
    return _after_card(ctx, request, visit, intent, {})


def finished(ctx: Context, request: PageRequest, visit: Visit, act: str, said: str) -> Response:
    """Where the session wants its customer to go after what it was for."""
    flow = visit.session["flow"] or {}
    completion = flow.get("after_completion") or {}
    if flow.get("type") == act and completion.get("type") == "redirect":
        return RedirectResponse(completion["redirect"]["return_url"], status_code=303)
    if flow.get("type") == act and completion.get("type") == "hosted_confirmation":
        message = (completion["hosted_confirmation"] or {}).get("custom_message")
        return show("portal_done.html", **shared(ctx, request, visit), said=said, message=message)
    return RedirectResponse(f"{visit.address}?home=1&said={said}", status_code=303)


@page("POST", "/p/session/{token}/card/{id}")
def change_card(ctx: Context, request: PageRequest, token: str, id: str) -> Response:
    """Make a card the default, or remove it"""
    visit = visit_of(ctx, token)
    card = objects.find(ctx, "payment_method", id) if visit else None
    if visit is None or card is None or card["customer"] != visit.customer["id"]:
        return missing_page(request)
    if request.form.get("act") == "default":
        portal_acts.make_default(ctx, visit.customer, id)
        return RedirectResponse(f"{visit.address}?home=1&said=card", status_code=303)
    removed = portal_acts.remove_card(ctx, visit.customer, card)
    return RedirectResponse(f"{visit.address}?home=1&said={'removed' if removed else 'in_use'}", status_code=303)


@page("GET", "/p/session/{token}/details")
def show_details(ctx: Context, request: PageRequest, token: str) -> Response:
    """Name and e-mail, to be changed"""
    visit = visit_of(ctx, token)
    if visit is None or not visit.features["customer_update"]["enabled"]:
        return missing_page(request)
    return _details_page(ctx, request, visit, {name: visit.customer[name] or "" for name in ("name", "email")})


def _details_page(
    ctx: Context, request: PageRequest, visit: Visit, typed: dict[str, str], error: str | None = None
) -> Response:
    return show(
        "portal_details.html",
        status=422 if error else 200,
        **shared(ctx, request, visit),
        typed=typed,
        error=error,
        allowed=visit.features["customer_update"]["allowed_updates"],
    )


@page("POST", "/p/session/{token}/details")
def submit_details(ctx: Context, request: PageRequest, token: str) -> Response:
    """Keep what the customer says of themselves"""
    visit = visit_of(ctx, token)
    if visit is None or not visit.features["customer_update"]["enabled"]:
        return missing_page(request)
    typed = {name: str(request.form.get(name, "")).strip() for name in ("name", "email")}
    allowed = visit.features["customer_update"]["allowed_updates"]
    if "email" in allowed and (wrong := wrong_email(typed)):
        return _details_page(ctx, request, visit, typed, wrong[1])
    portal_acts.change_details(ctx, visit.customer, **typed, allowed=allowed)
    return finished(ctx, request, visit, "customer_update", "details")


def own(ctx: Context, visit: Visit | None, id: str) -> Doc | None:
    """The visitor's subscription of that id, unless it has ended."""
    subscription = objects.find(ctx, "subscription", id) if visit else None
    theirs = visit and subscription and subscription["customer"] == visit.customer["id"]
    return subscription if theirs and subscription and subscription["status"] != "canceled" else None


@page("GET", "/p/session/{token}/cancel/{id}")
def show_cancel(ctx: Context, request: PageRequest, token: str, id: str) -> Response:
    """What canceling means, before it is done"""
    visit = visit_of(ctx, token)
    return _cancel_page(ctx, request, visit, id) if visit else missing_page(request)


def _cancel_page(ctx: Context, request: PageRequest, visit: Visit, id: str) -> Response:
    subscription = own(ctx, visit, id)
    if subscription is None:
        return missing_page(request)
    feature = visit.features["subscription_cancel"]
    return show(
        "portal_cancel.html",
        **shared(ctx, request, visit),
        **described(ctx, subscription),
        feature=feature,
        offer=_offer(ctx, visit, subscription),
        reasons=(feature["cancellation_reason"]["options"] or REASONS)
        if feature["cancellation_reason"]["enabled"]
        else (),
    )


def _offer(ctx: Context, visit: Visit, subscription: Doc) -> Doc | None:
    """The coupon that the session offers to those who stay, unless they took it before."""
    flow = (visit.session["flow"] or {}).get("subscription_cancel") or {}
    offered = ((flow.get("retention") or {}).get("coupon_offer") or {}).get("coupon")
    held = [objects.load(ctx, "discount", id)["source"]["coupon"] for id in subscription["discounts"]]
    coupon = objects.find(ctx, "coupon", offered) if flow.get("subscription") == subscription["id"] else None
    return coupon if coupon and coupon["valid"] and coupon["id"] not in held else None


@page("POST", "/p/session/{token}/stay/{id}")
def submit_stay(ctx: Context, request: PageRequest, token: str, id: str) -> Response:
    """Take the offer instead of leaving; a second click changes nothing"""
    visit = visit_of(ctx, token)
    subscription = own(ctx, visit, id)
    if visit is None or subscription is None:
        return missing_page(request)
    offer = _offer(ctx, visit, subscription)
    if offer:
        portal_acts.stay(ctx, subscription, offer["id"])
    return finished(ctx, request, visit, "subscription_cancel", "stayed")


@page("POST", "/p/session/{token}/cancel/{id}")
def submit_cancel(ctx: Context, request: PageRequest, token: str, id: str) -> Response:
    """Cancel; a second click changes nothing"""
    visit = visit_of(ctx, token)
    subscription = own(ctx, visit, id)
    if visit is None or subscription is None or not visit.features["subscription_cancel"]["enabled"]:
        return missing_page(request)
    if not subscription["cancel_at_period_end"]:
        feedback = request.form.get("feedback")
        reason = {"feedback": feedback if feedback in REASONS else None, "comment": request.form.get("comment")}
        portal_acts.cancel(ctx, subscription, visit.features["subscription_cancel"], reason)
    return finished(ctx, request, visit, "subscription_cancel", "canceled")


@page("POST", "/p/session/{token}/resume/{id}")
def submit_resume(ctx: Context, request: PageRequest, token: str, id: str) -> Response:
    """Do not cancel after all"""
    visit = visit_of(ctx, token)
    subscription = own(ctx, visit, id)
    if visit is None or subscription is None:
        return missing_page(request)
    portal_acts.resume(ctx, subscription)
    return RedirectResponse(f"{visit.address}?home=1&said=resumed", status_code=303)
