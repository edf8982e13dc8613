"""Inbox rows in EventBridge's envelope, which is what patterns ask about and what targets are given. Pure.

Stripe's events have source `stripe.com` and their type as `detail-type`, by whichever door they came. Those that came
by a bus are also what the bus called them (`aws.partner/stripe.com/…`): a rule for either name sees them. Events of
other sources are their own envelope. AWS docs: "EventBridge event structure".
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

STRIPE = "stripe.com"
OWN = "kessai"
# Whose event it is where no bus said so; the portal's own resource names have them too.
REGION, ACCOUNT = "local", "000000000000"

Event = dict[str, Any]


@dataclass(slots=True)
class Received:
    """An inbox row as far as rules need it. `payload` and `bus_envelope` are JSON texts; None: there is none."""

    pk: int
    source: str
    external_id: str
    type: str
    owner: str
    livemode: bool
    object_id: str
    customer_id: str
    occurred_at: datetime
    received_at: datetime
    depth: int
    payload: str | None
    bus_envelope: str | None = None


def forms_of(row: Received) -> list[Event]:
    """Return the event in each of its envelopes, its own first; none where the payload has gone to the archive.

    Raises ValueError for a payload that is no JSON object.
    """
    return [] if row.payload is None else forms_around(row, orjson.loads(row.payload))


def forms_around(row: Received, payload: Any) -> list[Event]:
    """Return the event's envelopes around its payload, or around a part of that. Raises ValueError as `forms_of`."""
    if not isinstance(payload, dict):
        raise ValueError("The payload is no event.")  # noqa: TRY004 - it is data, not a type of ours
    if row.source != STRIPE:
        return [payload]
    stripe = {
        "version": "0",
        "id": row.external_id,
        "detail-type": row.type,
        "source": STRIPE,
        "account": ACCOUNT,
        "time": written_time(row.occurred_at),
        "region": REGION,
        "resources": [],
        "detail": payload,
    }
    if row.bus_envelope is None:
        return [stripe]
    return [orjson.loads(row.bus_envelope) | {"detail": payload}, stripe]


def written_time(at: datetime) -> str:
    """A time as EventBridge writes it, 2026-01-31T12:00:00Z."""
    return at.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"  # half the time of strftime


def rule_arn(name: str) -> str:
    """What `<aws.events.rule-arn>` says here: the rule on the portal's own bus."""
    return f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{OWN}/{name}"
