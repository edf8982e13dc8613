"""Billing thresholds: what was used is invoiced when it comes to so much, once."""

from typing import Any

import pytest

from sandbox.billing.periods import DAY
from tests.sandbox.metered import Shop
from tests.sandbox.travel import Travel


@pytest.fixture
def shop(travel: Travel) -> Shop:
    """Its price is 10 cents for each call."""
    return Shop(travel)


def billed(shop: Shop) -> list[tuple[str, int, Any]]:
    """Reason, total and status of the invoices, oldest first, that ask for something."""
    return [(one["billing_reason"], one["total"], one["status"]) for one in shop.invoices() if one["total"]]


def wait(shop: Shop, seconds: int) -> None:
    shop.travel.advance(seconds)


def test_usage_is_invoiced_when_it_comes_to_the_amount(shop: Shop) -> None:
    made = shop.subscribe(shop.price(), **{"billing_thresholds[amount_gte]": "1000"})
    assert made["billing_thresholds"] == {"amount_gte": 1000, "reset_billing_cycle_anchor": None}
    wait(shop, DAY)
    shop.use(99)
    assert billed(shop) == []
    shop.use(1)
    assert billed(shop) == [("subscription_threshold", 1000, "draft")]
    wait(shop, 2 * 3600)
    assert billed(shop) == [("subscription_threshold", 1000, "paid")]
    shop.use(30)
    end = made["items"]["data"][0]["current_period_end"]
    assert shop.get(f"/v1/subscriptions/{made['id']}")["items"]["data"][0]["current_period_end"] == end
    wait(shop, end + 2 * 3600 - shop.travel.now)
    assert billed(shop)[1:] == [("subscription_cycle", 300, "paid")]


def test_no_use_is_billed_twice_or_forgotten(shop: Shop) -> None:
    made = shop.subscribe(shop.price(), **{"billing_thresholds[amount_gte]": "500"})
    used = 0
    for value in (20, 31, 1, 49, 70, 3, 50, 12):
        wait(shop, DAY)
        shop.use(value)
        used += value
    wait(shop, made["items"]["data"][0]["current_period_end"] + 2 * 3600 - shop.travel.now)
    assert sum(total for _, total, _ in billed(shop)) == used * 10
    assert [reason for reason, _, _ in billed(shop)].count("subscription_threshold") == 4


def test_what_is_used_while_the_draft_waits_is_counted_once(shop: Shop) -> None:
    shop.subscribe(shop.price(), **{"billing_thresholds[amount_gte]": "1000"})
    wait(shop, DAY)
    shop.use(100)
    shop.use(5)
    wait(shop, 2 * 3600)
    assert billed(shop) == [("subscription_threshold", 1050, "paid")]


def test_the_amount_is_told_by_units_too(shop: Shop) -> None:
    shop.subscribe(shop.price(), **{"items[0][billing_thresholds][usage_gte]": "7"})
    wait(shop, DAY)
    shop.use(6)
    assert billed(shop) == []
    shop.use(1)
    assert billed(shop) == [("subscription_threshold", 70, "draft")]


def test_the_period_begins_anew_when_that_was_asked_for(shop: Shop) -> None:
    thresholds = {"amount_gte": "1000", "reset_billing_cycle_anchor": "true"}
    made = shop.subscribe(shop.price(), **{f"billing_thresholds[{name}]": value for name, value in thresholds.items()})
    wait(shop, 5 * DAY)
    shop.use(100)
    after = shop.get(f"/v1/subscriptions/{made['id']}")
    assert after["billing_cycle_anchor"] == made["billing_cycle_anchor"] + 5 * DAY
    assert after["items"]["data"][0]["current_period_start"] == shop.travel.now
    assert billed(shop) == [("subscription_threshold", 1000, "draft")]


def test_a_threshold_is_taken_away(shop: Shop) -> None:
    made = shop.subscribe(shop.price(), **{"billing_thresholds[amount_gte]": "1000"})
    assert shop.post(f"/v1/subscriptions/{made['id']}", billing_thresholds="")["billing_thresholds"] is None
    wait(shop, DAY)
    shop.use(500)
    assert billed(shop) == []


def test_units_are_counted_for_usage_alone(shop: Shop) -> None:
    form = {"items[0][price]": shop.licensed(), "items[0][billing_thresholds][usage_gte]": "7"}
    status, said = shop.ask("POST", "/v1/subscriptions", customer=shop.customer, **form)
    assert (status, said["error"]["param"]) == (400, "items[0][billing_thresholds][usage_gte]")


def test_phases_and_default_settings_set_thresholds(shop: Shop) -> None:
    customer = shop.subscribe(shop.price())["customer"]
    form = {
        "customer": customer, "start_date": "now", "default_settings[billing_thresholds][amount_gte]": "1000",
        "phases[0][items][0][price]": shop.price(), "phases[0][iterations]": "1",
        "phases[0][items][0][billing_thresholds][usage_gte]": "7",
        "phases[1][items][0][price]": shop.price(), "phases[1][billing_thresholds][amount_gte]": "500",
    }  # fmt: skip
    schedule = shop.post("/v1/subscription_schedules", **form)
    assert schedule["phases"][0]["items"][0]["billing_thresholds"] == {"usage_gte": 7}

    def held() -> tuple[Any, Any]:
        found = shop.get(f"/v1/subscriptions/{schedule['subscription']}")
        return (found["billing_thresholds"] or {}).get("amount_gte"), found["items"]["data"][0]["billing_thresholds"]

    assert held() == (1000, {"usage_gte": 7})
    wait(shop, schedule["phases"][1]["start_date"] + 1 - shop.travel.now)
    assert held() == (500, None)


def test_a_phase_counts_no_units_of_what_is_not_used(shop: Shop) -> None:
    customer = shop.subscribe(shop.price())["customer"]
    item = {
        "phases[0][items][0][price]": shop.licensed(),
        "phases[0][items][0][billing_thresholds][usage_gte]": "7",
    }
    status, said = shop.ask("POST", "/v1/subscription_schedules", customer=customer, start_date="now", **item)
    assert (status, said["error"]["param"]) == (400, "phases[0][items][0][billing_thresholds][usage_gte]")
