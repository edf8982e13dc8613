"""What a period of an item costs, with its discounts: the base of prorations, which are never discounted again.

A credit gives back what was paid: the line that charged the period, less its discounts. A charge costs what the
discounts leave that last for longer than one invoice. Where discounts are `included` a proration is that net amount;
where they are `itemized` it is the whole amount, and what each discount takes off it stands beside it: the sums are the
same. Sources: Stripe docs, "Prorations" (discounts), "Compare classic and flexible billing mode"; changelog 2025-09-30,
"Adds the ability to itemize proration discount amounts".
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox import objects
from sandbox.billing import billing_modes, discounts, items, sums
from sandbox.billing.reckoning import Row, reckon, spread
from sandbox.context import Context
from sandbox.kinds import Doc


@dataclass(frozen=True)
class Whole:
    """A period's amount, and what each discount takes off it: those of the item itself, those of the invoice."""

    amount: int
    own: dict[str, int] = field(default_factory=dict)
    shared: dict[str, int] = field(default_factory=dict)

    @property
    def net(self) -> int:
        return self.amount - sum(self.own.values()) - sum(self.shared.values())


def share(subscription: Doc, whole: Whole, part: Callable[[int], int]) -> Doc:
    """The fields of an invoice item that is a `part` of a whole: a credit is a negative part."""
    net = part(whole.net)
    if not billing_modes.itemizes(subscription):
        return {"amount": net, "proration_details": {"discount_amounts": []}}
    gross = part(whole.amount)
    cuts = {**whole.own, **whole.shared}
    sign = 1 if gross >= net else -1
    taken = {id: sign * amount for id, amount in spread(abs(gross - net), cuts).items()}
    return {
        "amount": gross,
        "proration_details": {"discount_amounts": [{"amount": cut, "discount": id} for id, cut in taken.items()]},
        "_taken": {
            "own": {id: taken[id] for id in whole.own if id in taken},
            "shared": {id: taken[id] for id in whole.shared if id in taken},
        },
    }


def paid(ctx: Context, subscription: Doc, item: Doc, at: int) -> Whole:
    """What was charged for the whole period that `at` lies in, at the item's price and quantity."""
    for invoice in objects.query(ctx, "invoice", _subscription=subscription["id"]):
        charged = [line for line in invoice["lines"]["data"] if _charges(line, item, at)]
        if charged:
            return _together([_of_line(line) for line in charged])
    whole = items.cycle_in(subscription, item["price"]).holding(item["current_period_start"])
    now, period = to_pay(ctx, subscription, item), items.period_of(item)
    return Whole(
        sums.between(now.amount, whole, period),
        {id: sums.between(cut, whole, period) for id, cut in now.own.items()},
        {id: sums.between(cut, whole, period) for id, cut in now.shared.items()},
    )


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


def _of_line(line: Doc) -> Whole:
    taken = {one["discount"]: one["amount"] for one in line["discount_amounts"] if one["amount"]}
    own = {id: amount for id, amount in taken.items() if id in line["discounts"]}
    return Whole(line["amount"], own, {id: amount for id, amount in taken.items() if id not in own})


def _together(parts: list[Whole]) -> Whole:
    """The lines of one item: tiers are charged apart."""
    own: dict[str, int] = {}
    shared: dict[str, int] = {}
    for part in parts:
        for whole, cuts in ((own, part.own), (shared, part.shared)):
            for id, amount in cuts.items():
                whole[id] = whole.get(id, 0) + amount
    return Whole(sum(part.amount for part in parts), own, shared)


def to_pay(ctx: Context, subscription: Doc, item: Doc) -> Whole:
    """What the whole period costs now, as one of the subscription's items as they are."""
    held = {known["id"]: known for known in subscription["items"]["data"]} | {item["id"]: item}
    rows = [_row(ctx, subscription, one) for one in held.values()]
    names = subscription["discounts"] or _of_customer(ctx, subscription)
    shared = discounts.offs(ctx, names, subscription["currency"], lasting=True)
    done = reckon(rows, shared)[list(held).index(item["id"])]
    return Whole(done.amount, done.own, done.shared)


def _row(ctx: Context, subscription: Doc, item: Doc) -> Row:
    price = items.stored_price(ctx, item)
    own = discounts.offs(ctx, item["discounts"], subscription["currency"], lasting=True)
    return Row(sums.price_amount(price, item.get("quantity")), price["product"], own=tuple(own))


def _of_customer(ctx: Context, subscription: Doc) -> list[str]:
    held = objects.load(ctx, "customer", subscription["customer"])["discount"]
    return [held["id"]] if held else []
