"""What was used: the rows of meter events, kept and counted.

A value is kept as whole units and 10⁻¹² parts of one, both of the same sign, so that SQLite adds exactly. Sources:
Stripe docs, "Record usage for billing" (aggregation, pre-aggregated ingestion), "Record usage for billing with the API"
(identifiers, time stamps, errors).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.billing.periods import DAY, Period
from sandbox.context import Context
from sandbox.kinds import Doc

UNITS = 10**12
"""The parts of one unit that are told apart: twelve decimal places."""
WINDOWS = {"hour": 3600, "day": DAY}
KEPT: list[Callable[[Context, "Usage"], None]] = []
"""Told of each event that counts."""
COUNTED = "scope=? AND meter=? AND customer=? AND at>=? AND at<? AND error IS NULL AND canceled=0"


@dataclass(frozen=True)
class Usage:
    """One meter event. Times are unix seconds; `error` is the code of one that does not count."""

    meter: str
    customer: str
    at: int
    received_at: int
    identifier: str
    value: Decimal = Decimal(0)
    error: str | None = None
    message: str | None = None


def keep(ctx: Context, usage: Usage) -> None:
    whole = int(usage.value)
    ctx.tx.sql(
        "INSERT INTO usage (scope, meter, customer, at, received_at, identifier, whole, fraction, error, message) "
        "VALUES (?,?,?,?,?,?,?,?,?,?)",
        ctx.scope, usage.meter, usage.customer, usage.at, usage.received_at, usage.identifier, whole,
        int((usage.value - whole) * UNITS), usage.error, usage.message,
    )  # fmt: skip
    for told in KEPT if usage.error is None else ():
        told(ctx, usage)


def is_known(ctx: Context, identifier: str, since: int) -> bool:
    """Was an event with this identifier received since then?"""
    row = ctx.tx.sql(
        "SELECT 1 FROM usage WHERE scope=? AND identifier=? AND received_at>? LIMIT 1", ctx.scope, identifier, since
    ).fetchone()
    return row is not None


def cancel(ctx: Context, meter: str, identifier: str, since: int) -> bool:
    """The event does not count any more. False when none such was received since then."""
    changed = ctx.tx.sql(
        "UPDATE usage SET canceled=1 WHERE scope=? AND meter=? AND identifier=? AND received_at>? AND error IS NULL",
        ctx.scope, meter, identifier, since,
    )  # fmt: skip
    return changed.rowcount > 0


def total(ctx: Context, meter: Doc, customer: str, period: Period) -> Decimal:
    """What the formula makes of a customer's events from the period's start to before its end; 0 without any."""
    where, values = _counted(ctx, meter, customer, period)
    formula = meter["default_aggregation"]["formula"]
    if formula == "count":
        return Decimal(ctx.tx.sql(f"SELECT count(*) FROM usage WHERE {where}", *values).fetchone()[0])  # noqa: S608
    if formula == "last":
        statement = f"SELECT whole, fraction FROM usage WHERE {where} ORDER BY at DESC, id DESC LIMIT 1"  # noqa: S608
    else:
        statement = f"SELECT sum(whole), sum(fraction) FROM usage WHERE {where}"  # noqa: S608
    whole, fraction = ctx.tx.sql(statement, *values).fetchone() or (0, 0)
    return Decimal(whole or 0) + Decimal(fraction or 0) / UNITS


def _counted(ctx: Context, meter: Doc, customer: str, period: Period) -> tuple[str, list[Any]]:
    """The condition that an event counts. Of pre-aggregated events the last received of each window does."""
    values: list[Any] = [ctx.scope, meter["id"], customer, period.start, period.end]
    window = WINDOWS.get(meter["event_time_window"] or "")
    if window is None:
        return COUNTED, values
    latest = f"id IN (SELECT max(id) FROM usage WHERE {COUNTED} GROUP BY at / {window})"  # noqa: S608
    return f"{COUNTED} AND {latest}", values * 2


def summaries(
    ctx: Context, meter: Doc, customer: str, period: Period, window: str | None
) -> Iterator[tuple[Period, Decimal]]:
    """The totals of each hour or day in which something was used, newest first; without a window the one total."""
    for part in reversed(list(_windows(ctx, meter, customer, period, window))):
        yield part, total(ctx, meter, customer, part)


def _windows(ctx: Context, meter: Doc, customer: str, period: Period, window: str | None) -> Iterator[Period]:
    length = WINDOWS[window] if window else period.seconds
    begin = 0 if window else period.start
    rows = ctx.tx.sql(
        f"SELECT DISTINCT (at - ?) / ? FROM usage WHERE {COUNTED} ORDER BY 1",  # noqa: S608
        begin, length, ctx.scope, meter["id"], customer, period.start, period.end,
    )  # fmt: skip
    for (number,) in rows.fetchall():
        yield Period(begin + number * length, begin + (number + 1) * length)


def errors(ctx: Context, meter: str, period: Period) -> list[tuple[str, str, str]]:
    """Code, message and identifier of the events received in this time that do not count."""
    return ctx.tx.sql(
        "SELECT error, message, identifier FROM usage WHERE scope=? AND meter=? AND error IS NOT NULL "
        "AND received_at>=? AND received_at<? ORDER BY id",
        ctx.scope, meter, period.start, period.end,
    ).fetchall()  # fmt: skip
