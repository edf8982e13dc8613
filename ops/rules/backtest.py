"""Try a pattern on the events of the past: which would have matched, whose, with what money, what would be called.

Nothing is written and nothing is called. The period is walked in windows of some ten thousand events. In each, the
database counts them and says which may match (`narrowing`); only these are read, and the pattern itself decides.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

import orjson
from django.db import connection

from billing.inbox.envelope import STRIPE
from ops.rules.envelopes import envelope_of
from ops.rules.models import Mode
from ops.rules.narrowing import Narrowing, narrow, types_between
from ops.rules.patterns import Pattern
from ops.rules.tally import Snapshot, Stored, Tally, TriedTarget

WINDOW = 20_000  # events in one statement
AT_ONCE = 2_000  # payloads in memory
SHOW_EVERY = 0.25  # seconds between snapshots


@dataclass(frozen=True)
class Trial:
    """What is tried: a pattern with targets, saved or not, over the events received in [since, until)."""

    pattern: Pattern
    since: datetime
    until: datetime
    owner: str | None = None  # the name of a Stripe account; None: all
    mode: Mode = Mode.ANY
    targets: Sequence[TriedTarget] = field(default=())
    zone: tzinfo = UTC  # in which days begin


def backtest(trial: Trial) -> Iterator[Snapshot]:
    """Walk through the period, yielding what was found so far; the last snapshot is `done`.

    Closing the iterator ends the work within one statement.
    """
    began = time.monotonic()
    scope, values = scope_of(trial)
    narrowing = narrow(trial.pattern, types_between(trial.since, trial.until))
    total = count_all(scope, values)
    tally = Tally(trial.since, trial.until, trial.zone, trial.targets)
    shown = began
    for start, end in windows(trial.since, trial.until):
        values |= {"start": start, "end": end}
        looked, archived, found = look(scope, narrowing, values)
        tally.looked += looked
        tally.archived += archived
        for ids in chunks(found):
            match(trial.pattern, ids, tally)
            if time.monotonic() - shown > SHOW_EVERY:
                shown = time.monotonic()
                yield tally.snapshot(total=total, seconds=shown - began, done=False)
    yield tally.snapshot(total=tally.looked, seconds=time.monotonic() - began, done=True)


def scope_of(trial: Trial) -> tuple[str, dict[str, Any]]:
    """Return the condition of rows that the trial looks at, but for their time."""
    values: dict[str, Any] = {"since": trial.since, "until": trial.until}
    conditions = ["true"]
    if trial.owner is not None:
        conditions.append("owner = %(owner)s")
        values["owner"] = trial.owner
    if trial.mode != Mode.ANY:
        # Other sources know no modes: their events fit any.
        conditions.append("(livemode = %(livemode)s OR source <> %(stripe)s)")
        values |= {"livemode": trial.mode == Mode.LIVE, "stripe": STRIPE}
    return " AND ".join(conditions), values


def count_all(scope: str, values: dict[str, Any]) -> int:
    sql = f"""SELECT count(*) FROM billing_inboxevent
        WHERE received_at >= %(since)s AND received_at < %(until)s AND {scope}"""  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.fetchone()[0])


def windows(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Cut the period into parts of about WINDOW events (index inbox_by_arrival); those of one moment stay together."""
    start = since
    while start < until:
        end = nth_after(start, until, WINDOW) or until
        if end == start:
            end = later_than(start, until) or until
        yield start, end
        start = end


def nth_after(start: datetime, until: datetime, n: int) -> datetime | None:
    return one_moment(
        "received_at >= %(start)s AND received_at < %(until)s", {"start": start, "until": until, "skip": n}
    )


def later_than(start: datetime, until: datetime) -> datetime | None:
    return one_moment(
        "received_at > %(start)s AND received_at < %(until)s", {"start": start, "until": until, "skip": 0}
    )


def one_moment(condition: str, values: dict[str, Any]) -> datetime | None:
    sql = f"""SELECT received_at FROM billing_inboxevent WHERE {condition}
        ORDER BY received_at OFFSET %(skip)s LIMIT 1"""  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        row = cursor.fetchone()
    return row[0] if row else None


def look(scope: str, narrowing: Narrowing, values: dict[str, Any]) -> tuple[int, int, list[int]]:
    """Return how many events a window has, how many of them without payload, and the ids of those that may match."""
    sql = f"""
        SELECT count(*), count(*) FILTER (WHERE payload IS NULL),
            array_agg(id ORDER BY received_at, id) FILTER (WHERE payload IS NOT NULL AND ({narrowing.sql}))
        FROM billing_inboxevent WHERE received_at >= %(start)s AND received_at < %(end)s AND {scope}
    """  # noqa: S608 - the text is ours, the values are parameters
    with connection.cursor() as cursor:
        cursor.execute(sql, values | narrowing.values)
        looked, archived, found = cursor.fetchone()
    return looked, archived, found or []


def chunks(ids: list[int]) -> Iterator[list[int]]:
    yield from (ids[at : at + AT_ONCE] for at in range(0, max(len(ids), 1), AT_ONCE))


def match(pattern: Pattern, ids: list[int], tally: Tally) -> None:
    """Read these events and count those that match."""
    tally.read += len(ids)
    matching = []
    for row in read(ids):
        envelope = envelope_of(row)
        if pattern.matches(envelope):
            matching.append((row, envelope))
    if matching:
        tally.add(matching)


def read(ids: list[int]) -> Iterator[Stored]:
    columns = ", ".join(COLUMNS)
    sql = f"""SELECT {columns}, bus_envelope::text, payload::text FROM billing_inboxevent
        WHERE id = ANY(%(ids)s) AND payload IS NOT NULL ORDER BY received_at, id"""  # noqa: S608
    if not ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(sql, {"ids": ids})
        for *facts, around, payload in cursor.fetchall():
            yield Stored(*facts, None if around is None else parsed(around), parsed(payload))


COLUMNS = ("id", *(name for name in Stored._fields if name not in ("pk", "bus_envelope", "payload")))


def parsed(text: str) -> Any:
    """Return the JSON, as fast as can be; numbers beyond what orjson reads are left to the slower reader."""
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)
