"""The inbox's rows as the archive needs them: read in the order of arrival, dropped and pruned a few at a time.

Events that failed or still wait are never among them: they keep their payload until they are dealt with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from billing.retention.pack import HOUR, hour_of

PAGE = 2_000  # rows read at once
AT_ONCE = 1_000  # rows changed in one transaction: fewer milliseconds than anybody waits
DONE = "state IN ('mirrored', 'stored')"  # InboxState; an index has these very words

OLDEST = "SELECT min(received_at) FROM billing_inboxevent WHERE received_at >= %s"
GROUPS = f"""
    SELECT source, owner, count(*), sum(pg_column_size(payload)) FROM billing_inboxevent
    WHERE received_at >= %s AND received_at < %s AND payload IS NOT NULL AND {DONE}
    GROUP BY source, owner ORDER BY source, owner
"""  # noqa: S608
READ = f"""
    SELECT id, received_at, to_jsonb(event)::text FROM billing_inboxevent AS event
    WHERE (received_at, id) > (%s, %s) AND received_at < %s AND source = %s AND owner = %s
      AND payload IS NOT NULL AND {DONE}
    ORDER BY received_at, id LIMIT %s
"""  # noqa: S608
DROP = f"""
    UPDATE billing_inboxevent SET payload = NULL WHERE id IN (
        SELECT id FROM billing_inboxevent WHERE id = ANY(%s) AND payload IS NOT NULL AND {DONE}
        ORDER BY id FOR UPDATE SKIP LOCKED)
"""  # noqa: S608
LEFT = "SELECT count(*) FROM billing_inboxevent WHERE received_at >= %s AND received_at < %s AND payload IS NOT NULL"
PRUNE = f"""
    DELETE FROM billing_inboxevent WHERE id IN (
        SELECT id FROM billing_inboxevent WHERE received_at < %s AND payload IS NULL AND {DONE}
        ORDER BY received_at LIMIT %s FOR UPDATE SKIP LOCKED)
"""  # noqa: S608
PRUNABLE = f"SELECT count(*) FROM billing_inboxevent WHERE received_at < %s AND payload IS NULL AND {DONE}"  # noqa: S608


@dataclass(frozen=True)
class Group:
    """The events of one hour that belong together in the archive."""

    source: str
    owner: str
    events: int
    length: int  # bytes of their payloads in the database


@dataclass(frozen=True)
class Line:
    pk: int
    received_at: datetime
    json: str  # the whole row


def next_hour(since: datetime) -> datetime | None:
    """Return the first hour at or after `since` in which anything arrived."""
    with connection.cursor() as cursor:
        cursor.execute(OLDEST, [since])
        oldest = cursor.fetchone()[0]
    return hour_of(oldest) if oldest else None


def groups_of(hour: datetime) -> list[Group]:
    with connection.cursor() as cursor:
        cursor.execute(GROUPS, [hour, hour + HOUR])
        return [Group(*row) for row in cursor.fetchall()]


def lines_of(hour: datetime, group: Group) -> Iterator[Line]:
    """Yield the rows of a group in the order of their arrival."""
    received_at, pk = hour, 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(READ, [received_at, pk, hour + HOUR, group.source, group.owner, PAGE])
            found = [Line(*row) for row in cursor.fetchall()]
        yield from found
        if len(found) < PAGE:
            return
        received_at, pk = found[-1].received_at, found[-1].pk


def drop_payloads(pks: Sequence[int]) -> int:
    """Empty the payloads of these rows, those locked by others excepted; return how many."""
    dropped = 0
    for start in range(0, len(pks), AT_ONCE):
        with connection.cursor() as cursor:
            cursor.execute(DROP, [list(pks[start : start + AT_ONCE])])
            dropped += cursor.rowcount
    return dropped


def payloads_left(hour: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(LEFT, [hour, hour + HOUR])
        return int(cursor.fetchone()[0])


def prune(before: datetime) -> int:
    """Delete a batch of rows that arrived before, are dealt with and archived; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(PRUNE, [before, AT_ONCE])
        return int(cursor.rowcount)


def prunable(before: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(PRUNABLE, [before])
        return int(cursor.fetchone()[0])
