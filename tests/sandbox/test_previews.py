"""What create_preview answers for schedules, cancellations, recurring costs and what does not exist yet."""

from typing import Any

import pytest

from tests.sandbox.test_redeeming import DAY, coupon, customer, price
from tests.sandbox.travel import Travel

PREVIEW = "/v1/invoices/create_preview"
MONTH = 31 * DAY


def sold(travel: Travel, **more: str) -> Any:
    return travel.post(
        "/v1/subscriptions", customer=customer(travel), **{"items[0][price]": price(travel, 3000)}, **more
    )


def amounts(invoice: Any) -> list[int]:
    return [line["amount"] for line in invoice["lines"]["data"]]


def halfway(travel: Travel, subscription: Any) -> None:
    [item] = subscription["items"]["data"]
    travel.advance((item["current_period_end"] - item["current_period_start"]) // 2)


def phases(travel: Travel, schedule: Any, then: str) -> dict[str, str]:
    """The running phase as it is, and one more at another price."""
    [phase] = schedule["phases"]
    return {
        "phases[0][start_date]": str(phase["start_date"]),
        "phases[0][end_date]": str(phase["end_date"]),
        "phases[0][items][0][price]": phase["items"][0]["price"],
        "phases[1][items][0][price]": then,
    }


@pytest.mark.parametrize("by", ["schedule", "subscription"])
def test_the_next_phase_is_foreseen(travel: Travel, by: str) -> None:
    subscription = sold(travel)
    schedule = travel.post("/v1/subscription_schedules", from_subscription=subscription["id"])
    travel.post(f"/v1/subscription_schedules/{schedule['id']}", **phases(travel, schedule, price(travel, 5000)))
    seen = travel.post(PREVIEW, **{by: schedule["id"] if by == "schedule" else subscription["id"]})
    assert (amounts(seen), seen["total"]) == ([5000], 5000)
    assert travel.get(f"/v1/subscriptions/{subscription['id']}")["items"]["data"][0]["price"]["unit_amount"] == 3000


def test_a_change_of_a_schedule_is_foreseen_and_not_made(travel: Travel) -> None:
    subscription = sold(travel)
    schedule = travel.post("/v1/subscription_schedules", from_subscription=subscription["id"])
    wanted = phases(travel, schedule, price(travel, 7000))
    asked = {f"schedule_details[{name.replace('[', '][', 1)}": value for name, value in wanted.items()}
    assert travel.post(PREVIEW, schedule=schedule["id"], **asked)["total"] == 7000
    assert travel.post(PREVIEW, schedule=schedule["id"])["total"] == 3000
    now = {
        "schedule_details[phases][0][items][0][quantity]": "2",
        "schedule_details[proration_behavior]": "always_invoice",
    }
    seen = travel.post(PREVIEW, schedule=schedule["id"], **asked | now)
    assert amounts(seen) == [-3000, 6000]


def test_a_schedule_that_does_not_exist_yet_is_foreseen(travel: Travel) -> None:
    asked = {
        "schedule_details[phases][0][items][0][price]": price(travel, 900),
        "schedule_details[phases][0][items][0][quantity]": "3",
        "schedule_details[phases][0][start_date]": str(travel.now + 5 * DAY),
    }
    seen = travel.post(PREVIEW, customer=customer(travel), **asked)
    assert (seen["total"], seen["lines"]["data"][0]["period"]["start"]) == (2700, travel.now + 5 * DAY)
    assert travel.get("/v1/subscription_schedules")["data"] == []


def test_schedule_and_subscription_are_not_asked_for_together(travel: Travel) -> None:
    subscription = sold(travel)
    schedule = travel.post("/v1/subscription_schedules", from_subscription=subscription["id"])["id"]
    assert travel.ask("POST", PREVIEW, subscription=subscription["id"], schedule=schedule)[0] == 400


@pytest.mark.parametrize(("behavior", "lines"), [("create_prorations", [-1500]), ("none", None)])
def test_canceling_now_is_foreseen(travel: Travel, behavior: str, lines: list[int] | None) -> None:
    subscription = sold(travel)
    halfway(travel, subscription)
    asked = {"subscription_details[cancel_now]": "true", "subscription_details[proration_behavior]": behavior}
    status, seen = travel.ask("POST", PREVIEW, subscription=subscription["id"], **asked)
    if lines is None:
        assert (status, seen["error"]["code"]) == (404, "invoice_upcoming_none")
        return
    assert (amounts(seen), seen["amount_due"]) == (lines, 0)
    canceled = travel.ask("DELETE", f"/v1/subscriptions/{subscription['id']}", prorate="true", invoice_now="true")[1]
    assert amounts(travel.get(f"/v1/invoices/{canceled['latest_invoice']}")) == lines


def test_nothing_comes_after_a_planned_end(travel: Travel) -> None:
    subscription = sold(travel)
    end = subscription["items"]["data"][0]["current_period_end"]
    for asked in ({"cancel_at_period_end": "true"}, {"cancel_at": str(end)}, {"cancel_at": "min_period_end"}):
        [(name, value)] = asked.items()
        status, said = travel.ask(
            "POST", PREVIEW, subscription=subscription["id"], **{f"subscription_details[{name}]": value}
        )
        assert (status, said["error"]["code"]) == (404, "invoice_upcoming_none")


def test_what_recurs_is_shown_without_what_comes_once(travel: Travel) -> None:
    """API reference, "Create a preview invoice" (preview_mode)."""
    given = {"discounts[0][coupon]": coupon(travel, percent_off="10"), "trial_period_days": "5"}
    subscription = sold(travel, **given)
    owner = subscription["customer"]
    travel.post("/v1/invoiceitems", customer=owner, amount="700", currency="jpy")
    travel.post(f"/v1/customers/{owner}", balance="-500")
    seen = travel.post(PREVIEW, subscription=subscription["id"], preview_mode="recurring")
    assert (amounts(seen), seen["total"], seen["amount_due"]) == ([3000], 2700, 2700)
    item = subscription["items"]["data"][0]["id"]
    asked = {"subscription_details[items][0][id]": item, "subscription_details[items][0][quantity]": "4"}
    more = {"preview_mode": "recurring", "subscription_details[proration_behavior]": "always_invoice"}
    assert travel.post(PREVIEW, subscription=subscription["id"], **asked, **more)["total"] == 10_800


def test_a_discount_of_one_invoice_does_not_recur(travel: Travel) -> None:
    asked = {"subscription_details[items][0][price]": price(travel, 2000)}
    owner = customer(travel)
    subscription = travel.post(
        "/v1/subscriptions", customer=owner,
        **{"items[0][price]": price(travel, 2000), "discounts[0][coupon]": coupon(travel, duration="once"),
           "trial_period_days": "3"},
    )  # fmt: skip
    assert travel.post(PREVIEW, subscription=subscription["id"])["total"] == 1000
    assert travel.post(PREVIEW, subscription=subscription["id"], preview_mode="recurring")["total"] == 2000
    assert travel.post(PREVIEW, customer=owner, preview_mode="recurring", **asked)["total"] == 2000


@pytest.mark.parametrize(
    ("details", "lines"),
    [
        ({}, [3100]),
        ({"start_date": -10}, [3100, 1000]),  # ten days of the month of 31 before
        ({"start_date": 3}, [3100]),
        ({"trial_end": 7}, [0]),
        ({"billing_cycle_anchor": 15}, [1500]),  # fifteen days of a month of 31
    ],
)
def test_a_subscription_that_does_not_exist_yet_is_foreseen(
    travel: Travel, details: dict[str, int], lines: list[int]
) -> None:
    asked = {f"subscription_details[{name}]": str(travel.now + days * DAY) for name, days in details.items()}
    asked["subscription_details[items][0][price]"] = price(travel, 3100)
    owner = customer(travel)
    seen = travel.post(PREVIEW, customer=owner, **asked)
    assert sorted(amounts(seen), reverse=True) == lines
    assert travel.get("/v1/subscriptions", customer=owner)["data"] == []


def test_nobody_needs_to_exist_for_a_preview(travel: Travel) -> None:
    asked = {"subscription_details[items][0][price]": price(travel, 3100), "customer_details[tax_exempt]": "none"}
    assert travel.post(PREVIEW, **asked)["total"] == 3100
    assert travel.get("/v1/customers")["data"] == []


def test_resuming_a_paused_subscription_is_foreseen(travel: Travel) -> None:
    owner = travel.post("/v1/customers", email="alice@example.com")["id"]
    given = {
        "items[0][price]": price(travel, 3000), "trial_period_days": "3",
        "trial_settings[end_behavior][missing_payment_method]": "pause",
    }  # fmt: skip
    id = travel.post("/v1/subscriptions", customer=owner, **given)["id"]
    travel.advance(4 * DAY)
    assert travel.ask("POST", PREVIEW, subscription=id)[0] == 404
    assert travel.post(PREVIEW, subscription=id, **{"subscription_details[resume_at]": "now"})["total"] == 3000
    assert travel.get(f"/v1/subscriptions/{id}")["status"] == "paused"


def test_single_charges_are_foreseen_by_a_price_or_an_amount_each(travel: Travel) -> None:
    """Here a price stands without the `pricing` that invoice items have around it."""
    subscription = sold(travel)
    product = travel.post("/v1/products", name="Set-up")["id"]
    once = travel.post("/v1/prices", product=product, currency="jpy", unit_amount="700")["id"]
    given = {
        "invoice_items[0][price]": once,
        "invoice_items[1][unit_amount]": "5", "invoice_items[1][quantity]": "3", "invoice_items[1][currency]": "jpy",
    }  # fmt: skip
    assert sorted(amounts(travel.post(PREVIEW, subscription=subscription["id"], **given))) == [15, 700, 3000]
    status, said = travel.ask(
        "POST", PREVIEW, subscription=subscription["id"], **{"invoice_items[0][pricing][price]": once}
    )
    assert (status, said["error"]["code"]) == (400, "parameter_unknown")
