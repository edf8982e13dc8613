"""What a backtest says of a period: each event once, whose, which money, what would have been called."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ops.rules import backtest as backtests
from ops.rules.backtest import Trial, backtest
from ops.rules.book import ready_target
from ops.rules.models import Mode, Target, TargetKind
from ops.rules.patterns import compile_pattern
from ops.rules.tally import Snapshot
from tests.ops.rows import make_customer, make_event

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PAID = {"detail-type": ["invoice.paid"]}


def tried(pattern: dict[str, Any], **more: Any) -> Snapshot:
    values: dict[str, Any] = {"since": NOW - 7 * DAY, "until": NOW} | more
    *_before, last = backtest(Trial(compile_pattern(pattern), **values))
    assert last.done
    return last


def paid(ago: timedelta, invoice: str = "in_1", amount: int = 5000, currency: str = "jpy", **fields: Any) -> Any:
    about = {"id": invoice, "object": "invoice", "amount_due": amount, "currency": currency}
    payload = {"type": "invoice.paid", "data": {"object": about}}
    values = {"type": "invoice.paid", "object_kind": "invoice", "object_id": invoice, "payload": payload}
    return make_event(NOW, received_at=NOW - ago, **(values | fields))


def test_every_event_of_the_period_is_looked_at_once_however_it_is_cut(db, monkeypatch):
    monkeypatch.setattr(backtests, "WINDOW", 3)
    monkeypatch.setattr(backtests, "AT_ONCE", 2)
    for number in range(4):
        paid(DAY, f"in_a{number}")  # all at the same moment: more than a window
    for number in range(5):
        paid(timedelta(hours=number + 1), f"in_b{number}")
    make_event(NOW, received_at=NOW - DAY)
    paid(timedelta(0), "in_now")  # at the end of the period, which it does not hold
    paid(8 * DAY, "in_before")
    found = tried(PAID)
    assert (found.total, found.looked, found.matched) == (10, 10, 9)
    assert [example.object_id for example in found.examples[:5]] == ["in_a0", "in_a1", "in_a2", "in_a3", "in_b4"]


def test_it_shows_how_far_it_is_while_it_works(db, monkeypatch):
    monkeypatch.setattr(backtests, "WINDOW", 1)
    monkeypatch.setattr(backtests, "SHOW_EVERY", -1)
    for hours in (3, 2, 1):
        paid(timedelta(hours=hours))
    shown = list(backtest(Trial(compile_pattern(PAID), NOW - DAY, NOW)))
    assert [(snapshot.looked, snapshot.matched, snapshot.done) for snapshot in shown[:3]] == [
        (1, 1, False),
        (2, 2, False),
        (3, 3, False),
    ]
    assert [snapshot.percent for snapshot in shown] == [33, 66, 99, 100]


def test_events_in_the_archive_are_counted_and_not_guessed(db):
    paid(DAY)
    event = paid(2 * DAY)
    type(event).objects.filter(pk=event.pk).update(payload=None)
    found = tried(PAID)
    assert (found.looked, found.archived, found.matched) == (2, 1, 1)


def test_money_counts_each_object_once_with_what_it_said_last(db):
    paid(3 * DAY, "in_1", 5000)
    paid(2 * DAY, "in_1", 7000)
    paid(DAY, "in_2", 100)
    paid(DAY, "in_3", 4_999, "usd")
    assert [(money.currency, money.amount, money.objects) for money in tried(PAID).money] == [
        ("jpy", 7100, 2),
        ("usd", 4999, 1),
    ]


def test_beyond_the_objects_that_are_remembered_it_says_that_the_sum_is_not_exact(db, monkeypatch):
    monkeypatch.setattr("ops.rules.tally.MOST_OBJECTS", 1)
    paid(3 * DAY, "in_1", 5000)
    paid(DAY, "in_2", 100)
    found = tried(PAID)
    assert not found.money_is_exact
    assert found.money[0].amount == 5100


# what an event may say of its object that is no money
@pytest.mark.parametrize(
    "about", [[], "x", {"object": []}, {"object": "invoice", "amount_due": 1.5, "currency": "jpy"}]
)
def test_what_is_no_money_is_counted_as_none(db, about):
    event = paid(DAY)
    type(event).objects.filter(pk=event.pk).update(payload={"type": "invoice.paid", "data": {"object": about}})
    found = tried(PAID)
    assert (found.matched, found.money) == (1, ())


def test_organizations_are_found_through_their_customers(db, acme):
    customer = make_customer(acme, now=NOW)
    for customer_id in (customer.id, customer.id, "cus_stranger", ""):
        paid(DAY, customer_id=customer_id)
    found = tried(PAID)
    assert [(each.organization, each.matched) for each in found.organizations] == [(acme, 2)]
    assert (found.organization_count, found.without_organization) == (1, 2)


def test_days_begin_in_the_viewer_s_zone_and_days_without_a_match_are_there(db):
    paid(timedelta(hours=20, minutes=59))  # 9 March 15:01 UTC: 10 March in Tokyo
    paid(timedelta(hours=21, minutes=1))  # 14:59 UTC: 9 March in Tokyo
    found = tried(PAID, since=NOW - 4 * DAY, zone=ZoneInfo("Asia/Tokyo"))
    assert [(bucket.start.day, bucket.matched) for bucket in found.buckets] == [(6, 0), (7, 0), (8, 0), (9, 1), (10, 1)]


def test_a_short_period_is_told_hour_by_hour(db):
    paid(timedelta(minutes=30))
    found = tried(PAID, since=NOW - timedelta(hours=3))
    assert [(bucket.start.hour, bucket.matched) for bucket in found.buckets] == [(9, 0), (10, 0), (11, 1)]


@pytest.mark.parametrize(
    ("zone", "until", "told"),
    [
        # at two it is three
        ("America/New_York", datetime(2026, 3, 8, 9, tzinfo=UTC), [(0, 0), (1, 1), (3, 1), (4, 1)]),
        # at two it is one again
        ("America/New_York", datetime(2026, 11, 1, 8, tzinfo=UTC), [(0, 0), (1, 1), (1, 1), (2, 1)]),
        # at two it is half past one again
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 17, tzinfo=UTC), [(0, 0), (1, 1), (2, 1), (3, 1)]),
    ],
)
def test_an_hour_that_summer_time_takes_or_gives_is_told_as_the_clock_told_it(db, zone, until, told):
    for ago in (150, 80, 20):  # minutes
        make_event(until, received_at=until - timedelta(minutes=ago), type="invoice.paid")
    found = tried(PAID, since=until - timedelta(hours=4), until=until, zone=ZoneInfo(zone))
    assert [(bucket.start.hour, bucket.matched) for bucket in found.buckets] == told


def test_a_day_whose_midnight_comes_twice_is_one(db):
    """In Havana at one o'clock it is midnight again."""
    until = datetime(2026, 11, 3, 12, tzinfo=UTC)
    for ago in (timedelta(hours=55, minutes=30), timedelta(hours=54, minutes=30), DAY):
        make_event(until, received_at=until - ago, type="invoice.paid")
    found = tried(PAID, since=until - 4 * DAY, until=until, zone=ZoneInfo("America/Havana"))
    assert [(bucket.start.day, bucket.matched) for bucket in found.buckets] == [
        (30, 0),
        (31, 0),
        (1, 2),
        (2, 1),
        (3, 0),
    ]


def test_targets_show_what_they_would_have_been_given_and_what_could_not_be_made(db):
    paid(2 * DAY, "in_1", 5000)
    other = paid(DAY, "in_2")
    type(other).objects.filter(pk=other.pk).update(payload={"type": "invoice.paid", "data": {}})
    target = Target(
        name="note",
        kind=TargetKind.ACTIVITY,
        input_paths_map={"about": "$.detail.data.object"},
        input_template='{"id": "<about>"}',
    )
    plain = Target(name="part", kind=TargetKind.QUEUE, input_path="$.detail.data.object.amount_due")
    found = tried(PAID, targets=[ready_target(target), ready_target(plain)])
    note, part = found.calls
    assert (part.calls, part.failed, part.inputs[0][1]) == (1, 1, "5000")
    assert part.failure.startswith(other.external_id)
    assert note.calls + note.failed == 2


# scope, and which of four events it sees: live and test of the primary account, live of another, one of AWS
@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        ({}, {"live", "test", "other", "aws"}),
        ({"mode": Mode.LIVE}, {"live", "other", "aws"}),
        ({"mode": Mode.TEST}, {"test", "aws"}),
        ({"owner": ""}, {"live", "test", "aws"}),
        ({"owner": "other", "mode": Mode.LIVE}, {"other", "aws"}),
    ],
)
def test_it_looks_where_the_rule_would_look(db, scope, seen):
    paid(DAY, "live", livemode=True)
    paid(DAY, "test")
    paid(DAY, "other", owner="other", livemode=True)
    paid(DAY, "aws", source="aws.health", payload={"source": "aws.health", "detail-type": "x", "detail": {}})
    found = tried({"source": [{"prefix": ""}]}, **scope)
    assert {example.object_id for example in found.examples} == seen
    assert found.looked == len(seen)


def test_leaving_it_ends_it(db):
    paid(DAY)
    work = backtest(Trial(compile_pattern(PAID), NOW - DAY, NOW))
    work.close()
    assert list(work) == []
