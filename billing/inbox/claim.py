"""Which worker does which rows: locked while they are looked at, leased while Stripe is asked about them.

A lock ends with its transaction. A lease ends by itself when its worker dies.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from billing.inbox import settled
from billing.inbox.models import InboxEvent, InboxState
from billing.sending import sending_cursor

LEASE = timedelta(seconds=90)  # longer than any batch takes, shorter than anybody would wait after a crash
# Rows are chosen and locked by their keys alone: payloads are unpacked for those that were chosen, and no others.
TAKE = """
    SELECT id FROM billing_inboxevent
    WHERE state = 'received' AND due_at <= %s AND (claimed_until IS NULL OR claimed_until <= %s)
    ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
"""
TAKE_AGAIN = """
    SELECT id FROM billing_inboxevent
    WHERE id = ANY(%s) AND state = 'received' AND (claimed_until IS NULL OR claimed_until <= %s)
    ORDER BY id FOR UPDATE SKIP LOCKED
"""
READ = """
    SELECT id, external_id, source, owner, account, livemode, type, api_version, object_kind, object_id,
        occurred_at, received_at, attempts, error, (payload #> '{data,object}')::text
    FROM billing_inboxevent WHERE id = ANY(%s)
"""
STILL = "SELECT id FROM billing_inboxevent WHERE id = ANY(%s) AND state = 'received' ORDER BY id FOR UPDATE SKIP LOCKED"
HEAL = """
    UPDATE billing_inboxevent AS event
    SET state = 'mirrored', mirrored_at = %s, error = '', due_at = NULL, claimed_until = NULL
    FROM jsonb_to_recordset(%s::jsonb) AS new (kind text, object_id text, owner text, at timestamptz)
    WHERE event.state = 'failed' AND event.source = 'stripe.com' AND event.owner = new.owner
      AND event.object_kind = new.kind AND event.object_id = new.object_id AND event.occurred_at <= new.at
"""
SETTLE = """
    UPDATE billing_inboxevent AS event
    SET state = new.state, error = new.error, due_at = new.due_at, attempts = new.attempts,
        mirrored_at = new.mirrored_at, claimed_until = NULL
    FROM jsonb_to_recordset(%s::jsonb) AS new (
        id bigint, state text, error text, due_at timestamptz, attempts int, mirrored_at timestamptz)
    WHERE event.id = new.id
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An inbox event that waits for the mirror: what the mirror needs of its row."""

    pk: int
    external_id: str
    source: str
    owner: str
    account: str
    livemode: bool
    type: str
    api_version: str
    object_kind: str
    object_id: str
    occurred_at: datetime
    received_at: datetime
    attempts: int
    error: str  # what the mirror said of it when it looked last
    object_json: str | None  # `data.object` as JSON; None for a thin event


@dataclass(frozen=True, slots=True)
class Settled:
    """How an event's row is to stand after the mirror has looked at it."""

    id: int
    state: InboxState
    attempts: int
    error: str = ""
    due_at: datetime | None = None
    mirrored_at: datetime | None = None


def due(now: datetime) -> QuerySet[InboxEvent]:
    """Events that wait for the mirror, that are due, and that no living worker holds."""
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    return InboxEvent.objects.filter(free, state=InboxState.RECEIVED, due_at__lte=now)


def take(*, limit: int, now: datetime) -> list[Waiting]:
    """Lock up to `limit` due events until the transaction ends, oldest first; those others hold are passed over."""
    return waiting(TAKE, [now, now, limit])


def take_again(pks: Sequence[int], *, now: datetime) -> list[Waiting]:
    """Lock these events, as far as they still wait and nobody holds them."""
    return waiting(TAKE_AGAIN, [list(pks), now])


def waiting(sql: str, params: list[Any]) -> list[Waiting]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        pks = [pk for (pk,) in cursor.fetchall()]
        cursor.execute(READ, [pks])
        found = {row[0]: Waiting(*row) for row in cursor.fetchall()}
    return [found[pk] for pk in pks]  # in the order in which they were taken


def lease(pks: Iterable[int], *, now: datetime) -> None:
    """Keep these events for this worker beyond its transaction, until it settles them or the lease ends."""
    InboxEvent.objects.filter(pk__in=list(pks)).update(claimed_until=now + LEASE)


def release(pks: Iterable[int]) -> None:
    """Give back what was leased and not looked at."""
    InboxEvent.objects.filter(pk__in=list(pks), state=InboxState.RECEIVED).update(claimed_until=None)


def still_waiting(pks: Iterable[int]) -> set[int]:
    """Lock the events that we leased, before anything else is locked; without those that somebody else has settled."""
    with connection.cursor() as cursor:
        cursor.execute(STILL, [list(pks)])
        return {pk for (pk,) in cursor.fetchall()}


def settle(outcomes: Sequence[Settled]) -> None:
    """Write how these events stand: one statement. The caller holds their locks."""
    if outcomes:
        with sending_cursor() as cursor:
            cursor.execute(SETTLE, [orjson.dumps(list(outcomes)).decode()])
    if any(outcome.state in (InboxState.MIRRORED, InboxState.STORED) for outcome in outcomes):
        settled.tell_after_commit()


def settle_waiting(outcomes: Sequence[Settled]) -> None:
    """Write how these events stand, those of them that still wait, in a transaction of its own."""
    with transaction.atomic():
        still = still_waiting(outcome.id for outcome in outcomes)
        settle([outcome for outcome in outcomes if outcome.id in still])


def heal(objects: Sequence[tuple[str, str, datetime]], *, owner: str, now: datetime) -> None:
    """Settle the failed events of objects that were mirrored by something later: `(kind, id, time of that)` each."""
    rows = [{"kind": kind, "object_id": object_id, "owner": owner, "at": at} for kind, object_id, at in objects]
    if rows:
        with sending_cursor() as cursor:
            cursor.execute(HEAL, [now, orjson.dumps(rows).decode()])
            healed = cursor.rowcount
        if healed > 0:
            settled.tell_after_commit()
