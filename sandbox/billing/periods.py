"""Calendar arithmetic of billing periods, in UTC. Pure.

A cycle is an anchor and an interval; its boundaries are the anchor moved by whole intervals. Where a month is too
short its last day counts, and the anchor's own day comes back as soon as a month has it: 31 January, 28 February,
31 March. Source: Stripe docs, "Billing cycle".
"""

import calendar
import datetime
from dataclasses import dataclass

DAY = 24 * 3600
FIXED = {"day": DAY, "week": 7 * DAY}
MONTHS = {"month": 1, "year": 12}


@dataclass(frozen=True)
class Period:
    """Unix seconds; the end belongs to the next period."""

    start: int
    end: int

    @property
    def seconds(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Cycle:
    """`interval` is day, week, month or year; `anchor` may lie before or after the times asked for."""

    anchor: int
    interval: str
    interval_count: int = 1
    day: int | None = None
    """The day of the month that is meant where the anchor's own month is too short for it."""

    def boundary(self, number: int) -> int:
        """The anchor moved by `number` intervals, backwards for a negative number."""
        steps = number * self.interval_count
        if self.interval in FIXED:
            return self.anchor + steps * FIXED[self.interval]
        return months_later(self.anchor, steps * MONTHS[self.interval], day=self.day)

    def holding(self, at: int) -> Period:
        """The period with start <= at < end."""
        number = self._guess(at)
        while self.boundary(number) > at:
            number -= 1
        while self.boundary(number + 1) <= at:
            number += 1
        return Period(self.boundary(number), self.boundary(number + 1))

    def _guess(self, at: int) -> int:
        if self.interval in FIXED:
            return (at - self.anchor) // (FIXED[self.interval] * self.interval_count)
        then, now = _utc(self.anchor), _utc(at)
        months = (now.year - then.year) * 12 + now.month - then.month
        return months // (MONTHS[self.interval] * self.interval_count)


def later(start: int, interval: str, count: int, anchor: int) -> int:
    """`count` intervals after `start`. Where that is a boundary of months counted from the anchor so is what is
    answered: from an anchor on the 31st, a month after 28 February is 31 March."""
    if interval in FIXED:
        return start + count * FIXED[interval]
    months = count * MONTHS[interval]
    cycle = Cycle(anchor, "month")
    period = cycle.holding(start)
    if period.start != start:
        return months_later(start, months)
    end = start
    for _ in range(months):
        end = cycle.holding(end).end
    return end


def next_at(now: int, day: int, *, hour: int, minute: int, second: int, month: int | None = None) -> int:
    """The next time (or now) that it is this day, or the month's last where it is shorter, at this time of day; of this
    month if one is named."""
    then = _utc(now).replace(day=1, month=month or _utc(now).month, hour=hour, minute=minute, second=second)
    first = int(then.timestamp())
    step = 12 if month else 1
    candidates = (months_later(first, number * step, day=day) for number in range(3))
    return next(found for found in candidates if found >= now)


def months_later(at: int, months: int, *, day: int | None = None) -> int:
    """The same day and time of day `months` on (or back), or that month's last day where it is shorter. `day` is
    another day of the month than the one of `at`."""
    then = _utc(at)
    year, month = divmod(then.year * 12 + then.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return int(then.replace(year=year, month=month + 1, day=min(day or then.day, last)).timestamp())


def _utc(at: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at, datetime.UTC)
