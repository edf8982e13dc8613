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


DAY = 24 * 3600


def _updated(travel: Travel, schedule: Any, **more: str) -> Any:
    """The schedule with its running phase as it is, and what comes after it."""
    [phase, *_] = schedule["phases"]
    given = {
        "phases[0][start_date]": str(phase["start_date"]),
        "phases[0][end_date]": str(phase["end_date"]),
        "phases[0][items][0][price]": phase["items"][0]["price"],
    }
    return travel.post(f"/v1/subscription_schedules/{schedule['id']}", **given | more)


def test_ends_of_older_versions_can_be_asked_for_as_far_as_they_are_known(travel: Travel) -> None:
    """Changelog 2019-10-17, "Renames and updates subscription schedule renewal properties"."""
    given = _phases([_price(travel, 1000)], customer=_customer(travel))
    status, said = travel.ask("POST", "/v1/subscription_schedules", **given, end_behavior="renew")
    assert (status, said["error"]["param"]) == (400, "end_behavior")
    assert travel.post("/v1/subscription_schedules", **given, end_behavior="none")["end_behavior"] == "cancel"


def test_a_schedule_is_aborted_when_nobody_pays(travel: Travel) -> None:
    travel.post("/_sandbox/settings", key=travel.key, retry_days="1", after_retries="cancel")
    owner = _customer(travel)
    schedule = travel.post("/v1/subscription_schedules", **_phases([_price(travel, 1000)] * 2, customer=owner))
    travel.post(f"/_sandbox/customers/{owner}/card", key=travel.key, card="pm_card_chargeCustomerFail")
    for _ in range(4):
        travel.advance(MONTH // 3 + DAY)
    assert travel.get(f"/v1/subscriptions/{schedule['subscription']}")["status"] == "canceled"
    assert travel.get(f"/v1/subscription_schedules/{schedule['id']}")["status"] == "canceled"
    told = _kinds(travel, schedule["id"])
    assert told[-1] == "subscription_schedule.aborted"
    assert "subscription_schedule.canceled" not in told


def test_the_last_days_are_told_beforehand_once(travel: Travel) -> None:
    given = _phases([_price(travel, 1000)], customer=_customer(travel), end_behavior="cancel")
    schedule = travel.post("/v1/subscription_schedules", **given)
    end = schedule["phases"][0]["end_date"]
    travel.advance(end - travel.now - 7 * DAY - 1)
    assert "subscription_schedule.expiring" not in _kinds(travel, schedule["id"])
    for _ in range(9):
        travel.advance(DAY)
    told = _kinds(travel, schedule["id"])
    assert told.count("subscription_schedule.expiring") == 1
    assert told[-1] == "subscription_schedule.completed"


def test_a_subscription_says_when_its_schedule_will_cancel_it(travel: Travel) -> None:
    """Stripe refuses to change that end in another way."""
    given = _phases([_price(travel, 1000)], customer=_customer(travel), end_behavior="cancel")
    schedule = travel.post("/v1/subscription_schedules", **given)
    id, end = schedule["subscription"], schedule["phases"][0]["end_date"]
    assert travel.get(f"/v1/subscriptions/{id}")["cancel_at"] == end
    status, said = travel.ask("POST", f"/v1/subscriptions/{id}", cancel_at_period_end="true")
    assert status == 400
    assert f"managed by the subscription schedule `{schedule['id']}`" in said["error"]["message"]
    travel.post(f"/v1/subscription_schedules/{schedule['id']}", end_behavior="release")
    assert travel.get(f"/v1/subscriptions/{id}")["cancel_at"] is None


@pytest.mark.parametrize("preserve", [True, False])
def test_releasing_keeps_the_end_only_if_asked_to(travel: Travel, preserve: bool) -> None:
    given = _phases([_price(travel, 1000)], customer=_customer(travel), end_behavior="cancel")
    schedule = travel.post("/v1/subscription_schedules", **given)
    id = schedule["subscription"]
    travel.post(f"/v1/subscription_schedules/{schedule['id']}/release", preserve_cancel_date=str(preserve).lower())
    assert bool(travel.get(f"/v1/subscriptions/{id}")["cancel_at"]) is preserve
    for _ in range(5):
        travel.advance(MONTH // 2)
    assert travel.get(f"/v1/subscriptions/{id}")["status"] == ("canceled" if preserve else "active")


def test_a_phase_sends_invoices_and_the_next_one_charges_again(travel: Travel) -> None:
    prices = [_price(travel, 1000), _price(travel, 2000)]
    more = {
        "phases[0][collection_method]": "send_invoice", "phases[0][invoice_settings][days_until_due]": "12",
        "default_settings[collection_method]": "charge_automatically", "default_settings[description]": "Everybody",
        "phases[1][description]": "Second half",
    }  # fmt: skip
    schedule = travel.post("/v1/subscription_schedules", **_phases(prices, customer=_customer(travel), **more))
    assert schedule["phases"][0]["invoice_settings"]["days_until_due"] == 12
    assert schedule["phases"][1]["invoice_settings"] is None
    sold = travel.get(f"/v1/subscriptions/{schedule['subscription']}")
    assert (sold["collection_method"], sold["days_until_due"], sold["description"]) == (
        "send_invoice", 12, "Everybody",
    )  # fmt: skip
    for _ in range(5):
        travel.advance(MONTH // 2)
    later = travel.get(f"/v1/subscriptions/{schedule['subscription']}")
    assert (later["collection_method"], later["description"]) == ("charge_automatically", "Second half")


def test_a_schedule_takes_over_how_its_subscription_is_billed(travel: Travel) -> None:
    given = {"items[0][price]": _price(travel, 1000), "collection_method": "send_invoice", "days_until_due": "9"}
    sold = travel.post("/v1/subscriptions", customer=_customer(travel), description="Ours", **given)
    schedule = travel.post("/v1/subscription_schedules", from_subscription=sold["id"])
    settings = schedule["default_settings"]
    assert (settings["collection_method"], settings["description"], settings["invoice_settings"]["days_until_due"]) == (
        "send_invoice", "Ours", 9,
    )  # fmt: skip


def test_a_phase_can_be_a_trial_in_whole_or_in_part(travel: Travel) -> None:
    given = _phases([_price(travel, 1000), _price(travel, 3000)], customer=_customer(travel))
    schedule = travel.post("/v1/subscription_schedules", **given | {"phases[0][trial]": "true"})
    id = schedule["subscription"]
    assert travel.get(f"/v1/subscriptions/{id}")["status"] == "trialing"
    for _ in range(5):
        travel.advance(MONTH // 2)
    assert travel.get(f"/v1/subscriptions/{id}")["status"] == "active"
    assert [total for total in _totals(travel, id) if total] == [3000]
    late = given | {"phases[0][trial_end]": str(travel.now + 400 * DAY)}
    status, said = travel.ask("POST", "/v1/subscription_schedules", **late)
    assert (status, said["error"]["param"]) == (400, "phases[0][trial_end]")


def test_phases_end_with_billing_periods_also_where_months_are_short(travel: Travel) -> None:
    travel.advance(1_801_353_600 - travel.now)  # 31 January 2027
    given = _phases([_price(travel, 1000)] * 3, customer=_customer(travel), end_behavior="cancel")
    given |= {f"phases[{number}][duration][interval_count]": "1" for number in range(3)}
    schedule = travel.post("/v1/subscription_schedules", **given)
    ends = [phase["end_date"] for phase in schedule["phases"]]
    assert ends == [1_803_772_800, 1_806_451_200, 1_809_043_200]  # 28 February, 31 March, 30 April
    travel.advance(100 * DAY)
    assert _totals(travel, schedule["subscription"]) == [1000, 1000, 1000]


def test_months_after_a_trial_are_counted_from_its_end(travel: Travel) -> None:
    travel.advance(1_801_353_600 - travel.now)  # 31 January 2027
    given = _phases([_price(travel, 1000)] * 2, customer=_customer(travel), end_behavior="cancel")
    given |= {"phases[0][duration][interval_count]": "1", "phases[0][trial]": "true"}
    schedule = travel.post("/v1/subscription_schedules", **given)
    assert schedule["phases"][1]["end_date"] == 1_808_870_400  # 28 April
    travel.advance(100 * DAY)
    assert [total for total in _totals(travel, schedule["subscription"]) if total] == [1000, 1000]


def test_a_phase_says_its_length_once(travel: Travel) -> None:
    given = _phases([_price(travel, 1000)], customer=_customer(travel))
    given["phases[0][end_date]"] = str(travel.now + DAY)
    status, said = travel.ask("POST", "/v1/subscription_schedules", **given)
    assert (status, said["error"]["param"]) == (400, "phases[0][end_date]")


def test_half_the_price_for_three_months_then_all_of_it(travel: Travel) -> None:
    """Stripe docs, "Subscription schedules" (phases): a coupon of 50% in the first phase, none in the second."""
    off = travel.post("/v1/coupons", percent_off="50", duration="forever")["id"]
    price = _price(travel, 1000)
    given = _phases([price, price], customer=_customer(travel)) | {"phases[0][duration][interval_count]": "3"}
    schedule = travel.post("/v1/subscription_schedules", **given | {"phases[0][discounts][0][coupon]": off})
    for _ in range(7):
        travel.advance(MONTH // 2)
    assert _totals(travel, schedule["subscription"]) == [500, 500, 500, 1000]
    assert len(travel.get("/v1/events", type="customer.discount.deleted")["data"]) == 1


def test_a_schedule_can_begin_in_the_past(travel: Travel) -> None:
    given = _phases([_price(travel, 3100)], customer=_customer(travel), start_date=str(travel.now - 10 * DAY))
    schedule = travel.post("/v1/subscription_schedules", **given)
    sold = travel.get(f"/v1/subscriptions/{schedule['subscription']}")
    assert (schedule["status"], sold["start_date"]) == ("active", travel.now - 10 * DAY)
    assert travel.get(f"/v1/invoices/{sold['latest_invoice']}")["total"] > 3100


def test_what_is_sold_once_comes_with_its_phase(travel: Travel) -> None:
    product = travel.post("/v1/products", name="Set-up")["id"]
    more = {
        f"phases[1][add_invoice_items][0]{name}": value
        for name, value in {"[price_data][product]": product, "[price_data][currency]": "jpy",
                            "[price_data][unit_amount]": "700", "[quantity]": "2"}.items()
    }  # fmt: skip
    given = _phases([_price(travel, 1000), _price(travel, 2000)], customer=_customer(travel), **more)
    schedule = travel.post("/v1/subscription_schedules", **given)
    for _ in range(5):
        travel.advance(MONTH // 2)
    assert _totals(travel, schedule["subscription"])[:3] == [1000, 1000, 3400]


def test_prices_and_coupons_of_phases_can_be_expanded(travel: Travel) -> None:
    off = travel.post("/v1/coupons", percent_off="50", duration="forever")["id"]
    price = _price(travel, 1000)
    given = _phases([price], customer=_customer(travel)) | {"phases[0][discounts][0][coupon]": off}
    id = travel.post("/v1/subscription_schedules", **given)["id"]
    paths = {
        "expand[0]": "phases.items.price",
        "expand[1]": "phases.discounts.coupon",
        "expand[2]": "phases.items.price.product",
    }
    shown = travel.get(f"/v1/subscription_schedules/{id}", **paths)["phases"][0]
    assert shown["items"][0]["price"]["product"]["name"] == "Plan 1000"
    assert shown["discounts"][0]["coupon"]["id"] == off
    status, said = travel.ask("GET", f"/v1/subscription_schedules/{id}", **{"expand[0]": "phases.items.quantity"})
    assert (status, "cannot be expanded" in said["error"]["message"]) == (400, True)
    listed = travel.get("/v1/subscription_schedules", **{"expand[0]": "data.phases.items.price"})
    assert listed["data"][0]["phases"][0]["items"][0]["price"]["id"] == price


def test_schedules_are_listed_by_how_and_when_they_ended(travel: Travel) -> None:
    owner = _customer(travel)
    ids = [
        travel.post("/v1/subscription_schedules", **_phases([_price(travel, 100)], customer=owner))["id"]
        for _ in range(3)
    ]
    travel.post(f"/v1/subscription_schedules/{ids[0]}/release")
    travel.post(f"/v1/subscription_schedules/{ids[1]}/cancel")

    def found(**params: str) -> list[str]:
        return [doc["id"] for doc in travel.get("/v1/subscription_schedules", **params)["data"]]

    assert found(**{"released_at[gte]": str(travel.now)}) == [ids[0]]
    assert found(**{"canceled_at[lte]": str(travel.now)}) == [ids[1]]
    assert found(**{"canceled_at[lt]": str(travel.now)}) == []


def test_a_schedule_that_waits_can_begin_sooner(travel: Travel) -> None:
    price = _price(travel, 1000)
    schedule = travel.post(
        "/v1/subscription_schedules", **_phases([price], customer=_customer(travel), start_date=str(travel.now + DAY))
    )
    given = {"phases[0][start_date]": "now", "phases[0][items][0][price]": price, "phases[0][iterations]": "1"}
    begun = travel.post(f"/v1/subscription_schedules/{schedule['id']}", **given)
    assert (begun["status"], begun["phases"][0]["start_date"]) == ("active", travel.now)
    travel.advance(2 * DAY)
    assert len(travel.get("/v1/subscriptions")["data"]) == 1


def test_phases_pass_in_the_time_of_a_test_clock(travel: Travel) -> None:
    frozen = 1_700_000_000
    clock = travel.post("/v1/test_helpers/test_clocks", frozen_time=str(frozen))["id"]
    owner = travel.post("/v1/customers", test_clock=clock)["id"]
    card = travel.post("/v1/payment_methods/pm_card_visa/attach", customer=owner)["id"]
    travel.post(f"/v1/customers/{owner}", **{"invoice_settings[default_payment_method]": card})
    prices = [_price(travel, 1000), _price(travel, 2500)]
    given = _phases(prices, customer=owner, start_date="now", end_behavior="cancel")
    schedule = travel.post("/v1/subscription_schedules", **given)
    assert (schedule["test_clock"], schedule["phases"][0]["start_date"]) == (clock, frozen)
    for month in range(1, 9):
        travel.post(f"/v1/test_helpers/test_clocks/{clock}/advance", frozen_time=str(frozen + month * MONTH // 2))
        jobs_done(travel, clock)
    done = travel.get(f"/v1/subscription_schedules/{schedule['id']}")
    assert (done["status"], done["completed_at"]) == ("completed", schedule["phases"][1]["end_date"])
    assert _totals(travel, schedule["subscription"]) == [1000, 1000, 2500, 2500]


def jobs_done(travel: Travel, clock: str) -> None:
    """Until the clock stands where it was sent to."""
    while travel.get(f"/v1/test_helpers/test_clocks/{clock}")["status"] == "advancing":
        travel.advance(1)
