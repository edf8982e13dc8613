"""Subscription items and the prices behind them."""

from typing import Any

from sandbox import objects
from sandbox.billing import discounts, lines, sums
from sandbox.billing.discounts import DISCOUNTS
from sandbox.billing.periods import Cycle, Period
from sandbox.billing.redeeming import Purchase
from sandbox.context import Context
from sandbox.documents import merge_metadata, new_document, render
from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc
from sandbox.pagination import list_object
from sandbox.params import Bool, Dec, Enum, Hash, Int, Metadata, Param, Shape, Str
from sandbox.resources import tax_rates
from sandbox.resources.prices import new_price
from sandbox.resources.tax_rates import TAX_RATES

PRICE_DATA: Shape = {
    "currency": Str(required=True),
    "product": Str(required=True),
    "recurring": Hash(
        {"interval": Enum("day", "month", "week", "year", required=True), "interval_count": Int(min=1)},
        required=True,
    ),
    "tax_behavior": Enum("exclusive", "inclusive", "unspecified"),
    "unit_amount": Int(min=0),
    "unit_amount_decimal": Dec(),
}
ONCE_DATA: Shape = {name: param for name, param in PRICE_DATA.items() if name != "recurring"}
ITEM: dict[str, Param] = {
    "billing_thresholds": Hash({"usage_gte": Int(min=1, required=True)}, unset=True),
    "discounts": DISCOUNTS,
    "metadata": Metadata(),
    "plan": Str(),
    "price": Str(),
    "price_data": Hash(PRICE_DATA),
    "quantity": Int(min=0),
    "tax_rates": TAX_RATES,
}
THRESHOLDS = Hash({"amount_gte": Int(min=50), "reset_billing_cycle_anchor": Bool()}, unset=True)
CHANGED_ITEM = ITEM | {"id": Str(), "clear_usage": Bool(), "deleted": Bool()}
SAID_ON_INVOICES = ("custom_fields", "description", "footer")
MOST_ITEMS = 20
NO_ITEM_LEFT = "A subscription must have at least one active plan. You can cancel the subscription instead."


def price_for(ctx: Context, given: dict[str, Any], path: str, *, inactive: bool = False) -> Doc:
    """The stored recurring price that an item names (by id or inline). Raises Stripe's errors for a wrong one."""
    if "price_data" in given:
        objects.load(ctx, "product", given["price_data"]["product"], param=f"{path}[price_data][product]")
        return new_price(ctx, dict(given["price_data"]) | {"active": False})
    id = given.get("price") or given.get("plan")
    if not id:
        raise missing(f"{path}[price]")
    price = objects.load(ctx, "price", id, param=f"{path}[price]")
    if not price["active"] and not inactive:
        raise ApiError(
            "The price specified is inactive. This field only accepts active prices.", param=f"{path}[price]"
        )
    if price["type"] != "recurring":
        raise ApiError(
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.",
            param=f"{path}[price]",
        )
    return price


def new_item(ctx: Context, subscription: str, price: Doc, given: dict[str, Any], period: Period) -> Doc:
    metered = price["recurring"]["usage_type"] == "metered"
    if metered and "quantity" in given:
        raise ApiError(
            f"The price '{price['id']}' has `usage_type=metered`; a quantity cannot be set for it.", param="quantity"
        )
    item = new_document(
        ctx,
        "subscription_item",
        {
            "billing_thresholds": None,
            "created": ctx.now,
            "current_period_end": period.end,
            "current_period_start": period.start,
            "discounts": [],
            "metadata": merge_metadata({}, given.get("metadata")),
            "plan": plan_of(price),
            "price": render(price),
            "quantity": None if metered else given.get("quantity", 1),
            "subscription": subscription,
            "tax_rates": [],
        },
    )
    if metered:
        del item["quantity"]
    return item


def dressed(ctx: Context, item: Doc, given: dict[str, Any], customer: str, path: str) -> Doc:
    """The item with the discounts and tax rates that are given for it."""
    changes: Doc = {}
    if "discounts" in given:
        place = {"subscription": item["subscription"], "subscription_item": item["id"]}
        purchase = purchase_of(ctx, [(item["price"]["id"], item.get("quantity"))])
        changes["discounts"] = discounts.replaced(
            ctx, item["discounts"], given["discounts"], customer, f"{path}[discounts]", purchase=purchase, **place
        )
    if "tax_rates" in given:
        changes["tax_rates"] = tax_rates.named(ctx, given["tax_rates"], f"{path}[tax_rates]")
    if "billing_thresholds" in given:
        changes["billing_thresholds"] = _usage_threshold(item, given["billing_thresholds"], path)
    return item | changes


def _usage_threshold(item: Doc, given: Doc | None, path: str) -> Doc | None:
    check_threshold(item["price"], given, path)
    return given


def check_threshold(price: Doc, given: Doc | None, path: str) -> None:
    """Raises for a threshold of units where no use is counted."""
    if given and price["recurring"]["usage_type"] != "metered":
        raise ApiError("`usage_gte` is for metered prices alone.", param=f"{path}[billing_thresholds][usage_gte]")


def thresholds(given: Doc | None) -> Doc | None:
    """A subscription's own, as it shows them."""
    return {"amount_gte": None, "reset_billing_cycle_anchor": None} | given if given else None


def settled(ctx: Context, subscription: Doc, params: dict[str, Any]) -> Doc:
    """The fields that name a subscription's discounts, tax rates and what its invoices say."""
    changes: Doc = {}
    if "discounts" in params:
        changes["discounts"] = discounts.replaced(
            ctx, subscription["discounts"], params["discounts"], subscription["customer"],
            purchase=purchase_of(ctx, _wanted(subscription, params.get("items") or [])),
            subscription=subscription["id"],
        )  # fmt: skip
    if "default_tax_rates" in params:
        changes["default_tax_rates"] = tax_rates.named(ctx, params["default_tax_rates"], "default_tax_rates")
    if "billing_thresholds" in params:
        changes["billing_thresholds"] = thresholds(params["billing_thresholds"])
    if "invoice_settings" in params:
        said = {name: value for name, value in params["invoice_settings"].items() if name in SAID_ON_INVOICES}
        changes["invoice_settings"] = subscription["invoice_settings"] | said
    return changes


def _wanted(subscription: Doc, given: list[dict[str, Any]]) -> list[tuple[str | None, int | None]]:
    """The prices and quantities that a subscription has after a change of its items."""
    named = {change["id"]: change for change in given if "id" in change}
    kept = [(item, named.get(item["id"], {})) for item in subscription["items"]["data"]]
    known: set[str] = {item["price"]["id"] for item, _ in kept}
    stay = [
        (change.get("price") or change.get("plan") or item["price"]["id"], change.get("quantity", item.get("quantity")))
        for item, change in kept
        if not change.get("deleted")
    ]
    new = [change for change in given if "id" not in change and change.get("price") not in known]
    return stay + [(change.get("price") or change.get("plan"), change.get("quantity", 1)) for change in new]


def purchase_of(ctx: Context, wanted: list[tuple[str | None, int | None]]) -> Purchase | None:
    """What prices (ids) in these quantities come to for one period; metered ones count nothing yet."""
    found = [(objects.find(ctx, "price", id), quantity) for id, quantity in wanted]
    known = [(price, quantity) for price, quantity in found if price]
    if not known:
        return None
    return Purchase(sum(_worth(price, quantity) for price, quantity in known), known[0][0]["currency"])


def _worth(price: Doc, quantity: int | None) -> int:
    metered = (price["recurring"] or {}).get("usage_type") == "metered"
    return sums.price_amount(price, None if metered else quantity)


def plan_of(price: Doc) -> Doc:
    """The older form of a price, which items still carry."""
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"],
        "livemode": price["livemode"],
        "metadata": price["metadata"],
        "meter": price["recurring"]["meter"],
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": price["tiers_mode"],
        "transform_usage": price["transform_quantity"],
        "trial_period_days": price["recurring"]["trial_period_days"],
        "usage_type": price["recurring"]["usage_type"],
    }


def stored_price(ctx: Context, item: Doc) -> Doc:
    """The price as it is now, with its tiers."""
    return objects.find(ctx, "price", item["price"]["id"]) or item["price"]


def refreshed(ctx: Context, subscription: Doc) -> Doc:
    """The subscription with its prices as they are now, not as they were when they were put in."""
    return all_refreshed(ctx, [subscription])[0]


def all_refreshed(ctx: Context, subscriptions: list[Doc]) -> list[Doc]:
    """Many at once; each price is read once."""
    known: dict[str, Doc] = {}
    shown = []
    for subscription in subscriptions:
        held = [_refreshed_item(ctx, item, known) for item in subscription["items"]["data"]]
        shown.append(subscription | {"items": subscription["items"] | {"data": held}})
    return shown


def _refreshed_item(ctx: Context, item: Doc, known: dict[str, Doc]) -> Doc:
    id = item["price"]["id"]
    if id not in known:
        price = stored_price(ctx, item)
        known[id] = {"plan": plan_of(price), "price": render(price)}
    return item | known[id]


def product_name(ctx: Context, price: Doc) -> str:
    product = ctx.tx.get(ctx.scope, "product", price["product"])
    return str(product.get("name", price["product"])) if product else str(price["product"])


def cycle_of(price: Doc, anchor: int) -> Cycle:
    return Cycle(anchor, price["recurring"]["interval"], price["recurring"]["interval_count"])


def cycle_in(subscription: Doc, price: Doc) -> Cycle:
    """The cycle in which a subscription bills a price: its anchor, and the day of the month that was asked for."""
    day = (subscription["billing_cycle_anchor_config"] or {}).get("day_of_month")
    recurring = price["recurring"]
    return Cycle(subscription["billing_cycle_anchor"], recurring["interval"], recurring["interval_count"], day)


def period_of(item: Doc) -> Period:
    return Period(item["current_period_start"], item["current_period_end"])


def lines_for(ctx: Context, subscription: Doc, item: Doc, period: Period, *, trial: bool = False) -> list[Doc]:
    """The invoice lines that charge an item for a period in advance; none for what is charged by usage afterwards."""
    if is_metered(item):
        return []
    price = stored_price(ctx, item)
    name = product_name(ctx, price)
    return lines.subscription_lines(
        ctx, subscription, item["id"], price, name, period, quantity=item["quantity"], trial=trial
    )


def is_metered(item: Doc) -> bool:
    return bool(item["price"]["recurring"]["usage_type"] == "metered")


def with_items(subscription: Doc, items: list[Doc]) -> Doc:
    """The fields of a subscription that hold its items, and by which it is found."""
    url = f"/v1/subscription_items?subscription={subscription['id']}"
    return {
        "items": list_object(items, url=url),
        "_items": [item["id"] for item in items],
        "_prices": [item["price"]["id"] for item in items],
    }


def check_together(items: list[Doc]) -> None:
    """One currency, no price twice, at least one."""
    if not items:
        raise ApiError(NO_ITEM_LEFT, param="items")
    prices = [item["price"]["id"] for item in items]
    for price in prices:
        if prices.count(price) > 1:
            raise ApiError(
                f"Cannot create a Subscription with multiple Subscription Items with the same Price: {price}",
                param="plan",
            )
    if len({item["price"]["currency"] for item in items}) > 1:
        raise ApiError(
            "All prices on a subscription must have the same currency. If you need to use multiple currencies, create "
            "one subscription for each.",
            param="items",
        )
    if len(items) > MOST_ITEMS:
        raise ApiError(f"A subscription can have at most {MOST_ITEMS} items.", param="items")
