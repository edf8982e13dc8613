"""Payment methods: cards, by number, by token or by one of the `pm_card_…` names; bank accounts, and the ways to pay
that need no account (konbini, customer_balance).

For other resources: `resolve(ctx, id)` gives the payment method for what a client passed (a `pm_card_…` name
becomes a new one), `attach(ctx, payment_method, customer)` binds it, `card_of(payment_method)` tells how it behaves.
"""

import datetime
import hashlib
from collections.abc import Callable
from typing import Any

from sandbox import objects, testbanks, testcards
from sandbox.context import Context
from sandbox.documents import BASE62, merge_metadata
from sandbox.errors import ApiError, CardError, missing, no_such
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, paging
from sandbox.params import ADDRESS, Enum, Hash, Ignored, Int, Metadata, Shape, Str
from sandbox.resources import bank_accounts
from sandbox.routes import route
from sandbox.testcards import TestCard

PAYMENT_METHOD = kind(
    "payment_method",
    prefix="pm",
    label="PaymentMethod",
    indexed=("customer", "type", "allow_redisplay"),
    expandable={"customer": "customer"},
)
BILLING_DETAILS: Shape = {
    "address": Hash(ADDRESS, unset=True),
    "email": Str(unset=True),
    "name": Str(unset=True),
    "phone": Str(unset=True),
    "tax_id": Str(unset=True),
}
CARD: Shape = {
    "number": Str(),
    "exp_month": Int(),
    "exp_year": Int(),
    "cvc": Str(),
    "token": Str(),
    "networks": Ignored(),
}
ACCOUNT: Shape = {
    "account_holder_type": Enum("company", "individual"),
    "account_number": Str(),
    "account_type": Enum("checking", "savings"),
    "financial_connections_account": Ignored(),
    "routing_number": Str(),
}
DETACHED: list[Callable[[Context, Doc, Doc], None]] = []
"""Functions (ctx, payment method, customer) told of what a customer does not have any more."""
USED_ONCE = ("konbini", "customer_balance")
"""What cannot be kept for a customer."""
REDISPLAY = Enum("always", "limited", "unspecified")
DATA: Shape = {
    "type": Enum("card", "customer_balance", "konbini", "sepa_debit", "us_bank_account", required=True),
    "card": Hash(CARD),
    "customer_balance": Hash({}),
    "konbini": Hash({}),
    "sepa_debit": Hash({"iban": Str(required=True)}),
    "us_bank_account": Hash(ACCOUNT),
    "billing_details": Hash(BILLING_DETAILS),
    "metadata": Metadata(),
    "allow_redisplay": REDISPLAY,
    "radar_options": Ignored(),
}
UPDATE: Shape = {
    "card": Hash({"exp_month": Int(), "exp_year": Int(), "networks": Ignored()}),
    "billing_details": Hash(BILLING_DETAILS),
    "metadata": Metadata(),
    "allow_redisplay": REDISPLAY,
}
FILTERS = {"type": Str(), "customer": Str(), "allow_redisplay": REDISPLAY}


@route("POST", "/v1/payment_methods", params=DATA, publishable=True)
def create_payment_method(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a payment method"""
    return from_data(ctx, params)


def from_data(ctx: Context, data: dict[str, Any]) -> Doc:
    """A new payment method from `payment_method_data`. Raises CardError for a number or date that cannot be."""
    fields = _fields_given(ctx, data)
    fields["billing_details"] = _billing_details(fields["billing_details"], data.get("billing_details"))
    fields["metadata"] = merge_metadata({}, data.get("metadata"))
    fields["allow_redisplay"] = data.get("allow_redisplay", "unspecified")
    if fields["type"] == "card":
        fields["card"]["checks"] |= _address_checks(fields)
    return objects.create(ctx, "payment_method", fields)


def _fields_given(ctx: Context, data: dict[str, Any]) -> Doc:
    type = data["type"]
    given = data.get(type) or {}
    if type == "card":
        return card_fields(ctx, given)
    if type == "sepa_debit":
        return _common() | bank_accounts.iban_fields(given)
    return _common() | (bank_accounts.american_fields(given) if type == "us_bank_account" else {type: {}, "type": type})


def _address_checks(fields: Doc) -> Doc:
    """The bank checks what it is told of the address."""
    address, card = fields["billing_details"]["address"], testcards.by_number(fields["_number"])
    checks = {}
    if address["line1"]:
        checks["address_line1_check"] = card.line1_check
    if address["postal_code"]:
        checks["address_postal_code_check"] = card.zip_check
    return checks


def card_fields(ctx: Context, given: dict[str, Any]) -> Doc:
    """The fields of a payment method, not stored, for a token or a number. Raises CardError as `from_data`."""
    if "token" in given:
        return token_fields(ctx, given["token"], param="card[token]")
    fields = _fields(ctx, _card_given(given))
    fields["card"] |= {"exp_month": given["exp_month"], "exp_year": _full_year(ctx, given["exp_year"])}
    if "cvc" not in given:
        fields["card"]["checks"]["cvc_check"] = None
    return fields


def token_fields(ctx: Context, id: str, *, param: str) -> Doc:
    """The fields that a token stands for: one of the `tok_…` names, or a token that was made, which is used up."""
    card = testcards.by_name(id)
    if card:
        return _fields(ctx, card)
    token = objects.find(ctx, "token", id)
    if token is None:
        raise no_such("token", id, param=param)
    if token["used"]:
        message = f"You cannot use a Stripe token more than once: {id}."
        raise ApiError(message, code="token_already_used", param=param)
    objects.update(ctx, token, {"used": True})
    fields: Doc = token["_fields"]
    return fields


def _card_given(given: dict[str, Any]) -> TestCard:
    for name in ("number", "exp_month", "exp_year"):
        if name not in given:
            raise missing(f"card[{name}]")
    number = given["number"].replace(" ", "").replace("-", "")
    if not testcards.is_card_number(number):
        raise CardError("Your card number is incorrect.", code="incorrect_number", param="number")
    if not 1 <= given["exp_month"] <= 12:
        raise CardError("Your card's expiration month is invalid.", code="invalid_expiry_month", param="exp_month")
    return testcards.by_number(number)


def _full_year(ctx: Context, year: int) -> int:
    full = year + 2000 if year < 100 else year
    if not _year(ctx) <= full <= _year(ctx) + 50:
        raise CardError("Your card's expiration year is invalid.", code="invalid_expiry_year", param="exp_year")
    return full


def _year(ctx: Context) -> int:
    return datetime.datetime.fromtimestamp(ctx.now, datetime.UTC).year


def _common() -> Doc:
    empty = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    return {
        "allow_redisplay": "unspecified",
        "billing_details": {"address": empty, "email": None, "name": None, "phone": None, "tax_id": None},
        "customer": None,
        "customer_account": None,
        "metadata": {},
        "_set_up": False,
    }


def _fields(ctx: Context, card: TestCard) -> Doc:
    return _common() | {
        "card": {
            "brand": card.brand,
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": card.cvc_check,
            },
            "country": card.country,
            "display_brand": {"amex": "american_express", "diners": "diners_club"}.get(card.brand, card.brand),
            "exp_month": 12,
            "exp_year": _year(ctx) + 4,
            "fingerprint": _fingerprint(card.number),
            "funding": card.funding,
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "type": "card",
        "_number": card.number,
    }


def _fingerprint(number: str) -> str:
    digest = hashlib.sha256(number.encode()).digest()
    return "".join(BASE62[byte % 62] for byte in digest[:16])


def _billing_details(old: Doc, given: dict[str, Any] | None) -> Doc:
    details = {**old, **(given or {})}
    details["address"] = {**dict.fromkeys(ADDRESS), **(details["address"] or {})}
    return details


@route("GET", "/v1/payment_methods", params=paging(**FILTERS, customer_account=Ignored()))
def list_payment_methods(ctx: Context, params: dict[str, Any]) -> Doc:
    """List payment methods"""
    if "customer" in params:
        objects.load(ctx, "customer", params["customer"], param="customer")
    filters = {name: params.get(name) for name in FILTERS}
    return list_page(ctx, "payment_method", params, filters)


@route("GET", "/v1/payment_methods/{id}", makes=lambda values: values["id"].startswith("pm_card_"))
def retrieve_payment_method(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a payment method; one of the `pm_card_…` names makes a new one, which can be attached"""
    return resolve(ctx, id, in_path=True)


@route("POST", "/v1/payment_methods/{id}", params=UPDATE)
def update_payment_method(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a payment method"""
    payment_method = objects.load(ctx, "payment_method", id, param="payment_method", in_path=True)
    changes: Doc = {name: params[name] for name in ("allow_redisplay",) if name in params}
    if "card" in params:
        changes["card"] = payment_method["card"] | {
            name: params["card"][name] for name in ("exp_month", "exp_year") if name in params["card"]
        }
    if "billing_details" in params:
        changes["billing_details"] = _billing_details(payment_method["billing_details"], params["billing_details"])
    if "metadata" in params:
        changes["metadata"] = merge_metadata(payment_method["metadata"], params["metadata"])
    return objects.update(ctx, payment_method, changes, event="payment_method.updated")


@route(
    "POST", "/v1/payment_methods/{id}/attach", params={"customer": Str(required=True), "customer_account": Ignored()}
)
def attach_payment_method(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Attach a payment method to a customer"""
    payment_method = resolve(ctx, id, in_path=True)
    return attach(ctx, payment_method, objects.load(ctx, "customer", params["customer"], param="customer"))


def resolve(ctx: Context, id: str, *, param: str = "payment_method", in_path: bool = False) -> Doc:
    """The payment method for an id; one of the `pm_card_…`, `pm_usBankAccount_…` and `tok_…` names makes a new one."""
    card, bank = testcards.by_name(id), testbanks.by_name(id)
    if card:
        return objects.create(ctx, "payment_method", _fields(ctx, card))
    if bank:
        return objects.create(ctx, "payment_method", _common() | bank_accounts.named_fields(bank))
    return objects.load(ctx, "payment_method", id, param=param, in_path=in_path)


def card_of(payment_method: Doc) -> TestCard:
    """How the card behaves; what is no card behaves like one that pays."""
    return testcards.by_number(payment_method.get("_number") or testcards.BRANDS[0].number)


def attach(ctx: Context, payment_method: Doc, customer: Doc) -> Doc:
    """Bind to a customer; a card whose bank refuses even that raises CardError."""
    if payment_method["customer"] == customer["id"]:
        return payment_method
    if payment_method["customer"]:
        raise ApiError(
            "The payment method you provided has already been attached to a customer.", param="payment_method"
        )
    if payment_method.get("_detached"):
        raise ApiError(
            "This PaymentMethod was previously used without being attached to a Customer or was detached from a "
            "Customer, and may not be used again.",
            param="payment_method",
        )
    if payment_method["type"] in USED_ONCE:
        raise ApiError(
            f"Payment methods of type `{payment_method['type']}` can be used once and not be attached to a customer.",
            param="payment_method",
        )
    card = card_of(payment_method)
    if card.code and not card.attachable:
        raise declined(card)
    attached = objects.update(ctx, payment_method, {"customer": customer["id"]})
    objects.announce(ctx, "payment_method.attached", attached)
    return attached


def declined(card: TestCard, **fields: Any) -> CardError:
    """The bank's refusal as Stripe reports it."""
    code = card.code or "card_declined"
    if code == "card_declined" or card.decline_code:
        fields |= {"decline_code": card.decline_code} | testcards.ADVICE.get(card.decline_code, {})
    if param := {"incorrect_cvc": "cvc", "expired_card": "exp_month"}.get(code):
        fields["param"] = param
    return CardError(testcards.decline_message(card), code=code, **fields)


@route("POST", "/v1/payment_methods/{id}/detach")
def detach_payment_method(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Detach a payment method from its customer"""
    payment_method = objects.load(ctx, "payment_method", id, param="payment_method", in_path=True)
    if not payment_method["customer"]:
        raise ApiError(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
            param="payment_method",
        )
    return detach(ctx, payment_method)


def detach(ctx: Context, payment_method: Doc) -> Doc:
    """Take from its customer, for good: a detached payment method cannot be used again."""
    customer = objects.find(ctx, "customer", payment_method["customer"])
    detached = objects.update(ctx, payment_method, {"customer": None, "_detached": True})
    objects.announce(ctx, "payment_method.detached", detached, previous={"customer": payment_method["customer"]})
    if customer and customer["invoice_settings"]["default_payment_method"] == payment_method["id"]:
        settings = customer["invoice_settings"] | {"default_payment_method": None}
        objects.update(ctx, customer, {"invoice_settings": settings}, event="customer.updated")
    if customer:
        for told in DETACHED:
            told(ctx, detached, customer)
    return detached


@route("GET", "/v1/customers/{customer}/payment_methods", params=paging(type=Str(), allow_redisplay=REDISPLAY))
def list_customer_payment_methods(ctx: Context, params: dict[str, Any], customer: str) -> Doc:
    """List a customer's payment methods"""
    objects.load(ctx, "customer", customer, param="customer", in_path=True)
    filters = {
        "customer": customer,
        "type": params.get("type"),
        "allow_redisplay": params.get("allow_redisplay"),
    }
    return list_page(ctx, "payment_method", params, filters, url=f"/v1/customers/{customer}/payment_methods")


@route("GET", "/v1/customers/{customer}/payment_methods/{id}")
def retrieve_customer_payment_method(ctx: Context, params: dict[str, Any], customer: str, id: str) -> Doc:
    """Retrieve a customer's payment method"""
    payment_method = objects.load(ctx, "payment_method", id, param="payment_method", in_path=True)
    if payment_method["customer"] != customer:
        raise no_such("PaymentMethod", id, param="payment_method", in_path=True)
    return payment_method
