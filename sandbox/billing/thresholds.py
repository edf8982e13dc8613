"""Billing thresholds: what was used is invoiced as soon as it comes to so much, without waiting for the period's end.

Sources: Stripe docs, "Set billing thresholds"; API reference, "The Subscription object" (billing_thresholds).
"""

from sandbox import objects
from sandbox.billing import changing, collection, items, lifecycle, usage, usage_lines
from sandbox.context import Context
from sandbox.kinds import Doc


def _used(ctx: Context, used: usage.Usage) -> None:
    """Told by usage: an event was counted."""
    for subscription in objects.query(ctx, "subscription", customer=used.customer, status=["active", "past_due"]):
        if subscription["billing_thresholds"] or any(_units(item) for item in subscription["items"]["data"]):
            _check(ctx, subscription)


usage.KEPT.append(_used)


def _units(item: Doc) -> int | None:
    units: int | None = (item["billing_thresholds"] or {}).get("usage_gte")
    return units


def _check(ctx: Context, subscription: Doc) -> None:
    until = ctx.now + 1
    lines = usage_lines.all_due(ctx, subscription, until=until)
    if _is_reached(ctx, subscription, lines):
        _bill(ctx, subscription, lines, until)


def _is_reached(ctx: Context, subscription: Doc, lines: list[Doc]) -> bool:
    amount = (subscription["billing_thresholds"] or {}).get("amount_gte")
    waiting = sum(item["amount"] for item in collection.take_pending(ctx, subscription))
    if amount and waiting + sum(line["amount"] for line in lines) >= amount:
        return True
    return any(_quantity(lines, item) >= units for item in subscription["items"]["data"] if (units := _units(item)))


def _quantity(lines: list[Doc], item: Doc) -> int:
    own = [line for line in lines if line["parent"]["subscription_item_details"]["subscription_item"] == item["id"]]
    return sum(line["quantity"] for line in own)


def _bill(ctx: Context, subscription: Doc, lines: list[Doc], until: int) -> None:
    customer = objects.load(ctx, "customer", subscription["customer"])
    invoice = lifecycle.subscription_invoice(ctx, subscription, customer, "subscription_threshold", lines)
    counted = {item["id"]: until for item in subscription["items"]["data"] if items.is_metered(item)}
    since = (subscription.get("_used_since") or {}) | counted
    billed = lifecycle.updated(ctx, subscription, {"latest_invoice": invoice["id"], "_used_since": since})
    if (billed["billing_thresholds"] or {}).get("reset_billing_cycle_anchor"):
        changing.change(ctx, billed, {"billing_cycle_anchor": "now"})
