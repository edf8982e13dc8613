"""Prices, with lookup keys, in any currency.

Tiers and currency options are kept, and shown when expanded, as Stripe does.
"""

from decimal import Decimal
from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.currencies import CURRENCIES
from sandbox.documents import merge_metadata
from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing
from sandbox.params import Array, Bool, Dec, Enum, Hash, Ignored, Int, Map, Metadata, OneOf, Param, Shape, Str
from sandbox.routes import route

PRICE = kind(
    "price",
    prefix="price",
    indexed=(
        "active", "currency", "lookup_key", "product", "recurring.interval", "recurring.meter",
        "recurring.usage_type", "type",
    ),
    expandable={"product": "product"},
    includable={
        "tiers": lambda ctx, doc: _kept(ctx, doc, "_tiers"),
        "currency_options": lambda ctx, doc: _kept(ctx, doc, "_currency_options"),
    },
)  # fmt: skip
INTERVALS = Enum("day", "month", "week", "year", required=True)
TIER: Shape = {
    "up_to": OneOf(Enum("inf"), Int(min=1), required=True),
    "unit_amount": Int(min=0),
    "unit_amount_decimal": Dec(),
    "flat_amount": Int(min=0),
    "flat_amount_decimal": Dec(),
}
TAX_BEHAVIOR = Enum("exclusive", "inclusive", "unspecified")
CUSTOM_AMOUNT: Shape = {
    "enabled": Bool(required=True),
    "maximum": Int(min=0),
    "minimum": Int(min=0),
    "preset": Int(min=0),
}
CURRENCY_OPTIONS = Map(
    Hash(
        {
            "unit_amount": Int(min=0),
            "unit_amount_decimal": Dec(),
            "tax_behavior": TAX_BEHAVIOR,
            "tiers": Array(Hash(TIER)),
            "custom_unit_amount": Hash(CUSTOM_AMOUNT),
        }
    )
)
LONGEST = {"day": 1095, "week": 156, "month": 36, "year": 3}
RECURRING: Shape = {
    "interval": INTERVALS,
    "interval_count": Int(min=1),
    "meter": Str(),
    "trial_period_days": Int(min=1),
    "usage_type": Enum("licensed", "metered"),
}
DEFAULT_PRICE: dict[str, Param] = {
    "currency": Str(required=True),
    "currency_options": CURRENCY_OPTIONS,
    "custom_unit_amount": Hash(CUSTOM_AMOUNT),
    "metadata": Metadata(),
    "recurring": Hash({name: RECURRING[name] for name in ("interval", "interval_count")}),
    "tax_behavior": TAX_BEHAVIOR,
    "unit_amount": Int(min=0),
    "unit_amount_decimal": Dec(),
}
PRODUCT_DATA: Shape = {
    "active": Bool(),
    "id": Str(),
    "metadata": Metadata(),
    "name": Str(required=True),
    "statement_descriptor": Str(max_length=22),
    "tax_code": Str(),
    "tax_details": Ignored(),
    "unit_label": Str(max_length=12),
}
CREATE = DEFAULT_PRICE | {
    "active": Bool(),
    "billing_scheme": Enum("per_unit", "tiered"),
    "lookup_key": Str(max_length=200),
    "nickname": Str(),
    "product": Str(),
    "product_data": Hash(PRODUCT_DATA),
    "recurring": Hash(RECURRING),
    "tiers": Array(Hash(TIER)),
    "tiers_mode": Enum("graduated", "volume"),
    "transfer_lookup_key": Bool(),
    "transform_quantity": Hash({"divide_by": Int(min=1, required=True), "round": Enum("down", "up", required=True)}),
}
UPDATE: dict[str, Param] = {
    "active": Bool(),
    "currency_options": Map(CURRENCY_OPTIONS.item, unset=True),
    "lookup_key": Str(unset=True, max_length=200),
    "metadata": Metadata(),
    "nickname": Str(unset=True),
    "tax_behavior": TAX_BEHAVIOR,
    "transfer_lookup_key": Bool(),
}
FILTERS: dict[str, Param] = {
    "active": Bool(),
    "currency": Str(),
    "lookup_keys": Array(Str()),
    "product": Str(),
    "recurring": Hash(
        {
            "interval": Enum("day", "month", "week", "year"),
            "meter": Str(),
            "usage_type": RECURRING["usage_type"],
        }
    ),
    "type": Enum("one_time", "recurring"),
}


@route("POST", "/v1/prices", params=CREATE)
def create_price(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a price"""
    if "product" in params and "product_data" in params:
        raise ApiError("You may only specify one of these parameters: product, product_data.")
    if "product_data" in params:
        from sandbox.resources.products import create_product

        params["product"] = create_product(ctx, params.pop("product_data"))["id"]
    if "product" not in params:
        raise ApiError(
            "You must specify either `product` or `product_data` when creating a price.",
            code="parameter_missing",
            param="product",
        )
    objects.load(ctx, "product", params["product"], param="product")
    return new_price(ctx, params)


def new_price(ctx: Context, params: dict[str, Any]) -> Doc:
    """A price from parameters that were checked; its product exists."""
    transfer = params.pop("transfer_lookup_key", False)
    if params.get("lookup_key"):
        _free_lookup_key(ctx, params["lookup_key"], transfer=transfer)
    recurring = params.get("recurring")
    _check_tiers(params)
    if recurring:
        _check_usage(ctx, recurring)
    return objects.create(
        ctx,
        "price",
        {
            "active": params.get("active", True),
            "billing_scheme": params.get("billing_scheme", "per_unit"),
            "currency": checked_currency(params["currency"]),
            "custom_unit_amount": _custom_amount(params.get("custom_unit_amount")),
            "lookup_key": params.get("lookup_key"),
            "metadata": merge_metadata({}, params.get("metadata")),
            "nickname": params.get("nickname"),
            "product": params["product"],
            "recurring": _recurring(recurring) if recurring else None,
            "tax_behavior": params.get("tax_behavior", "unspecified"),
            "tiers_mode": params.get("tiers_mode"),
            "transform_quantity": params.get("transform_quantity"),
            "type": "recurring" if recurring else "one_time",
            **({"id": params["id"]} if params.get("id") else {}),
            **_amounts(params),
            "_tiers": _tiers(params),
            "_currency_options": _currency_options(params),
        },
        event="price.created",
    )


def checked_currency(code: str) -> str:
    """In lower case; raises Stripe's error for one that does not exist."""
    lower = code.lower()
    if lower not in CURRENCIES:
        raise ApiError(
            f"Invalid currency: {lower}. Stripe currently supports these currencies: {', '.join(CURRENCIES)}",
            param="currency",
        )
    return lower


def _free_lookup_key(ctx: Context, lookup_key: str, *, transfer: bool) -> None:
    for holder in objects.query(ctx, "price", lookup_key=lookup_key):
        if not transfer:
            raise ApiError(
                f"A price (`{holder['id']}`) already uses that lookup key. Pass `transfer_lookup_key=true` to transfer "
                "it to this price.",
                param="lookup_key",
            )
        objects.update(ctx, holder, {"lookup_key": None}, event="price.updated")


def _custom_amount(given: dict[str, Any] | None) -> Doc | None:
    if not given or not given["enabled"]:
        return None
    return {name: given.get(name) for name in ("maximum", "minimum", "preset")}


def _check_usage(ctx: Context, recurring: dict[str, Any]) -> None:
    """A metered price counts with a meter, and only a metered one does."""
    metered, meter = recurring.get("usage_type") == "metered", recurring.get("meter")
    if metered and meter is None:
        raise ApiError(
            "Starting with Stripe version `2025-03-31.basil`, metered prices must be backed by meters.",
            param="recurring[meter]",
        )
    if meter is None:
        return
    if not metered:
        raise ApiError("`meter` can only be set when `usage_type` is `metered`.", param="recurring[meter]")
    if objects.load(ctx, "billing.meter", meter, param="recurring[meter]")["status"] != "active":
        raise ApiError(
            f"The meter {meter} is inactive. You can only attach active meters to prices.", param="recurring[meter]"
        )


def _check_tiers(params: dict[str, Any]) -> None:
    """Ascending, the last one without an end, each with an amount. Source: API reference, "Create a price" (tiers)."""
    if params.get("billing_scheme") != "tiered":
        if "tiers" in params or "tiers_mode" in params:
            raise ApiError("You can only specify `tiers` when `billing_scheme` is `tiered`.", param="tiers")
        return
    for name in ("tiers", "tiers_mode"):
        if not params.get(name):
            raise missing(name)
    for name in ("transform_quantity", "unit_amount", "unit_amount_decimal"):
        if name in params:
            raise ApiError(f"`{name}` cannot be combined with `tiers`.", param=name)
    _check_tops([tier["up_to"] for tier in params["tiers"]])
    for number, tier in enumerate(params["tiers"]):
        if not set(tier) - {"up_to"}:
            raise ApiError("Each tier must have a `unit_amount` or a `flat_amount`.", param=f"tiers[{number}]")


def _check_tops(tops: list[Any]) -> None:
    if tops[-1] != "inf":
        raise ApiError("The last tier must have `up_to` set to `inf`.", param="tiers")
    if "inf" in tops[:-1] or tops[:-1] != sorted(set(tops[:-1])):
        raise ApiError("The `up_to` values of tiers must rise, and only the last may be `inf`.", param="tiers")


def _recurring(given: dict[str, Any]) -> Doc:
    most = LONGEST[given["interval"]]
    if given.get("interval_count", 1) > most:
        message = f"The longest interval of a price is three years: at most {most} for `{given['interval']}`."
        raise ApiError(message, param="recurring[interval_count]")
    return {
        "interval": given["interval"],
        "interval_count": given.get("interval_count", 1),
        "meter": given.get("meter"),
        "trial_period_days": given.get("trial_period_days"),
        "usage_type": given.get("usage_type", "licensed"),
    }


def _amounts(params: dict[str, Any]) -> Doc:
    """unit_amount and unit_amount_decimal; the first is None where the second has a fraction."""
    tiered, custom = "tiers" in params, params.get("custom_unit_amount")
    amount, decimal = params.get("unit_amount"), params.get("unit_amount_decimal")
    if tiered or custom:
        return {"unit_amount": None, "unit_amount_decimal": None}
    if amount is None and decimal is None:
        raise ApiError(
            "Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set.",
            code="parameter_missing",
            param="unit_amount",
        )
    if amount is not None and decimal is not None:
        raise ApiError("You may only specify one of these parameters: unit_amount, unit_amount_decimal.")
    return amount_pair(amount, decimal)


def amount_pair(amount: int | None, decimal: Decimal | None) -> Doc:
    """Both forms of an amount."""
    exact = Decimal(amount) if amount is not None else decimal or Decimal(0)
    text = format(exact.normalize(), "f")
    return {"unit_amount": int(exact) if exact == int(exact) else None, "unit_amount_decimal": text}


def _tiers(params: dict[str, Any]) -> list[Doc] | None:
    if params.get("billing_scheme") != "tiered":
        return None
    return [_tier(tier) for tier in params["tiers"]]


def _tier(given: dict[str, Any]) -> Doc:
    tier: Doc = {"up_to": None if given["up_to"] == "inf" else given["up_to"]}
    for name in ("flat_amount", "unit_amount"):
        amount, decimal = given.get(name), given.get(f"{name}_decimal")
        pair = amount_pair(amount, decimal) if amount is not None or decimal is not None else {}
        tier[name], tier[f"{name}_decimal"] = pair.get("unit_amount"), pair.get("unit_amount_decimal")
    return dict(sorted(tier.items()))


def _currency_options(params: dict[str, Any]) -> Doc:
    options = {params["currency"].lower(): _amounts(params) | {"tax_behavior": params.get("tax_behavior")}}
    for currency, given in (params.get("currency_options") or {}).items():
        options[checked_currency(currency)] = _amounts(given) | {"tax_behavior": given.get("tax_behavior")}
    return {
        currency: {
            "custom_unit_amount": None,
            **option,
            "tax_behavior": option["tax_behavior"] or "unspecified",
        }
        for currency, option in options.items()
    }


def _kept(ctx: Context, price: Doc, field: str) -> Any:
    """A field that is stored under our own name, for a price that was rendered already."""
    stored = ctx.tx.get(ctx.scope, "price", price["id"])
    return stored.get(field) if stored else None


@route("GET", "/v1/prices", params=listing(**FILTERS))
def list_prices(ctx: Context, params: dict[str, Any]) -> Doc:
    """List prices"""
    recurring = params.get("recurring") or {}
    filters = {name: params.get(name) for name in ("active", "currency", "product", "type")}
    filters |= {f"recurring.{name}": value for name, value in recurring.items()}
    return list_page(ctx, "price", params, filters | {"lookup_key": params.get("lookup_keys")})


@route("GET", "/v1/prices/{id}")
def retrieve_price(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a price"""
    return objects.load(ctx, "price", id, param="price", in_path=True)


@route("POST", "/v1/prices/{id}", params=UPDATE)
def update_price(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a price"""
    price = objects.load(ctx, "price", id, param="price", in_path=True)
    transfer = params.pop("transfer_lookup_key", False)
    if params.get("lookup_key") and params["lookup_key"] != price["lookup_key"]:
        _free_lookup_key(ctx, params["lookup_key"], transfer=transfer)
    changes = {name: value for name, value in params.items() if name != "currency_options"}
    if params.get("currency_options"):
        added = _currency_options({**price, "currency_options": params["currency_options"]})
        changes["_currency_options"] = price["_currency_options"] | added
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(price["metadata"], changes["metadata"])
    return objects.update(ctx, price, changes, event="price.updated")
