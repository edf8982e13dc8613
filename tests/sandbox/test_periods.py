"""Calendar arithmetic."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.billing.periods import DAY, Cycle, months_later

TIMES = st.integers(min_value=0, max_value=4_000_000_000)
CYCLES = st.builds(
    Cycle, TIMES, st.sampled_from(["day", "week", "month", "year"]), st.integers(min_value=1, max_value=24)
)


def at(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp())


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2027-01-31T10:00:00", 1, "2027-02-28T10:00:00"),  # a short month
        ("2028-01-31T10:00:00", 1, "2028-02-29T10:00:00"),  # a leap year
        ("2027-01-31T10:00:00", 2, "2027-03-31T10:00:00"),  # the anchor's own day comes back
        ("2027-12-15T00:00:00", 1, "2028-01-15T00:00:00"),  # over the year's end
        ("2028-02-29T00:00:00", 12, "2029-02-28T00:00:00"),  # a yearly plan from a leap day
        ("2027-03-31T23:59:59", -1, "2027-02-28T23:59:59"),  # backwards
    ],
)
def test_months_end_where_the_calendar_ends(start: str, months: int, end: str) -> None:
    assert months_later(at(start), months) == at(end)


@given(CYCLES, TIMES)
def test_the_period_found_holds_the_time_asked_for(cycle: Cycle, time: int) -> None:
    period = cycle.holding(time)
    assert period.start <= time < period.end


@given(CYCLES, TIMES)
def test_periods_follow_each_other_without_a_gap(cycle: Cycle, time: int) -> None:
    period = cycle.holding(time)
    assert cycle.holding(period.end).start == period.end
    assert cycle.holding(period.start - 1).end == period.start


@given(CYCLES)
def test_the_anchor_begins_a_period(cycle: Cycle) -> None:
    assert cycle.holding(cycle.anchor).start == cycle.anchor


def test_a_week_is_seven_days_whatever_the_calendar_says() -> None:
    assert Cycle(at("2027-03-28T00:00:00"), "week", 2).holding(at("2027-03-28T00:00:00")).seconds == 14 * DAY
