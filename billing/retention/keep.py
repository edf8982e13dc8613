"""Keeping what is asked for and no longer: archive, verify, drop; later prune. Stopped anywhere, it goes on there.

An hour's file is uploaded and asked for before a single payload is dropped. Killed in between, the next run makes the
same file under the same name and drops what is still there.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import structlog
from django.conf import settings
from django.db.models import F

from billing.retention import rows
from billing.retention.models import ArchivedHour, ArchivePart
from billing.retention.pack import HOUR, Packed, hour_of, key_of, pack
from billing.retention.rows import Group, Line
from billing.retention.store import Archive, archive

log = structlog.get_logger(__name__)

PART = 50_000  # events in one file: what a restore reads at once, and what a worker holds the numbers of
LOOK_AGAIN = timedelta(days=1)  # at hours whose failed events kept their payload
# Stripe lists events for 30 days: a row that went earlier could come again as if it were new.
SHORTEST = timedelta(days=31)
LONG_AGO = datetime(2010, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Kept:
    """What one run did."""

    files: int = 0
    events: int = 0
    dropped: int = 0
    pruned: int = 0
    finished: bool = True  # False: there was more to do than time

    def __add__(self, other: "Kept") -> "Kept":
        return Kept(
            self.files + other.files,
            self.events + other.events,
            self.dropped + other.dropped,
            self.pruned + other.pruned,
            self.finished and other.finished,
        )


@dataclass(frozen=True)
class Planned:
    """What a run would do with one group of one hour."""

    hour: datetime
    group: Group


def keep(*, now: datetime, budget_seconds: float) -> Kept:
    """Archive and drop what is older than the settings say, then prune; stop between two files when time is up.

    Raises NoArchive when there is none; botocore's errors when it does not answer, Damaged when it holds something
    else than it was given. Then nothing of that file was dropped.
    """
    place, end = archive(), time.monotonic() + budget_seconds
    done = Kept()
    for hour in hours_to_archive(now=now):
        done += archive_hour(hour, place, now=now, end=end)
        if not done.finished or time.monotonic() >= end:
            return done + Kept(finished=False)
    return done + prune(now=now, end=end)


def hours_to_archive(*, now: datetime) -> Iterator[datetime]:
    """Yield hours that are to be looked at again, then those that never were, oldest first."""
    again = ArchivedHour.objects.filter(look_again_at__lte=now).order_by("hour").values_list("hour", flat=True)
    yield from list(again)
    newest = ArchivedHour.objects.order_by("-hour").values_list("hour", flat=True).first()
    since = newest + HOUR if newest else LONG_AGO
    while (hour := rows.next_hour(since)) and hour + HOUR <= payloads_until(now):
        yield hour
        since = hour + HOUR


def behind(*, now: datetime) -> timedelta:
    """Return how much older than the settings allow the oldest payload is that no run has looked at; zero if none."""
    newest = ArchivedHour.objects.order_by("-hour").values_list("hour", flat=True).first()
    hour = rows.next_hour(newest + HOUR if newest else LONG_AGO)
    return max(payloads_until(now) - hour, timedelta()) if hour else timedelta()


def payloads_until(now: datetime) -> datetime:
    """Return the moment before which payloads need not stand in the database any more."""
    days = settings.INBOX_PAYLOAD_DAYS
    return hour_of(now - timedelta(days=days)) if days > 0 else LONG_AGO


def rows_until(now: datetime) -> datetime:
    days = settings.INBOX_ROW_DAYS
    return now - max(timedelta(days=days), SHORTEST) if days > 0 else LONG_AGO


def archive_hour(hour: datetime, place: Archive, *, now: datetime, end: float) -> Kept:
    """Archive an hour file by file and drop its payloads; the hour is done when the last file is."""
    done = Kept()
    for group in rows.groups_of(hour):
        lines = rows.lines_of(hour, group)
        while part := list(islice(lines, PART)):
            done += archive_part(hour, group, part, place, now=now)
            if time.monotonic() >= end:
                return done + Kept(finished=False)
    finish_hour(hour, now=now)
    return done


def archive_part(hour: datetime, group: Group, lines: list[Line], place: Archive, *, now: datetime) -> Kept:
    """Upload, verify, write down, drop: in this order, whatever happens."""
    packed = pack(line.json for line in lines)
    with packed.file:
        key = key_of(place.prefix, hour, source=group.source, owner=group.owner, sha256=packed.sha256)
        place.put(key, packed)
        place.verify(key, packed)
    part = record(hour, group, key, packed, place, now=now)
    dropped = rows.drop_payloads([line.pk for line in lines])
    ArchivePart.objects.filter(pk=part.pk).update(dropped=F("dropped") + dropped)
    log.info("archive:stored", key=key, events=packed.events, dropped=dropped)
    return Kept(files=1, events=packed.events, dropped=dropped)


def record(hour: datetime, group: Group, key: str, packed: Packed, place: Archive, *, now: datetime) -> ArchivePart:
    part, _ = ArchivePart.objects.update_or_create(
        bucket=place.bucket,
        key=key,
        defaults={
            "hour": hour,
            "source": group.source,
            "owner": group.owner,
            "events": packed.events,
            "length": packed.length,
            "sha256": packed.sha256,
            "verified_at": now,
        },
    )
    return part


def finish_hour(hour: datetime, *, now: datetime) -> None:
    left = rows.payloads_left(hour)
    again = now + LOOK_AGAIN if left else None
    ArchivedHour.objects.update_or_create(
        hour=hour, defaults={"left": left, "look_again_at": again, "archived_at": now}
    )


def prune(*, now: datetime, end: float) -> Kept:
    """Delete archived rows that are older than the settings say, a batch a transaction."""
    before, pruned = rows_until(now), 0
    while deleted := rows.prune(before):
        pruned += deleted
        if time.monotonic() >= end:
            return Kept(pruned=pruned, finished=False)
    return Kept(pruned=pruned)


def plan(*, now: datetime) -> Iterator[Planned]:
    """Yield what `keep` would archive, and change nothing."""
    for hour in hours_to_archive(now=now):
        yield from (Planned(hour, group) for group in rows.groups_of(hour))
