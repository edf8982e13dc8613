"""Charges made without a payment intent: the older way, by a card's token or a customer's source. Source: Stripe docs,
"The Charge object"."""

from typing import Any

from sandbox import jobs, objects
from sandbox.context import Context
from sandbox.documents import merge_metadata, render
from sandbox.errors import ApiError, CardError
from sandbox.kinds import Doc
from sandbox.money import check_chargeable, in_words
from sandbox.params import Bool, Hash, Ignored, Int, Metadata, Param, Str
from sandbox.resources import payments, sources
from sandbox.resources.charges import charge_card, refusal_of, take
from sandbox.resources.customers import SHIPPING_TO
from sandbox.resources.payment_methods import card_of, token_fields
from sandbox.resources.prices import checked_currency
from sandbox.resources.tokens import card_object
from sandbox.routes import route
from sandbox.testcards import Authentication

IGNORED = ("application_fee_amount", "destination", "on_behalf_of", "radar_options", "transfer_data")
CREATE: dict[str, Param] = {
    "amount": Int(min=1, required=True),
    "capture": Bool(),
    "currency": Str(required=True),
    "customer": Str(),
    "description": Str(unset=True),
    "metadata": Metadata(),
    "receipt_email": Str(),
    "shipping": Hash(SHIPPING_TO),
    "source": Str(),
    "statement_descriptor": Str(max_length=22),
    "statement_descriptor_suffix": Str(max_length=22),
    "transfer_group": Str(),
    **dict.fromkeys(IGNORED, Ignored()),
}
SHARED = ("amount", "description", "receipt_email", "shipping", "statement_descriptor", "statement_descriptor_suffix",
          "transfer_group")  # fmt: skip


@route("POST", "/v1/charges", params=CREATE)
def create_charge(ctx: Context, params: dict[str, Any]) -> Doc:
    """Charge a card by its token, or one that a customer has as a source"""
    currency = checked_currency(params["currency"])
    check_chargeable(params["amount"], currency)
    source, payment_method = _paying(ctx, params)
    card = card_of(payment_method)
    asks = card.authentication in (Authentication.ALWAYS, Authentication.UNLESS_SET_UP, Authentication.ON_SESSION)
    refusal = payments.AUTHENTICATION_REFUSED if asks else refusal_of(card)
    order = _order(params, currency, source)
    charge = charge_card(ctx, order, payment_method, refusal, challenged=False)
    if refusal:
        told = ("advice_code", "decline_code", "network_decline_code")
        more = {name: refusal[name] for name in told if refusal.get(name)}
        raise CardError(refusal["message"], code=refusal["code"], charge=charge["id"], **more)
    if not charge["captured"]:
        due = charge["payment_method_details"]["card"]["capture_before"]
        jobs.schedule(ctx, "charge.release", due_at=due, name=charge["id"], payload={"charge": charge["id"]})
    return charge


@jobs.job("charge.release")
def release(ctx: Context, payload: dict[str, Any]) -> None:
    """Nobody captured it in time: the money is not held any more."""
    charge = objects.load(ctx, "charge", payload["charge"])
    if not charge["captured"]:
        payments.release(ctx, charge, "charge.expired")


def _paying(ctx: Context, params: dict[str, Any]) -> tuple[Doc, Doc]:
    """The card to charge in its two pictures: a source of the customer's, or what a token stands for."""
    if "customer" in params:
        customer = objects.load(ctx, "customer", params["customer"], param="customer")
        card = sources.charged(ctx, customer, params.get("source"))
        return render(card), objects.load(ctx, "payment_method", card["id"])
    if "source" not in params:
        raise ApiError("Must provide source or customer.", code="parameter_missing")
    fields = token_fields(ctx, params["source"], param="source")
    card = card_object(ctx, fields)
    return card, fields | {"id": card["id"], "object": "card"}


def _order(params: dict[str, Any], currency: str, source: Doc) -> Doc:
    """What a charge reads of a payment intent, when there is none."""
    held = params.get("capture") is False
    return {name: params.get(name) for name in SHARED} | {
        "capture_method": "manual" if held else "automatic",
        "currency": currency,
        "customer": params.get("customer"),
        "id": None,
        "metadata": merge_metadata({}, params.get("metadata")),
        "on_behalf_of": None,
        "payment_method_options": payments.METHOD_OPTIONS,
        "source": source,
    }


CAPTURE: dict[str, Param] = {
    "amount": Int(min=1),
    "receipt_email": Str(),
    "statement_descriptor": Str(max_length=22),
    "statement_descriptor_suffix": Str(max_length=22),
    "transfer_group": Str(),
    **dict.fromkeys(("application_fee_amount", "transfer_data"), Ignored()),
}


@route("POST", "/v1/charges/{id}/capture", params=CAPTURE)
def capture_charge(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Capture a charge that was only held"""
    charge = objects.load(ctx, "charge", id, in_path=True)
    amount: int = params.pop("amount", charge["amount"])
    if charge["payment_intent"]:
        raise ApiError(
            f"This charge was made by a PaymentIntent. Capture it by capturing {charge['payment_intent']}.", param="id"
        )
    if charge["captured"]:
        raise ApiError(f"Charge {id} has already been captured.", code="charge_already_captured")
    if charge["refunded"]:
        message = "The charge cannot be captured as the authorization has expired."
        raise ApiError(message, code="charge_expired_for_capture")
    if charge["status"] != "succeeded" or amount > charge["amount"]:
        most = in_words(charge["amount"], charge["currency"])
        raise ApiError(f"Charge {id} holds {most} at most and only if it succeeded.", param="amount")
    shown = {name: value for name, value in params.items() if not isinstance(CAPTURE[name], Ignored)}
    taken = take(ctx, objects.update(ctx, charge, shown), amount)
    objects.announce(ctx, "charge.captured", taken)
    return taken
