"""Billing meters, and the summaries of what they counted."""

import hashlib
from typing import Any

from sandbox import objects
from sandbox.billing import usage
from sandbox.billing.periods import Period
from sandbox.context import Context
from sandbox.documents import random_text
from sandbox.errors import ApiError, no_such
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_object, list_page, paging
from sandbox.params import Enum, Hash, Int, Param, Str, Timestamp
from sandbox.routes import route

METER = kind("billing.meter", prefix="mtr", label="billing meter", indexed=("event_name", "status"))
KEY = Hash({"event_payload_key": Str(required=True, max_length=100)})
CREATE: dict[str, Param] = {
    "customer_mapping": Hash(
        {"event_payload_key": Str(required=True, max_length=100), "type": Enum("by_id", required=True)}
    ),
    "default_aggregation": Hash({"formula": Enum("count", "last", "sum", required=True)}, required=True),
    "display_name": Str(required=True, max_length=250),
    "event_name": Str(required=True, max_length=100),
    "event_time_window": Enum("day", "hour"),
    "value_settings": KEY,
}
SUMMARIES: dict[str, Param] = {
    "customer": Str(required=True),
    "end_time": Timestamp(required=True),
    "ending_before": Str(),
    "limit": Int(min=1, max=100),
    "start_time": Timestamp(required=True),
    "starting_after": Str(),
    "value_grouping_window": Enum("day", "hour"),
}
ALIGNED = {None: (60, "minute"), "hour": (3600, "hour"), "day": (24 * 3600, "day")}


def new_id(ctx: Context, prefix: str) -> str:
    """`mtr_test_61…`, as the newer kinds of objects are named."""
    mode = "" if ctx.livemode else "test_"
    return f"{prefix}_{mode}61{random_text(30)}"


@route("POST", "/v1/billing/meters", params=CREATE)
def create_meter(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a billing meter"""
    if find_meter(ctx, params["event_name"]):
        raise ApiError(
            f'There is already an active meter with the event name "{params["event_name"]}". Deactivate that meter or '
            "choose another event name.",
            param="event_name",
        )
    fields = {
        "id": new_id(ctx, "mtr"),
        "customer_mapping": params.get("customer_mapping")
        or {"event_payload_key": "stripe_customer_id", "type": "by_id"},
        "default_aggregation": params["default_aggregation"],
        "display_name": params["display_name"],
        "event_name": params["event_name"],
        "event_time_window": params.get("event_time_window"),
        "status": "active",
        "status_transitions": {"deactivated_at": None},
        "updated": ctx.now,
        "value_settings": params.get("value_settings") or {"event_payload_key": "value"},
    }
    return objects.create(ctx, "billing.meter", fields, event="billing.meter.created")


def find_meter(ctx: Context, event_name: str) -> Doc | None:
    """The active meter that counts events of this name."""
    found = ctx.tx.page(ctx.scope, "billing.meter", {"event_name": event_name, "status": "active"}, limit=1)
    return found[0] if found else None


@route("GET", "/v1/billing/meters", params=paging(status=Enum("active", "inactive")))
def list_meters(ctx: Context, params: dict[str, Any]) -> Doc:
    """List billing meters"""
    return list_page(ctx, "billing.meter", params, {"status": params.get("status")}, url="/v1/billing/meters")


@route("GET", "/v1/billing/meters/{id}")
def retrieve_meter(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a billing meter"""
    return objects.load(ctx, "billing.meter", id, in_path=True)


@route("POST", "/v1/billing/meters/{id}", params={"display_name": Str(max_length=250)})
def update_meter(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a billing meter's name"""
    meter = objects.load(ctx, "billing.meter", id, in_path=True)
    if params.get("display_name", meter["display_name"]) == meter["display_name"]:
        return meter
    return objects.update(ctx, meter, params | {"updated": ctx.now}, event="billing.meter.updated")


@route("POST", "/v1/billing/meters/{id}/deactivate")
def deactivate_meter(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Deactivate a billing meter: it takes no more events and no new prices"""
    meter = objects.load(ctx, "billing.meter", id, in_path=True)
    if meter["status"] == "inactive":
        raise ApiError("You can only deactivate a meter that is active.", param="id")
    changes = {"status": "inactive", "status_transitions": {"deactivated_at": ctx.now}, "updated": ctx.now}
    return _switched(ctx, meter, changes, "billing.meter.deactivated")


@route("POST", "/v1/billing/meters/{id}/reactivate")
def reactivate_meter(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Reactivate a billing meter"""
    meter = objects.load(ctx, "billing.meter", id, in_path=True)
    if meter["status"] == "active":
        raise ApiError("You can only reactivate a meter that is inactive.", param="id")
    if find_meter(ctx, meter["event_name"]):
        raise ApiError(f'Another active meter has the event name "{meter["event_name"]}".', param="id")
    changes = {"status": "active", "status_transitions": {"deactivated_at": None}, "updated": ctx.now}
    return _switched(ctx, meter, changes, "billing.meter.reactivated")


def _switched(ctx: Context, meter: Doc, changes: Doc, type: str) -> Doc:
    switched = objects.update(ctx, meter, changes, event="billing.meter.updated")
    objects.announce(ctx, type, switched)
    return switched


@route("GET", "/v1/billing/meters/{id}/event_summaries", params=SUMMARIES)
def list_event_summaries(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """List what a customer used, for the whole time or for each hour or day of it"""
    meter = objects.load(ctx, "billing.meter", id, in_path=True)
    objects.load(ctx, "customer", params["customer"], param="customer", deleted=True)
    window = params.get("value_grouping_window")
    period = _aligned(params["start_time"], params["end_time"], window)
    found = [
        _summary(ctx, meter, params["customer"], part, float(value))
        for part, value in usage.summaries(ctx, meter, params["customer"], period, window)
    ]
    return _paged(found, params, f"/v1/billing/meters/{id}/event_summaries")


def _aligned(start: int, end: int, window: str | None) -> Period:
    """Source: API reference, "List billing meter event summaries"."""
    length, word = ALIGNED[window]
    for name, time in (("start_time", start), ("end_time", end)):
        if time % length:
            raise ApiError(f"`{name}` must be aligned with {word} boundaries.", param=name)
    if end <= start:
        raise ApiError("`end_time` must be after `start_time`.", param="end_time")
    return Period(start, end)


def _summary(ctx: Context, meter: Doc, customer: str, period: Period, value: float) -> Doc:
    seed = f"{ctx.scope} {meter['id']} {customer} {period.start} {period.end}"
    return {
        "id": "mtrusg_" + hashlib.sha256(seed.encode()).hexdigest()[:24],
        "object": "billing.meter_event_summary",
        "aggregated_value": value,
        "end_time": period.end,
        "livemode": ctx.livemode,
        "meter": meter["id"],
        "start_time": period.start,
    }


def _paged(found: list[Doc], params: dict[str, Any], url: str) -> Doc:
    ids, limit = [summary["id"] for summary in found], params.get("limit", 10)
    for name in ("starting_after", "ending_before"):
        if params.get(name) and params[name] not in ids:
            raise no_such("meter event summary", params[name], param=name)
    if "ending_before" in params:
        before = found[: ids.index(params["ending_before"])]
        return list_object(before[-limit:], url=url, has_more=len(before) > limit)
    rest = found[ids.index(params["starting_after"]) + 1 :] if "starting_after" in params else found
    return list_object(rest[:limit], url=url, has_more=len(rest) > limit)
