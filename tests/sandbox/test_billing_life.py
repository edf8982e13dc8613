"""The long life of subscriptions: anchors, reminders, what ends one that is not paid, pauses, pending updates."""

import datetime
import json
from typing import Any

import pytest

from sandbox.app import Call, answer
from tests.sandbox.test_billing_time import DAY, DRAFT, at, events, invoices, item_of, now, start, use_card
from tests.sandbox.travel import Travel


def decide(travel: Travel, **settings: Any) -> tuple[int, Any]:
    """Settings of the account that the tests use."""
    body, headers = json.dumps({"key": travel.key} | settings).encode(), {"content-type": "application/json"}
    call = Call("POST", "/_sandbox/settings", "", headers, body, "http://sandbox.example")
    said = answer(travel.engine, call)
    return said.status_code, json.loads(bytes(said.body))


def day(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M")


def boundaries(travel: Travel, subscription: Any, count: int) -> list[str]:
    """The ends of the current and the next periods."""
    ends = []
    for _ in range(count):
        ends.append(item_of(now(travel, subscription))["current_period_end"])
        travel.advance(ends[-1] - travel.now)
    return [day(end) for end in ends]


def test_a_renewal_is_told_seven_days_before(travel: Travel) -> None:
    subscription = start(travel)
    end = item_of(subscription)["current_period_end"]
    travel.advance(end - 7 * DAY - 1 - travel.now)
    assert events(travel, type="invoice.upcoming") == []
    travel.advance(1)
    [told] = events(travel, type="invoice.upcoming")
    invoice = told["data"]["object"]
    assert "id" not in invoice
    assert (told["created"], invoice["amount_due"], invoice["period_end"]) == (end - 7 * DAY, 3000, end)
    travel.advance(7 * DAY + DRAFT)
    assert invoices(travel, subscription)[0]["amount_paid"] == 3000
    assert len(events(travel, type="invoice.upcoming")) == 1


@pytest.mark.parametrize("params", [{"cancel_at_period_end": "true"}, {"pause_collection[behavior]": "void"}], ids=str)
def test_no_renewal_is_told_that_will_not_be_collected(travel: Travel, params: dict[str, str]) -> None:
    subscription = start(travel)
    travel.post(f"/v1/subscriptions/{subscription['id']}", **params)
    travel.advance(29 * DAY)
    assert events(travel, type="invoice.upcoming") == []


def test_how_long_before_is_a_setting(travel: Travel) -> None:
    assert decide(travel, upcoming_days=3)[1]["upcoming_days"] == 3
    subscription = start(travel)
    travel.advance(item_of(subscription)["current_period_end"] - travel.now)
    [told] = events(travel, type="invoice.upcoming")
    assert told["created"] == item_of(subscription)["current_period_end"] - 3 * DAY


@pytest.mark.parametrize("given", [{"after_retries": "hope"}, {"retry_days": [0]}, {"retry_days": 3}, {"color": 1}])
def test_a_setting_that_cannot_be_is_refused(travel: Travel, given: dict[str, Any]) -> None:
    assert decide(travel, **given)[0] == 400


@pytest.mark.parametrize(("ending", "status"), [("cancel", "canceled"), ("unpaid", "unpaid"), ("past_due", "past_due")])
def test_the_accounts_setting_ends_what_is_not_paid(travel: Travel, ending: str, status: str) -> None:
    decide(travel, retry_days=[1, 2], after_retries=ending)
    subscription = start(travel)
    use_card(travel, subscription, "pm_card_chargeCustomerFail")
    end = item_of(subscription)["current_period_end"]
    travel.advance(end + DRAFT - travel.now)
    failed = invoices(travel, subscription)[0]
    assert (failed["next_payment_attempt"], now(travel, subscription)["status"]) == (end + DRAFT + DAY, "past_due")
    travel.advance(3 * DAY)
    ended = now(travel, subscription)
    failed = invoices(travel, subscription)[0]
    assert (ended["status"], failed["attempt_count"], failed["next_payment_attempt"]) == (status, 3, None)
    assert ended["cancellation_details"]["reason"] == ("payment_failed" if ending == "cancel" else None)
    told = [event["created"] for event in events(travel, type="invoice.payment_failed")][::-1]
    assert told == [end + DRAFT, end + DRAFT + DAY, end + DRAFT + 3 * DAY]


@pytest.mark.parametrize(("ending", "status"), [("cancel", "canceled"), ("unpaid", "unpaid"), ("past_due", "past_due")])
def test_a_renewal_that_nobody_confirms_ends_when_retries_would(travel: Travel, ending: str, status: str) -> None:
    decide(travel, retry_days=[1, 2], after_retries=ending)
    subscription = start(travel)
    use_card(travel, subscription, "pm_card_authenticationRequired")
    travel.advance(item_of(subscription)["current_period_end"] + DRAFT - travel.now)
    waiting = invoices(travel, subscription)[0]
    assert (waiting["status"], waiting["next_payment_attempt"], waiting["attempted"]) == ("open", None, True)
    assert len(events(travel, type="invoice.payment_action_required")) == 1
    travel.advance(3 * DAY - 1)
    assert now(travel, subscription)["status"] == "past_due"
    travel.advance(1)
    ended = now(travel, subscription)
    assert ended["status"] == status
    assert ended["cancellation_details"]["reason"] == ("payment_failed" if ending == "cancel" else None)


def test_a_renewal_that_was_confirmed_in_time_goes_on(travel: Travel) -> None:
    decide(travel, retry_days=[1, 2], after_retries="cancel")
    subscription = start(travel)
    use_card(travel, subscription, "pm_card_authenticationRequired")
    travel.advance(item_of(subscription)["current_period_end"] + DRAFT - travel.now)
    [payment] = travel.get("/v1/invoice_payments", invoice=invoices(travel, subscription)[0]["id"])["data"]
    intent = travel.get(f"/v1/payment_intents/{payment['payment']['payment_intent']}")
    travel.visit("POST", f"/challenge/{intent['id']}?client_secret={intent['client_secret']}", answer="complete")
    travel.advance(4 * DAY)
    assert now(travel, subscription)["status"] == "active"


def test_an_invoice_that_was_sent_is_told_of_before_it_is_due(travel: Travel) -> None:
    decide(travel, due_soon_days=3)
    subscription = start(travel, collection_method="send_invoice", days_until_due="14")
    travel.advance(DRAFT)
    [invoice] = invoices(travel, subscription)
    travel.advance(invoice["due_date"] - travel.now)
    [told] = events(travel, type="invoice.will_be_due")
    assert (told["created"], told["data"]["object"]["status"]) == (invoice["due_date"] - 3 * DAY, "open")


def test_a_card_that_fails_twice_pays_at_the_second_retry(travel: Travel) -> None:
    decide(travel, retry_days=[1, 2], after_retries="cancel")
    subscription = start(travel)
    form = {"card": "pm_card_visa", "fails": "2"}
    assert travel.visit("POST", f"/_sandbox/customers/{subscription['customer']}/card", **form) == 200
    end = item_of(subscription)["current_period_end"]
    travel.advance(end + DRAFT - travel.now)
    expected = [("open", 1, end + DRAFT + DAY), ("open", 2, end + DRAFT + 3 * DAY), ("paid", 3, None)]
    for days, seen in zip((1, 2, 0), expected, strict=True):
        renewal = invoices(travel, subscription)[0]
        assert (renewal["status"], renewal["attempt_count"], renewal["next_payment_attempt"]) == seen
        travel.advance(days * DAY)
    assert now(travel, subscription)["status"] == "active"


def test_invoices_are_numbered_for_each_customer_or_all_together(travel: Travel) -> None:
    def numbers() -> list[str]:
        found = [travel.get(f"/v1/invoices/{start(travel)['latest_invoice']}")["number"] for _ in range(2)]
        return [number.split("-")[1] for number in found]

    assert numbers() == ["0001", "0001"]
    decide(travel, numbering="account")
    assert numbers() == ["0001", "0002"]
    decide(travel, numbering="customer")
    assert numbers() == ["0001", "0001"]


def test_while_a_subscription_is_unpaid_its_invoices_stay_drafts_until_it_is_paid(travel: Travel) -> None:
    decide(travel, retry_days=[], after_retries="unpaid")
    subscription = start(travel)
    use_card(travel, subscription, "pm_card_chargeCustomerFail")
    travel.advance(63 * DAY)
    draft, failed = invoices(travel, subscription)[:2]
    assert (draft["status"], draft["auto_advance"], failed["status"]) == ("draft", False, "open")
    use_card(travel, subscription, "pm_card_visa")
    travel.post(f"/v1/invoices/{failed['id']}/pay")
    assert now(travel, subscription)["status"] == "active"


def test_what_a_customer_tries_in_between_moves_no_retry(travel: Travel) -> None:
    subscription = start(travel)
    use_card(travel, subscription, "pm_card_chargeCustomerFail")
    travel.advance(item_of(subscription)["current_period_end"] + DRAFT - travel.now)
    first = invoices(travel, subscription)[0]
    travel.advance(DAY)
    assert travel.ask("POST", f"/v1/invoices/{first['id']}/pay")[0] == 402
    tried = invoices(travel, subscription)[0]
    assert (tried["attempt_count"], tried["next_payment_attempt"]) == (2, first["next_payment_attempt"])


def test_an_invoice_that_was_sent_falls_due_and_makes_its_subscription_past_due(travel: Travel) -> None:
    decide(travel, overdue_days=10, after_overdue="cancel")
    subscription = start(travel, collection_method="send_invoice", days_until_due="14")
    travel.advance(DRAFT)
    [invoice] = invoices(travel, subscription)
    assert (invoice["status"], invoice["due_date"] - invoice["created"]) == ("open", 14 * DAY)
    travel.advance(invoice["due_date"] - travel.now)
    assert now(travel, subscription)["status"] == "past_due"
    assert len(events(travel, type="invoice.overdue")) == 1
    travel.advance(10 * DAY)
    assert now(travel, subscription)["status"] == "canceled"


def test_an_invoice_that_was_sent_and_paid_does_not_fall_due(travel: Travel) -> None:
    subscription = start(travel, collection_method="send_invoice", days_until_due="14")
    travel.advance(DRAFT)
    travel.post(f"/v1/invoices/{invoices(travel, subscription)[0]['id']}/pay")
    travel.advance(20 * DAY)
    assert (now(travel, subscription)["status"], events(travel, type="invoice.overdue")) == ("active", [])


# Stripe docs, "Setting the subscription billing cycle date": the anchor's day, else the month's last
@pytest.mark.parametrize(
    ("begun", "interval", "params", "ends"),
    [
        # month ends
        ("2027-01-31T10:00", "month", {}, ["2027-02-28 10:00", "2027-03-31 10:00", "2027-04-30 10:00"]),
        ("2028-01-31T10:00", "month", {}, ["2028-02-29 10:00", "2028-03-31 10:00", "2028-04-30 10:00"]),
        ("2027-09-02T00:00", "month", {}, ["2027-10-02 00:00", "2027-11-02 00:00"]),
        # a leap day once a year
        ("2028-02-29T00:00", "year", {},
         ["2029-02-28 00:00", "2030-02-28 00:00", "2031-02-28 00:00", "2032-02-29 00:00"]),
        # a Friday stays a Friday
        ("2027-06-04T12:00", "week", {}, ["2027-06-11 12:00", "2027-06-18 12:00"]),
        ("2027-12-31T23:59", "day", {}, ["2028-01-01 23:59"]),
        # the anchor given: a part of a period first
        ("2027-01-10T00:00", "month", {"billing_cycle_anchor": "2027-01-31T00:00"},
         ["2027-01-31 00:00", "2027-02-28 00:00", "2027-03-31 00:00"]),
        # by the calendar: the 31st, although the first anchor is a 28 February
        ("2027-02-10T09:30", "month", {"billing_cycle_anchor_config[day_of_month]": "31"},
         ["2027-02-28 09:30", "2027-03-31 09:30", "2027-04-30 09:30"]),
        ("2027-02-10T09:30", "month",
         {"billing_cycle_anchor_config[day_of_month]": "1", "billing_cycle_anchor_config[hour]": "0",
          "billing_cycle_anchor_config[minute]": "0", "billing_cycle_anchor_config[second]": "0"},
         ["2027-03-01 00:00", "2027-04-01 00:00"]),
        ("2027-05-10T00:00", "year",
         {"billing_cycle_anchor_config[day_of_month]": "1", "billing_cycle_anchor_config[month]": "4"},
         ["2028-04-01 00:00", "2029-04-01 00:00"]),
        # after a trial the anchor is the trial's end, unless one is given
        ("2027-01-17T00:00", "month", {"trial_period_days": "14"}, ["2027-01-31 00:00", "2027-02-28 00:00"]),
        ("2027-01-01T00:00", "month",
         {"trial_period_days": "7", "billing_cycle_anchor": "2027-01-20T00:00"},
         ["2027-01-08 00:00", "2027-01-20 00:00", "2027-02-20 00:00"]),
    ],
)  # fmt: skip
def test_periods_end_where_the_anchor_says(
    travel: Travel, begun: str, interval: str, params: dict[str, str], ends: list[str]
) -> None:
    travel.now = at(begun)
    given = {name: str(at(value)) if name == "billing_cycle_anchor" else value for name, value in params.items()}
    subscription = start(travel, interval=interval, **given)
    assert boundaries(travel, subscription, len(ends)) == ends


# The first month has 31 days, of which 10 are billed before the anchor: 3000 × 10 / 31 = 967.7
def test_what_comes_between_a_trial_and_the_anchor_is_a_part(travel: Travel) -> None:
    travel.now = at("2027-01-04T00:00")
    anchor = str(at("2027-01-21T00:00"))
    subscription = start(travel, trial_period_days="7", billing_cycle_anchor=anchor)
    travel.advance(7 * DAY + DRAFT)
    assert invoices(travel, subscription)[0]["total"] == 968
    travel.advance(10 * DAY)
    assert invoices(travel, subscription)[0]["total"] == 3000


@pytest.mark.parametrize(
    "params",
    [
        {"billing_cycle_anchor_config[day_of_month]": "1", "billing_cycle_anchor": "1800000100"},
        {"billing_cycle_anchor_config[day_of_month]": "1", "billing_cycle_anchor_config[month]": "2"},
        {"billing_cycle_anchor_config[day_of_month]": "32"},
        {"billing_cycle_anchor": "1700000000"},
        {"billing_cycle_anchor": "1803000000"},
    ],
    ids=str,
)
def test_an_anchor_that_cannot_be_is_refused(travel: Travel, params: dict[str, str]) -> None:
    plain = start(travel)
    given = {"customer": plain["customer"], "items[0][price]": item_of(plain)["price"]["id"]}
    status, said = travel.ask("POST", "/v1/subscriptions", **given, **params)
    assert (status, said["error"]["type"]) == (400, "invalid_request_error")


def upgrade(travel: Travel, subscription: Any, **params: str) -> Any:
    """Three of what was one, invoiced at once, if it is paid."""
    given = {"items[0][id]": item_of(subscription)["id"], "items[0][quantity]": "3"}
    given |= {"payment_behavior": "pending_if_incomplete", "proration_behavior": "always_invoice", **params}
    return travel.post(f"/v1/subscriptions/{subscription['id']}", **given)


def test_a_pending_update_waits_for_its_payment(travel: Travel) -> None:
    subscription = start(travel)
    travel.advance(10 * DAY)
    use_card(travel, subscription, "pm_card_chargeCustomerFail")
    waiting = upgrade(travel, subscription)
    assert (waiting["status"], item_of(waiting)["quantity"]) == ("active", 1)
    held = waiting["pending_update"]
    assert (held["expires_at"], held["subscription_items"][0]["quantity"]) == (travel.now + 23 * 3600, 3)
    use_card(travel, subscription, "pm_card_visa")
    travel.post(f"/v1/invoices/{waiting['latest_invoice']}/pay")
    applied = now(travel, subscription)
    assert (applied["pending_update"], item_of(applied)["quantity"]) == (None, 3)
    assert len(events(travel, type="customer.subscription.pending_update_applied")) == 1


def test_a_pending_update_expires_after_23_hours(travel: Travel) -> None:
    subscription = start(travel)
    use_card(travel, subscription, "pm_card_chargeCustomerFail")
    travel.advance(10 * DAY)
    waiting = upgrade(travel, subscription)
    travel.advance(23 * 3600)
    expired = now(travel, subscription)
    assert (expired["status"], expired["pending_update"], item_of(expired)["quantity"]) == ("active", None, 1)
    assert travel.get(f"/v1/invoices/{waiting['latest_invoice']}")["status"] == "void"
    assert len(events(travel, type="customer.subscription.pending_update_expired")) == 1


def test_another_change_takes_the_place_of_a_pending_update(travel: Travel) -> None:
    subscription = start(travel)
    use_card(travel, subscription, "pm_card_chargeCustomerFail")
    travel.advance(10 * DAY)
    waiting = upgrade(travel, subscription)
    given = {"items[0][id]": item_of(subscription)["id"], "items[0][quantity]": "2", "proration_behavior": "none"}
    changed = travel.post(f"/v1/subscriptions/{subscription['id']}", **given)
    assert (changed["pending_update"], item_of(changed)["quantity"]) == (None, 2)
    assert travel.get(f"/v1/invoices/{waiting['latest_invoice']}")["status"] == "void"


def test_an_update_that_is_paid_at_once_does_not_wait(travel: Travel) -> None:
    subscription = start(travel)
    travel.advance(10 * DAY)
    changed = upgrade(travel, subscription)
    assert (changed["pending_update"], item_of(changed)["quantity"]) == (None, 3)


def test_only_what_is_invoiced_can_wait(travel: Travel) -> None:
    subscription = start(travel)
    given = {"payment_behavior": "pending_if_incomplete", "metadata[a]": "b"}
    status, said = travel.ask("POST", f"/v1/subscriptions/{subscription['id']}", **given)
    assert (status, said["error"]["param"]) == (400, "metadata")


# From 1 to 31 January there are 30 of 31 days left of ¥3,000, from 21 to 31 January 11: 3000 × 11 / 31 = 1064.5
def test_a_cancellation_inside_a_period_ends_it_there_and_credits_the_rest(travel: Travel) -> None:
    travel.now = at("2027-01-01T00:00")
    subscription = start(travel)
    path, day = f"/v1/subscriptions/{subscription['id']}", at("2027-01-21T00:00")
    changed = travel.post(path, cancel_at=str(day))
    assert item_of(changed)["current_period_end"] == day
    [credit] = travel.get("/v1/invoiceitems", pending="true")["data"]
    assert (credit["amount"], credit["period"]) == (-1065, {"start": day, "end": at("2027-02-01T00:00")})
    taken_back = travel.post(path, cancel_at="")
    assert item_of(taken_back)["current_period_end"] == at("2027-02-01T00:00")
    assert sorted(one["amount"] for one in travel.get("/v1/invoiceitems", pending="true")["data"]) == [-1065, 1065]
    travel.post(path, cancel_at=str(day))
    travel.advance(day - travel.now)
    assert (now(travel, subscription)["status"], now(travel, subscription)["ended_at"]) == ("canceled", day)


# Until 11 February there are 10 of 28 days: 3000 × 10 / 28 = 1071.4
def test_the_last_period_before_a_cancellation_is_billed_in_part(travel: Travel) -> None:
    travel.now = at("2027-01-01T00:00")
    end = at("2027-02-11T00:00")
    subscription = start(travel, cancel_at=str(end))
    assert invoices(travel, subscription)[0]["total"] == 3000
    travel.advance(32 * DAY)
    assert item_of(now(travel, subscription))["current_period_end"] == end
    assert invoices(travel, subscription)[0]["total"] in (1071, 1072)
    travel.advance(10 * DAY)
    assert now(travel, subscription)["ended_at"] == end


def test_a_subscription_may_begin_with_its_end(travel: Travel) -> None:
    travel.now = at("2027-01-01T00:00")
    subscription = start(travel, cancel_at=str(at("2027-01-11T00:00")))
    assert invoices(travel, subscription)[0]["total"] in (967, 968)
    status, said = travel.ask("POST", f"/v1/subscriptions/{subscription['id']}", cancel_at="1000")
    assert (status, said["error"]["param"]) == (400, "cancel_at")


# 10 of 31 days are billed first; half of them later: one more costs 3000 × 5 / 31 = 483.9
def test_a_change_before_the_anchor_is_prorated_by_the_whole_period(travel: Travel) -> None:
    travel.now = at("2027-01-11T00:00")
    subscription = start(travel, billing_cycle_anchor=str(at("2027-01-21T00:00")))
    travel.advance(5 * DAY)
    given = {"items[0][id]": item_of(subscription)["id"], "items[0][quantity]": "2"}
    travel.post(f"/v1/subscriptions/{subscription['id']}", **given)
    waiting = travel.get("/v1/invoiceitems", pending="true")["data"]
    assert sorted(one["amount"] for one in waiting) == [-484, 968]


@pytest.mark.parametrize(
    ("behavior", "status", "told"),
    [
        ("cancel", "canceled", "customer.subscription.deleted"),
        ("pause", "paused", "customer.subscription.paused"),
        ("create_invoice", "past_due", "invoice.payment_failed"),
    ],
)
def test_a_trial_that_ends_without_a_card_ends_as_it_was_set(
    travel: Travel, behavior: str, status: str, told: str
) -> None:
    setting = {"trial_settings[end_behavior][missing_payment_method]": behavior}
    subscription = start(travel, card="", trial_period_days="7", **setting)
    travel.advance(7 * DAY + DRAFT)
    assert now(travel, subscription)["status"] == status
    assert len(events(travel, type=told)) == 1


def test_a_paused_subscription_resumes_with_a_new_cycle(travel: Travel) -> None:
    setting = {"trial_settings[end_behavior][missing_payment_method]": "pause"}
    subscription = start(travel, card="", trial_period_days="7", **setting)
    travel.advance(20 * DAY)
    assert travel.ask("POST", f"/v1/subscriptions/{subscription['id']}", trial_end=str(travel.now + DAY))[0] == 400
    use_card(travel, subscription, "pm_card_visa")
    resumed = travel.post(f"/v1/subscriptions/{subscription['id']}/resume")
    assert (resumed["status"], resumed["billing_cycle_anchor"]) == ("active", travel.now)
    assert item_of(resumed)["current_period_start"] == travel.now
    assert invoices(travel, subscription)[0]["amount_paid"] == 3000
    assert len(events(travel, type="customer.subscription.resumed")) == 1


# Stripe docs, "Backdate subscriptions": from 15 February to 1 March it is half of a month, from 15 January 17 / 31
@pytest.mark.parametrize(
    ("begun", "mode", "amounts"),
    [
        ("2027-02-15T00:00", "classic", [1500]),
        ("2027-02-15T00:00", "flexible", [1500]),
        # 15 January to 15 February, and 14 of the next 28 days
        ("2027-01-15T00:00", "classic", [4500]),
        # a part of January and February
        ("2027-01-15T00:00", "flexible", [1645, 3000]),
    ],
)
def test_time_that_has_passed_is_charged(travel: Travel, begun: str, mode: str, amounts: list[int]) -> None:
    travel.now = at("2027-03-01T00:00")
    given = {"backdate_start_date": str(at(begun)), "billing_mode[type]": mode}
    subscription = start(travel, **given)
    assert (subscription["start_date"], subscription["billing_cycle_anchor"]) == (at(begun), travel.now)
    lines = invoices(travel, subscription)[0]["lines"]["data"]
    assert sorted(line["amount"] for line in lines) == sorted([3000, *amounts])
    assert item_of(subscription)["current_period_end"] == at("2027-04-01T00:00")


def test_time_that_has_passed_is_free_without_prorations(travel: Travel) -> None:
    begun = str(travel.now - 45 * DAY)
    subscription = start(travel, backdate_start_date=begun, proration_behavior="none")
    assert (str(subscription["start_date"]), invoices(travel, subscription)[0]["total"]) == (begun, 3000)
    status, said = travel.ask(
        "POST",
        "/v1/subscriptions",
        customer=subscription["customer"],
        backdate_start_date=str(travel.now + 1),
        **{"items[0][price]": item_of(subscription)["price"]["id"]},
    )
    assert (status, said["error"]["param"]) == (400, "backdate_start_date")
