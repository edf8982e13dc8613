"""What happens to subscriptions, invoices and sessions by themselves, with a clock that the test moves."""

import datetime
from typing import Any

import pytest

from tests.sandbox.travel import Travel

DAY = 24 * 3600
HOUR = 3600
DRAFT = 3601
"""Seconds that a draft lies open to changes before it is finalised by itself."""


def at(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp())


def start(travel: Travel, card: str = "pm_card_visa", interval: str = "month", **params: str) -> Any:
    """A subscription of ¥3,000, monthly as a rule."""
    product = travel.post("/v1/products", name="Pro")
    price = travel.post(
        "/v1/prices", product=product["id"], currency="jpy", unit_amount="3000", **{"recurring[interval]": interval}
    )
    owner = travel.post("/v1/customers")
    if card:
        attached = travel.post(f"/v1/payment_methods/{card}/attach", customer=owner["id"])
        default = {"invoice_settings[default_payment_method]": attached["id"]}
        travel.post(f"/v1/customers/{owner['id']}", **default)
    given = {"customer": owner["id"], "items[0][price]": price["id"], **params}
    return travel.post("/v1/subscriptions", **given)


def now(travel: Travel, subscription: Any) -> Any:
    return travel.get(f"/v1/subscriptions/{subscription['id']}")


def item_of(subscription: Any) -> Any:
    return subscription["items"]["data"][0]


def invoices(travel: Travel, subscription: Any) -> list[Any]:
    """Newest first."""
    return travel.get("/v1/invoices", subscription=subscription["id"])["data"]  # type: ignore[no-any-return]


def events(travel: Travel, **by: str) -> list[Any]:
    return travel.get("/v1/events", limit="100", **by)["data"]  # type: ignore[no-any-return]


def use_card(travel: Travel, subscription: Any, card: str) -> None:
    attached = travel.post(f"/v1/payment_methods/{card}/attach", customer=subscription["customer"])
    travel.post(f"/v1/subscriptions/{subscription['id']}", default_payment_method=attached["id"])


def test_a_renewal_is_a_draft_for_an_hour_and_then_paid(travel: Travel) -> None:
    subscription = start(travel)
    end = item_of(subscription)["current_period_end"]
    travel.advance(end - travel.now)
    renewed, invoice = now(travel, subscription), invoices(travel, subscription)[0]
    assert (invoice["status"], invoice["billing_reason"], invoice["created"]) == ("draft", "subscription_cycle", end)
    assert invoice["automatically_finalizes_at"] == end + DRAFT
    assert (renewed["latest_invoice"], item_of(renewed)["current_period_start"]) == (invoice["id"], end)
    assert (invoice["period_start"], invoice["period_end"]) == (item_of(subscription)["current_period_start"], end)
    travel.advance(DRAFT)
    assert invoices(travel, subscription)[0]["status"] == "paid"


def test_month_ends_keep_their_day(travel: Travel) -> None:
    travel.now = at("2027-01-31T12:00:00")
    subscription = start(travel)
    ends = []
    for _ in range(3):
        end = item_of(now(travel, subscription))["current_period_end"]
        ends.append(datetime.datetime.fromtimestamp(end, datetime.UTC).date().isoformat())
        travel.advance(end - travel.now)
    assert ends == ["2027-02-28", "2027-03-31", "2027-04-30"]


def test_what_came_due_while_nobody_looked_happens_in_order(travel: Travel) -> None:
    subscription = start(travel)
    travel.advance(100 * DAY)
    assert [invoice["status"] for invoice in invoices(travel, subscription)] == ["paid"] * 4
    created = [invoice["created"] for invoice in invoices(travel, subscription)]
    assert created == sorted(created, reverse=True)
    assert len(set(created)) == 4
    assert item_of(now(travel, subscription))["current_period_end"] > travel.now


def test_a_failed_renewal_is_past_due_tried_again_and_active_when_it_is_paid(travel: Travel) -> None:
    subscription = start(travel)
    use_card(travel, subscription, "pm_card_chargeCustomerFail")
    travel.advance(item_of(subscription)["current_period_end"] - travel.now + DRAFT)
    invoice = invoices(travel, subscription)[0]
    assert now(travel, subscription)["status"] == "past_due"
    assert (invoice["status"], invoice["attempt_count"]) == ("open", 1)
    assert invoice["next_payment_attempt"] == travel.now + 3 * DAY
    assert travel.get(f"/v1/customers/{subscription['customer']}")["delinquent"] is True
    use_card(travel, subscription, "pm_card_visa")
    travel.advance(3 * DAY)
    assert invoices(travel, subscription)[0]["status"] == "paid"
    assert now(travel, subscription)["status"] == "active"
    assert travel.get(f"/v1/customers/{subscription['customer']}")["delinquent"] is False


def test_attempts_end_after_the_third_retry(travel: Travel) -> None:
    subscription = start(travel)
    use_card(travel, subscription, "pm_card_chargeCustomerFail")
    travel.advance(item_of(subscription)["current_period_end"] - travel.now + DRAFT)
    travel.advance(16 * DAY)
    invoice = invoices(travel, subscription)[0]
    assert (invoice["attempt_count"], invoice["next_payment_attempt"]) == (4, None)
    assert now(travel, subscription)["status"] == "past_due"


def test_it_ends_at_the_end_of_the_period_when_told_to(travel: Travel) -> None:
    subscription = start(travel)
    travel.post(f"/v1/subscriptions/{subscription['id']}", cancel_at_period_end="true")
    end = item_of(subscription)["current_period_end"]
    travel.advance(end - travel.now - 1)
    assert now(travel, subscription)["status"] == "active"
    travel.advance(1)
    ended = now(travel, subscription)
    assert (ended["status"], ended["ended_at"]) == ("canceled", end)
    assert len(invoices(travel, subscription)) == 1
    [told] = events(travel, type="customer.subscription.deleted")
    assert told["created"] == end


def test_a_trial_warns_three_days_before_it_ends_and_then_charges(travel: Travel) -> None:
    subscription = start(travel, trial_period_days="14")
    travel.advance(11 * DAY)
    assert len(events(travel, type="customer.subscription.trial_will_end")) == 1
    travel.advance(3 * DAY)
    assert now(travel, subscription)["status"] == "active"
    travel.advance(DRAFT)
    assert (invoices(travel, subscription)[0]["status"], invoices(travel, subscription)[0]["amount_paid"]) == (
        "paid",
        3000,
    )
    assert len(events(travel, type="customer.subscription.trial_will_end")) == 1


def test_a_trial_without_a_card_may_end_it(travel: Travel) -> None:
    subscription = start(
        travel,
        card="",
        trial_period_days="7",
        **{"trial_settings[end_behavior][missing_payment_method]": "cancel"},
    )
    travel.advance(7 * DAY)
    assert now(travel, subscription)["status"] == "canceled"


def test_a_first_payment_that_never_comes_expires_after_23_hours(travel: Travel) -> None:
    subscription = start(travel, card="", payment_behavior="default_incomplete")
    travel.advance(23 * HOUR - 1)
    assert now(travel, subscription)["status"] == "incomplete"
    travel.advance(1)
    assert now(travel, subscription)["status"] == "incomplete_expired"
    assert invoices(travel, subscription)[0]["status"] == "void"


def test_half_way_through_a_period_half_is_prorated(travel: Travel) -> None:
    subscription = start(travel)
    item = item_of(subscription)
    travel.advance((item["current_period_end"] - item["current_period_start"]) // 2)
    travel.post(
        f"/v1/subscriptions/{subscription['id']}",
        proration_behavior="always_invoice",
        **{"items[0][id]": item["id"], "items[0][quantity]": "3"},
    )
    assert [line["amount"] for line in invoices(travel, subscription)[0]["lines"]["data"]] == [-1500, 4500]


# Stripe docs, "Prorations": a third of a month is left of 20.00, and of 10.00: -6.67 and 3.33
def test_shares_are_rounded_to_the_nearest_unit(travel: Travel) -> None:
    travel.now = at("2027-04-01T00:00:00")
    subscription = start(travel, **{"billing_mode[type]": "classic"})
    item = item_of(subscription)
    travel.advance(20 * DAY)
    product = {"product": item["price"]["product"], "currency": "jpy", "recurring[interval]": "month"}
    dear = travel.post("/v1/prices", unit_amount="2000", **product)
    cheap = travel.post("/v1/prices", unit_amount="1000", **product)
    address = f"/v1/subscriptions/{subscription['id']}"
    change = {"items[0][id]": item["id"], "proration_behavior": "none"}
    travel.post(address, **{**change, "items[0][price]": dear["id"]})
    travel.post(address, **{**change, "items[0][price]": cheap["id"], "proration_behavior": "create_prorations"})
    waiting = travel.get("/v1/invoiceitems", pending="true")["data"]
    assert sorted(item["amount"] for item in waiting) == [-667, 333]


def test_pending_prorations_are_on_the_next_renewal(travel: Travel) -> None:
    subscription = start(travel)
    item = item_of(subscription)
    travel.advance((item["current_period_end"] - item["current_period_start"]) // 2)
    travel.post(
        f"/v1/subscriptions/{subscription['id']}",
        **{"items[0][id]": item["id"], "items[0][quantity]": "3"},
    )
    travel.advance(item["current_period_end"] - travel.now + DRAFT)
    assert sorted(line["amount"] for line in invoices(travel, subscription)[0]["lines"]["data"]) == [-1500, 4500, 9000]


def test_an_invoice_with_auto_advance_is_paid_by_itself(travel: Travel) -> None:
    subscription = start(travel)
    invoice = travel.post("/v1/invoices", customer=subscription["customer"], auto_advance="true")
    item = {"amount": "500", "currency": "jpy", "invoice": invoice["id"]}
    travel.post("/v1/invoiceitems", customer=subscription["customer"], **item)
    travel.advance(DRAFT)
    assert travel.get(f"/v1/invoices/{invoice['id']}")["status"] == "paid"


def test_a_renewal_that_wants_its_cardholder_waits_for_them(travel: Travel) -> None:
    subscription = start(travel)
    use_card(travel, subscription, "pm_card_authenticationRequired")
    travel.advance(item_of(subscription)["current_period_end"] - travel.now + DRAFT)
    assert now(travel, subscription)["status"] == "past_due"
    assert len(events(travel, type="invoice.payment_action_required")) == 1
    [waiting] = travel.get("/v1/invoice_payments", status="open")["data"]
    intent = travel.get(f"/v1/payment_intents/{waiting['payment']['payment_intent']}")
    assert intent["status"] == "requires_action"


@pytest.mark.parametrize(
    ("behavior", "status"), [("keep_as_draft", "draft"), ("void", "void"), ("mark_uncollectible", "uncollectible")]
)
def test_while_collection_is_paused_renewals_are_not_collected(travel: Travel, behavior: str, status: str) -> None:
    subscription = start(travel)
    end = item_of(subscription)["current_period_end"]
    pause = {"pause_collection[behavior]": behavior, "pause_collection[resumes_at]": str(end + 5 * DAY)}
    travel.post(f"/v1/subscriptions/{subscription['id']}", **pause)
    travel.advance(end - travel.now + 2 * HOUR)
    assert (invoices(travel, subscription)[0]["status"], now(travel, subscription)["status"]) == (status, "active")
    travel.advance(5 * DAY)
    assert now(travel, subscription)["pause_collection"] is None
    travel.advance(35 * DAY)
    assert invoices(travel, subscription)[0]["status"] == "paid"


# From 21 March to 21 April there are 31 days, of which 10 are left: 3000 × 10 / 31 = 967.7
# A free part is not worth an invoice.
@pytest.mark.parametrize(("behavior", "totals"), [("create_prorations", [968]), ("none", [])])
def test_an_anchor_ahead_makes_the_first_period_a_part(travel: Travel, behavior: str, totals: list[int]) -> None:
    travel.now = at("2027-04-11T00:00:00")
    anchor = at("2027-04-21T00:00:00")
    subscription = start(travel, billing_cycle_anchor=str(anchor), proration_behavior=behavior)
    assert [invoice["total"] for invoice in invoices(travel, subscription)] == totals
    assert item_of(subscription)["current_period_end"] == anchor
    travel.advance(10 * DAY + DRAFT)
    assert (invoices(travel, subscription)[0]["status"], invoices(travel, subscription)[0]["total"]) == ("paid", 3000)


@pytest.mark.parametrize(("given", "lasts"), [(None, DAY), (2 * HOUR, 2 * HOUR)])
def test_a_checkout_session_expires(travel: Travel, given: int | None, lasts: int) -> None:
    more = {"expires_at": str(travel.now + given)} if given else {}
    session = travel.post(
        "/v1/checkout/sessions", mode="setup", currency="jpy", success_url="http://shop.example/", **more
    )
    travel.advance(lasts - 1)
    assert travel.get(f"/v1/checkout/sessions/{session['id']}")["status"] == "open"
    travel.advance(1)
    assert travel.get(f"/v1/checkout/sessions/{session['id']}")["status"] == "expired"


def test_a_portal_session_can_be_used_for_an_hour(travel: Travel) -> None:
    owner = travel.post("/v1/customers")
    session = travel.post("/v1/billing_portal/sessions", customer=owner["id"])
    address = session["url"].removeprefix("http://sandbox.example")
    assert travel.visit("GET", address) == 200
    travel.advance(HOUR)
    assert travel.visit("GET", address) == 404
