"""A cancellation on a day inside a period ends the period there: what is paid for beyond that day is credited, and
charged again when the cancellation is taken back. Source: API reference, "Update a subscription" (cancel_at); Stripe
docs, "Cancel subscriptions".
"""

from fractions import Fraction

from sandbox.billing import items, lines, netting, wording
from sandbox.billing.periods import Period
from sandbox.context import Context
from sandbox.kinds import Doc


def cut(ctx: Context, subscription: Doc) -> tuple[list[Doc], list[Doc]]:
    """The items of a subscription with the ends that its `cancel_at` leaves them, and what is credited and charged for
    that, as fields of invoice items."""
    made, prorations = [], []
    for item in subscription["items"]["data"]:
        end = _end(subscription, item, ctx.now)
        made.append(item if end == item["current_period_end"] else item | {"current_period_end": end})
        if made[-1] is not item and subscription["status"] not in ("trialing", "incomplete"):
            prorations += _moved(ctx, subscription, item, end)
    return made, prorations


def until(subscription: Doc, period: Period) -> Period:
    """A new period, no longer than the subscription lasts."""
    at = subscription["cancel_at"]
    return Period(period.start, at) if at and period.start < at < period.end else period


def _end(subscription: Doc, item: Doc, now: int) -> int:
    """Where the item's period ends: with the trial while that goes on, which a new cycle may have outlasted."""
    start, trial_end = item["current_period_start"], subscription["trial_end"]
    runs = trial_end is not None and trial_end > max(start, now)
    end = trial_end if runs else items.cycle_in(subscription, item["price"]).holding(start).end
    return until(subscription, Period(start, end)).end


def _moved(ctx: Context, subscription: Doc, item: Doc, end: int) -> list[Doc]:
    """The credit for what is cut off, or the charge for what is added."""
    if items.is_metered(item):
        return []
    price, quantity, before = items.stored_price(ctx, item), item.get("quantity"), item["current_period_end"]
    name = items.product_name(ctx, price)
    if end < before:
        cost, words = netting.credit(ctx, subscription, item, end), wording.unused_line(name, quantity or 0, end)
    else:
        whole = items.cycle_in(subscription, item["price"]).holding(item["current_period_start"])
        cost = netting.charge(ctx, subscription, item, Fraction(end - before, whole.seconds))
        words = wording.remaining_line(name, quantity or 0, before)
    period = Period(min(before, end), max(before, end))
    fields = lines.proration_item(subscription, item, price, cost=cost, description=words, period=period)
    return [fields] if fields["amount"] else []
