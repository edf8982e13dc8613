"""Meters, what they count, and what it costs at the end of a period."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.billing.periods import DAY
from tests.sandbox.running import new_key
from tests.sandbox.travel import Travel

HOUR = 3600
MIDNIGHT = 1_800_057_600
"""16 January 2027, 0:00 UTC."""


class Shop:
    """One account with a meter, in a sandbox whose time stands until it is moved."""

    def __init__(self, travel: Travel, formula: str = "sum", **meter: str) -> None:
        travel.key = new_key()
        travel.now = MIDNIGHT
        self.travel, self.post, self.get, self.ask = travel, travel.post, travel.get, travel.ask
        given = {"display_name": "Calls", "event_name": "calls", "default_aggregation[formula]": formula, **meter}
        self.meter: str = self.post("/v1/billing/meters", **given)["id"]
        self.customer = self.new_customer()

    def new_customer(self, **fields: str) -> str:
        made = self.post("/v1/customers", email="alice@example.com", **fields)
        card = self.post("/v1/payment_methods/pm_card_visa/attach", customer=made["id"])
        self.post(f"/v1/customers/{made['id']}", **{"invoice_settings[default_payment_method]": card["id"]})
        return str(made["id"])

    def use(self, value: str | int = 1, *, at: int = 0, customer: str = "", **more: str) -> tuple[int, Any]:
        fields = {"payload[stripe_customer_id]": customer or self.customer, "payload[value]": str(value)}
        at_given = {"timestamp": str(at)} if at else {}
        return self.ask("POST", "/v1/billing/meter_events", event_name="calls", **fields, **at_given, **more)

    def used(self, start: int = MIDNIGHT, end: int = MIDNIGHT + DAY, window: str = "") -> list[tuple[int, float]]:
        grouped = {"value_grouping_window": window} if window else {}
        path = f"/v1/billing/meters/{self.meter}/event_summaries"
        said = self.get(path, customer=self.customer, start_time=str(start), end_time=str(end), **grouped)
        return [(one["start_time"] - start, one["aggregated_value"]) for one in said["data"]]

    def price(self, currency: str = "usd", **fields: str) -> str:
        recurring = {"recurring[interval]": "month", "recurring[usage_type]": "metered", "recurring[meter]": self.meter}
        amount = {} if "billing_scheme" in fields else {"unit_amount": "10"}
        sold = {"currency": currency, "product_data[name]": "Calls", **recurring, **amount, **fields}
        return str(self.post("/v1/prices", **sold)["id"])

    def licensed(self) -> str:
        sold = {"currency": "usd", "product_data[name]": "Base", "unit_amount": "2000", "recurring[interval]": "month"}
        return str(self.post("/v1/prices", **sold)["id"])

    def subscribe(self, *prices: str, **fields: str) -> Any:
        items = {f"items[{number}][price]": price for number, price in enumerate(prices)}
        return self.post("/v1/subscriptions", customer=self.customer, **items, **fields)

    def invoices(self) -> list[Any]:
        """Oldest first."""
        found: list[Any] = self.get("/v1/invoices", customer=self.customer)["data"][::-1]
        return found

    def types(self) -> list[str]:
        return [event["type"] for event in self.get("/v1/events", limit="100")["data"]][::-1]


def lines_of(invoice: Any) -> list[tuple[str, int, int]]:
    return [(line["description"], line["quantity"], line["amount"]) for line in invoice["lines"]["data"]]


TIERS = {
    "billing_scheme": "tiered", "tiers_mode": "graduated",
    "tiers[0][up_to]": "5", "tiers[0][unit_amount]": "700", "tiers[0][flat_amount]": "1000",
    "tiers[1][up_to]": "inf", "tiers[1][unit_amount_decimal]": "0.5",
}  # fmt: skip


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


def test_a_metered_price_wants_an_active_meter(travel: Travel) -> None:
    shop = Shop(travel)
    sold = {"currency": "usd", "product_data[name]": "Calls", "unit_amount": "1", "recurring[interval]": "month"}
    status, said = shop.ask("POST", "/v1/prices", **sold, **{"recurring[usage_type]": "metered"})
    assert status == 400
    assert said["error"]["message"] == (
        "Starting with Stripe version `2025-03-31.basil`, metered prices must be backed by meters."
    )
    shop.post(f"/v1/billing/meters/{shop.meter}/deactivate")
    assert shop.ask("POST", "/v1/prices", **sold, **{"recurring[meter]": shop.meter})[0] == 400


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"tiers[1][up_to]": "9"}, "tiers"),  # the last has an end
        ({"tiers[0][up_to]": "inf"}, "tiers"),  # one without an end before the last
        ({"transform_quantity[divide_by]": "5", "transform_quantity[round]": "up"}, "transform_quantity"),
        ({"billing_scheme": "per_unit", "unit_amount": "1"}, "tiers"),
    ],
)
def test_tiers_that_make_no_sense_are_refused(travel: Travel, changes: dict[str, str], param: str) -> None:
    shop = Shop(travel)
    recurring = {"recurring[interval]": "month", "currency": "usd", "product_data[name]": "Calls"}
    status, said = shop.ask("POST", "/v1/prices", **recurring, **TIERS | changes)
    assert (status, said["error"]["param"]) == (400, param)


def test_usage_is_invoiced_when_its_period_is_over(travel: Travel) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.licensed(), shop.price())
    [first] = shop.invoices()
    assert lines_of(first) == [("1 × Base (at $20.00 / month)", 1, 2000)]
    shop.use(30)
    end = subscription["items"]["data"][0]["current_period_end"]
    travel.advance(end - travel.now)
    shop.use(12, at=end - 60)  # within the hour of the draft, for the period before
    shop.use(5)  # for the new period
    travel.advance(2 * HOUR)
    second = shop.invoices()[1]
    assert lines_of(second) == [("1 × Base (at $20.00 / month)", 1, 2000), ("42 × Calls (at $0.10 / month)", 42, 420)]
    assert (second["status"], second["total"]) == ("paid", 2420)
    base, usage = second["lines"]["data"]
    assert (usage["period"]["start"], usage["period"]["end"], base["period"]["start"]) == (MIDNIGHT, end, end)


def test_a_subscription_to_usage_alone_has_no_first_invoice(travel: Travel) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.price())
    assert (subscription["status"], subscription["latest_invoice"], shop.invoices()) == ("active", None, [])
    assert "quantity" not in subscription["items"]["data"][0]


def test_in_classic_mode_the_first_invoice_has_a_line_of_nothing(travel: Travel) -> None:
    shop = Shop(travel)
    shop.subscribe(shop.price(), **{"billing_mode[type]": "classic"})
    [first] = shop.invoices()
    assert (lines_of(first), first["status"]) == ([("0 × Calls (at $0.10 / month)", 0, 0)], "paid")


def test_a_first_invoice_that_waits_does_not_take_what_is_used_meanwhile(travel: Travel) -> None:
    shop = Shop(travel)
    how = {"billing_mode[type]": "classic", "collection_method": "send_invoice", "days_until_due": "30"}
    shop.subscribe(shop.licensed(), shop.price(), **how)
    shop.use(30)
    travel.advance(31 * DAY + 2 * HOUR)
    first, second = shop.invoices()
    assert (first["total"], second["total"]) == (2000, 2300)


def test_tiers_stand_on_lines_of_their_own(travel: Travel) -> None:
    shop = Shop(travel)
    shop.subscribe(shop.price(**TIERS))
    shop.use("8.5")
    travel.advance(31 * DAY + 2 * HOUR)
    [invoice] = shop.invoices()
    assert lines_of(invoice) == [
        ("5 × Calls (Tier 1 at $7.00 / month)", 5, 3500),
        ("Calls (Tier 1 at $10.00 / month)", 0, 1000),
        ("3.5 × Calls (Tier 2 at $0.005 / month)", 3, 2),
    ]
    assert invoice["lines"]["data"][2]["quantity_decimal"] == "3.5"
    assert invoice["total"] == 4502


def test_usage_in_a_trial_costs_nothing(travel: Travel) -> None:
    shop = Shop(travel)
    shop.subscribe(shop.licensed(), shop.price(), trial_period_days="7")
    shop.use(100)
    travel.advance(7 * DAY + 2 * HOUR)
    assert shop.invoices()[-1]["total"] == 2000


def test_what_was_used_is_charged_at_a_planned_end(travel: Travel) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.price(), cancel_at_period_end="true")
    shop.use(30)
    travel.advance(31 * DAY + 2 * HOUR)
    ended = shop.get(f"/v1/subscriptions/{subscription['id']}")
    [last] = shop.invoices()
    assert (ended["status"], ended["latest_invoice"]) == ("canceled", last["id"])
    assert (last["total"], last["status"]) == (300, "paid")


@pytest.mark.parametrize(("how", "totals"), [({}, []), ({"invoice_now": "true"}, [300])])
def test_a_sudden_end_charges_usage_if_asked(travel: Travel, how: dict[str, str], totals: list[int]) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.price())
    shop.use(30)
    travel.advance(DAY)
    address = f"/v1/subscriptions/{subscription['id']}"
    assert travel.ask("DELETE", address, **how)[1]["status"] == "canceled"
    travel.advance(40 * DAY)
    assert [invoice["total"] for invoice in shop.invoices()] == totals


@pytest.mark.parametrize(
    ("mode", "behavior", "at_once"),
    [
        # Stripe docs, "Manage your usage-based billing setup": an invoice item for what was used so far
        ("flexible", "create_prorations", [300]),
        # "If you want to remove a metered price without billing for it, set proration_behavior to none"
        ("flexible", "none", []),
        # "Usage from January 1 to January 16 isn't billed"
        ("classic", "create_prorations", []),
    ],
)
def test_a_new_price_counts_from_its_own_day(travel: Travel, mode: str, behavior: str, at_once: list[int]) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.price(), **{"billing_mode[type]": mode})
    shop.use(30)
    travel.advance(15 * DAY)
    item = subscription["items"]["data"][0]["id"]
    change = {"items[0][id]": item, "items[0][price]": shop.price(unit_amount="7"), "proration_behavior": behavior}
    shop.post(f"/v1/subscriptions/{subscription['id']}", **change)
    pending = shop.get("/v1/invoiceitems", customer=shop.customer, pending="true")["data"]
    assert [one["amount"] for one in pending] == at_once
    shop.use(10)
    travel.advance(16 * DAY + 2 * HOUR)
    assert shop.invoices()[-1]["total"] == sum(at_once) + 70


def test_a_preview_counts_what_was_used_so_far(travel: Travel) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.licensed(), shop.price())
    shop.use(30)
    foreseen = shop.post("/v1/invoices/create_preview", subscription=subscription["id"])
    travel.advance(31 * DAY + 2 * HOUR)
    happened = shop.invoices()[-1]
    assert lines_of(foreseen) == lines_of(happened)
    assert foreseen["total"] == happened["total"] == 2300


def test_a_new_cycle_charges_what_was_used_at_the_old_price(travel: Travel) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.price())
    shop.use(30)
    travel.advance(10 * DAY)
    shop.post(f"/v1/subscriptions/{subscription['id']}", billing_cycle_anchor="now")
    assert [invoice["total"] for invoice in shop.invoices()] == [300]
    travel.advance(32 * DAY)
    assert [invoice["total"] for invoice in shop.invoices()] == [300, 0]


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


def test_usage_lives_in_the_time_of_its_customers_test_clock(travel: Travel) -> None:
    shop = Shop(travel)
    clock = shop.post("/v1/test_helpers/test_clocks", frozen_time=str(MIDNIGHT - 300 * DAY))["id"]
    shop.customer = shop.new_customer(test_clock=clock)
    shop.subscribe(shop.price())
    assert shop.use(30)[1]["timestamp"] == MIDNIGHT - 300 * DAY
    assert shop.use(12, at=MIDNIGHT)[0] == 400  # in the clock's future
    shop.post(f"/v1/test_helpers/test_clocks/{clock}/advance", frozen_time=str(MIDNIGHT - 268 * DAY))
    travel.advance(1)
    assert [(one["total"], one["status"]) for one in shop.invoices()] == [(300, "paid")]
