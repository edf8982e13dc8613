from datetime import UTC, datetime, timedelta

import pytest

from billing.inbox.since import moment_of

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-30", datetime(2026, 1, 30, tzinfo=UTC)),
        ("2026-01-30T09:30", datetime(2026, 1, 30, 9, 30, tzinfo=UTC)),
        ("2026-01-30T09:30+09:00", datetime(2026, 1, 30, 0, 30, tzinfo=UTC)),
        ("90m", NOW - timedelta(minutes=90)),
        (" 36h ", NOW - timedelta(hours=36)),
        ("7d", NOW - timedelta(days=7)),
    ],
)
def test_moments_are_understood_as_people_type_them(text, moment):
    assert moment_of(text, now=NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "7w", "-1d", "2026-13-01"])
def test_what_is_no_moment_is_said(text):
    with pytest.raises(ValueError, match="is no moment"):
        moment_of(text, now=NOW)


def test_what_lies_before_all_time_is_said():
    with pytest.raises(ValueError, match="before all time"):
        moment_of("999999d", now=NOW)
