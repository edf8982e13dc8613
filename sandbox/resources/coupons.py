"""Coupons, as objects; what they take off is the matter of invoices."""

from typing import Any

from sandbox import objects
from sandbox.billing import redeeming
from sandbox.context import Context
from sandbox.documents import merge_metadata
from sandbox.errors import ApiError
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing
from sandbox.params import Array, Dec, Enum, Hash, Int, Map, Metadata, Param, Str, Timestamp
from sandbox.resources.prices import checked_currency
from sandbox.routes import route


def _applies_to(ctx: Context, coupon: Doc) -> Any:
    stored = ctx.tx.get(ctx.scope, "coupon", coupon["id"])
    return stored.get("_applies_to") if stored else None


def _currency_options(ctx: Context, coupon: Doc) -> Any:
    stored = ctx.tx.get(ctx.scope, "coupon", coupon["id"])
    return stored.get("_currency_options") if stored else None


COUPON = kind(
    "coupon", prefix="", random_length=8, includable={"applies_to": _applies_to, "currency_options": _currency_options}
)
CURRENCY_OPTIONS = Map(Hash({"amount_off": Int(required=True, min=1)}))
CREATE: dict[str, Param] = {
    "amount_off": Int(min=1),
    "applies_to": Hash({"products": Array(Str())}),
    "currency": Str(),
    "currency_options": CURRENCY_OPTIONS,
    "duration": Enum("forever", "once", "repeating"),
    "duration_in_months": Int(min=1),
    "id": Str(),
    "max_redemptions": Int(min=1),
    "metadata": Metadata(),
    "name": Str(max_length=40),
    "percent_off": Dec(),
    "redeem_by": Timestamp(),
}


UPDATE: dict[str, Param] = {"currency_options": CURRENCY_OPTIONS, "metadata": Metadata(), "name": Str(max_length=40)}


@route("POST", "/v1/coupons", params=CREATE)
def create_coupon(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a coupon"""
    _check(params)
    percent = params.get("percent_off")
    fields = {
        "amount_off": params.get("amount_off"),
        "currency": checked_currency(params["currency"]) if "amount_off" in params else None,
        "duration": params.get("duration", "once"),
        "duration_in_months": params.get("duration_in_months"),
        "id": params.get("id"),
        "max_redemptions": params.get("max_redemptions"),
        "metadata": merge_metadata({}, params.get("metadata")),
        "name": params.get("name"),
        "percent_off": float(percent) if percent is not None else None,
        "redeem_by": params.get("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
        "_applies_to": params.get("applies_to"),
        "_currency_options": _options(params),
    }
    made = objects.create(ctx, "coupon", fields, event="coupon.created")
    redeeming.plan_closing(ctx, made)
    return made


def _options(params: dict[str, Any]) -> Doc | None:
    """Amounts in other currencies, the coupon's own among them."""
    if "amount_off" not in params:
        return None
    given = {checked_currency(name): option for name, option in (params.get("currency_options") or {}).items()}
    return given | {checked_currency(params["currency"]): {"amount_off": params["amount_off"]}}


def _check(params: dict[str, Any]) -> None:
    amount, percent = params.get("amount_off"), params.get("percent_off")
    if (amount is None) == (percent is None):
        message = "You must specify either `percent_off` or `amount_off`"
        raise ApiError(f"{message}, but not both." if amount else f"{message}.")
    if amount is not None and "currency" not in params:
        raise ApiError("You must pass currency when passing amount_off", param="currency")
    if percent is not None and "currency_options" in params:
        raise ApiError("You can only pass `currency_options` when passing `amount_off`.", param="currency_options")
    if percent is not None and not 0 < percent <= 100:
        raise ApiError("percent_off must be greater than 0 and at most 100.", param="percent_off")
    if (params.get("duration") == "repeating") != ("duration_in_months" in params):
        raise ApiError(
            "You must specify `duration_in_months` if, and only if, `duration` is repeating.",
            param="duration_in_months",
        )


@route("GET", "/v1/coupons", params=listing())
def list_coupons(ctx: Context, params: dict[str, Any]) -> Doc:
    """List coupons"""
    return list_page(ctx, "coupon", params)


@route("GET", "/v1/coupons/{id}")
def retrieve_coupon(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a coupon"""
    return objects.load(ctx, "coupon", id, param="coupon", in_path=True)


@route("POST", "/v1/coupons/{id}", params=UPDATE)
def update_coupon(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a coupon"""
    coupon = objects.load(ctx, "coupon", id, param="coupon", in_path=True)
    given = params.pop("currency_options", None)
    if given is not None:
        params["_currency_options"] = coupon["_currency_options"] | _added(coupon, given)
    if "metadata" in params:
        params["metadata"] = merge_metadata(coupon["metadata"], params["metadata"])
    return objects.update(ctx, coupon, params, event="coupon.updated")


def _added(coupon: Doc, given: Doc) -> Doc:
    """Currencies that a coupon has already stay as they are."""
    if coupon["amount_off"] is None:
        raise ApiError("You can only pass `currency_options` to a coupon with `amount_off`.", param="currency_options")
    added = {checked_currency(name): option for name, option in given.items()}
    for name in set(added) & set(coupon["_currency_options"]):
        raise ApiError(
            f"The coupon has an amount in {name} already; it cannot be changed.", param=f"currency_options[{name}]"
        )
    return added


@route("DELETE", "/v1/coupons/{id}")
def delete_coupon(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Delete a coupon"""
    coupon = objects.load(ctx, "coupon", id, param="coupon", in_path=True)
    redeeming.close_codes(ctx, coupon)
    return objects.delete(ctx, coupon, event="coupon.deleted")
