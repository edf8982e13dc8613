"""Thin events: GET /v2/core/events, page after page, and one of them with its details.

Source: API reference, "List all Events (v2)", and "Pagination" of API v2 (`next_page_url`, `previous_page_url`).
"""

import base64
import math
from typing import Any
from urllib.parse import urlencode

from sandbox import objects, thin_events
from sandbox.context import Context
from sandbox.documents import render
from sandbox.errors import ApiError
from sandbox.events import KEPT_FOR
from sandbox.kinds import Doc
from sandbox.page_query import Cursor
from sandbox.params import Array, Hash, Int, Param, Rfc3339, Str
from sandbox.routes import route

PATH = "/v2/core/events"
MOST_TYPES = 20
RANGE: dict[str, Param] = {name: Rfc3339() for name in ("gt", "gte", "lt", "lte")}
FILTERS: dict[str, Param] = {
    "created": Hash(RANGE),
    "limit": Int(min=1, max=100),
    "object_id": Str(),
    "page": Str(),
    "types": Array(Str()),
}
ROUND = {"gt": math.floor, "gte": math.ceil, "lt": math.ceil, "lte": math.floor}
"""Events happen in whole seconds: what a part of a second as the edge of a range means for them."""


@route("GET", PATH, params=FILTERS)
def list_thin_events(ctx: Context, params: dict[str, Any]) -> Doc:
    """List thin events, newest first"""
    if len(params.get("types", [])) > MOST_TYPES:
        raise ApiError(f"You can ask for up to {MOST_TYPES} types.", param="types")
    way, place = _place(ctx, params.get("page"))
    limit = params.get("limit", 20)
    found = ctx.tx.page(
        ctx.scope,
        "v2.core.event",
        {"_object": params.get("object_id"), "type": params.get("types")},
        created=_within(ctx, params.get("created", {})),
        after=place if way == "after" else None,
        before=place if way == "before" else None,
        limit=limit + 1,
    )
    more = len(found) > limit
    found = (found[1:] if way == "before" else found[:limit]) if more else found
    later, earlier = (more or way == "before"), (way == "after" or (way == "before" and more))
    return {
        "data": [render(thin_events.shown(event)) for event in found],
        "next_page_url": _address(params, f"after:{found[-1]['id']}") if found and later else None,
        "previous_page_url": _address(params, f"before:{found[0]['id']}") if found and earlier else None,
    }


def _within(ctx: Context, given: dict[str, float]) -> dict[str, int]:
    """The range as whole seconds, which goes back thirty days at most."""
    within = {name: ROUND[name](at) for name, at in given.items()}
    oldest = ctx.now - KEPT_FOR
    return within | {"gte": max(within.get("gte", oldest), oldest)}


def _place(ctx: Context, page: str | None) -> tuple[str, Cursor | None]:
    """Where a page goes on: `after` an event, or `before` one. Raises for what no answer has named."""
    if page is None:
        return "", None
    try:
        way, _, id = base64.urlsafe_b64decode(page.encode()).decode().partition(":")
    except ValueError:
        way, id = "", ""
    place = ctx.tx.cursor(ctx.scope, "v2.core.event", id) if way in ("after", "before") else None
    if place is None:
        raise ApiError("This is no page of this list. Ask for the first one without `page`.", param="page")
    return way, place


def _address(params: dict[str, Any], place: str) -> str:
    """The address of another page, with the same filters."""
    pairs = [(f"created[{name}]", thin_events.iso(at)) for name, at in params.get("created", {}).items()]
    pairs += [(name, str(params[name])) for name in ("limit", "object_id") if name in params]
    pairs += [(f"types[{number}]", type) for number, type in enumerate(params.get("types", []))]
    page = base64.urlsafe_b64encode(place.encode()).decode()
    return f"{PATH}?{urlencode([*pairs, ('page', page)])}"


@route("GET", f"{PATH}/{{id}}")
def retrieve_thin_event(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a thin event with its details"""
    return thin_events.shown(objects.load(ctx, "v2.core.event", id, in_path=True))
