"""Usage by the second version of the API: single events, streams of many, and the session that a stream needs.

A stream's events are checked after the answer; what cannot be counted is reported. Here the stream has the same address
as everything else. Source: Stripe docs, "Record usage for billing with the API" (high throughput), API reference "Meter
events (v2)".
"""

import datetime
import uuid
from typing import Any

from sandbox import thin_events
from sandbox.billing.usage import Usage
from sandbox.context import Context
from sandbox.documents import random_text
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.params import Array, Enum, Hash, Map, Param, Str
from sandbox.resources.meter_events import Uncountable, keep_lost, take, take_back
from sandbox.resources.meters import find_meter
from sandbox.routes import route

SESSION_FOR = 15 * 60
"""Seconds that a session's token is good for, as it says; the sandbox takes it longer."""
MOST_EVENTS = 100


class Moment(Param):
    """2026-01-31T12:00:00.000Z, kept as unix seconds."""

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> int:
        try:
            at = datetime.datetime.fromisoformat(raw)
        except (TypeError, ValueError):
            raise ApiError(f"Invalid timestamp: {raw}. Must be in RFC 3339 format.", param=path) from None
        return int(at.replace(tzinfo=at.tzinfo or datetime.UTC).timestamp())


EVENT: dict[str, Param] = {
    "event_name": Str(required=True, max_length=100),
    "identifier": Str(max_length=100),
    "payload": Map(Str(max_length=100), required=True),
    "timestamp": Moment(),
}
ADJUST: dict[str, Param] = {
    "cancel": Hash({"identifier": Str(required=True, max_length=100)}, required=True),
    "event_name": Str(required=True, max_length=100),
    "type": Enum("cancel", required=True),
}


@route("POST", "/v2/billing/meter_events", params=EVENT)
def create_meter_event_v2(ctx: Context, params: dict[str, Any]) -> Doc:
    """Report usage"""
    used = take(ctx, params)
    return {
        "object": "v2.billing.meter_event", "created": thin_events.iso(ctx.now), "event_name": params["event_name"],
        "identifier": used.identifier, "livemode": ctx.livemode, "payload": params["payload"],
        "timestamp": thin_events.iso(used.at),
    }  # fmt: skip


@route("POST", "/v2/billing/meter_event_adjustments", params=ADJUST)
def create_meter_event_adjustment_v2(ctx: Context, params: dict[str, Any]) -> Doc:
    """Take back an event of the last 24 hours"""
    take_back(ctx, params["event_name"], params["cancel"]["identifier"])
    return {
        "id": "mea_" + random_text(24), "object": "v2.billing.meter_event_adjustment", "cancel": params["cancel"],
        "created": thin_events.iso(ctx.now), "event_name": params["event_name"], "livemode": ctx.livemode,
        "status": "complete", "type": "cancel",
    }  # fmt: skip


@route("POST", "/v2/billing/meter_event_session")
def create_meter_event_session(ctx: Context, params: dict[str, Any]) -> Doc:
    """Open a session for a stream of meter events"""
    mode = "live" if ctx.livemode else "test"
    return {
        "id": "mes_" + random_text(24),
        "object": "v2.billing.meter_event_session",
        "authentication_token": f"rk_{mode}_5{ctx.account.removeprefix('acct_')}{random_text(32)}",
        "created": thin_events.iso(ctx.now),
        "expires_at": thin_events.iso(ctx.now + SESSION_FOR),
        "livemode": ctx.livemode,
    }


@route("POST", "/v2/billing/meter_event_stream", params={"events": Array(Hash(EVENT), required=True)})
def create_meter_event_stream(ctx: Context, params: dict[str, Any]) -> Doc:
    """Report up to a hundred usages; what cannot be counted is reported later"""
    if len(params["events"]) > MOST_EVENTS:
        raise ApiError(f"A request can have at most {MOST_EVENTS} events.", param="events")
    for event in params["events"]:
        _take_or_report(ctx, event | {"identifier": event.get("identifier") or str(uuid.uuid4())})
    return {}


def _take_or_report(ctx: Context, event: dict[str, Any]) -> None:
    try:
        take(ctx, event)
    except Uncountable as error:
        meter = find_meter(ctx, event["event_name"])
        message = f"No meter was found matching event_name {event['event_name']}." if meter is None else error.message
        lost = Usage(meter["id"] if meter else "", "", event.get("timestamp", ctx.now), ctx.now, event["identifier"])
        keep_lost(ctx, lost, error.reason, message)
    except ApiError:
        return  # An identifier that is known already: the event counted when it came first.
