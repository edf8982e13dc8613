"""Other plans and quantities, chosen by the customer in the billing portal, as the portal's configuration allows.

Sources: Stripe docs, "Configure the customer portal" (update subscriptions, downgrades at the end of the period);
API reference, "The Portal Configuration" (`features.subscription_update`).
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sandbox import objects
from sandbox.billing import changing, checkout_codes, items, phases, preview, redeeming, scheduling, sums
from sandbox.billing.redeeming import Purchase
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.resources import schedules

DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
CHANGEABLE = ("trialing", "active", "past_due")


class Obstacle(StrEnum):
    """Why a subscription cannot be changed by its customer."""

    SEVERAL = "it has several items"
    """The portal changes subscriptions of one item alone."""
    METERED = "it is billed by usage"
    """There is no quantity and no amount to compare."""
    SENT = "its invoices are sent"
    """Nobody would pay at once."""
    SCHEDULED = "a change of it is planned already"
    """A schedule says what comes."""
    ENDING = "it is going to end"
    """It is to be resumed first."""
    STOPPED = "it is not active"
    """It is unpaid, paused or has ended."""


@dataclass(frozen=True)
class Change:
    """What a customer chose: `now`, or from the next period on."""

    item: Doc
    price: Doc
    quantity: int
    now: bool
    params: dict[str, Any] = field(default_factory=dict)
    """The parameters with which the subscription changes now."""


def obstacle(subscription: Doc) -> Obstacle | None:
    held = subscription["items"]["data"]
    checks = (
        (subscription["status"] not in CHANGEABLE, Obstacle.STOPPED),
        (len(held) != 1, Obstacle.SEVERAL),
        (items.is_metered(held[0]), Obstacle.METERED),
        (subscription["schedule"] is not None, Obstacle.SCHEDULED),
        (subscription["cancel_at"] is not None, Obstacle.ENDING),
        (subscription["collection_method"] == "send_invoice", Obstacle.SENT),
    )
    return next((found for is_so, found in checks if is_so), None)


def offered(ctx: Context, configuration: Doc, subscription: Doc) -> list[Doc]:
    """The prices that may be chosen, the present one among them, in the order of the configuration."""
    allowed = configuration["features"]["subscription_update"]["default_allowed_updates"]
    current = subscription["items"]["data"][0]["price"]["id"]
    named = [id for product in configuration["_products"] for id in product["prices"]] if "price" in allowed else []
    found = [objects.find(ctx, "price", id) for id in (named if current in named else [current, *named])]
    return [
        price
        for price in found
        if price and price["currency"] == subscription["currency"] and (price["active"] or price["id"] == current)
    ]


def bounds(configuration: Doc, price: Doc) -> tuple[int, int | None] | None:
    """The least and the largest quantity that may be chosen; None when it stays as it is."""
    if "quantity" not in configuration["features"]["subscription_update"]["default_allowed_updates"]:
        return None
    for product in configuration["_products"]:
        adjustable = product["adjustable_quantity"]
        if product["product"] == price["product"] and adjustable["enabled"]:
            return adjustable["minimum"], adjustable["maximum"]
    return None


def planned(
    ctx: Context, configuration: Doc, subscription: Doc, price_id: str | None, quantity: int | None, path: str = "items"
) -> Change:
    """The change to a price and a quantity; what is None stays. Raises for what is not offered, and for no change."""
    [item] = subscription["items"]["data"]
    wanted = price_id or item["price"]["id"]
    price = next((one for one in offered(ctx, configuration, subscription) if one["id"] == wanted), None)
    if price is None:
        raise ApiError("The price is not among those that the portal's configuration offers.", param=f"{path}[price]")
    count = item["quantity"] if quantity is None else quantity
    _check_quantity(configuration, price, count, item, path)
    if (wanted, count) == (item["price"]["id"], item["quantity"]):
        raise ApiError("The update has no effect: the subscription has this price and quantity already.", param=path)
    feature = configuration["features"]["subscription_update"]
    now = not _waits(feature, item, price, count)
    return Change(item, price, count, now, _params(feature, subscription, item, price, count))


def _check_quantity(configuration: Doc, price: Doc, count: int, item: Doc, path: str) -> None:
    limits = bounds(configuration, price)
    if limits is None and count != item["quantity"]:
        raise ApiError("The quantity cannot be changed in the portal.", param=f"{path}[quantity]")
    if limits and not limits[0] <= count <= (limits[1] or count):
        raise ApiError(f"The quantity must be between {limits[0]} and {limits[1] or 'any number'}.",
                       param=f"{path}[quantity]")  # fmt: skip


def _waits(feature: Doc, item: Doc, price: Doc, quantity: int) -> bool:
    """Whether the change is one of those that wait for the end of the period."""
    conditions = {condition["type"] for condition in feature["schedule_at_period_end"]["conditions"]}
    before, after = _per_day(item["price"], item["quantity"]), _per_day(price, quantity)
    shorter = _days(price) < _days(item["price"])
    return ("decreasing_item_amount" in conditions and after < before) or (
        "shortening_interval" in conditions and shorter
    )


def _days(price: Doc) -> int:
    return DAYS[price["recurring"]["interval"]] * int(price["recurring"]["interval_count"])


def _per_day(price: Doc, quantity: int) -> float:
    return sums.price_amount(price, quantity) / _days(price)


def _params(feature: Doc, subscription: Doc, item: Doc, price: Doc, quantity: int) -> dict[str, Any]:
    params: dict[str, Any] = {
        "items": [{"id": item["id"], "price": price["id"], "quantity": quantity}],
        "proration_behavior": feature["proration_behavior"],
    }
    if feature["billing_cycle_anchor"] == "now":
        params["billing_cycle_anchor"] = "now"
    if subscription["status"] == "trialing" and feature["trial_update_behavior"] == "end_trial":
        params["trial_end"] = "now"
    return params


def foreseen(ctx: Context, subscription: Doc, change: Change) -> Doc | None:
    """The invoice that the change makes now; None when nothing is invoiced now."""
    if not change.now:
        return None
    made = preview.preview(ctx, {"subscription": subscription["id"], "subscription_details": change.params})
    return made if made["created"] <= ctx.now else None


def with_discounts(subscription: Doc, change: Change, given: list[Doc]) -> Change:
    """The change under more coupons or promotion codes."""
    held = [{"discount": id} for id in subscription["discounts"]]
    more = [{name: id for name, id in one.items() if id} for one in given]
    return replace(change, params=change.params | {"discounts": held + more}) if more else change


def with_code(ctx: Context, subscription: Doc, change: Change, typed: str) -> Change:
    """The change under a promotion code that the customer typed. Raises UnknownCode and Refused."""
    code = checkout_codes.meant(ctx, typed, subscription["customer"])
    purchase = Purchase(sums.price_amount(change.price, change.quantity), change.price["currency"])
    redeeming.named(ctx, {"promotion_code": code["id"]}, subscription["customer"], "code", purchase)
    return with_discounts(subscription, change, [{"promotion_code": code["id"]}])


def takes_codes(configuration: Doc) -> bool:
    return "promotion_code" in configuration["features"]["subscription_update"]["default_allowed_updates"]


def carry_out(ctx: Context, subscription: Doc, change: Change) -> Doc:
    """Do it. Raises CardError when the bank refuses what is due now: then nothing has changed."""
    if change.now:
        return changing.change(ctx, subscription, change.params | {"payment_behavior": "error_if_incomplete"})
    schedule = schedules.create_schedule(ctx, {"from_subscription": subscription["id"]})
    schedules.update_schedule(ctx, {"phases": _phases(subscription, change)}, schedule["id"])
    return objects.load(ctx, "subscription", subscription["id"])


def _phases(subscription: Doc, change: Change) -> list[dict[str, Any]]:
    """The period ends as it is, and then comes the change."""
    now = phases.as_given(phases.of_subscription(subscription))
    then = {name: value for name, value in now.items() if name not in ("end_date", "start_date", "trial_end")}
    then["discounts"] = change.params.get("discounts", then["discounts"])
    item = now["items"][0] | {"price": change.price["id"], "quantity": change.quantity}
    return [now, then | {"items": [item]}]


def keep(ctx: Context, subscription: Doc) -> None:
    """Nothing is planned any more: the schedule lets go."""
    schedule = objects.find(ctx, "subscription_schedule", subscription["schedule"])
    if schedule:
        scheduling.release(ctx, schedule)
