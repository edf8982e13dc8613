"""What an answer means."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.effects.destinations.reading import LONGEST_WAIT, STOP, outcome_of, read_json, retry_after
from ops.effects.destinations.wire import Answer, Failure
from ops.effects.outcome import Done, Refused, Retry

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def answer(status: int, **headers: str) -> Answer:
    said = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status, said, b"", False, "127.0.0.1", 0.1)


# every status that has a meaning of its own, and one of each hundred
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, Done), (201, Done), (202, Done), (204, Done), (299, Done),
        (301, Refused), (302, Refused), (304, Refused), (307, Refused),
        (400, Refused), (401, Refused), (403, Refused), (404, Refused), (410, Refused), (422, Refused),
        (407, Retry), (408, Retry), (409, Retry), (425, Retry), (429, Retry),
        (500, Retry), (502, Retry), (503, Retry), (504, Retry), (599, Retry),
    ],
)  # fmt: skip
def test_a_status_is_done_tried_again_or_refused(status, kind):
    assert isinstance(outcome_of(answer(status), now=NOW), kind)


def test_a_failure_is_tried_again_unless_it_is_final():
    assert outcome_of(Failure("TimedOut", "There was no answer."), now=NOW) == Retry("TimedOut: There was no answer.")
    assert outcome_of(Failure("AddressRefused", "No.", final=True), now=NOW) == Refused("AddressRefused: No.")


# what Retry-After says, and how long is waited
@pytest.mark.parametrize(
    ("text", "wait"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("0", timedelta()),
        ("7", timedelta(seconds=7)),
        ("1.5", timedelta(seconds=1.5)),
        ("99999999", LONGEST_WAIT),
        ("1e400", LONGEST_WAIT),
        ("-1", STOP),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), timedelta(seconds=90)),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), timedelta()),
        (format_datetime(NOW + timedelta(days=30), usegmt=True), LONGEST_WAIT),
        ("Tue, 10 Mar 2026 12:00:30", timedelta(seconds=30)),
        ("Tue, 99 Foo 2026 12:00:30 GMT", None),
    ],
)
def test_the_wish_for_a_pause_is_read_as_seconds_or_a_date(text, wait):
    assert retry_after(text, now=NOW) == wait


@given(st.text())
def test_no_wish_is_longer_than_an_hour_or_breaks_anything(text):
    wait = retry_after(text, now=NOW)
    assert wait is None or wait == STOP or timedelta() <= wait <= LONGEST_WAIT


def test_a_pause_that_was_asked_for_is_told_and_a_negative_one_ends_the_tries():
    assert outcome_of(answer(503, Retry_After="7"), now=NOW) == Retry(
        "Http503: The destination answered 503 Service Unavailable.", timedelta(seconds=7)
    )
    assert isinstance(outcome_of(answer(503, Retry_After="-1"), now=NOW), Refused)


@pytest.mark.parametrize(
    "text", ["[" * 60_000, "NaN", '{"a": "\\u0000"}', '"\\ud800"', "1" * 5000, "\x00", '{"a": Infinity}']
)
def test_a_result_can_be_stored_whatever_an_answer_holds(text, db):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb", [json.dumps(read_json(text.replace("\x00", "")))])
        assert cursor.fetchone()
