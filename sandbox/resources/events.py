"""Events: the last thirty days."""

from typing import Any

from sandbox import clocks, objects
from sandbox.context import Context
from sandbox.errors import ApiError, no_such
from sandbox.events import KEPT_FOR
from sandbox.kinds import Doc
from sandbox.pagination import created_range, list_page, listing
from sandbox.params import Array, Bool, Str
from sandbox.routes import route


@route("GET", "/v1/events", params=listing(type=Str(), types=Array(Str()), delivery_success=Bool()))
def list_events(ctx: Context, params: dict[str, Any]) -> Doc:
    """List events"""
    if "type" in params and "types" in params:
        raise ApiError("You may only specify one of these parameters: type, types.")
    within = created_range(params.get("created"))
    # What lives in the time of a test clock has dates of its own, and goes with the clock.
    oldest = 0 if clocks.exist(ctx) else ctx.now - KEPT_FOR
    params["created"] = within | {"gte": max(within.get("gte", oldest), oldest)}
    filters = {"_delivered": params.get("delivery_success")}
    if "type" in params and "*" not in params["type"]:
        filters["type"] = params["type"]
    elif "type" in params:
        filters["type"] = _types_like(ctx, params["type"])
    elif "types" in params:
        filters["type"] = params["types"]
    return list_page(ctx, "event", params, filters)


def _types_like(ctx: Context, pattern: str) -> list[str]:
    """The stored types that `invoice.*` means."""
    rows = ctx.tx.sql(
        "SELECT DISTINCT value FROM object_index WHERE scope=? AND kind='event' AND field='type'", ctx.scope
    ).fetchall()
    head = pattern.split("*", 1)[0]
    return [row[0] for row in rows if row[0].startswith(head)] or [pattern]


@route("GET", "/v1/events/{id}")
def retrieve_event(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve an event"""
    event = objects.load(ctx, "event", id, in_path=True)
    if "_clock" not in event and event["created"] < ctx.now - KEPT_FOR:
        raise no_such("event", id, in_path=True)
    return event
