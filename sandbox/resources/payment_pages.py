"""Payment pages: what a checkout session is to the page that pays it. Stripe's own command line uses them to complete
a session without a browser; they are not part of the documented API."""

from typing import Any

from sandbox import objects
from sandbox.billing import checking_out
from sandbox.context import Context
from sandbox.errors import ApiError, CardError
from sandbox.kinds import Doc
from sandbox.params import Ignored, Int, Str
from sandbox.resources.payment_methods import resolve
from sandbox.routes import route


@route("GET", "/v1/payment_pages/{id}", params={"key": Ignored()}, publishable=True)
def retrieve_payment_page(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve what a checkout page shows"""
    return _page(objects.load(ctx, "checkout.session", id, param="session", in_path=True))


def _page(session: Doc) -> Doc:
    shown = ("amount_total", "currency", "customer", "livemode", "locale", "mode", "status", "success_url", "url")
    return {
        "id": "ppage_" + session["id"].removeprefix("cs_")[5:29],
        "object": "payment_page",
        "session_id": session["id"],
        "state": {"open": "active", "complete": "succeeded", "expired": "expired"}[session["status"]],
        **{name: session[name] for name in shown},
    }


@route("POST", "/v1/payment_pages/{id}/confirm", params={
    "expected_amount": Int(), "key": Ignored(), "payment_method": Str(required=True),
}, publishable=True)  # fmt: skip
def confirm_payment_page(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Pay a checkout session with a payment method"""
    session = objects.load(ctx, "checkout.session", id, param="session", in_path=True)
    if session["status"] != "open":
        raise ApiError(f"This Checkout Session has a status of {session['status']} and cannot be paid.")
    if params.get("expected_amount", session["amount_total"]) != session["amount_total"]:
        raise ApiError(
            "The amount expected is not what this Checkout Session asks for.",
            code="checkout_amount_mismatch",
            param="expected_amount",
        )
    card = resolve(ctx, params["payment_method"])
    details = card["billing_details"]
    result = checking_out.pay(ctx, session, card, email=details["email"] or "", name=details["name"] or "")
    if result.error:
        raise CardError(result.error, code="card_declined")
    return _page(objects.load(ctx, "checkout.session", id))
