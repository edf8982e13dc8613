"""Customers."""

import re
from collections.abc import Callable
from typing import Any

from sandbox import objects
from sandbox.billing import balances, discounts
from sandbox.context import Context
from sandbox.documents import merge_metadata, random_text, render
from sandbox.errors import ApiError
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_object, list_page, listing
from sandbox.params import ADDRESS, Array, Enum, Hash, Ignored, Int, Metadata, Param, Shape, Str
from sandbox.resources import sources, tax_ids
from sandbox.resources.payment_methods import attach, detach, resolve
from sandbox.routes import route

INVOICE_SETTINGS: Shape = {
    "custom_fields": Array(Hash({"name": Str(required=True), "value": Str(required=True)}), unset=True),
    "default_payment_method": Str(unset=True),
    "footer": Str(unset=True),
    "rendering_options": Hash(
        {
            "amount_tax_display": Enum("exclude_tax", "include_inclusive_tax", unset=True),
            "template": Str(unset=True),
        },
        unset=True,
    ),
}
SHIPPING: Shape = {
    "address": Hash(ADDRESS, required=True),
    "name": Str(required=True),
    "phone": Str(unset=True),
}
SHIPPING_TO: Shape = {**SHIPPING, "carrier": Str(unset=True), "tracking_number": Str(unset=True)}
"""Of a payment: a parcel, too."""
COMMON: dict[str, Param] = {
    "address": Hash(ADDRESS, unset=True),
    "balance": Int(min=-99_999_999_999),
    "business_name": Str(unset=True, max_length=150),
    "cash_balance": Ignored(),
    "coupon": Str(unset=True),
    "description": Str(unset=True),
    "email": Str(unset=True, max_length=512),
    "individual_name": Str(unset=True, max_length=150),
    "invoice_prefix": Str(max_length=12),
    "invoice_settings": Hash(INVOICE_SETTINGS),
    "metadata": Metadata(),
    "name": Str(unset=True, max_length=256),
    "next_invoice_sequence": Int(min=1),
    "phone": Str(unset=True, max_length=20),
    "preferred_locales": Array(Str(), unset=True),
    "promotion_code": Str(),
    "shipping": Hash(SHIPPING, unset=True),
    "source": Str(),
    "tax": Ignored(),
    "validate": Ignored(),
    "tax_exempt": Enum("none", "exempt", "reverse", unset=True),
}
CREATE = COMMON | {
    "payment_method": Str(),
    "tax_id_data": Array(Hash(tax_ids.CREATE)),
    "test_clock": Str(),
}
UPDATE = COMMON | {"default_source": Str()}
IGNORED = {name for name, param in CREATE.items() if isinstance(param, Ignored)}


TAX = {
    "automatic_tax": "unrecognized_location",
    "ip_address": None,
    "location": None,
    "provider": "stripe",
}
"""Where a customer is, for automatic tax, is not looked for."""


def _subscriptions(ctx: Context, customer: Doc) -> Doc:
    running = ["active", "incomplete", "past_due", "paused", "trialing", "unpaid"]
    docs = ctx.tx.page(ctx.scope, "subscription", {"customer": customer["id"], "status": running}, limit=11)
    url = f"/v1/customers/{customer['id']}/subscriptions"
    return list_object([render(doc) for doc in docs[:10]], url=url, has_more=len(docs) > 10)


def _credit_balance(ctx: Context, customer: Doc) -> Doc:
    """What is left of the balance, by currency."""
    return {customer["currency"]: -customer["balance"]} if customer["balance"] and customer["currency"] else {}


CUSTOMER = kind(
    "customer",
    prefix="cus",
    random_length=14,
    indexed=("email", "test_clock"),
    expandable={
        "default_source": "card",
        "invoice_settings.default_payment_method": "payment_method",
        "test_clock": "test_helpers.test_clock",
    },
    includable={
        "invoice_credit_balance": _credit_balance,
        "sources": sources.list_in,
        "subscriptions": _subscriptions,
        "tax": lambda ctx, doc: TAX,
        "tax_ids": lambda ctx, doc: tax_ids.of_customer(ctx, doc["id"]),
    },
)


@route("POST", "/v1/customers", params=CREATE)
def create_customer(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a customer"""
    for before in BEFORE_CREATION if params.get("test_clock") else ():
        before(ctx, params["test_clock"])
    name, given = params.pop("payment_method", None), params.pop("tax_id_data", [])
    source = sources.named(ctx, params.pop("source")) if "source" in params else None
    moved = _taken_out(params)
    payment_method = resolve(ctx, name) if name else None
    settings = params.get("invoice_settings") or {}
    if payment_method and settings.get("default_payment_method") == name:
        settings["default_payment_method"] = payment_method["id"]
    new = _new_fields(ctx)
    customer = objects.create(ctx, "customer", new | _changes(new, params), event="customer.created")
    if payment_method:
        attach(ctx, payment_method, customer)
    if source:
        sources.keep(ctx, customer, source)
        customer = objects.load(ctx, "customer", customer["id"])
    _check_default(ctx, customer)
    for tax_id in given:
        tax_ids.new_tax_id(ctx, tax_id, {"customer": customer["id"], "type": "customer"})
    return _moved(ctx, customer, moved, "initial")


def _taken_out(params: dict[str, Any]) -> dict[str, Any]:
    """What is not simply a field: the balance and what gives a discount."""
    return {name: params.pop(name) for name in ("balance", "coupon", "promotion_code") if name in params}


def _moved(ctx: Context, customer: Doc, moved: dict[str, Any], type: str) -> Doc:
    if "balance" in moved:
        customer = balances.move(ctx, customer, moved["balance"] - customer["balance"], type)
    named: dict[str, Any] = {name: moved[name] for name in ("coupon", "promotion_code") if name in moved}
    if not named:
        return customer
    old = [customer["discount"]["id"]] if customer["discount"] else []
    ids = discounts.replaced(ctx, old, [named] if any(named.values()) else None, customer["id"])
    held = render(objects.load(ctx, "discount", ids[0])) if ids else None
    return objects.update(ctx, customer, {"discount": held}, event="customer.updated")


def _new_fields(ctx: Context) -> Doc:
    return {
        "address": None,
        "balance": 0,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": random_text(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def _changes(customer: Doc, params: dict[str, Any]) -> Doc:
    """The customer's fields after these parameters."""
    changes = {name: value for name, value in params.items() if name not in IGNORED}
    for name, nothing in (("preferred_locales", []), ("tax_exempt", "none")):
        if name in changes and changes[name] is None:
            changes[name] = nothing
    if changes.get("address"):
        changes["address"] = dict.fromkeys(ADDRESS) | changes["address"]
    if changes.get("shipping"):
        address = dict.fromkeys(ADDRESS) | changes["shipping"]["address"]
        changes["shipping"] = {"phone": None, **changes["shipping"], "address": address}
    if "invoice_settings" in changes:
        changes["invoice_settings"] = customer["invoice_settings"] | changes["invoice_settings"]
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(customer["metadata"], changes["metadata"])
    if changes.get("email") and not re.fullmatch(r"[^@\s]+@[^@\s]+", changes["email"]):
        raise ApiError(f"Invalid email address: {changes['email']}", code="email_invalid", param="email")
    if "invoice_prefix" in changes and not re.fullmatch(r"[A-Z0-9]{3,12}", changes["invoice_prefix"]):
        raise ApiError("Invoice prefixes must be 3-12 uppercase letters or numbers.", param="invoice_prefix")
    return changes


def _check_default(ctx: Context, customer: Doc) -> None:
    default = customer["invoice_settings"]["default_payment_method"]
    if default is None:
        return
    payment_method = objects.find(ctx, "payment_method", default)
    if payment_method is None or payment_method["customer"] != customer["id"]:
        raise ApiError(
            f"The customer does not have a payment method with the ID {default}. The payment method must be attached "
            "to the customer.",
            code="resource_missing",
            param="invoice_settings[default_payment_method]",
        )


@route("GET", "/v1/customers", params=listing(email=Str(), test_clock=Str()))
def list_customers(ctx: Context, params: dict[str, Any]) -> Doc:
    """List customers"""
    return list_page(ctx, "customer", params, {"email": params.get("email"), "test_clock": params.get("test_clock")})


@route("GET", "/v1/customers/{id}")
def retrieve_customer(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a customer"""
    return objects.load(ctx, "customer", id, in_path=True, deleted=True)


@route("POST", "/v1/customers/{id}", params=UPDATE)
def update_customer(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a customer"""
    customer = objects.load(ctx, "customer", id, in_path=True)
    moved = _taken_out(params)
    if "default_source" in params:
        sources.check_default(ctx, customer, params["default_source"])
    if "source" in params:
        customer = sources.replace_default(ctx, customer, sources.named(ctx, params.pop("source")))
    updated = objects.update(ctx, customer, _changes(customer, params), event="customer.updated")
    _check_default(ctx, updated)
    return _moved(ctx, updated, moved, "adjustment")


@route("DELETE", "/v1/customers/{id}")
def delete_customer(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Delete a customer"""
    customer = objects.load(ctx, "customer", id, in_path=True)
    for before in BEFORE_DELETION:
        before(ctx, customer)
    tax_ids.forget(ctx, id)
    stub = objects.delete(ctx, customer, event="customer.deleted")
    for payment_method in objects.query(ctx, "payment_method", customer=id):
        detach(ctx, payment_method)
    return stub


BEFORE_CREATION: list[Callable[[Context, str], None]] = []
"""What test clocks do when a customer is to live in the time of one: they are told its id."""
BEFORE_DELETION: list[Callable[[Context, Doc], None]] = []
"""What other resources do when a customer goes: subscriptions are canceled."""
