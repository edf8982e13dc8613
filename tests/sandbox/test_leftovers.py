"""What still waits when a subscription changes, pauses or ends: credits, prorations, single charges, an unpaid try to
resume. Sources: API reference, "Update", "Cancel" and "Resume a subscription"; Stripe docs, "Prorations"."""

from typing import Any

import pytest

from tests.sandbox.test_documented import change, halfway, lines, sold
from tests.sandbox.test_redeeming import DAY, customer, price
from tests.sandbox.travel import Travel


def waiting(travel: Travel) -> list[Any]:
    return list(travel.get("/v1/invoiceitems", pending="true")["data"][::-1])


def events(travel: Travel, type: str) -> list[Any]:
    return list(travel.get("/v1/events", type=type)["data"])


@pytest.mark.parametrize("mode", ["classic", "flexible"])
def test_seats_that_were_added_in_between_are_given_back_at_what_they_cost(travel: Travel, mode: str) -> None:
    """One seat of 10.00 for a month, five from its middle on, one again for its last quarter."""
    subscription = sold(travel, 1000, **{"billing_mode[type]": mode})
    item = halfway(travel, subscription)
    change(travel, subscription, **{"items[0][quantity]": "5"})
    travel.advance((item["current_period_end"] - travel.now) // 2)
    change(travel, subscription, **{"items[0][quantity]": "1"})
    assert [one["amount"] for one in waiting(travel)] == [-500, 2500, -1250, 250]


@pytest.mark.parametrize("mode", ["classic", "flexible"])
def test_a_credit_names_the_lines_that_it_takes_back(travel: Travel, mode: str) -> None:
    subscription = sold(travel, 1000, **{"billing_mode[type]": mode})
    [line] = travel.get(f"/v1/invoices/{subscription['latest_invoice']}")["lines"]["data"]
    halfway(travel, subscription)
    changed = change(travel, subscription, proration_behavior="always_invoice", **{"items[0][quantity]": "2"})
    credit, charge = travel.get(f"/v1/invoices/{changed['latest_invoice']}")["lines"]["data"]
    told = [one["parent"]["subscription_item_details"]["proration_details"] for one in (credit, charge)]
    back = {"invoice": subscription["latest_invoice"], "invoice_line_items": [line["id"]]}
    assert [one["credited_items"] for one in told] == [back, None]


def test_the_end_of_a_period_bills_the_prorations_that_waited_for_it(travel: Travel) -> None:
    subscription = sold(travel, 1000)
    item = halfway(travel, subscription)
    change(travel, subscription, cancel_at_period_end="true", **{"items[0][quantity]": "3"})
    travel.advance(item["current_period_end"] - travel.now + 2 * 3600)
    ended = travel.get(f"/v1/subscriptions/{subscription['id']}")
    assert (ended["status"], lines(travel, ended["latest_invoice"])) == ("canceled", [-500, 1500])
    assert travel.get(f"/v1/invoices/{ended['latest_invoice']}")["status"] == "paid"


@pytest.mark.parametrize(
    ("how", "left"),
    [
        ({}, [77]),  # neither prorated nor invoiced: prorations go, what was charged by hand stays
        ({"prorate": "true"}, [-500, 1500, 77, -1500]),
        ({"invoice_now": "true"}, []),
    ],
)
def test_a_cancellation_now_drops_prorations_unless_they_are_wanted(
    travel: Travel, how: dict[str, str], left: list[int]
) -> None:
    subscription = sold(travel, 1000)
    halfway(travel, subscription)
    change(travel, subscription, **{"items[0][quantity]": "3"})
    single = {"customer": subscription["customer"], "subscription": subscription["id"]}
    travel.post("/v1/invoiceitems", amount="77", currency="usd", **single)
    travel.ask("DELETE", f"/v1/subscriptions/{subscription['id']}", **how)
    assert [one["amount"] for one in waiting(travel)] == left
    assert len(events(travel, "invoiceitem.deleted")) == (0 if how else 2)


def test_a_change_may_add_single_charges_to_the_next_invoice(travel: Travel) -> None:
    subscription = sold(travel, 1000)
    product = travel.post("/v1/products", name="Set-up")["id"]
    once = travel.post("/v1/prices", product=product, currency="usd", unit_amount="300")["id"]
    added = {"add_invoice_items[0][price]": once, "add_invoice_items[0][quantity]": "2"}
    path = f"/v1/subscriptions/{subscription['id']}"
    assert travel.post(path, **added)["latest_invoice"] == subscription["latest_invoice"]
    assert [one["amount"] for one in waiting(travel)] == [600]
    changed = travel.post(path, proration_behavior="always_invoice", **added)
    assert lines(travel, changed["latest_invoice"]) == [600, 600]


def test_the_last_item_cannot_be_taken_away(travel: Travel) -> None:
    subscription = sold(travel, 1000)
    [item] = subscription["items"]["data"]
    deleted = {"items[0][id]": item["id"], "items[0][deleted]": "true"}
    status, said = travel.ask("POST", f"/v1/subscriptions/{subscription['id']}", **deleted)
    assert (status, said["error"]["param"]) == (400, "items")
    assert "at least one active plan" in said["error"]["message"]


@pytest.mark.parametrize("days", [-1, 400])
def test_a_change_is_prorated_within_its_period_alone(travel: Travel, days: int) -> None:
    subscription = sold(travel, 1000)
    [item] = subscription["items"]["data"]
    when = {"proration_date": str(item["current_period_start"] + days * DAY), "items[0][quantity]": "2"}
    asked = when | {"items[0][id]": item["id"]}
    status, said = travel.ask("POST", f"/v1/subscriptions/{subscription['id']}", **asked)
    assert (status, said["error"]["param"]) == (400, "proration_date")


def paused(travel: Travel) -> Any:
    """A subscription that a trial without a card paused, asked to resume."""
    owner = travel.post("/v1/customers", email="alice@example.com")["id"]
    ends = {"trial_settings[end_behavior][missing_payment_method]": "pause", "trial_period_days": "3"}
    wanted = {"customer": owner, "items[0][price]": price(travel, 1000, "usd")}
    subscription = travel.post("/v1/subscriptions", **wanted, **ends)
    travel.advance(4 * DAY)
    return travel.post(f"/v1/subscriptions/{subscription['id']}/resume")


def test_a_try_to_resume_that_nobody_pays_is_voided_after_23_hours(travel: Travel) -> None:
    tried = paused(travel)
    travel.advance(23 * 3600)
    assert travel.get(f"/v1/invoices/{tried['latest_invoice']}")["status"] == "void"
    assert travel.get(f"/v1/subscriptions/{tried['id']}")["status"] == "paused"


def test_another_try_to_resume_takes_the_place_of_the_first(travel: Travel) -> None:
    tried = paused(travel)
    again = travel.post(f"/v1/subscriptions/{tried['id']}/resume")
    states = [travel.get(f"/v1/invoices/{one['latest_invoice']}")["status"] for one in (tried, again)]
    assert states == ["void", "open"]


@pytest.mark.parametrize(
    ("act", "form", "status", "resumed"),
    [
        ("pay", {"paid_out_of_band": "true"}, "active", 1),
        ("mark_uncollectible", {}, "active", 1),
        ("void", {}, "paused", 0),
    ],
)
def test_what_becomes_of_the_invoice_for_resuming_decides(
    travel: Travel, act: str, form: dict[str, str], status: str, resumed: int
) -> None:
    tried = paused(travel)
    travel.post(f"/v1/invoices/{tried['latest_invoice']}/{act}", **form)
    assert travel.get(f"/v1/subscriptions/{tried['id']}")["status"] == status
    assert len(events(travel, "customer.subscription.resumed")) == resumed


def test_what_is_sent_cannot_be_resumed(travel: Travel) -> None:
    tried = paused(travel)
    path = f"/v1/subscriptions/{tried['id']}"
    travel.post(path, collection_method="send_invoice", days_until_due="3")
    status, said = travel.ask("POST", f"{path}/resume")
    assert (status, "charge_automatically" in said["error"]["message"]) == (400, True)


def test_an_intent_refuses_a_way_to_pay_that_it_does_not_allow(travel: Travel) -> None:
    wanted = {
        "amount": "500",
        "currency": "usd",
        "customer": customer(travel),
        "confirm": "true",
        "off_session": "true",
    }
    allowed = {"allowed_payment_method_types[0]": "sepa_debit", "payment_method": "pm_card_visa"}
    status, said = travel.ask("POST", "/v1/payment_intents", **wanted, **allowed)
    assert (status, said["error"]["param"]) == (400, "payment_method")
    assert "one of the following types: sepa_debit" in said["error"]["message"]


def test_a_change_of_what_is_sent_is_a_draft_for_an_hour_and_the_last_invoice_is_sent_at_once(travel: Travel) -> None:
    subscription = sold(travel, 1000, collection_method="send_invoice", days_until_due="5")
    halfway(travel, subscription)
    changed = change(travel, subscription, proration_behavior="always_invoice", **{"items[0][quantity]": "2"})
    path = f"/v1/invoices/{changed['latest_invoice']}"
    assert travel.get(path)["status"] == "draft"
    travel.advance(3601)
    assert travel.get(path)["status"] == "open"
    ended = travel.ask("DELETE", f"/v1/subscriptions/{subscription['id']}", invoice_now="true", prorate="true")[1]
    last = travel.get(f"/v1/invoices/{ended['latest_invoice']}")
    assert (last["status"], last["total"] < 0) == ("paid", True)
    sent = [event["data"]["object"]["id"] for event in events(travel, "invoice.sent")]
    assert changed["latest_invoice"] in sent
    assert ended["latest_invoice"] not in sent  # nothing is asked for


def test_days_to_pay_belong_to_what_is_sent(travel: Travel) -> None:
    subscription = sold(travel, 1000)
    path = f"/v1/subscriptions/{subscription['id']}"
    for wrong in ({"collection_method": "send_invoice"}, {"days_until_due": "3"}):
        status, said = travel.ask("POST", path, **wrong)
        assert (status, said["error"]["param"]) == (400, "days_until_due")
    assert travel.post(path, collection_method="send_invoice", days_until_due="3")["days_until_due"] == 3
    assert travel.post(path, metadata="")["days_until_due"] == 3
    assert travel.post(path, collection_method="charge_automatically")["days_until_due"] is None
