"""Which worker matches which events: locked while they are matched, marked in the same transaction."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from ops.rules.envelopes import Received

# Rows are chosen and locked by their keys alone: payloads are unpacked only when there are rules to ask.
TAKE = """
    SELECT id FROM billing_inboxevent
    WHERE state IN ('mirrored', 'stored') AND dispatched_at IS NULL
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
"""
COLUMNS = """
    id, source, external_id, type, owner, livemode, object_id, customer_id, occurred_at, received_at, depth,
    payload::text, bus_envelope::text
"""
READ = f"SELECT {COLUMNS} FROM billing_inboxevent WHERE id = ANY(%s) ORDER BY id"  # noqa: S608 - our own words
MARK = "UPDATE billing_inboxevent SET dispatched_at = %s WHERE id = ANY(%s)"
WAITING = """
    SELECT EXISTS (SELECT 1 FROM billing_inboxevent WHERE state IN ('mirrored', 'stored') AND dispatched_at IS NULL)
"""


def take(limit: int) -> list[int]:
    """Lock up to `limit` events that no rule was asked about, oldest first; those others hold are passed over."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [limit])
        return [pk for (pk,) in cursor.fetchall()]


def read(pks: Sequence[int]) -> list[Received]:
    with connection.cursor() as cursor:
        cursor.execute(READ, [list(pks)])
        return [Received(*row) for row in cursor.fetchall()]


def mark(pks: Sequence[int], *, now: datetime) -> None:
    """Write that the rules were asked about these events."""
    with connection.cursor() as cursor:
        cursor.execute(MARK, [now, list(pks)])


def waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return bool(cursor.fetchone()[0])
