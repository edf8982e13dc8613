"""What a period of an item costs, with its discounts: the base of prorations, which are never discounted again.

A credit gives back what was paid. In flexible billing mode that is what was debited for the time that is left, whatever
the price is now; in classic mode it is counted from the present price, with the discounts of the line that charged it.
A charge costs what the discounts leave that last for longer than one invoice. Where discounts are `included` a
proration is that net amount; where they are `itemized` it is the whole amount, and what each discount takes off it
stands beside it: the sums are the same. Sources: Stripe docs, "Prorations" (discounts), "Compare classic and flexible
billing mode"; changelog 2025-09-30, "Adds the ability to itemize proration discount amounts".
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from sandbox import objects
from sandbox.billing import billing_modes, discounts, items, sums
from sandbox.billing.reckoning import Row, reckon, spread
from sandbox.context import Context
from sandbox.kinds import Doc

FINE = 10**9
"""Parts of a unit in which discounts are weighed against each other."""


@dataclass(frozen=True)
class Whole:
    """An amount before it is rounded, and what each discount takes off it: those of the item itself, those of the
    invoice."""

    amount: Fraction
    own: dict[str, Fraction] = field(default_factory=dict)
    shared: dict[str, Fraction] = field(default_factory=dict)
    charged: tuple[Doc, ...] = ()
    """The lines, or waiting items, that charged it, newest first; none where it is reckoned from the price."""

    @property
    def net(self) -> Fraction:
        return self.amount - sum(self.own.values()) - sum(self.shared.values())

    def times(self, part: Fraction) -> "Whole":
        own = {id: cut * part for id, cut in self.own.items()}
        return Whole(self.amount * part, own, {id: cut * part for id, cut in self.shared.items()}, self.charged)


def credit(ctx: Context, subscription: Doc, item: Doc, at: int) -> Doc:
    """The fields of an invoice item that gives back what the rest of an item's period after `at` has cost."""
    period = items.period_of(item)
    left = Fraction(min(max(period.end - at, 0), period.seconds), period.seconds or 1)
    if billing_modes.is_flexible(subscription):
        back = debited(ctx, subscription, item, at)
    else:
        back = paid(ctx, subscription, item, at).times(left)
    fields = share(subscription, back, lambda amount: -sums.nearest(amount))
    fields["proration_details"]["credited_items"] = _credited(back.charged)
    return fields


def _credited(charged: tuple[Doc, ...]) -> Doc | None:
    """What a credit takes back, as an invoice item tells it: lines of one invoice, or an item that still waits."""
    debits = [one for one in charged if one["amount"] > 0]
    if not debits:
        return None
    if debits[0]["object"] == "invoiceitem":
        return {"invoice_item": debits[0]["id"], "type": "invoice_item"}
    invoice = debits[0]["invoice"]
    lines = [one["id"] for one in debits if one.get("invoice") == invoice and one["object"] == "line_item"]
    return {
        "invoice_line_item_details": {"invoice": invoice, "invoice_line_items": lines},
        "type": "invoice_line_items",
    }


def charge(ctx: Context, subscription: Doc, item: Doc, part: Fraction) -> Doc:
    """The fields of an invoice item that charges a part of an item's whole period."""
    return share(subscription, to_pay(ctx, subscription, item).times(part), sums.nearest)


def debited(ctx: Context, subscription: Doc, item: Doc, at: int) -> Whole:
    """What was debited for the rest of an item's period after `at`, less what was given back of it."""
    whole = items.cycle_in(subscription, item["price"]).holding(item["current_period_start"])
    ends = (whole.end, item["current_period_end"])
    parts = []
    for line in _lines(ctx, subscription, item):
        start, end = line["period"]["start"], line["period"]["end"]
        over = min(end, item["current_period_end"]) - max(start, at)
        if end in ends and over > 0 and end > start:
            parts.append(_of_line(line).times(Fraction(over, end - start)))
    return _together(parts)


def _lines(ctx: Context, subscription: Doc, item: Doc) -> Iterator[Doc]:
    """The lines about an item since its period began, and what waits to become one."""
    for invoice in objects.query(ctx, "invoice", _subscription=subscription["id"]):
        if invoice["created"] < item["current_period_start"]:
            break
        if invoice["status"] != "void":
            yield from (line for line in invoice["lines"]["data"] if _is_about(line, item))
    for waiting in objects.query(ctx, "invoiceitem", customer=subscription["customer"], _pending=True):
        details = (waiting["parent"] or {}).get("subscription_details") or {}
        if details.get("subscription_item") == item["id"] and waiting["proration"]:
            taken = waiting.get("_taken") or {"own": {}, "shared": {}}
            cuts = {**taken["own"], **taken["shared"]}
            amounts = [{"amount": amount, "discount": id} for id, amount in cuts.items()]
            yield waiting | {"discount_amounts": amounts, "discounts": list(taken["own"])}


def _is_about(line: Doc, item: Doc) -> bool:
    details = (line["parent"] or {}).get("subscription_item_details") or {}
    return bool(details.get("subscription_item") == item["id"])


def share(subscription: Doc, whole: Whole, rounded: Callable[[Fraction], int]) -> Doc:
    """The amount of a proration, and what discounts take off it where they are itemized."""
    net = rounded(whole.net)
    if not billing_modes.itemizes(subscription):
        return {"amount": net, "proration_details": {"credited_items": None, "discount_amounts": []}}
    gross = rounded(whole.amount)
    sign = 1 if gross >= net else -1
    weights = {id: abs(int(cut * FINE)) for id, cut in {**whole.own, **whole.shared}.items()}
    taken = {id: sign * amount for id, amount in spread(abs(gross - net), weights).items()}
    return {
        "amount": gross,
        "proration_details": {
            "credited_items": None,
            "discount_amounts": [{"amount": cut, "discount": id} for id, cut in taken.items()],
        },
        "_taken": {
            "own": {id: taken[id] for id in whole.own if id in taken},
            "shared": {id: taken[id] for id in whole.shared if id in taken},
        },
    }


def paid(ctx: Context, subscription: Doc, item: Doc, at: int) -> Whole:
    """What the whole period that `at` lies in costs at the item's price and quantity: as it was charged, else, where
    another quantity was charged, as it would be."""
    for invoice in objects.query(ctx, "invoice", _subscription=subscription["id"]):
        charged = [line for line in invoice["lines"]["data"] if _charges(line, item, at)]
        if charged and sum(line["quantity"] for line in charged) == (item.get("quantity") or 0):
            return _together([_of_line(line) for line in charged])
    whole, period = (
        items.cycle_in(subscription, item["price"]).holding(item["current_period_start"]),
        items.period_of(item),
    )
    return to_pay(ctx, subscription, item).times(Fraction(period.seconds, whole.seconds))


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
    taken = {one["discount"]: Fraction(one["amount"]) for one in line["discount_amounts"] if one["amount"]}
    own = {id: amount for id, amount in taken.items() if id in line["discounts"]}
    return Whole(Fraction(line["amount"]), own, {id: amount for id, amount in taken.items() if id not in own}, (line,))


def _together(parts: list[Whole]) -> Whole:
    own: dict[str, Fraction] = {}
    shared: dict[str, Fraction] = {}
    for part in parts:
        for whole, cuts in ((own, part.own), (shared, part.shared)):
            for id, amount in cuts.items():
                whole[id] = whole.get(id, Fraction(0)) + amount
    charged = tuple(line for part in parts for line in part.charged)
    return Whole(sum((part.amount for part in parts), Fraction(0)), own, shared, charged)


def to_pay(ctx: Context, subscription: Doc, item: Doc) -> Whole:
    """What the whole period costs now, as one of the subscription's items as they are."""
    held = {known["id"]: known for known in subscription["items"]["data"]} | {item["id"]: item}
    rows = [_row(ctx, subscription, one) for one in held.values()]
    names = subscription["discounts"] or _of_customer(ctx, subscription)
    shared = discounts.offs(ctx, names, subscription["currency"], lasting=True)
    done = reckon(rows, shared)[list(held).index(item["id"])]
    own = {id: Fraction(cut) for id, cut in done.own.items()}
    return Whole(Fraction(done.amount), own, {id: Fraction(cut) for id, cut in done.shared.items()})


def _row(ctx: Context, subscription: Doc, item: Doc) -> Row:
    price = items.stored_price(ctx, item)
    own = discounts.offs(ctx, item["discounts"], subscription["currency"], lasting=True)
    return Row(sums.price_amount(price, item.get("quantity")), price["product"], own=tuple(own))


def _of_customer(ctx: Context, subscription: Doc) -> list[str]:
    held = objects.load(ctx, "customer", subscription["customer"])["discount"]
    return [held["id"]] if held else []
