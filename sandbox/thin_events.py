"""Events of the second kind: small, without a copy of the object, fetched for their details.

They go to the endpoints that name their type; "*" means the events of the first kind. Source: Stripe docs, "Event
destinations" (thin events), API reference "Event (v2)".
"""

import datetime

from sandbox import webhooks
from sandbox.context import Context
from sandbox.documents import new_document, random_text
from sandbox.kinds import Doc, kind

THIN_EVENT = kind("v2.core.event", prefix="evt", label="event", indexed=("type", "_object"))


def emit(ctx: Context, type: str, data: Doc, related: Doc | None) -> Doc:
    """Store one and queue its deliveries. `related` is {"id", "type", "url"} of the object it tells of."""
    told: Doc = {
        "id": f"evt_{'' if ctx.livemode else 'test_'}65{random_text(40)}",
        "livemode": ctx.livemode,
        "object": "v2.core.event",
        "related_object": related,
        "type": type,
    }
    kept = {"data": data, "_notification": told | {"created": iso(ctx.now)}, "_object": (related or {}).get("id")}
    event = new_document(ctx, "v2.core.event", told | kept)
    ctx.tx.insert(ctx.scope, event)
    for endpoint in webhooks.endpoints_for(ctx, type):
        if type in endpoint["enabled_events"]:
            webhooks.queue(ctx, event["id"], endpoint["id"])
    return event


def shown(event: Doc) -> Doc:
    """As it is answered: with its details, and its time in words."""
    return event | {"created": iso(event["created"])}


def iso(at: float) -> str:
    """2026-01-31T12:00:00.000Z"""
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
