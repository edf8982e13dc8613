"""Shipping rates: what it costs to send something. Source: API reference, "Shipping Rates"; Stripe docs, "Charge for
shipping"."""

from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.documents import merge_metadata
from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing
from sandbox.params import Bool, Enum, Hash, Int, Map, Metadata, Param, Shape, Str
from sandbox.resources.prices import checked_currency
from sandbox.routes import route

SHIPPING_RATE = kind(
    "shipping_rate", prefix="shr", label="shipping rate", indexed=("active", "fixed_amount.currency"),
    expandable={"tax_code": "*"},
)  # fmt: skip
TAX_BEHAVIOR = Enum("exclusive", "inclusive", "unspecified")
AFTER: Shape = {
    "unit": Enum("business_day", "day", "hour", "month", "week", required=True),
    "value": Int(required=True, min=1),
}
DATA: dict[str, Param] = {
    "delivery_estimate": Hash({"maximum": Hash(AFTER), "minimum": Hash(AFTER)}),
    "display_name": Str(required=True, max_length=100),
    "fixed_amount": Hash({
        "amount": Int(required=True, min=0),
        "currency": Str(required=True),
        "currency_options": Map(Hash({"amount": Int(required=True, min=0), "tax_behavior": TAX_BEHAVIOR})),
    }),
    "metadata": Metadata(),
    "tax_behavior": TAX_BEHAVIOR,
    "tax_code": Str(),
    "type": Enum("fixed_amount"),
}  # fmt: skip
OPTION: Shape = {"amount": Int(min=0), "tax_behavior": TAX_BEHAVIOR}
UPDATE: dict[str, Param] = {
    "active": Bool(),
    "fixed_amount": Hash({"currency_options": Map(Hash(OPTION))}),
    "metadata": Metadata(),
    "tax_behavior": TAX_BEHAVIOR,
}


@route("POST", "/v1/shipping_rates", params=DATA)
def create_shipping_rate(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a shipping rate"""
    if "fixed_amount" not in params:
        raise missing("fixed_amount")
    amount = params["fixed_amount"]
    estimate = params.get("delivery_estimate")
    options = {
        checked_currency(currency): option for currency, option in (amount.get("currency_options") or {}).items()
    }
    fixed: Doc = {"amount": amount["amount"], "currency": checked_currency(amount["currency"])}
    if options:
        fixed["currency_options"] = {currency: _option(given) for currency, given in options.items()}
    return objects.create(
        ctx,
        "shipping_rate",
        {
            "active": True,
            "delivery_estimate": estimate and {name: estimate.get(name) for name in ("maximum", "minimum")},
            "display_name": params["display_name"],
            "fixed_amount": fixed,
            "metadata": merge_metadata({}, params.get("metadata")),
            "tax_behavior": params.get("tax_behavior", "unspecified"),
            "tax_code": params.get("tax_code"),
            "type": "fixed_amount",
        },
    )


def _option(given: dict[str, Any]) -> Doc:
    return {"tax_behavior": "unspecified", **given}


@route("GET", "/v1/shipping_rates", params=listing(active=Bool(), currency=Str()))
def list_shipping_rates(ctx: Context, params: dict[str, Any]) -> Doc:
    """List shipping rates"""
    filters = {"active": params.get("active"), "fixed_amount.currency": params.get("currency")}
    return list_page(ctx, "shipping_rate", params, filters)


@route("GET", "/v1/shipping_rates/{id}")
def retrieve_shipping_rate(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a shipping rate"""
    return objects.load(ctx, "shipping_rate", id, param="shipping_rate", in_path=True)


@route("POST", "/v1/shipping_rates/{id}", params=UPDATE)
def update_shipping_rate(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a shipping rate; its own amount stays for ever"""
    rate = objects.load(ctx, "shipping_rate", id, param="shipping_rate", in_path=True)
    changes: Doc = {name: params[name] for name in ("active", "tax_behavior") if name in params}
    if rate["tax_behavior"] not in ("unspecified", changes.get("tax_behavior", rate["tax_behavior"])):
        raise ApiError("The tax behavior of a shipping rate cannot be changed once it is set.", param="tax_behavior")
    if "metadata" in params:
        changes["metadata"] = merge_metadata(rate["metadata"], params["metadata"])
    if "fixed_amount" in params:
        changes["fixed_amount"] = _with_options(rate["fixed_amount"], params["fixed_amount"])
    return objects.update(ctx, rate, changes)


def _with_options(fixed: Doc, given: dict[str, Any]) -> Doc:
    known = fixed.get("currency_options") or {}
    merged = {currency: known.get(currency, {}) | option for currency, option in given["currency_options"].items()}
    for currency, option in merged.items():
        if "amount" not in option:
            raise missing(f"fixed_amount[currency_options][{currency}][amount]")
    return fixed | {"currency_options": known | {currency: _option(option) for currency, option in merged.items()}}


def amount_in(rate: Doc, currency: str, param: str) -> int:
    """What it costs in this currency, in its minor unit. Raises when nobody said."""
    fixed = rate["fixed_amount"]
    if fixed["currency"] == currency:
        return int(fixed["amount"])
    options = fixed.get("currency_options") or {}
    if currency not in options:
        raise ApiError(f"The shipping rate {rate['id']} has no amount in {currency}.", param=param)
    return int(options[currency]["amount"])
