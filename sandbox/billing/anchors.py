"""Where a billing cycle is fixed. Source: Stripe docs, "Setting the subscription billing cycle date"."""

import datetime
from typing import Any

from sandbox.billing import items, periods
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.params import Hash, Int

CONFIG = Hash(
    {
        "day_of_month": Int(min=1, max=31, required=True),
        "hour": Int(min=0, max=23),
        "minute": Int(min=0, max=59),
        "month": Int(min=1, max=12),
        "second": Int(min=0, max=59),
    }
)
TIME_OF_DAY = ("hour", "minute", "second")


def fixed(ctx: Context, params: dict[str, Any], prices: list[Doc], start: int) -> Doc:
    """The subscription's fields: at the time or by the calendar that was given, else where billing begins (`start`:
    now, or the end of the trial)."""
    config, anchor = params.get("billing_cycle_anchor_config"), params.get("billing_cycle_anchor")
    if config and anchor is not None:
        raise ApiError(
            "You may only specify one of these parameters: billing_cycle_anchor, billing_cycle_anchor_config."
        )
    if config:
        return _by_calendar(ctx, config, prices, start)
    if anchor is None:
        return {"billing_cycle_anchor": start}
    _check(ctx, anchor, prices, start)
    return {"billing_cycle_anchor": anchor}


def _by_calendar(ctx: Context, config: dict[str, Any], prices: list[Doc], start: int) -> Doc:
    """The next such day; the time of day is this one's unless it is given."""
    every = [price["recurring"] for price in prices]
    monthly = any(one["interval"] == "month" and one["interval_count"] == 1 for one in every)
    if any(one["interval"] in periods.FIXED for one in every) or (monthly and "month" in config):
        raise ApiError(
            "`billing_cycle_anchor_config` is only valid for prices with monthly and yearly intervals, and its `month` "
            "only for those that are longer than a month.",
            param="billing_cycle_anchor_config",
        )
    now = datetime.datetime.fromtimestamp(ctx.now, datetime.UTC)
    time = {name: config.get(name, getattr(now, name)) for name in TIME_OF_DAY}
    return {
        "billing_cycle_anchor": periods.next_at(start, config["day_of_month"], month=config.get("month"), **time),
        "billing_cycle_anchor_config": dict.fromkeys((*TIME_OF_DAY, "month")) | config,
    }


def _check(ctx: Context, anchor: int, prices: list[Doc], start: int) -> None:
    latest = min(items.cycle_of(price, start).boundary(1) for price in prices)
    if anchor <= ctx.now:
        raise ApiError("`billing_cycle_anchor` must be in the future.", param="billing_cycle_anchor")
    if anchor > latest:
        raise ApiError(
            f"`billing_cycle_anchor` cannot be later than next natural billing date ({latest}) for plan",
            param="billing_cycle_anchor",
        )
