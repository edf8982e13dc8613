"""The bank's page: the cardholder passes or fails the challenge that a 3-D Secure card asks for; and receipts."""

import hmac
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from sandbox import objects
from sandbox.context import Context
from sandbox.errors import no_such
from sandbox.kinds import Doc
from sandbox.money import in_words
from sandbox.pages import show
from sandbox.resources import payments, setup_intents
from sandbox.routes import PageRequest, page


@page("GET", "/challenge/{id}")
def show_challenge(ctx: Context, request: PageRequest, id: str) -> Response:
    """Ask the cardholder"""
    intent = _intent(ctx, id, request.query.get("client_secret"))
    return show("challenge.html", intent=intent, amount=_amount(intent), back=_address_back(intent))


@page("POST", "/challenge/{id}")
def answer_challenge(ctx: Context, request: PageRequest, id: str) -> Response:
    """Take the cardholder's answer; a second click changes nothing"""
    intent = _intent(ctx, id, request.query.get("client_secret"))
    if intent["status"] == "requires_action":
        passed = request.form.get("answer") == "complete"
        finish = payments.finish_challenge if intent["object"] == "payment_intent" else setup_intents.finish_challenge
        intent = finish(ctx, intent, passed=passed)
    back = _address_back(intent)
    if back:
        return RedirectResponse(back, status_code=303)
    return show("challenge.html", intent=intent, amount=_amount(intent), back=None)


def _intent(ctx: Context, id: str, client_secret: str | None) -> Doc:
    kind = "setup_intent" if id.startswith("seti_") else "payment_intent"
    scope = ctx.tx.locate(kind, id)
    if scope is None:
        raise no_such(kind, id, in_path=True)
    ctx.enter(scope)
    intent = objects.load(ctx, kind, id, in_path=True)
    known = hmac.compare_digest(intent["client_secret"].encode(), (client_secret or "").encode())
    if not known or payments.is_later(intent):
        raise no_such(kind, id, in_path=True)
    return intent


def _amount(intent: Doc) -> str | None:
    return in_words(intent["amount"], intent["currency"]) if intent["object"] == "payment_intent" else None


def _address_back(intent: Doc) -> str | None:
    """The merchant's return_url with what Stripe adds to it."""
    url: str | None = intent.get("_return_url")
    if not url:
        return None
    name = intent["object"]
    passed = intent["status"] in ("succeeded", "requires_capture", "processing")
    query = urlencode(
        {
            name: intent["id"],
            f"{name}_client_secret": intent["client_secret"],
            "redirect_status": "succeeded" if passed else "failed",
        }
    )
    return f"{url}{'&' if '?' in url else '?'}{query}"


@page("GET", "/receipts/{id}")
def show_receipt(ctx: Context, request: PageRequest, id: str) -> Response:
    """The receipt of a charge"""
    scope = ctx.tx.locate("charge", id)
    if scope is None:
        raise no_such("charge", id, in_path=True)
    ctx.enter(scope)
    charge = objects.load(ctx, "charge", id, in_path=True)
    return show(
        "receipt.html",
        charge=charge,
        amount=in_words(charge["amount"], charge["currency"]),
        refunded=in_words(charge["amount_refunded"], charge["currency"]) if charge["amount_refunded"] else None,
    )
