"""Invoice lines for what was used, charged at the end of a period at the price in force when it was used.

Sources: Stripe docs, "Manage your usage-based billing setup" (price changes, cancellation), "Configure an invoice
finalization grace period" (a draft's usage is counted again when it is finalised), "Compare classic and flexible
billing mode" (no lines of zero when a subscription begins).
"""

from decimal import Decimal

from sandbox import objects
from sandbox.billing import invoicing, items, lines, usage
from sandbox.billing.periods import Period
from sandbox.context import Context
from sandbox.kinds import Doc


def due(ctx: Context, subscription: Doc, item: Doc, *, until: int) -> list[Doc]:
    """What an item's usage comes to since its period began. Nothing for an item with a quantity, and in a trial."""
    if not items.is_metered(item) or subscription["status"] == "trialing":
        return []
    period = Period(used_since(subscription, item), until)
    price = items.stored_price(ctx, item)
    return _lines(ctx, subscription, item["id"], price, period, _used(ctx, price, subscription["customer"], period))


def all_due(ctx: Context, subscription: Doc, *, until: int) -> list[Doc]:
    """The same for all items."""
    return [line for item in subscription["items"]["data"] for line in due(ctx, subscription, item, until=until)]


def used_since(subscription: Doc, item: Doc) -> int:
    """When the item's period began, or later, when its price changed."""
    changed: dict[str, int] = subscription.get("_used_since") or {}
    begun: int = item["current_period_start"]
    return max(begun, changed.get(item["id"], 0))


def counted_from(ctx: Context, subscription: Doc, items_after: list[Doc]) -> Doc:
    """The field that keeps since when each item's present price counts usage."""
    before = {item["id"]: item["price"]["id"] for item in subscription["items"]["data"]}
    changed = {
        item["id"]: ctx.now
        for item in items_after
        if items.is_metered(item) and before.get(item["id"], item["price"]["id"]) != item["price"]["id"]
    }
    return {"_used_since": (subscription.get("_used_since") or {}) | changed} if changed else {}


def removed(ctx: Context, subscription: Doc, item: Doc) -> list[Doc]:
    """Fields of the invoice items that charge what was used of an item that goes. In classic billing mode that is not
    charged. Source: Stripe docs, "Manage your usage-based billing setup"."""
    if subscription["billing_mode"]["type"] != "flexible":
        return []
    copied = ("amount", "currency", "description", "metadata", "period", "pricing", "quantity", "quantity_decimal")
    parent = {
        "subscription_details": {"subscription": subscription["id"], "subscription_item": item["id"]},
        "type": "subscription_details",
    }
    return [
        {name: line[name] for name in copied} | {"customer": subscription["customer"], "parent": parent}
        for line in due(ctx, subscription, item, until=ctx.now)
        if line["amount"]
    ]


def opening(ctx: Context, subscription: Doc, item: Doc) -> list[Doc]:
    """In classic billing mode a first invoice has a line of zero for what will be used."""
    if not items.is_metered(item) or subscription["billing_mode"]["type"] == "flexible":
        return []
    price = items.stored_price(ctx, item)
    return [
        line | {"amount": 0, "subtotal": 0}
        for line in _lines(ctx, subscription, item["id"], price, items.period_of(item), Decimal(0))[:1]
    ]


def _used(ctx: Context, price: Doc, customer: str, period: Period) -> Decimal:
    meter = objects.find(ctx, "billing.meter", price["recurring"]["meter"])
    return usage.total(ctx, meter, customer, period) if meter else Decimal(0)


def _lines(ctx: Context, subscription: Doc, item: str, price: Doc, period: Period, quantity: Decimal) -> list[Doc]:
    name = items.product_name(ctx, price)
    return lines.subscription_lines(ctx, subscription, item, price, name, period, quantity=quantity)


def counted_again(ctx: Context, invoice: Doc) -> Doc:
    """A draft with the usage of its periods as it is known now."""
    subscription = objects.find(ctx, "subscription", invoicing.subscription_of(invoice))
    if subscription is None:
        return invoice
    made: list[Doc] = []
    done: set[tuple[str, int, int]] = set()
    for line in invoice["lines"]["data"]:
        price = _metered_price(ctx, line)
        if price is None or line["period"]["end"] > ctx.now:
            made.append(line)
            continue
        item, period = _item_of(line), Period(line["period"]["start"], line["period"]["end"])
        if (item, period.start, period.end) not in done:
            done.add((item, period.start, period.end))
            made += _again(ctx, subscription, invoice, item, price, period)
    return invoice if made == invoice["lines"]["data"] else invoicing.with_lines(ctx, invoice, made)


def _metered_price(ctx: Context, line: Doc) -> Doc | None:
    details = ((line["pricing"] or {}).get("price_details")) or {}
    price = objects.find(ctx, "price", details.get("price")) if _item_of(line) else None
    metered = price and (price["recurring"] or {}).get("usage_type") == "metered"
    return price if metered else None


def _item_of(line: Doc) -> str:
    """The subscription item whose usage a line charges; "" for any other line."""
    details = line["parent"]["subscription_item_details"] or {}
    return "" if details.get("invoice_item") else details.get("subscription_item") or ""


def _again(ctx: Context, subscription: Doc, invoice: Doc, item: str, price: Doc, period: Period) -> list[Doc]:
    """New lines for an item and a period, which keep the ids that the old ones had."""
    old = [line for line in invoice["lines"]["data"] if _item_of(line) == item and line["period"]["end"] == period.end]
    used = _used(ctx, price, invoice["customer"], period)
    new = _lines(ctx, subscription, item, price, period, used)
    if [(line["subtotal"], line["quantity_decimal"]) for line in new] == [
        (line["subtotal"], line["quantity_decimal"]) for line in old
    ]:
        return old
    return [
        line | ({"id": old[number]["id"], "invoice": invoice["id"]} if number < len(old) else {})
        for number, line in enumerate(new)
    ]
