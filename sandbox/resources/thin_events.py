"""Thin events: GET /v2/core/events and one of them, with its details."""

from typing import Any

from sandbox import objects, thin_events
from sandbox.context import Context
from sandbox.documents import render
from sandbox.kinds import Doc
from sandbox.params import Array, Int, Param, Str
from sandbox.routes import route

FILTERS: dict[str, Param] = {"limit": Int(min=1, max=100), "object_id": Str(), "types": Array(Str())}


@route("GET", "/v2/core/events", params=FILTERS)
def list_thin_events(ctx: Context, params: dict[str, Any]) -> Doc:
    """List thin events, newest first"""
    filters = {"_object": params.get("object_id"), "type": params.get("types")}
    found = ctx.tx.page(ctx.scope, "v2.core.event", filters, limit=params.get("limit", 20))
    shown = [render(thin_events.shown(event)) for event in found]
    return {"data": shown, "next_page_url": None, "previous_page_url": None}


@route("GET", "/v2/core/events/{id}")
def retrieve_thin_event(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a thin event with its details"""
    return thin_events.shown(objects.load(ctx, "v2.core.event", id, in_path=True))
