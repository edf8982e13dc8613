"""One customer on the front page: what they have, owe and paid, and what can be done to them."""

from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.hosted.index_words import CARDS, next_of
from sandbox.kinds import Doc
from sandbox.resources.payment_methods import attach, resolve
from sandbox.routes import PageRequest, page

NEWEST = 6
LIVING = ["active", "past_due", "trialing", "unpaid", "incomplete", "paused"]


def customer_panel(ctx: Context, customer: Doc) -> dict[str, Any]:
    """What the front page shows of a customer that was chosen."""
    id = customer["id"]
    default = objects.find(ctx, "payment_method", customer["invoice_settings"]["default_payment_method"])
    return {
        "customer": customer,
        "default": default,
        "card": _describe(default),
        "subscriptions": [
            (one, what_comes(ctx, one))
            for one in ctx.tx.page(ctx.scope, "subscription", {"customer": id}, limit=NEWEST)
        ],
        "invoices": ctx.tx.page(ctx.scope, "invoice", {"customer": id}, limit=NEWEST),
        "charges": ctx.tx.page(ctx.scope, "charge", {"customer": id}, limit=NEWEST),
        "cards": [(name, what) for name, what in CARDS.items()],
    }


def what_comes(ctx: Context, subscription: Doc) -> str:
    """What comes next for it, in a few words."""
    owing = subscription["status"] in ("past_due", "unpaid", "incomplete")
    invoice = ctx.tx.get(ctx.scope, "invoice", subscription["latest_invoice"] or "") if owing else None
    return next_of(subscription, (invoice or {}).get("next_payment_attempt"), ctx.now)


def _describe(payment_method: Doc | None) -> str:
    if payment_method is None:
        return "No payment method"
    card = payment_method.get("card")
    if card:
        return f"{str(card['display_brand']).replace('_', ' ').capitalize()} ·· {card['last4']}"
    return str(payment_method["type"]).replace("_", " ").capitalize()


def waiting_payments(ctx: Context, limit: int) -> list[dict[str, Any]]:
    """What somebody could pay now: vouchers, transfers and debits that are awaited, pages that are open, invoices; up
    to `limit` of each, with the name of who owes it."""
    intents = ctx.tx.page(ctx.scope, "payment_intent", {"status": "requires_action"}, limit=limit)
    asked = ctx.tx.page(ctx.scope, "payment_intent", {"status": "processing"}, limit=limit)
    sessions = ctx.tx.page(ctx.scope, "checkout.session", {"status": "open"}, limit=limit)
    invoices = ctx.tx.page(ctx.scope, "invoice", {"status": "open"}, limit=limit)
    found = [
        *(_waiting_intent(intent) for intent in intents if intent["next_action"]),
        *(_waiting("debit", "Direct debit", intent["id"], intent["amount"], intent) for intent in asked),
        *map(_waiting_session, sessions),
        *map(_waiting_invoice, invoices),
    ]
    return [one | {"who": _named(ctx, one["customer"]) or one["who"]} for one in found]


def _named(ctx: Context, id: str | None) -> str:
    customer = ctx.tx.get(ctx.scope, "customer", id or "") or {}
    return str(customer.get("name") or customer.get("email") or "")


def _waiting_session(session: Doc) -> dict[str, Any]:
    email = (session["customer_details"] or {}).get("email") or ""
    return _waiting("page", f"Checkout, {session['mode']}", email, session["amount_total"], session) | {
        "url": session["url"]
    }


def _waiting_invoice(invoice: Doc) -> dict[str, Any]:
    who = invoice["customer_email"] or invoice["customer_name"] or ""
    return _waiting("page", f"Invoice {invoice['number']}", who, invoice["amount_remaining"], invoice) | {
        "url": invoice["hosted_invoice_url"]
    }


def _waiting_intent(intent: Doc) -> dict[str, Any]:
    action = intent["next_action"]
    forms = {
        "konbini_display_details": ("voucher", "Konbini voucher"),
        "display_bank_transfer_instructions": ("transfer", "Bank transfer"),
    }
    form, what = forms.get(action["type"], ("page", "3-D Secure"))
    details = action.get(action["type"]) or {}
    url = details.get("hosted_voucher_url") or details.get("hosted_instructions_url") or details.get("url")
    shown = _waiting(form, what, intent["id"], intent["amount"] - intent["amount_received"], intent)
    return shown | {"url": url or details.get("stripe_js")}


def _waiting(form: str, what: str, who: str, amount: int | None, doc: Doc) -> dict[str, Any]:
    return {"form": form, "what": what, "who": who, "amount": amount, "currency": doc["currency"], "id": doc["id"],
            "customer": doc["customer"], "url": None}  # fmt: skip


@page("POST", "/_sandbox/customers/{id}/card")
def change_card(ctx: Context, request: PageRequest, id: str) -> Doc:
    """The card that pays for this customer from now on: {"card": "pm_card_chargeCustomerFail"}, or one whose next
    payments are refused before it pays: {"card": "pm_card_visa", "fails": 2}. Subscriptions with a card of their own
    get it too."""
    scope = ctx.tx.locate("customer", id)
    if scope is None:
        raise ApiError(f"No such customer: '{id}'", status=404, param="id")
    ctx.enter(scope)
    customer = objects.load(ctx, "customer", id, in_path=True)
    card = attach(ctx, resolve(ctx, str(request.form.get("card", "")), param="card"), customer)
    card = objects.update(ctx, card, {"_fails": _fails(request)})
    settings = customer["invoice_settings"] | {"default_payment_method": card["id"]}
    objects.update(ctx, customer, {"invoice_settings": settings}, event="customer.updated")
    for subscription in objects.query(ctx, "subscription", customer=id, status=LIVING):
        if subscription["default_payment_method"]:
            paying = {"default_payment_method": card["id"]}
            objects.update(ctx, subscription, paying, event="customer.subscription.updated")
    return {"payment_method": card["id"], "sentence": _card_sentence(customer, card, str(request.form["card"]))}


def _fails(request: PageRequest) -> int:
    given = str(request.form.get("fails") or 0)
    if not given.isdecimal():
        raise ApiError(f"Invalid integer: {given}", param="fails")
    return int(given)


def _card_sentence(customer: Doc, card: Doc, name: str) -> str:
    who = customer["name"] or customer["email"] or customer["id"]
    what = CARDS.get(name, "is one of the test cards")
    then = "The next invoice charges it: advance time to see that."
    return f"{who} pays with {_describe(card)} from now on, which {what}. {then}"
