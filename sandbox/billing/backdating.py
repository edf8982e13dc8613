"""A subscription that began before it was made: what is charged for the time that has passed. Source: Stripe docs,
"Backdate subscriptions".
"""

from collections.abc import Iterator
from typing import Any

from sandbox.billing import items, sums
from sandbox.billing.periods import Cycle, Period
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc


def start_of(ctx: Context, params: dict[str, Any]) -> int:
    """`start_date`. Raises for one that is to come."""
    given = params.get("backdate_start_date")
    if given is not None and given > ctx.now:
        raise ApiError("`backdate_start_date` must be in the past.", param="backdate_start_date")
    return int(ctx.now if given is None else given)


def passed_lines(ctx: Context, subscription: Doc, item: Doc) -> list[Doc]:
    """The lines for the time before the item's first period: in flexible billing mode one for each period of the cycle,
    in classic mode one for all, measured in intervals that begin with the subscription."""
    passed = Period(subscription["start_date"], min(item["current_period_start"], subscription["created"]))
    if passed.seconds <= 0:
        return []
    if subscription["billing_mode"]["type"] == "flexible":
        cycle = items.cycle_in(subscription, item["price"])
        return [
            line | _costs(sums.between(line["amount"], whole, part))
            for whole, part in _parts(cycle, passed)
            for line in items.lines_for(ctx, subscription, item, part)
        ]
    cycle = items.cycle_of(item["price"], passed.start)
    return [
        line | _costs(sum(sums.between(line["amount"], whole, part) for whole, part in _parts(cycle, passed)))
        for line in items.lines_for(ctx, subscription, item, passed)
    ]


def _parts(cycle: Cycle, passed: Period) -> Iterator[tuple[Period, Period]]:
    """Each period of the cycle that the time touches, with the part that it has of it."""
    at = passed.start
    while at < passed.end:
        whole = cycle.holding(at)
        yield whole, Period(at, min(whole.end, passed.end))
        at = whole.end


def _costs(amount: int) -> Doc:
    return {"amount": amount, "subtotal": amount}
