"""Try a pattern on the events of the past: which would have matched, whose, with what money, what would be called.

Nothing is written and nothing is called. The period is walked in windows of some ten thousand events. In each, the
database counts them and says which may match (`narrowing`); only these are read, and the pattern itself decides.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from django.db import connection

from billing.inbox.models import InboxState
from ops.rules import take
from ops.rules.book import ReadyTarget
from ops.rules.envelopes import STRIPE, Event, Received, forms_of
from ops.rules.models import Mode
from ops.rules.narrowing import Narrowing, narrow, types_between
from ops.rules.parts import Parts, parts_of, read_parts
from ops.rules.patterns import Pattern
from ops.rules.tally import MONEY_PATHS, Fitting, Snapshot, Tally

WINDOW = 20_000  # events in one statement
AT_ONCE = 500  # payloads in memory
SHOW_EVERY = 0.25  # seconds between snapshots
SETTLED = f"state IN ('{InboxState.MIRRORED.value}', '{InboxState.STORED.value}')"


@dataclass(frozen=True)
class Trial:
    """What is tried: a pattern with targets, saved or not, over the events received in [since, until)."""

    pattern: Pattern
    since: datetime
    until: datetime
    owner: str | None = None  # the name of a Stripe account; None: all
    mode: Mode = Mode.ANY
    targets: Sequence[ReadyTarget] = field(default=())
    rule_name: str = ""  # what `<aws.events.rule-name>` says
    zone: tzinfo = UTC  # in which days begin
    settled: bool = False  # only events that rules are asked about: those that the mirror has settled


def backtest(trial: Trial) -> Generator[Snapshot, None, None]:
    """Walk through the period, yielding what was found so far; the last snapshot is `done`.

    Closing the iterator ends the work within one statement.
    """
    began = time.monotonic()
    scope, values = scope_of(trial)
    narrowing = narrow(trial.pattern, types_between(trial.since, trial.until))
    # Targets are given the event whole.
    parts = None if trial.targets else parts_of(trial.pattern, MONEY_PATHS)
    total = count_all(scope, values)
    tally = Tally(trial.since, trial.until, trial.zone, trial.rule_name, trial.targets)
    shown = began
    for start, end in windows(trial.since, trial.until):
        values |= {"start": start, "end": end}
        looked, archived, found = look(scope, narrowing, values)
        tally.looked += looked
        tally.archived += archived
        for ids in chunks(found):
            match(trial.pattern, parts, ids, tally)
            if time.monotonic() - shown > SHOW_EVERY:
                shown = time.monotonic()
                yield tally.snapshot(total=total, seconds=shown - began, done=False)
    yield tally.snapshot(total=tally.looked, seconds=time.monotonic() - began, done=True)


def scope_of(trial: Trial) -> tuple[str, dict[str, Any]]:
    """Return the condition of rows that the trial looks at, but for their time: what `ReadyRule.concerns` says."""
    values: dict[str, Any] = {"since": trial.since, "until": trial.until, "stripe": STRIPE}
    conditions = []
    if trial.owner is not None:
        conditions.append("owner = %(owner)s")
        values["owner"] = trial.owner
    if trial.mode != Mode.ANY:
        conditions.append("livemode = %(livemode)s")
        values["livemode"] = trial.mode == Mode.LIVE
    scope = f"(source <> %(stripe)s OR ({' AND '.join(conditions)}))" if conditions else "true"
    return f"{scope} AND {SETTLED}" if trial.settled else scope, values


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


def match(pattern: Pattern, parts: Parts | None, ids: list[int], tally: Tally) -> None:
    """Read these events and count those that fit."""
    if not ids:
        return
    tally.read += len(ids)
    rows = read_parts(ids, parts) if parts else read_whole(ids)
    tally.add([fitting for row, forms in rows if (fitting := fit(pattern, row, forms))])


def read_whole(ids: list[int]) -> Iterator[tuple[Received, list[Event]]]:
    for row in sorted(take.read(ids), key=lambda row: (row.received_at, row.pk)):
        try:
            yield row, forms_of(row)
        except ValueError:  # no event; dispatch passes it over too
            continue


def fit(pattern: Pattern, row: Received, forms: list[Event]) -> Fitting | None:
    """Return the first form of the event that fits."""
    try:
        return next((Fitting(row, form) for form in forms if pattern.matches(form)), None)
    except (TypeError, RecursionError):
        return None
