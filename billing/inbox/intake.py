"""The one way into the inbox, whichever door an event comes by."""

import json
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import orjson
import structlog
from django.db import DataError, connection, transaction

from billing import metrics
from billing.inbox.envelope import STRIPE, Envelope, read_envelope
from billing.inbox.models import Door, InboxState
from billing.inbox.refusals import NotAnEvent
from billing.sending import sending_cursor
from billing.stripe_accounts import PRIMARY
from billing.unusual_json import storable

log = structlog.get_logger(__name__)

COLUMNS = {
    **dict.fromkeys(("source", "external_id", "door", "owner", "account"), "text"),
    "livemode": "boolean",
    **dict.fromkeys(("type", "api_version", "object_kind", "object_id", "customer_id"), "text"),
    "occurred_at": "timestamptz",
    "payload": "text",
    "received_at": "timestamptz",
    "bus_envelope": "text",
    "depth": "smallint",
}
JSON = ("payload", "bus_envelope")
# A column is an array, sent as it is: quoting each value into the statement would cost five times as much.
INSERT = f"""
    INSERT INTO billing_inboxevent ({", ".join(COLUMNS)}, due_at, state, attempts, error)
    SELECT {", ".join(f"{name}::jsonb" if name in JSON else name for name in COLUMNS)},
        received_at, '{InboxState.RECEIVED.value}', 0, ''
    FROM unnest({", ".join(f"%b::{kind}[]" for kind in COLUMNS.values())}) AS new ({", ".join(COLUMNS)})
    ON CONFLICT (source, external_id) DO NOTHING RETURNING source, external_id
"""  # noqa: S608 - of our own column names alone


class Stored(Enum):
    """What became of an event that was brought to the inbox."""

    NEW = "new"  # stored just now, and due
    BEFORE = "before"  # its source's event of this id had been stored already, by whichever door
    UNSTORABLE = "unstorable"  # PostgreSQL has no place for what it holds; nothing was stored


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event that has been read and may be stored: `body` is its payload as JSON that jsonb keeps.

    `around` is what a bus said around Stripe's event, as such JSON too; `depth` how many rules' targets lie before it.
    """

    event: Envelope
    body: str
    source: str
    door: Door
    owner: str
    received_at: datetime
    around: str | None = None
    depth: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.source, self.event.id

    def values(self) -> tuple[Any, ...]:
        event = self.event
        return (
            *(self.source, event.id, self.door.value, self.owner, event.account, bool(event.livemode), event.type),
            *(event.api_version, event.object_kind, event.object_id, event.customer_id, event.occurred_at),
            *(self.body, self.received_at, self.around, self.depth),
        )


def store_event(
    payload: dict[str, Any], *, source: str = STRIPE, door: Door, owner: str = PRIMARY, now: datetime
) -> bool:
    """Store one event, due at once; return False when this source's event was stored before.

    Raises Refused, and then stores nothing.
    """
    [stored] = store_events([payload], source=source, door=door, owner=owner, now=now)
    if stored is Stored.UNSTORABLE:
        raise NotAnEvent("The event holds what PostgreSQL cannot keep.")
    return stored is Stored.NEW


def store_events(
    payloads: Iterable[dict[str, Any]], *, source: str = STRIPE, door: Door, owner: str = PRIMARY, now: datetime
) -> list[Stored]:
    """Store Stripe's events, due at once; return what became of each, in their order.

    Raises Refused when one of them is no event, and then stores none.
    """
    return store([arrival_of(payload, source=source, door=door, owner=owner, now=now) for payload in payloads])


def arrival_of(
    payload: Any,
    *,
    text: str | None = None,
    source: str = STRIPE,
    door: Door,
    owner: str = PRIMARY,
    now: datetime,
) -> Arrival:
    """Read one of Stripe's events. Raises Refused with what is wrong.

    `text` is the JSON that the payload was read from: what can be stored as it came is not written anew.
    """
    if text is not None and "\\u0000" not in text:
        return Arrival(read_envelope(payload), text, source, door, owner, now)
    payload, body = storable_json(payload)
    return Arrival(read_envelope(payload), body, source, door, owner, now)


def storable_json(payload: Any) -> tuple[Any, str]:
    """Return the payload and its JSON without what jsonb cannot keep: NUL, and half a surrogate pair.

    Rather one character less than no event. Raises NotAnEvent for what is nested deeper than any event.
    """
    try:
        body = orjson.dumps(payload).decode()
    except orjson.JSONEncodeError:  # integers beyond 64 bits, surrogates: orjson writes neither
        return otherwise_storable(payload)
    if "\\u0000" in body:
        return otherwise_storable(payload)
    return payload, body


def otherwise_storable(payload: Any) -> tuple[Any, str]:
    try:
        payload = storable(payload)
        return payload, json.dumps(payload, allow_nan=False)
    except (RecursionError, ValueError):
        raise NotAnEvent("The event is nested deeper than any, or no JSON.")


def store(arrivals: Sequence[Arrival]) -> list[Stored]:
    """Store what has arrived, with one statement; return what became of each, in their order.

    It is there when this returns (outside a transaction), and racing doors make one row. A row that PostgreSQL cannot
    keep does not spoil the others. Raises DatabaseError when the database does not answer: then some may be stored,
    and bringing all of them again is right.
    """
    if not arrivals:
        return []
    try:
        # One statement commits by itself; inside somebody's transaction a failing one must not spoil that.
        with transaction.atomic() if connection.in_atomic_block else nullcontext(), metrics.store_seconds.time():
            outcomes = insert(arrivals)
    except DataError:
        if len(arrivals) == 1:
            return [Stored.UNSTORABLE]
        return [store([arrival])[0] for arrival in arrivals]
    count(arrivals, outcomes)
    return outcomes


def insert(arrivals: Sequence[Arrival]) -> list[Stored]:
    # In the order of their keys: two doors that store the same events wait for each other, and never in a circle.
    rows = sorted({arrival.key: arrival for arrival in reversed(arrivals)}.items())
    columns = [list(values) for values in zip(*(arrival.values() for _, arrival in rows), strict=True)]
    with sending_cursor() as cursor:
        cursor.execute(INSERT, columns)
        new = set(cursor.fetchall())
    return [taken(arrival.key, new) for arrival in arrivals]


def taken(key: tuple[str, str], new: set[tuple[str, str]]) -> Stored:
    """NEW for the first arrival of a new row, BEFORE for its repetitions in the same batch."""
    if key not in new:
        return Stored.BEFORE
    new.remove(key)
    return Stored.NEW


def count(arrivals: Sequence[Arrival], outcomes: Sequence[Stored]) -> None:
    """Tell the numbers and the log: one line a commit, whatever came with it."""
    door = arrivals[0].door.value
    new = [arrival.event.id for arrival, stored in zip(arrivals, outcomes, strict=True) if stored is Stored.NEW]
    before = len(arrivals) - len(new)
    metrics.received.labels(door=door).inc(len(new))
    if before:
        metrics.duplicates.labels(door=door).inc(before)
    accounts = sorted({arrival.owner for arrival in arrivals})
    log.info("inbox:stored", door=door, accounts=accounts, event_ids=new, before=before)
