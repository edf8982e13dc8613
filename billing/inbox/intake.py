"""The one way into the inbox, whichever door an event comes by."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from billing.inbox.models import Door, InboxState

STRIPE = "stripe.com"  # the source under which Stripe's own events are stored
LONGEST = 255  # characters; Stripe docs: "object IDs … will never exceed 255 characters"
INSERT = """
    INSERT INTO billing_inboxevent (
        source, external_id, door, account, livemode, type, api_version, object_kind, object_id, customer_id,
        occurred_at, received_at, payload, state, due_at, attempts, error)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, '')
    ON CONFLICT (source, external_id) DO NOTHING RETURNING id
"""


class NotAnEvent(ValueError):
    """This is not an event of Stripe's: its parts are missing or of the wrong kind."""


@dataclass(frozen=True)
class Envelope:
    """What the inbox reads of an event; the rest stays in its payload."""

    id: str
    type: str
    account: str
    livemode: bool
    api_version: str
    object_kind: str
    object_id: str
    customer_id: str
    occurred_at: datetime


def store_event(payload: dict[str, Any], *, source: str = STRIPE, door: Door, now: datetime) -> bool:
    """Store one event, due at once; return False when this source's event was stored before.

    One statement, so it is there when this returns (outside a transaction) and racing doors make one row.
    Raises NotAnEvent, and then stores nothing.
    """
    body = written(payload)
    if "\\u0000" in body or "\\ud" in body:
        # jsonb keeps neither NUL nor half a surrogate pair: rather one character less than no event.
        payload = storable(payload)
        body = json.dumps(payload)
    event = read_envelope(payload)
    values: list[Any] = [source, event.id, door, event.account, event.livemode, event.type, event.api_version]
    values += [event.object_kind, event.object_id, event.customer_id, event.occurred_at, now]
    values += [body, InboxState.RECEIVED, now]
    with connection.cursor() as cursor:
        cursor.execute(INSERT, values)
        return cursor.fetchone() is not None


def storable(value: Any) -> Any:
    """Replace the characters that PostgreSQL cannot store by U+FFFD, in every string and key."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode(errors="surrogatepass").decode(errors="replace")
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return value


def written(payload: dict[str, Any]) -> str:
    try:
        return json.dumps(payload)
    except RecursionError:
        raise NotAnEvent("The event is nested deeper than any.")


def read_envelope(payload: Any) -> Envelope:
    """Read what an event is about (Stripe docs: "The Event object"). Raises NotAnEvent with what is wrong."""
    if not isinstance(payload, dict) or payload.get("object") != "event":
        raise NotAnEvent("This is not an event.")
    data = payload.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if not isinstance(subject, dict):
        raise NotAnEvent("The event has no data.object.")
    kind = text(subject, "object", longest=64)
    return Envelope(
        id=needed_text(payload, "id"),
        type=needed_text(payload, "type"),
        account=text(payload, "account", longest=64),
        livemode=payload.get("livemode") is True,
        api_version=text(payload, "api_version", longest=64),
        object_kind=kind,
        object_id=text(subject, "id"),
        customer_id=text(subject, "id") if kind == "customer" else id_of(subject.get("customer")),
        occurred_at=moment(payload.get("created")),
    )


def needed_text(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST:
        raise NotAnEvent(f"The event has no {name}.")
    return value


def text(payload: dict[str, Any], name: str, *, longest: int = LONGEST) -> str:
    """A value that may be missing; one that is no text, or too long for its column, counts as missing."""
    value = payload.get(name)
    return value if isinstance(value, str) and len(value) <= longest else ""


def id_of(reference: Any) -> str:
    """The id of a reference, expanded or not."""
    return text(reference, "id") if isinstance(reference, dict) else text({"id": reference}, "id")


def moment(seconds: Any) -> datetime:
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise NotAnEvent("The event has no created time.")
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (ValueError, OverflowError, OSError):
        raise NotAnEvent("The event's created time is out of range.")
