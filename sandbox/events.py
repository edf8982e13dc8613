"""Events: what happened, as Stripe tells it. `emit` stores one and queues its deliveries in the same transaction."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from sandbox import API_VERSION, webhooks
from sandbox.context import Context
from sandbox.documents import new_document
from sandbox.kinds import Doc, kind

KEPT_FOR = 30 * 24 * 3600
LISTENERS: dict[str, list[Callable[[Context, Doc], None]]] = defaultdict(list)
"""Functions (ctx, object) told of the events whose type begins so: what follows from one kind of object for others."""
EVENT = kind("event", prefix="evt", indexed=("type", "_delivered"))


def emit(ctx: Context, type: str, snapshot: Doc, *, previous: Doc | None = None) -> None:
    """`snapshot` is the rendered object; `previous` the earlier values of what changed (for `*.updated`)."""
    if not ctx.rehearsing:
        _store(ctx, type, snapshot, previous)
    for head, listeners in LISTENERS.items():
        if type.startswith(head):
            for tell in listeners:
                tell(ctx, snapshot)


def _store(ctx: Context, type: str, snapshot: Doc, previous: Doc | None) -> None:
    data: Doc = {"object": snapshot} | ({"previous_attributes": previous} if previous else {})
    endpoints = webhooks.endpoints_for(ctx, type)
    event = new_document(
        ctx,
        "event",
        {
            "api_version": API_VERSION,
            "data": data,
            "pending_webhooks": len(endpoints),
            "request": {"id": ctx.request_id, "idempotency_key": ctx.idempotency_key},
            "type": type,
            "_delivered": not endpoints,
            **({"_clock": ctx.clock} if ctx.clock else {}),
        },
    )
    ctx.tx.insert(ctx.scope, event)
    for endpoint in endpoints:
        webhooks.queue(ctx, event["id"], endpoint["id"])


def previous_attributes(old: Doc, new: Doc) -> Doc:
    """What an `*.updated` event shows: the earlier value of every field that changed, inside hashes only the
    changed part, lists whole, None for a field that was not there."""
    previous: Doc = {}
    for name in new.keys() | old.keys():
        before, after = old.get(name), new.get(name)
        if before != after:
            previous[name] = _earlier(before, after)
    return dict(sorted(previous.items()))


def _earlier(before: Any, after: Any) -> Any:
    if isinstance(before, dict) and isinstance(after, dict) and before.get("object") == after.get("object"):
        return previous_attributes(before, after)
    return before
