"""Subscription schedules: phases come and go by themselves."""

from typing import Any

import pytest

from tests.sandbox.travel import Travel

MONTH = 31 * 24 * 3600


def _price(travel: Travel, amount: int, interval: str = "month") -> str:
    product = travel.post("/v1/products", name=f"Plan {amount}")["id"]
    terms = {"product": product, "currency": "jpy", "unit_amount": str(amount), "recurring[interval]": interval}
    return str(travel.post("/v1/prices", **terms)["id"])


def _customer(travel: Travel) -> str:
    owner = travel.post("/v1/customers", email="alice@example.com")["id"]
    card = travel.post("/v1/payment_methods/pm_card_visa/attach", customer=owner)["id"]
    travel.post(f"/v1/customers/{owner}", **{"invoice_settings[default_payment_method]": card})
    return str(owner)


def _phases(prices: list[str], **more: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for number, price in enumerate(prices):
        given |= {
            f"phases[{number}][items][0][price]": price,
            f"phases[{number}][duration][interval]": "month",
            f"phases[{number}][duration][interval_count]": "2",
        }
    return given | more


def _totals(travel: Travel, subscription: str) -> list[int]:
    return [invoice["total"] for invoice in travel.get("/v1/invoices", subscription=subscription)["data"]][::-1]


def _kinds(travel: Travel, about: str) -> list[str]:
    events = travel.get("/v1/events", limit="100")["data"][::-1]
    return [event["type"] for event in events if event["data"]["object"].get("id") == about]


@pytest.mark.parametrize(
    ("behavior", "status", "left"), [("release", "released", "active"), ("cancel", "completed", "canceled")]
)
def test_phases_follow_each_other_and_end_as_asked(travel: Travel, behavior: str, status: str, left: str) -> None:
    prices = [_price(travel, 1000), _price(travel, 2500)]
    given = _phases(prices, customer=_customer(travel), start_date="now", end_behavior=behavior)
    schedule = travel.post("/v1/subscription_schedules", **given)
    id = schedule["subscription"]
    assert (schedule["status"], travel.get(f"/v1/subscriptions/{id}")["schedule"]) == ("active", schedule["id"])
    for _ in range(8):
        travel.advance(MONTH // 2)
    done = travel.get(f"/v1/subscription_schedules/{schedule['id']}")
    after = travel.get(f"/v1/subscriptions/{id}")
    assert (done["status"], after["status"]) == (status, left)
    assert _totals(travel, id)[:4] == [1000, 1000, 2500, 2500]
    assert len(_totals(travel, id)) == (5 if left == "active" else 4)
    assert after["schedule"] == (None if status == "released" else schedule["id"])
    assert done["released_subscription"] == (id if status == "released" else None)
    assert f"subscription_schedule.{status}" in _kinds(travel, schedule["id"])


def test_a_schedule_begins_when_it_should(travel: Travel) -> None:
    start = str(travel.now + 5 * 24 * 3600)
    given = _phases([_price(travel, 1000)], customer=_customer(travel), start_date=start)
    schedule = travel.post("/v1/subscription_schedules", **given)
    assert (schedule["status"], schedule["subscription"], schedule["current_phase"]) == ("not_started", None, None)
    travel.advance(5 * 24 * 3600 + 10)
    begun = travel.get(f"/v1/subscription_schedules/{schedule['id']}")
    assert (begun["status"], begun["current_phase"]["start_date"]) == ("active", int(start))
    assert travel.get(f"/v1/subscriptions/{begun['subscription']}")["status"] == "active"


def _sold(travel: Travel) -> Any:
    price = _price(travel, 1000)
    return travel.post("/v1/subscriptions", customer=_customer(travel), **{"items[0][price]": price})


def test_a_subscription_gets_a_second_phase_at_its_next_renewal(travel: Travel) -> None:
    sold, dear = _sold(travel), _price(travel, 4000)
    schedule = travel.post("/v1/subscription_schedules", from_subscription=sold["id"])
    [phase] = schedule["phases"]
    given = {
        "phases[0][start_date]": str(phase["start_date"]),
        "phases[0][end_date]": str(phase["end_date"]),
        "phases[0][items][0][price]": phase["items"][0]["price"],
        "phases[1][items][0][price]": dear,
        "phases[1][items][0][quantity]": "2",
    }
    travel.post(f"/v1/subscription_schedules/{schedule['id']}", **given)
    travel.advance(MONTH + 2 * 3600)
    assert _totals(travel, sold["id"]) == [1000, 8000]
    [item] = travel.get(f"/v1/subscriptions/{sold['id']}")["items"]["data"]
    assert (item["price"]["id"], item["quantity"]) == (dear, 2)
    assert item["id"] == sold["items"]["data"][0]["id"]


def test_releasing_leaves_the_subscription_as_it_is(travel: Travel) -> None:
    sold = _sold(travel)
    schedule = travel.post("/v1/subscription_schedules", from_subscription=sold["id"])
    released = travel.post(f"/v1/subscription_schedules/{schedule['id']}/release")
    assert (released["status"], released["subscription"], released["released_subscription"]) == (
        "released", None, sold["id"],
    )  # fmt: skip
    assert travel.get(f"/v1/subscriptions/{sold['id']}")["schedule"] is None
    assert travel.ask("POST", f"/v1/subscription_schedules/{schedule['id']}/cancel")[0] == 400


def test_canceling_ends_the_subscription_and_the_other_way_round(travel: Travel) -> None:
    first, second = _sold(travel), _sold(travel)
    made = [travel.post("/v1/subscription_schedules", from_subscription=sold["id"])["id"] for sold in (first, second)]
    travel.post(f"/v1/subscription_schedules/{made[0]}/cancel")
    travel.ask("DELETE", f"/v1/subscriptions/{second['id']}")
    for sold, schedule in zip((first, second), made, strict=True):
        assert travel.get(f"/v1/subscriptions/{sold['id']}")["status"] == "canceled"
        assert travel.get(f"/v1/subscription_schedules/{schedule}")["status"] == "canceled"
        assert _kinds(travel, schedule).count("subscription_schedule.canceled") == 1


def test_an_update_must_say_where_it_starts(travel: Travel) -> None:
    schedule = travel.post("/v1/subscription_schedules", from_subscription=_sold(travel)["id"])
    given = {"phases[0][items][0][price]": _price(travel, 1)}
    status, said = travel.ask("POST", f"/v1/subscription_schedules/{schedule['id']}", **given)
    assert (status, said["error"]["param"]) == (400, "phases")
