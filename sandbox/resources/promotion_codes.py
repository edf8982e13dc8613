"""Promotion codes: words that customers type to redeem a coupon."""

from typing import Any

from sandbox import objects
from sandbox.billing import redeeming
from sandbox.context import Context
from sandbox.documents import merge_metadata, random_text
from sandbox.errors import ApiError
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing
from sandbox.params import Bool, Enum, Hash, Ignored, Int, Map, Metadata, Param, Shape, Str, Timestamp
from sandbox.resources.prices import checked_currency
from sandbox.routes import route


def _currency_options(ctx: Context, code: Doc) -> Any:
    stored = ctx.tx.get(ctx.scope, "promotion_code", code["id"])
    return stored.get("_currency_options") if stored else None


PROMOTION_CODE = kind(
    "promotion_code",
    prefix="promo",
    label="promotion code",
    indexed=("active", "code", "customer", "promotion.coupon"),
    expandable={"customer": "customer", "promotion.coupon": "coupon"},
    includable={"restrictions.currency_options": _currency_options},
)
CURRENCY_OPTIONS = Map(Hash({"minimum_amount": Int(required=True, min=1)}))
RESTRICTIONS: Shape = {
    "currency_options": CURRENCY_OPTIONS,
    "first_time_transaction": Bool(),
    "minimum_amount": Int(min=1),
    "minimum_amount_currency": Str(),
}
CREATE: dict[str, Param] = {
    "active": Bool(),
    "code": Str(max_length=500),
    "customer": Str(),
    "customer_account": Ignored(),
    "expires_at": Timestamp(),
    "max_redemptions": Int(min=1),
    "metadata": Metadata(),
    "promotion": Hash({"coupon": Str(required=True), "type": Enum("coupon", required=True)}, required=True),
    "restrictions": Hash(RESTRICTIONS),
}
UPDATE: dict[str, Param] = {
    "active": Bool(),
    "metadata": Metadata(),
    "restrictions": Hash({"currency_options": CURRENCY_OPTIONS}),
}


@route("POST", "/v1/promotion_codes", params=CREATE)
def create_promotion_code(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a promotion code"""
    coupon = redeeming.usable_coupon(ctx, params["promotion"]["coupon"], "promotion[coupon]")
    _check(ctx, params, coupon)
    fields = dict.fromkeys(("customer", "customer_account", "expires_at", "max_redemptions")) | params
    fields |= {
        "active": params.get("active", True),
        "code": params.get("code") or random_text(8).upper(),
        "metadata": merge_metadata({}, params.get("metadata")),
        "restrictions": _restrictions(params.get("restrictions") or {}),
        "times_redeemed": 0,
        "_currency_options": _options(params.get("restrictions") or {}),
    }
    made = objects.create(ctx, "promotion_code", fields, event="promotion_code.created")
    redeeming.plan_closing(ctx, made)
    return made


def _check(ctx: Context, params: dict[str, Any], coupon: Doc) -> None:
    if "customer" in params:
        objects.load(ctx, "customer", params["customer"], param="customer")
    code = params.get("code")
    if code and find_code(ctx, code, params.get("customer")):
        raise ApiError("An active promotion code with `code: " + code + "` already exists.", param="code")
    if "expires_at" in params and params["expires_at"] <= ctx.now:
        raise ApiError("`expires_at` must be in the future.", param="expires_at")
    latest, most = coupon["redeem_by"], coupon["max_redemptions"]
    if latest and params.get("expires_at", 0) > latest:
        raise ApiError("`expires_at` cannot be after the coupon's `redeem_by`.", param="expires_at")
    if most and params.get("max_redemptions", 0) > most:
        raise ApiError(
            "`max_redemptions` cannot be greater than the coupon's `max_redemptions`.", param="max_redemptions"
        )


def _restrictions(given: dict[str, Any]) -> Doc:
    if ("minimum_amount" in given) != ("minimum_amount_currency" in given):
        raise ApiError(
            "You must pass `minimum_amount_currency` when passing `minimum_amount`.",
            param="restrictions[minimum_amount_currency]",
        )
    currency = given.get("minimum_amount_currency")
    return {
        "first_time_transaction": given.get("first_time_transaction", False),
        "minimum_amount": given.get("minimum_amount"),
        "minimum_amount_currency": checked_currency(currency) if currency else None,
    }


def _options(given: dict[str, Any]) -> Doc:
    """Least amounts in other currencies, the first one's among them."""
    options = {checked_currency(name): option for name, option in (given.get("currency_options") or {}).items()}
    if "minimum_amount" in given:
        options[checked_currency(given["minimum_amount_currency"])] = {"minimum_amount": given["minimum_amount"]}
    return options


def find_code(ctx: Context, code: str, customer: str | None) -> Doc | None:
    """The active promotion code that a customer means; upper and lower case are the same."""
    for found in objects.query(ctx, "promotion_code", active=True):
        if found["code"].lower() == code.lower() and found["customer"] in (None, customer):
            return found
    return None


@route("GET", "/v1/promotion_codes", params=listing(
    active=Bool(), code=Str(), coupon=Str(), customer=Str(), customer_account=Ignored(),
))  # fmt: skip
def list_promotion_codes(ctx: Context, params: dict[str, Any]) -> Doc:
    """List promotion codes"""
    filters = {name: params.get(name) for name in ("active", "code", "customer")}
    return list_page(ctx, "promotion_code", params, filters | {"promotion.coupon": params.get("coupon")})


@route("GET", "/v1/promotion_codes/{id}")
def retrieve_promotion_code(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a promotion code"""
    return objects.load(ctx, "promotion_code", id, param="promotion_code", in_path=True)


@route("POST", "/v1/promotion_codes/{id}", params=UPDATE)
def update_promotion_code(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a promotion code: switch it on or off"""
    code = objects.load(ctx, "promotion_code", id, param="promotion_code", in_path=True)
    more = params.pop("restrictions", None)
    if more:
        params["_currency_options"] = code["_currency_options"] | _options(more)
    if params.get("active") and not code["active"]:
        _check_can_be_active(ctx, code)
    if "metadata" in params:
        params["metadata"] = merge_metadata(code["metadata"], params["metadata"])
    return objects.update(ctx, code, params, event="promotion_code.updated")


def _check_can_be_active(ctx: Context, code: Doc) -> None:
    """Raises for codes that are over for good, or whose coupon is."""
    redeeming.check_code(ctx, code | {"active": True}, code["customer"], "active", None)
    redeeming.usable_coupon(ctx, code["promotion"]["coupon"], "active")
    if find_code(ctx, code["code"], code["customer"]):
        raise ApiError("An active promotion code with `code: " + code["code"] + "` already exists.", param="code")
