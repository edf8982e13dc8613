"""Test clocks: customers who live in a time of their own, which stands until it is advanced.

Advancing is asynchronous, as at Stripe: the answer says `advancing`, a job runs what is due in the clock's time step by
step, and then the clock is `ready`. Sources: API reference, "Test clocks"; Stripe docs, "API and advanced usage" of
test clocks.
"""

from typing import Any

from sandbox import clocks, jobs, objects
from sandbox.billing.periods import DAY, Cycle, months_later
from sandbox.clocks import CLOCK
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import KINDS, Doc, kind
from sandbox.pagination import list_page, paging
from sandbox.params import Int, Str
from sandbox.resources import customers
from sandbox.routes import route

TEST_CLOCK = kind(CLOCK, prefix="clock", label="test clock")
PATH = "/v1/test_helpers/test_clocks"
KEPT_FOR = 7 * DAY
MOST = 100
STEP = 20
"""The jobs of a clock that share a transaction."""
RUNNING = ["active", "incomplete", "past_due", "paused", "trialing", "unpaid"]
STAY = (CLOCK, "customer", "balance_transaction", "event")
"""What is not deleted without a trace with a clock: customers leave their stub, what was told stays told, and what the
account has stays in its balance, with the ledger's rows and the transactions that say where it came from."""


@route("POST", PATH, params={"customer": Str(), "frozen_time": Int(min=0, required=True), "name": Str(max_length=300)})
def create_test_clock(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a test clock"""
    if ctx.livemode:
        raise ApiError("Test clocks can only be created in test mode.", status=403)
    if ctx.tx.count(ctx.scope, CLOCK) >= MOST:
        raise ApiError(f"You have reached the limit of {MOST} test clocks. Delete those you do not need any more.")
    clock = objects.create(
        ctx,
        CLOCK,
        {
            "deletes_after": ctx.now + KEPT_FOR,
            "frozen_time": params["frozen_time"],
            "name": params.get("name"),
            "status": "ready",
            "status_details": {},
        },
        event="test_helpers.test_clock.created",
    )
    later = {"clock": clock["id"]}
    jobs.schedule(ctx, "test_clock.delete", due_at=clock["deletes_after"], name=clock["id"], payload=later)
    if "customer" in params:
        _attach(ctx, clock, params["customer"])
    return clock


def _attach(ctx: Context, clock: Doc, id: str) -> None:
    """An existing customer lives in the clock's time from now on, with all that they have, for good."""
    customer = objects.load(ctx, "customer", id, param="customer")
    if customer["test_clock"]:
        raise ApiError("This customer is attached to a test clock already.", param="customer")
    owned = {"test_clock": clock["id"], "_clock": clock["id"]}
    objects.update(ctx, customer, owned, event="customer.updated")
    for name in (name for name, known in KINDS.items() if "customer" in known.indexed):
        for doc in objects.query(ctx, name, customer=id):
            objects.update(ctx, doc, owned if "test_clock" in doc else {"_clock": clock["id"]})
            ctx.tx.sql("UPDATE jobs SET clock=? WHERE scope=? AND name=?", clock["id"], ctx.scope, doc["id"])


@route("GET", PATH, params=paging())
def list_test_clocks(ctx: Context, params: dict[str, Any]) -> Doc:
    """List test clocks"""
    return list_page(ctx, CLOCK, params, url=PATH)


@route("GET", f"{PATH}/{{id}}")
def retrieve_test_clock(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a test clock"""
    return objects.load(ctx, CLOCK, id, in_path=True)


@route("POST", f"{PATH}/{{id}}/advance", params={"frozen_time": Int(required=True)})
def advance_test_clock(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Advance a test clock"""
    clock, target = objects.load(ctx, CLOCK, id, in_path=True), params["frozen_time"]
    _check_ready(clock)
    if target <= clock["frozen_time"]:
        raise ApiError(
            f"The `frozen_time` must be after the test clock's current frozen time ({clock['frozen_time']}).",
            param="frozen_time",
        )
    latest = _latest(ctx, clock)
    if target > latest:
        raise ApiError(
            "Cannot advance the test clock more than two intervals from the shortest subscription in it, or two years "
            f"when there is none: {latest} at the latest.",
            param="frozen_time",
        )
    under_way = {"status": "advancing", "status_details": {"advancing": {"target_frozen_time": target}}}
    clock = objects.update(ctx, clock, under_way)
    objects.announce(ctx, "test_helpers.test_clock.advancing", clock)
    jobs.schedule(ctx, "test_clock.advance", due_at=ctx.now, name=id, payload={"clock": id})
    return clock


def _check_ready(clock: Doc) -> None:
    if clock["status"] == "advancing":
        raise ApiError("Test clock advancement underway - cannot perform modifications.", status=429)
    if clock["status"] != "ready":
        raise ApiError("This test clock failed to advance. Delete it and begin again with another.")


def _latest(ctx: Context, clock: Doc) -> int:
    """Two intervals of the shortest running subscription from now, two years without one."""
    now = clock["frozen_time"]
    prices = [
        item["price"]["recurring"]
        for subscription in objects.query(ctx, "subscription", test_clock=clock["id"], status=RUNNING)
        for item in subscription["items"]["data"]
    ]
    ends = [Cycle(now, price["interval"], price["interval_count"]).boundary(2) for price in prices]
    return min(ends, default=months_later(now, 24))


@jobs.job("test_clock.advance")
def go_on(ctx: Context, payload: Doc) -> None:
    """Run the next things that are due in the clock's time; when there are none left it is ready."""
    clock = objects.find(ctx, CLOCK, payload["clock"])
    if clock is None or clock["status"] != "advancing":
        return
    target = clock["status_details"]["advancing"]["target_frozen_time"]
    ran, error = jobs.run_clock(ctx, clock["id"], target, limit=STEP)
    if error:
        failed = objects.update(ctx, clock, {"status": "internal_failure", "status_details": {}})
        objects.announce(ctx, "test_helpers.test_clock.internal_failure", failed)
    elif ran == STEP:
        jobs.schedule(ctx, "test_clock.advance", due_at=ctx.now, name=clock["id"], payload=payload)
    else:
        ready = objects.update(ctx, clock, {"frozen_time": target, "status": "ready", "status_details": {}})
        objects.announce(ctx, "test_helpers.test_clock.ready", ready)


@route("DELETE", f"{PATH}/{{id}}")
def delete_test_clock(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Delete a test clock"""
    clock = objects.load(ctx, CLOCK, id, in_path=True)
    if clock["status"] == "advancing":
        _check_ready(clock)
    return _delete(ctx, clock)


def _delete(ctx: Context, clock: Doc) -> Doc:
    """With its customers and everything that they had, payments too. It is told that the customers are deleted (and so
    their subscriptions canceled) and the clock; of the rest nothing is told."""
    outside, id = ctx.now, clock["id"]
    ctx.clock, ctx.now = id, clock["frozen_time"]
    for customer in objects.query(ctx, "customer", test_clock=id):
        customers.delete_customer(ctx, {}, customer["id"])
    for name in KINDS.keys() - set(STAY):
        for doc in objects.query(ctx, name, _clock=id):
            ctx.tx.delete(ctx.scope, doc, None)
    ctx.tx.sql("DELETE FROM jobs WHERE scope=? AND clock=?", ctx.scope, id)
    ctx.clock, ctx.now = None, outside
    jobs.cancel(ctx, "test_clock.delete", name=id)
    return objects.delete(ctx, clock, event="test_helpers.test_clock.deleted")


@jobs.job("test_clock.delete")
def expire(ctx: Context, payload: Doc) -> None:
    """`deletes_after` has come."""
    clock = objects.find(ctx, CLOCK, payload["clock"])
    if clock:
        _delete(ctx, clock)


def _live_in(ctx: Context, id: str) -> None:
    """Told by customers: a new one is to live in a clock's time."""
    clock = objects.load(ctx, CLOCK, id, param="test_clock")
    _check_ready(clock)
    if ctx.tx.count(ctx.scope, "customer", {"test_clock": id}) >= clocks.MOST_CUSTOMERS:
        raise ApiError(
            f"A test clock can have at most {clocks.MOST_CUSTOMERS} customers. Create another test clock for more.",
            param="test_clock",
        )
    clocks.enter(ctx, id)


customers.BEFORE_CREATION.append(_live_in)
