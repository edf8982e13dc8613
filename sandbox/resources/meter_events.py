"""Meter events: what a customer used; and adjustments, which take one back.

An event is checked at once for its form. Whether its customer exists is found out while it is counted, after the
answer; what failed then is told in one report for each ten seconds. Source: Stripe docs, "Record usage for billing
with the API" (identifiers, time stamps, error events).
"""

import re
import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sandbox import jobs, objects, thin_events
from sandbox.billing import usage
from sandbox.billing.periods import DAY, Period
from sandbox.billing.usage import Usage
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.params import Enum, Hash, Map, Param, Str, Timestamp
from sandbox.resources.meters import find_meter
from sandbox.routes import route

OLDEST = 35 * DAY
FARTHEST = 5 * 60
"""Seconds that a time stamp may lie in the past and in the future."""
UNIQUE_FOR = DAY
"""Seconds for which an identifier is not taken twice, and in which an event can be taken back."""
NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,12})?")
REPORT_EVERY = 10
"""Seconds of events that one error report tells of."""
SAMPLES = 5
CREATE: dict[str, Param] = {
    "event_name": Str(required=True, max_length=100),
    "identifier": Str(max_length=100),
    "payload": Map(Str(max_length=100), required=True),
    "timestamp": Timestamp(),
}
ADJUST: dict[str, Param] = {
    "cancel": Hash({"identifier": Str(max_length=100)}),
    "event_name": Str(required=True, max_length=100),
    "type": Enum("cancel", required=True),
}


class Uncountable(ApiError):
    """An event that no meter can count. `reason` is the code that an error report gives it."""

    def __init__(self, reason: str, message: str, *, param: str) -> None:
        super().__init__(message, param=param)
        self.reason = reason


@route("POST", "/v1/billing/meter_events", params=CREATE)
def create_meter_event(ctx: Context, params: dict[str, Any]) -> Doc:
    """Report usage"""
    used = take(ctx, params)
    return {
        "object": "billing.meter_event", "created": ctx.now, "event_name": params["event_name"],
        "identifier": used.identifier, "livemode": ctx.livemode, "payload": params["payload"], "timestamp": used.at,
    }  # fmt: skip


def take(ctx: Context, given: dict[str, Any]) -> Usage:
    """Check an event and keep it. Raises Uncountable, and ApiError for an identifier that is known; a customer who does
    not exist is reported later."""
    meter = find_meter(ctx, given["event_name"])
    if meter is None:
        raise Uncountable(
            "no_meter", f'No active meter found for event name "{given["event_name"]}".', param="event_name"
        )
    customer = _customer(meter, given["payload"])
    value = _value(meter, given["payload"])
    known = objects.find(ctx, "customer", customer) is not None
    identifier = given.get("identifier") or str(uuid.uuid4())
    if usage.is_known(ctx, identifier, ctx.now - UNIQUE_FOR):
        raise ApiError(f"An event already exists with identifier {identifier}.", param="identifier")
    at = given.get("timestamp", ctx.now)
    _check_time(at, ctx.now)
    used = Usage(meter["id"], customer, at, ctx.now, identifier, value)
    if known:
        usage.keep(ctx, used)
    else:
        keep_lost(ctx, used, "meter_event_customer_not_found", f"Customer {customer} not found.")
    return used


def _customer(meter: Doc, payload: dict[str, str]) -> str:
    key = meter["customer_mapping"]["event_payload_key"]
    if key not in payload:
        message = f"Customer mapping key {key} not found in payload."
        raise Uncountable("meter_event_no_customer_defined", message, param=f"payload[{key}]")
    return payload[key]


def _value(meter: Doc, payload: dict[str, str]) -> Decimal:
    """The number to count. A meter that counts events needs none."""
    key = meter["value_settings"]["event_payload_key"]
    given = payload.get(key)
    if given is None and meter["default_aggregation"]["formula"] == "count":
        return Decimal(0)
    if given is None:
        message = f"Value key {key} not found in payload."
        raise Uncountable("meter_event_value_not_found", message, param=f"payload[{key}]")
    if not NUMBER.fullmatch(given):
        raise Uncountable(
            "meter_event_invalid_value",
            f"Invalid value: {given}. It must be a number of at most 15 digits with at most 12 decimal places.",
            param=f"payload[{key}]",
        )
    return Decimal(given)


def _check_time(at: int, now: int) -> None:
    if at < now - OLDEST:
        raise Uncountable(
            "timestamp_too_far_in_past",
            "The timestamp is too far in the past. Events must have a timestamp within the past 35 calendar days.",
            param="timestamp",
        )
    if at > now + FARTHEST:
        raise Uncountable(
            "timestamp_in_future",
            "The timestamp is in the future. Events can have a timestamp up to 5 minutes in the future.",
            param="timestamp",
        )


def keep_lost(ctx: Context, used: Usage, error: str, message: str) -> None:
    """An event that does not count, and is reported. Its meter is "" when there is none."""
    usage.keep(ctx, replace(used, error=error, message=message))
    start = ctx.now - ctx.now % REPORT_EVERY
    name = f"{used.meter}:{start}"
    payload = {"meter": used.meter, "start": start}
    jobs.schedule(ctx, "meter.report_errors", due_at=start + REPORT_EVERY, name=name, payload=payload)


@jobs.job("meter.report_errors")
def report_errors(ctx: Context, payload: Doc) -> None:
    """Tell of the events of ten seconds that do not count."""
    period = Period(payload["start"], payload["start"] + REPORT_EVERY)
    failed = usage.errors(ctx, payload["meter"], period)
    if not failed:
        return
    report = _report(failed, period)
    if not payload["meter"]:
        thin_events.emit(ctx, "v1.billing.meter.no_meter_found", report, None)
        return
    related = {"id": payload["meter"], "type": "billing.meter", "url": f"/v1/billing/meters/{payload['meter']}"}
    thin_events.emit(ctx, "v1.billing.meter.error_report_triggered", report, related)


def _report(failed: list[tuple[str, str, str]], period: Period) -> Doc:
    codes = sorted({code for code, _, _ in failed})
    count = len(failed)
    return {
        "developer_message_summary": f"There {'is' if count == 1 else 'are'} {count} invalid event"
        + ("" if count == 1 else "s"),
        "reason": {"error_count": count, "error_types": [_of_code(failed, code) for code in codes]},
        "validation_end": thin_events.iso(period.end),
        "validation_start": thin_events.iso(period.start),
    }


def _of_code(failed: list[tuple[str, str, str]], code: str) -> Doc:
    same = [(message, identifier) for found, message, identifier in failed if found == code]
    samples = [
        {"error_message": message, "request": {"identifier": identifier}} for message, identifier in same[:SAMPLES]
    ]
    return {"code": code, "error_count": len(same), "sample_errors": samples}


@route("POST", "/v1/billing/meter_event_adjustments", params=ADJUST)
def create_meter_event_adjustment(ctx: Context, params: dict[str, Any]) -> Doc:
    """Take back an event of the last 24 hours"""
    identifier = (params.get("cancel") or {}).get("identifier")
    if identifier is None:
        raise ApiError(
            "Missing required param: cancel[identifier].", code="parameter_missing", param="cancel[identifier]"
        )
    take_back(ctx, params["event_name"], identifier)
    return {
        "object": "billing.meter_event_adjustment", "cancel": {"identifier": identifier},
        "event_name": params["event_name"], "livemode": ctx.livemode, "status": "complete", "type": "cancel",
    }  # fmt: skip


def take_back(ctx: Context, event_name: str, identifier: str) -> None:
    """The event counts no more. Raises ApiError when there is no such one in the last day."""
    meter = find_meter(ctx, event_name)
    if meter is None or not usage.cancel(ctx, meter["id"], identifier, ctx.now - UNIQUE_FOR):
        raise ApiError(
            f"No event with identifier {identifier} was received within the last 24 hours.",
            code="resource_missing",
            param="cancel[identifier]",
        )
