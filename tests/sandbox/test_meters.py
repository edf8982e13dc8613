"""Meters and what they count."""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.billing.periods import DAY
from tests.sandbox.metered import HOUR, MIDNIGHT, Shop
from tests.sandbox.travel import Travel


@pytest.mark.parametrize(
    ("formula", "window", "expected"),
    [
        ("sum", "", 12.5),
        ("count", "", 4),
        ("last", "", 2.5),  # the latest by its own time, not the last that came
        # Of each hour the event that came last: 7 and 1; the day's is the one that came last of all
        ("sum", "hour", 8),
        ("sum", "day", 1),
        ("count", "hour", 2),
    ],
)
def test_a_meter_counts_by_its_formula(travel: Travel, formula: str, window: str, expected: float) -> None:
    shop = Shop(travel, formula, **({"event_time_window": window} if window else {}))
    travel.advance(DAY)
    for value, at in (("2", 10), ("7", 20), ("2.5", HOUR + 10), ("1", HOUR + 5)):
        assert shop.use(value, at=MIDNIGHT + at)[0] == 200
    assert shop.used() == [(0, expected)]


def test_summaries_are_told_by_the_hour_and_by_the_day(travel: Travel) -> None:
    shop = Shop(travel)
    travel.advance(3 * DAY)
    for at in (0, HOUR - 1, HOUR, DAY + 5 * HOUR):
        shop.use(1, at=MIDNIGHT + at)
    end = MIDNIGHT + 2 * DAY
    assert shop.used(end=end) == [(0, 4)]
    assert shop.used(end=end, window="day") == [(DAY, 1), (0, 3)]
    assert shop.used(end=end, window="hour") == [(DAY + 5 * HOUR, 1), (HOUR, 1), (0, 2)]


def test_summaries_come_in_pages(travel: Travel) -> None:
    shop = Shop(travel)
    travel.advance(DAY)
    for hour in range(5):
        shop.use(hour, at=MIDNIGHT + hour * HOUR)
    path = f"/v1/billing/meters/{shop.meter}/event_summaries"
    ask = {"customer": shop.customer, "start_time": str(MIDNIGHT), "end_time": str(MIDNIGHT + DAY), "limit": "2"}
    ask["value_grouping_window"] = "hour"
    first = shop.get(path, **ask)
    second = shop.get(path, **ask, starting_after=first["data"][-1]["id"])
    back = shop.get(path, **ask, ending_before=second["data"][0]["id"])
    assert [one["aggregated_value"] for one in first["data"] + second["data"]] == [4, 3, 2, 1]
    assert (first["has_more"], second["has_more"], back["data"]) == (True, True, first["data"])


@pytest.mark.parametrize(
    ("start", "end", "window", "param"),
    [
        (MIDNIGHT + 1, MIDNIGHT + DAY, "", "start_time"),
        (MIDNIGHT, MIDNIGHT + 61, "", "end_time"),
        (MIDNIGHT + 60, MIDNIGHT + DAY, "hour", "start_time"),
        (MIDNIGHT + HOUR, MIDNIGHT + DAY, "day", "start_time"),
        (MIDNIGHT, MIDNIGHT, "", "end_time"),
    ],
)
def test_a_summary_of_crooked_times_is_refused(travel: Travel, start: int, end: int, window: str, param: str) -> None:
    shop = Shop(travel)
    asked = {"customer": shop.customer, "start_time": str(start), "end_time": str(end)}
    asked |= {"value_grouping_window": window} if window else {}
    status, said = shop.ask("GET", f"/v1/billing/meters/{shop.meter}/event_summaries", **asked)
    assert (status, said["error"]["param"]) == (400, param)


def test_an_identifier_counts_once_within_a_day(travel: Travel) -> None:
    shop = Shop(travel)
    assert shop.use(5, identifier="one")[0] == 200
    status, said = shop.use(5, identifier="one")
    assert (status, said["error"]["message"]) == (400, "An event already exists with identifier one.")
    travel.advance(DAY)
    assert shop.use(1, identifier="one")[0] == 200
    assert shop.used(end=MIDNIGHT + 2 * DAY) == [(0, 6)]


@pytest.mark.parametrize(
    ("offset", "status"),
    [(-35 * DAY, 200), (-35 * DAY - 1, 400), (5 * 60, 200), (5 * 60 + 1, 400)],
)
def test_a_time_stamp_lies_within_its_window(travel: Travel, offset: int, status: int) -> None:
    shop = Shop(travel)
    assert shop.use(1, at=MIDNIGHT + offset)[0] == status


@pytest.mark.parametrize(
    ("payload", "param"),
    [
        ({"payload[value]": "1"}, "payload[stripe_customer_id]"),
        ({"payload[stripe_customer_id]": "cus_1"}, "payload[value]"),
        ({"payload[stripe_customer_id]": "cus_1", "payload[value]": "many"}, "payload[value]"),
        ({"payload[stripe_customer_id]": "cus_1", "payload[value]": "1.1234567890123"}, "payload[value]"),
        ({"payload[stripe_customer_id]": "cus_1", "payload[value]": "1" * 16}, "payload[value]"),
        ({}, "payload"),
    ],
)
def test_an_event_that_cannot_be_counted_is_refused(travel: Travel, payload: dict[str, str], param: str) -> None:
    Shop(travel)
    status, said = travel.ask("POST", "/v1/billing/meter_events", event_name="calls", **payload)
    assert (status, said["error"]["param"]) == (400, param)


def test_an_event_without_a_meter_is_refused(travel: Travel) -> None:
    shop = Shop(travel)
    shop.post(f"/v1/billing/meters/{shop.meter}/deactivate")
    status, said = shop.use()
    assert (status, said["error"]["message"]) == (400, 'No active meter found for event name "calls".')
    shop.post(f"/v1/billing/meters/{shop.meter}/reactivate")
    assert shop.use()[0] == 200
    told = [type for type in shop.types() if type.startswith("billing.meter")]
    assert told == [
        "billing.meter.created", "billing.meter.updated", "billing.meter.deactivated", "billing.meter.updated",
        "billing.meter.reactivated",
    ]  # fmt: skip


def test_usage_of_a_customer_who_is_not_there_is_reported_later(travel: Travel) -> None:
    shop = Shop(travel)
    for number in range(7):
        assert shop.use(1, customer="cus_nobody", identifier=f"lost-{number}")[0] == 200
    travel.advance(10)
    [event] = shop.get("/v2/core/events", object_id=shop.meter)["data"]
    assert event["type"] == "v1.billing.meter.error_report_triggered"
    whole = shop.get(f"/v2/core/events/{event['id']}")
    reason = whole["data"]["reason"]
    assert (reason["error_count"], reason["error_types"][0]["code"]) == (7, "meter_event_customer_not_found")
    assert reason["error_types"][0]["sample_errors"][0]["request"] == {"identifier": "lost-0"}
    assert shop.used() == []


def test_an_event_is_taken_back_within_a_day(travel: Travel) -> None:
    shop = Shop(travel)
    shop.use(5, identifier="wrong")
    shop.use(2, identifier="right")
    given = {"event_name": "calls", "type": "cancel", "cancel[identifier]": "wrong"}
    assert shop.post("/v1/billing/meter_event_adjustments", **given)["status"] == "complete"
    assert shop.used() == [(0, 2)]
    travel.advance(DAY)
    late = given | {"cancel[identifier]": "right"}
    assert shop.ask("POST", "/v1/billing/meter_event_adjustments", **late)[0] == 400


EVENTS = st.lists(
    st.tuples(
        st.decimals(min_value=-1000, max_value=1000, places=12), st.integers(0, 35 * DAY), st.booleans(), st.booleans()
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=EVENTS)
def test_hours_days_and_the_whole_tell_the_same_sum(
    travel: Travel, events: list[tuple[Decimal, int, bool, bool]]
) -> None:
    shop = Shop(travel)
    travel.advance(35 * DAY)
    expected = Decimal(0)
    for number, (value, at, again, back) in enumerate(events):
        for _ in range(2 if again else 1):
            shop.use(f"{value:f}", at=MIDNIGHT + at, identifier=f"event-{number}")
        if back:
            given = {"event_name": "calls", "type": "cancel", "cancel[identifier]": f"event-{number}"}
            shop.post("/v1/billing/meter_event_adjustments", **given)
        expected += 0 if back else value
    for window in ("", "day"):
        told = shop.used(end=MIDNIGHT + 36 * DAY, window=window)
        assert sum(value for _, value in told) == pytest.approx(float(expected))
