"""In whose time something happens: what lives in the time of a test clock carries its id in `_clock`.

Whoever loads such an object works in that clock's time from there on, and what they make belongs to the clock too.
Source: Stripe docs, "Test clocks".
"""

from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc

CLOCK = "test_helpers.test_clock"
MOST_CUSTOMERS = 3
MOST_SUBSCRIPTIONS = 3
"""Of one customer. Source: Stripe docs, "Test clocks" (limitations)."""


def follow(ctx: Context, doc: Doc) -> None:
    """Go on in the time that the object lives in."""
    if ctx.clock is None and doc.get("_clock"):
        enter(ctx, doc["_clock"])


def enter(ctx: Context, id: str) -> None:
    """`ctx.now` is the clock's time from here on."""
    clock = ctx.tx.get(ctx.scope, CLOCK, id)
    if clock is None or clock.get("deleted"):
        return
    ctx.clock, ctx.now = id, clock["frozen_time"]
    ctx.advancing = clock["status"] != "ready"


def mark(ctx: Context, fields: Doc) -> Doc:
    """What a new object says of the clock in whose time it is made."""
    if ctx.clock is None:
        return {}
    shown = {"test_clock": ctx.clock} if "test_clock" in fields else {}
    return {"_clock": ctx.clock} | shown


def check_still(ctx: Context) -> None:
    """Raises while the clock is under way: what lives in its time cannot be changed then."""
    if ctx.advancing:
        raise ApiError("Test clock advancement underway - cannot perform modifications.", status=429)


def exist(ctx: Context) -> bool:
    """Whether this account has a test clock at all."""
    row = ctx.tx.sql("SELECT 1 FROM objects WHERE scope=? AND kind=? AND deleted=0 LIMIT 1", ctx.scope, CLOCK)
    return row.fetchone() is not None
