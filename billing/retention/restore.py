"""Bringing archived events back: rows with their payloads, as they were, ready to be replayed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import orjson
import structlog
from django.db import connection, transaction

from billing.inbox.models import InboxEvent
from billing.retention.models import ArchivedHour
from billing.retention.pack import HOUR, folder_of, hour_of
from billing.retention.store import Archive, archive

log = structlog.get_logger(__name__)

AT_ONCE = 500
KEPT = timedelta(days=7)  # what was brought back stays so long before it is archived again


@dataclass(frozen=True)
class Restored:
    key: str
    events: int  # in the file
    restored: int  # rows that came back or got their payload again


def restore(*, since: datetime, until: datetime, now: datetime) -> Iterator[Restored]:
    """Bring back the hours from `since` to `until` (exclusive), file by file; what is there already stays as it is.

    Reads the archive itself, so it also fills an empty database. Raises NoArchive; Damaged when a file is not what
    was put there: the batches before the damage stand.
    """
    place = archive()
    hour = hour_of(since)
    while hour < until:
        for key in place.keys(folder_of(place.prefix, hour)):
            yield restore_file(place, key, hour, now=now)
        hour += HOUR


def restore_file(place: Archive, key: str, hour: datetime, *, now: datetime) -> Restored:
    lines = place.lines(key)
    events = restored = 0
    while batch := list(islice(lines, AT_ONCE)):
        events += len(batch)
        with transaction.atomic():
            restored += put_back([orjson.loads(line) for line in batch])
            keep_for_a_while(hour, now=now)
    log.info("archive:restored", key=key, events=events, restored=restored)
    return Restored(key, events, restored)


def put_back(found: list[dict[str, object]]) -> int:
    """Insert rows that are gone and fill empty payloads: one statement."""
    once = {(row["source"], row["external_id"]): row for row in found}
    with connection.cursor() as cursor:
        cursor.execute(statement(), [orjson.dumps(list(once.values())).decode()])
        return int(cursor.rowcount)


def statement() -> str:
    """Columns that were added since the file was written get their defaults; the row's number is a new one.

    What comes back is not matched with rules again.
    """
    columns = [str(field.column) for field in InboxEvent._meta.concrete_fields if not field.primary_key]
    absent = {"depth": "0", "dispatched_at": "event.received_at"}
    return f"""
        INSERT INTO billing_inboxevent AS old ({", ".join(columns)})
        SELECT {", ".join(f"coalesce(event.{column}, {absent.get(column, 'NULL')})" for column in columns)}
        FROM jsonb_populate_recordset(NULL::billing_inboxevent, %s::jsonb) AS event
        ORDER BY event.received_at, event.id
        ON CONFLICT (source, external_id) DO UPDATE SET payload = EXCLUDED.payload WHERE old.payload IS NULL
    """  # noqa: S608 - of our own column names alone


def keep_for_a_while(hour: datetime, *, now: datetime) -> None:
    ArchivedHour.objects.update_or_create(
        hour=hour,
        defaults={"look_again_at": now + KEPT},
        create_defaults={"look_again_at": now + KEPT, "archived_at": now},
    )
