"""What a period of an item costs after discounts: the base of prorations, which are never discounted again.

A credit gives back what was paid: the line that charged the period, less its discounts. A charge costs what the
discounts leave that last for longer than one invoice. Source: Stripe docs, "Prorations" (discounts), "Compare classic
and flexible billing mode" (`proration_discounts` included).
"""

from sandbox import objects
from sandbox.billing import discounts, items, sums
from sandbox.billing.reckoning import Row, reckon
from sandbox.context import Context
from sandbox.kinds import Doc


def paid(ctx: Context, subscription: Doc, item: Doc, at: int) -> int:
    """What was charged for the whole period that `at` lies in, at the item's price and quantity."""
    for invoice in objects.query(ctx, "invoice", _subscription=subscription["id"]):
        charged = [line for line in invoice["lines"]["data"] if _charges(line, item, at)]
        if charged:
            return sum(_net(line) for line in charged)
    whole = items.cycle_in(subscription, item["price"]).holding(item["current_period_start"])
    return sums.between(to_pay(ctx, subscription, item), whole, items.period_of(item))


def _charges(line: Doc, item: Doc, at: int) -> bool:
    details = line["parent"]["subscription_item_details"] or {}
    price = ((line["pricing"] or {}).get("price_details") or {}).get("price")
    whole = (item["current_period_start"], item["current_period_end"])
    return (
        details.get("subscription_item") == item["id"]
        and not details["proration"]
        and price == item["price"]["id"]
        and (line["period"]["start"], line["period"]["end"]) == whole
    )


def _net(line: Doc) -> int:
    return int(line["amount"] - sum(taken["amount"] for taken in line["discount_amounts"]))


def to_pay(ctx: Context, subscription: Doc, item: Doc) -> int:
    """What the whole period costs now, as one of the subscription's items as they are."""
    held = {known["id"]: known for known in subscription["items"]["data"]} | {item["id"]: item}
    rows = [_row(ctx, subscription, one) for one in held.values()]
    names = subscription["discounts"] or _of_customer(ctx, subscription)
    shared = discounts.offs(ctx, names, subscription["currency"], lasting=True)
    return reckon(rows, shared)[list(held).index(item["id"])].net


def _row(ctx: Context, subscription: Doc, item: Doc) -> Row:
    price = items.stored_price(ctx, item)
    own = discounts.offs(ctx, item["discounts"], subscription["currency"], lasting=True)
    return Row(sums.price_amount(price, item.get("quantity")), price["product"], own=tuple(own))


def _of_customer(ctx: Context, subscription: Doc) -> list[str]:
    held = objects.load(ctx, "customer", subscription["customer"])["discount"]
    return [held["id"]] if held else []
