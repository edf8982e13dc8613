"""Tokens: a card under a name that can be used once."""

from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.documents import new_id
from sandbox.errors import missing
from sandbox.kinds import Doc, kind
from sandbox.params import Hash, Ignored, Int, Shape, Str
from sandbox.resources.payment_methods import card_fields
from sandbox.routes import route

TOKEN = kind("token", prefix="tok")
CARD = kind(
    "card", prefix="card", without=("created", "livemode"), indexed=("customer",), expandable={"customer": "customer"}
)
ADDRESS_LINES = ("address_city", "address_country", "address_line1", "address_line2", "address_state", "address_zip")
CARD_GIVEN: Shape = {
    "number": Str(required=True),
    "exp_month": Int(required=True),
    "exp_year": Int(required=True),
    "cvc": Str(),
    "name": Str(),
    "currency": Ignored(),
    "networks": Ignored(),
    **dict.fromkeys(ADDRESS_LINES, Str()),
}
BRANDS = {
    "amex": "American Express", "diners": "Diners Club", "discover": "Discover", "jcb": "JCB",
    "mastercard": "MasterCard", "unionpay": "UnionPay", "visa": "Visa",
}  # fmt: skip
"""As card objects spell what payment methods name in small letters."""


@route("POST", "/v1/tokens", params={"card": Hash(CARD_GIVEN)}, publishable=True)
def create_token(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a token for a card"""
    if "card" not in params:
        raise missing("card")
    given = params["card"]
    fields = card_fields(
        ctx, {name: given[name] for name in ("number", "exp_month", "exp_year", "cvc") if name in given}
    )
    card = card_object(ctx, fields) | {name: given[name] for name in ("name", *ADDRESS_LINES) if name in given}
    return objects.create(
        ctx, "token", {"card": card, "client_ip": None, "type": "card", "used": False, "_fields": fields}
    )


@route("GET", "/v1/tokens/{id}", publishable=True)
def retrieve_token(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a token"""
    return objects.load(ctx, "token", id, param="token", in_path=True)


def card_object(ctx: Context, fields: Doc) -> Doc:
    """The older picture of a card, made from a payment method's fields."""
    card = fields["card"]
    nothing = dict.fromkeys(
        (*ADDRESS_LINES, "address_line1_check", "address_zip_check", "dynamic_last4", "name", "tokenization_method")
    )
    shared = ("country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "regulated_status")
    shown = nothing | {name: card[name] for name in shared}
    shown |= {
        "brand": BRANDS.get(card["brand"], "Unknown"),
        "cvc_check": card["checks"]["cvc_check"],
        "metadata": {},
        "networks": {"preferred": None},
    }
    return {"id": new_id(ctx, "card"), "object": "card", **dict(sorted(shown.items()))}
