"""Sums of Stripe's documents, each billed as it is told there. The pages' titles stand beside the rows; tiers are in
test_tiers.py, anchors and backdating in test_billing_life.py."""

import datetime
from typing import Any

import pytest

from tests.sandbox.test_redeeming import DAY, coupon, customer, price
from tests.sandbox.travel import Travel


def at(day: str) -> int:
    return int(datetime.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp())


def lines(travel: Travel, invoice: str) -> list[int]:
    return [line["amount"] for line in travel.get(f"/v1/invoices/{invoice}")["lines"]["data"]]


def totals(travel: Travel, subscription: Any) -> list[int]:
    found = travel.get("/v1/invoices", subscription=subscription["id"], limit="100")["data"]
    return [invoice["total"] for invoice in found][::-1]


def sold(travel: Travel, amount: int, interval: str = "month", **more: str) -> Any:
    given = {"customer": customer(travel), "items[0][price]": price(travel, amount, "usd", interval)}
    return travel.post("/v1/subscriptions", **given | more)


def halfway(travel: Travel, subscription: Any) -> Any:
    [item] = subscription["items"]["data"]
    travel.advance((item["current_period_end"] - item["current_period_start"]) // 2)
    return item


def change(travel: Travel, subscription: Any, **more: str) -> Any:
    item = subscription["items"]["data"][0]["id"]
    return travel.post(f"/v1/subscriptions/{subscription['id']}", **{"items[0][id]": item} | more)


def test_an_upgrade_from_10_to_20_half_way_costs_5_more(travel: Travel) -> None:
    """ "Prorations", How prorations work: -5 for the unused time, +10 for the remaining time."""
    subscription = sold(travel, 1000)
    halfway(travel, subscription)
    dear = price(travel, 2000, "usd")
    changed = change(travel, subscription, proration_behavior="always_invoice", **{"items[0][price]": dear})
    assert lines(travel, changed["latest_invoice"]) == [-500, 1000]


@pytest.mark.parametrize(
    ("mode", "credit"),
    [
        ("classic", -1000),  # from the value of the item's current price
        ("flexible", -500),  # from the amount that was debited
    ],
)
def test_a_credit_after_an_upgrade_that_was_not_charged(travel: Travel, mode: str, credit: int) -> None:
    """ "Compare classic and flexible billing mode", Credit proration calculations."""
    subscription = sold(travel, 1000, **{"billing_mode[type]": mode})
    change(travel, subscription, proration_behavior="none", **{"items[0][price]": price(travel, 2000, "usd")})
    halfway(travel, subscription)
    ended = travel.ask("DELETE", f"/v1/subscriptions/{subscription['id']}", prorate="true", invoice_now="true")[1]
    assert lines(travel, ended["latest_invoice"]) == [credit]


@pytest.mark.parametrize("mode", ["classic", "flexible"])
def test_a_charged_upgrade_is_credited_in_both_modes(travel: Travel, mode: str) -> None:
    subscription = sold(travel, 1000, **{"billing_mode[type]": mode})
    item = halfway(travel, subscription)
    dear = price(travel, 2000, "usd")
    change(travel, subscription, proration_behavior="always_invoice", **{"items[0][price]": dear})
    travel.advance((item["current_period_end"] - travel.now) // 2)
    ended = travel.ask("DELETE", f"/v1/subscriptions/{subscription['id']}", prorate="true", invoice_now="true")[1]
    assert lines(travel, ended["latest_invoice"]) == [-500]  # a quarter of 2000


def test_a_trial_in_the_middle_of_a_period_gives_back_the_rest_of_it(travel: Travel) -> None:
    """ "Prorations", What triggers prorations: adding a trial period to an active subscription."""
    subscription = sold(travel, 1000)
    halfway(travel, subscription)
    travel.post(f"/v1/subscriptions/{subscription['id']}", trial_end=str(travel.now + 10 * DAY))
    [waiting] = travel.get("/v1/invoiceitems", pending="true")["data"]
    assert (waiting["amount"], waiting["proration"]) == (-500, True)


def test_two_sites_of_9_99_are_19_98(travel: Travel) -> None:
    """ "Set product or subscription quantities"."""
    assert totals(travel, sold(travel, 999, **{"items[0][quantity]": "2"})) == [1998]


@pytest.mark.parametrize(
    ("users", "total"), [("1", 1000), ("3", 1000), ("5", 1000), ("6", 2000), ("7", 2000)]
)  # fmt: skip
def test_every_5_users_or_a_part_of_them_cost_10(travel: Travel, users: str, total: int) -> None:
    """ "Quantity transformation": the table of users and totals."""
    product = travel.post("/v1/products", name="Suite")["id"]
    terms = {"transform_quantity[divide_by]": "5", "transform_quantity[round]": "up", "recurring[interval]": "month"}
    made = travel.post("/v1/prices", product=product, currency="usd", unit_amount="1000", **terms)["id"]
    given = {"items[0][price]": made, "items[0][quantity]": users}
    assert totals(travel, travel.post("/v1/subscriptions", customer=customer(travel), **given)) == [total]


@pytest.mark.parametrize(
    ("amount", "terms", "total"),
    [
        # API reference, "Create a coupon": 200 off 100 is 0, and off 300 it is 100; half of 100 is 50
        (10_000, {"amount_off": "20000", "currency": "usd"}, 0),
        (30_000, {"amount_off": "20000", "currency": "usd"}, 10_000),
        (10_000, {"percent_off": "50"}, 5000),
    ],
)
def test_coupons_take_off_what_the_reference_says(
    travel: Travel, amount: int, terms: dict[str, str], total: int
) -> None:
    assert totals(travel, sold(travel, amount, **{"discounts[0][coupon]": coupon(travel, **terms)})) == [total]


@pytest.mark.parametrize(
    ("interval", "count", "expected"),
    [
        # "Coupons and promotion codes", duration: a coupon of four months
        ("month", 6, [500, 500, 500, 500, 1000, 1000]),  # the first four months
        ("year", 2, [500, 1000]),  # the whole first year
        ("week", 20, [500] * 18 + [1000] * 2),  # every invoice in the first four months (1 March to 1 July)
    ],
)
def test_a_coupon_of_four_months(travel: Travel, interval: str, count: int, expected: list[int]) -> None:
    travel.advance(at("2027-03-01") - travel.now)
    terms = {"percent_off": "50", "duration": "repeating", "duration_in_months": "4"}
    subscription = sold(travel, 1000, interval, **{"discounts[0][coupon]": coupon(travel, **terms)})
    travel.advance(count * {"month": 31, "year": 366, "week": 7}[interval] * DAY)
    assert totals(travel, subscription)[:count] == expected


def test_a_monthly_subscription_of_15_may_with_the_anchor_on_1_june(travel: Travel) -> None:
    """ "Set the billing cycle date": billed on 15 May, then always on the 1st; the part up to it is prorated."""
    travel.advance(at("2027-05-15") - travel.now)
    subscription = sold(travel, 3100, billing_cycle_anchor=str(at("2027-06-01")))
    travel.advance(at("2027-07-02") - travel.now)
    found = travel.get("/v1/invoices", subscription=subscription["id"])["data"][::-1]
    days = [datetime.datetime.fromtimestamp(one["created"], datetime.UTC).strftime("%m-%d") for one in found]
    assert days == ["05-15", "06-01", "07-01"]
    assert [one["total"] for one in found] == [1700, 3100, 3100]  # 17 of 31 days
