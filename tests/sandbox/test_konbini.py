"""Vouchers: handed out, paid in a shop, or not."""

import datetime
from typing import Any

import pytest

from tests.sandbox.travel import Travel

DAY = 24 * 3600
PERSON = {
    "payment_method_data[type]": "konbini",
    "payment_method_data[billing_details][name]": "Alice",
    "payment_method_data[billing_details][email]": "alice@example.com",
}
ONLY = {"payment_method_types[]": "konbini"}
NUMBER = "payment_method_options[konbini][confirmation_number]"


def voucher(travel: Travel, **more: str) -> Any:
    """An intent that waits for somebody in a shop."""
    given = {"amount": "5000", "currency": "jpy", "confirm": "true", **PERSON, **ONLY, **more}
    return travel.post("/v1/payment_intents", **given)


def now(travel: Travel, intent: Any) -> Any:
    return travel.get(f"/v1/payment_intents/{intent['id']}")


def types(travel: Travel) -> list[str]:
    return [event["type"] for event in travel.get("/v1/events", limit="100")["data"]][::-1]


def test_a_voucher_tells_every_shop_its_codes(travel: Travel) -> None:
    intent = voucher(travel)
    assert (intent["status"], intent["latest_charge"]) == ("requires_action", None)
    details = intent["next_action"]["konbini_display_details"]
    assert set(details["stores"]) == {"familymart", "lawson", "ministop", "seicomart"}
    assert all(len(codes["payment_code"]) == 6 for codes in details["stores"].values())


@pytest.mark.parametrize(
    ("options", "after"),
    [
        ({}, 3),  # the default
        ({"payment_method_options[konbini][expires_after_days]": "2"}, 2),
        ({"payment_method_options[konbini][expires_after_days]": "60"}, 60),
    ],
)
def test_a_voucher_ends_with_the_day_in_japan(travel: Travel, options: dict[str, str], after: int) -> None:
    ends = voucher(travel, **options)["next_action"]["konbini_display_details"]["expires_at"]
    japan = datetime.timezone(datetime.timedelta(hours=9))
    today, last = (datetime.datetime.fromtimestamp(at, japan) for at in (travel.now, ends))
    assert last.date() - today.date() == datetime.timedelta(days=after)
    assert (last.hour, last.minute, last.second) == (23, 59, 59)


def test_a_voucher_is_paid_in_a_shop(travel: Travel) -> None:
    intent = voucher(travel)
    assert travel.visit("POST", f"/_sandbox/vouchers/{intent['id']}/pay", store="lawson") == 200
    paid = now(travel, intent)
    assert (paid["status"], paid["amount_received"]) == ("succeeded", 5000)
    charge = travel.get(f"/v1/charges/{paid['latest_charge']}")
    assert charge["payment_method_details"] == {"konbini": {"store": {"chain": "lawson"}}, "type": "konbini"}
    assert charge["id"].startswith("py_")
    assert types(travel)[-2:] == ["charge.succeeded", "payment_intent.succeeded"]
    assert travel.visit("POST", f"/_sandbox/vouchers/{intent['id']}/pay") == 400  # once


def test_a_voucher_is_paid_on_its_page(travel: Travel) -> None:
    intent = voucher(travel)
    page = intent["next_action"]["konbini_display_details"]["hosted_voucher_url"].removeprefix("http://sandbox.example")
    assert travel.visit("GET", page) == 200
    assert travel.visit("POST", page.split("?")[0] + "?client_secret=wrong", store="ministop") == 404
    assert travel.visit("POST", page, store="ministop") == 200
    assert now(travel, intent)["status"] == "succeeded"


def test_a_voucher_that_nobody_pays_expires(travel: Travel) -> None:
    intent = voucher(travel)
    ends = intent["next_action"]["konbini_display_details"]["expires_at"]
    travel.advance(ends - travel.now - 1)
    assert now(travel, intent)["status"] == "requires_action"
    travel.advance(1)
    late = now(travel, intent)
    assert (late["status"], late["next_action"], late["payment_method"]) == ("requires_payment_method", None, None)
    assert late["last_payment_error"]["code"] == "payment_intent_payment_attempt_expired"
    assert types(travel)[-1] == "payment_intent.payment_failed"


def test_a_second_voucher_has_its_own_end(travel: Travel) -> None:
    """The first one's job must not end the second one early."""
    intent = voucher(travel)
    travel.advance(2 * DAY)
    travel.post(f"/v1/payment_intents/{intent['id']}/confirm", **PERSON)
    travel.advance(2 * DAY)
    assert now(travel, intent)["status"] == "requires_action"


def test_a_card_that_pays_first_makes_the_voucher_worthless(travel: Travel) -> None:
    intent = voucher(travel, **{"payment_method_types[0]": "konbini", "payment_method_types[1]": "card"})
    travel.post(f"/v1/payment_intents/{intent['id']}/confirm", payment_method="pm_card_visa")
    assert travel.visit("POST", f"/_sandbox/vouchers/{intent['id']}/pay") == 400
    travel.advance(10 * DAY)
    assert now(travel, intent)["amount_received"] == 5000


@pytest.mark.parametrize(
    ("words", "first", "then", "ends"),
    [
        ({"confirmation_number": "22222222220"}, "succeeded", "succeeded", None),
        ({"confirmation_number": "11111111110"}, "requires_action", "succeeded", None),
        ({"confirmation_number": "33333333330"}, "requires_payment_method", "requires_payment_method", 0),
        ({"confirmation_number": "44444444440"}, "requires_action", "requires_payment_method", 180),
        ({"confirmation_number": "55555555550"}, "requires_action", "requires_action", None),
        ({"email": "bob_succeed_immediately@example.com"}, "succeeded", "succeeded", None),
        ({"email": "expire_with_delay@example.com"}, "requires_action", "requires_payment_method", 180),
        # a number outweighs an e-mail
        ({"email": "expire_immediately@example.com", "confirmation_number": "11111111110"}, "requires_action",
         "succeeded", None),
    ],
)  # fmt: skip
def test_test_values_decide(travel: Travel, words: dict[str, str], first: str, then: str, ends: int | None) -> None:
    """Whatever they decide happens after the answer, which always shows a voucher."""
    words = dict(words)
    email = {"payment_method_data[billing_details][email]": words.pop("email")} if "email" in words else {}
    options = {f"payment_method_options[konbini][{name}]": value for name, value in words.items()}
    given = {"amount": "5000", "currency": "jpy", **PERSON, **ONLY, **options, **email}
    intent = travel.post("/v1/payment_intents", **{**given, "payment_method_types[]": "konbini"})
    waiting = travel.post(f"/v1/payment_intents/{intent['id']}/confirm")
    assert waiting["status"] == "requires_action"
    if ends is not None:
        assert waiting["next_action"]["konbini_display_details"]["expires_at"] == travel.now + ends
    travel.advance(0)
    assert now(travel, intent)["status"] == first
    travel.advance(180)
    assert now(travel, intent)["status"] == then


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ({"currency": "usd"}, None, "payment_method_types"),  # yen alone
        ({"amount": "119"}, "amount_too_small", "amount"),
        ({"amount": "300001"}, "amount_too_large", "amount"),
        ({"payment_method_options[konbini][expires_after_days]": "61"}, "parameter_invalid_integer",
         "payment_method_options[konbini][expires_after_days]"),
        ({"payment_method_data[billing_details][email]": ""}, "parameter_missing",
         "payment_method_data[billing_details][email]"),
        ({NUMBER: "01234567890"}, "payment_intent_konbini_rejected_confirmation_number", NUMBER),
        ({NUMBER: "00000000000"}, None, NUMBER),
        ({NUMBER: "123456789"}, None, NUMBER),  # too short
        ({NUMBER: "abcdefghij"}, None, NUMBER),
        ({"capture_method": "manual"}, None, "capture_method"),  # nothing is held
        ({"setup_future_usage": "off_session"}, None, "setup_future_usage"),  # a voucher is used once
    ],
)  # fmt: skip
def test_what_a_shop_does_not_take_is_refused(
    travel: Travel, given: dict[str, str], code: str | None, param: str
) -> None:
    asked = {"amount": "5000", "currency": "jpy", "confirm": "true", **PERSON, **ONLY, **given}
    status, said = travel.ask("POST", "/v1/payment_intents", **asked)
    assert (status, said["error"].get("code"), said["error"]["param"]) == (400, code, param)


def test_a_changed_intent_calls_its_voucher_off(travel: Travel) -> None:
    intent = voucher(travel)
    travel.post(f"/v1/payment_intents/{intent['id']}", **{"metadata[order]": "7"})
    assert now(travel, intent)["status"] == "requires_action"  # the voucher says nothing of that
    changed = travel.post(f"/v1/payment_intents/{intent['id']}", amount="6000")
    assert (changed["status"], changed["next_action"]) == ("requires_confirmation", None)
    assert travel.visit("POST", f"/_sandbox/vouchers/{intent['id']}/pay") == 400
    again = travel.post(f"/v1/payment_intents/{intent['id']}/confirm")
    old, new = (one["next_action"]["konbini_display_details"] for one in (intent, again))
    assert all(old["stores"][store] != new["stores"][store] for store in new["stores"])
    pages = [one["hosted_voucher_url"].removeprefix("http://sandbox.example") for one in (old, new)]
    travel.visit("POST", pages[0], store="lawson")  # worth nothing any more
    assert now(travel, intent)["status"] == "requires_action"
    travel.visit("POST", pages[1], store="lawson")
    assert now(travel, intent)["amount_received"] == 6000


def test_an_account_may_have_its_vouchers_paid_by_themselves(travel: Travel) -> None:
    assert travel.visit("POST", "/_sandbox/settings", vouchers_paid_after="180") == 200
    intent, never = voucher(travel), voucher(travel, **{NUMBER: "55555555550"})
    travel.advance(179)
    assert now(travel, intent)["status"] == "requires_action"
    travel.advance(1)
    assert [now(travel, one)["status"] for one in (intent, never)] == ["succeeded", "requires_action"]


def test_an_intent_refuses_a_way_that_it_does_not_offer(travel: Travel) -> None:
    intent = travel.post("/v1/payment_intents", amount="5000", currency="jpy", **{"payment_method_types[]": "card"})
    status, said = travel.ask("POST", f"/v1/payment_intents/{intent['id']}/confirm", **PERSON)
    assert (status, said["error"]["param"]) == (400, "payment_method")


def refunded(travel: Travel) -> str:
    """The id of a refund of a voucher, which waits for an account."""
    intent = voucher(travel)
    travel.visit("POST", f"/_sandbox/vouchers/{intent['id']}/pay")
    return str(travel.post("/v1/refunds", payment_intent=intent["id"])["id"])


def test_a_refund_that_the_bank_sends_back_asks_again(travel: Travel) -> None:
    id = refunded(travel)
    assert travel.visit("POST", f"/_sandbox/refunds/{id}/bank_account", account="1111113") == 200
    travel.advance(10)
    back = travel.get(f"/v1/refunds/{id}")
    assert (back["status"], back["next_action"]["type"]) == ("requires_action", "display_details")
    travel.visit("POST", f"/_sandbox/refunds/{id}/bank_account")
    travel.advance(10)
    arrived = travel.get(f"/v1/refunds/{id}")
    assert arrived["status"] == "succeeded"
    assert arrived["destination_details"]["jp_bank_transfer"]["reference_status"] == "available"


def test_a_refund_that_nobody_answers_to_is_made_to_expire(travel: Travel) -> None:
    id = refunded(travel)
    failed = travel.post(f"/v1/test_helpers/refunds/{id}/expire")
    assert failed["status"] == "failed"
    assert "refund.failed" in types(travel)
    status, said = travel.ask("POST", f"/v1/test_helpers/refunds/{id}/expire")
    assert (status, said["error"]["param"]) == (400, "refund")
    assert travel.get("/v1/balance")["available"][0]["amount"] == 5000  # it is ours again


def test_a_voucher_s_refund_asks_for_a_bank_account(travel: Travel) -> None:
    intent = voucher(travel)
    travel.visit("POST", f"/_sandbox/vouchers/{intent['id']}/pay")
    refund = travel.post("/v1/refunds", payment_intent=intent["id"])
    assert (refund["status"], refund["instructions_email"]) == ("requires_action", "alice@example.com")
    assert travel.visit("POST", f"/_sandbox/refunds/{refund['id']}/bank_account") == 200
    assert travel.get(f"/v1/refunds/{refund['id']}")["status"] == "pending"
    travel.advance(60)
    assert travel.get(f"/v1/refunds/{refund['id']}")["status"] == "succeeded"
    assert travel.get("/v1/balance")["available"][0]["amount"] == 0


@pytest.mark.parametrize("way", ["cancel", "wait"])
def test_a_refund_that_nobody_claims_comes_back(travel: Travel, way: str) -> None:
    intent = voucher(travel)
    travel.visit("POST", f"/_sandbox/vouchers/{intent['id']}/pay")
    refund = travel.post("/v1/refunds", payment_intent=intent["id"])
    if way == "cancel":
        travel.post(f"/v1/refunds/{refund['id']}/cancel")
    else:
        travel.advance(45 * DAY)
    after = travel.get(f"/v1/refunds/{refund['id']}")
    assert after["status"] == {"cancel": "canceled", "wait": "failed"}[way]
    charge = travel.get(f"/v1/charges/{refund['charge']}")
    assert (charge["amount_refunded"], charge["refunded"]) == (0, False)
    assert travel.get("/v1/balance")["available"][0]["amount"] == 5000


def session(travel: Travel) -> Any:
    """A checkout session that takes vouchers too."""
    return travel.post(
        "/v1/checkout/sessions", mode="payment", success_url="http://shop.example/thanks",
        **{
            "line_items[0][price_data][currency]": "jpy", "line_items[0][price_data][unit_amount]": "5000",
            "line_items[0][price_data][product_data][name]": "Book", "line_items[0][quantity]": "1",
            "payment_method_types[0]": "card", "payment_method_types[1]": "konbini",
            "payment_method_options[konbini][expires_after_days]": "5",
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("paid", "event", "payment_status"),
    [
        (True, "checkout.session.async_payment_succeeded", "paid"),
        (False, "checkout.session.async_payment_failed", "unpaid"),
    ],
)
def test_a_session_paid_by_voucher_is_complete_before_it_is_paid(
    travel: Travel, paid: bool, event: str, payment_status: str
) -> None:
    made = session(travel)
    form = {"method": "konbini", "name": "Alice", "email": "alice@example.com"}
    assert travel.visit("POST", f"/c/pay/{made['id']}", **form) == 303
    waiting = travel.get(f"/v1/checkout/sessions/{made['id']}")
    assert (waiting["status"], waiting["payment_status"]) == ("complete", "unpaid")
    assert types(travel)[-1] == "checkout.session.completed"
    if paid:
        travel.visit("POST", f"/_sandbox/vouchers/{waiting['payment_intent']}/pay")
    else:
        travel.advance(6 * DAY)
    after = travel.get(f"/v1/checkout/sessions/{made['id']}")
    assert (after["status"], after["payment_status"]) == ("complete", payment_status)
    assert types(travel).count(event) == 1
    assert types(travel)[-1] == event


def test_checkout_asks_who_fetches_the_voucher(travel: Travel) -> None:
    made = session(travel)
    assert travel.visit("POST", f"/c/pay/{made['id']}", method="konbini", email="alice@example.com") == 422
    assert travel.get(f"/v1/checkout/sessions/{made['id']}")["status"] == "open"


@pytest.mark.parametrize(("amount", "offered"), [(5000, True), (300_001, False)])
def test_an_invoice_that_is_sent_can_be_paid_in_a_shop(travel: Travel, amount: int, offered: bool) -> None:
    customer = travel.post("/v1/customers", name="Alice", email="alice@example.com")["id"]
    invoice = travel.post(
        "/v1/invoices", customer=customer, collection_method="send_invoice", days_until_due="30", currency="jpy"
    )
    travel.post("/v1/invoiceitems", customer=customer, amount=str(amount), currency="jpy", invoice=invoice["id"])
    invoice = travel.post(f"/v1/invoices/{invoice['id']}/finalize")
    intent = travel.get("/v1/payment_intents", customer=customer)["data"][0]
    assert ("konbini" in intent["payment_method_types"]) is offered
    page = invoice["hosted_invoice_url"].removeprefix("http://sandbox.example")
    assert travel.visit("POST", page, method="konbini", name="Alice") == (303 if offered else 422)
    if offered:
        assert travel.visit("GET", page) == 200
        travel.visit("POST", f"/_sandbox/vouchers/{intent['id']}/pay")
        assert travel.get(f"/v1/invoices/{invoice['id']}")["status"] == "paid"


def test_a_voucher_for_an_invoice_that_expires_leaves_it_open(travel: Travel) -> None:
    customer = travel.post("/v1/customers", name="Alice", email="alice@example.com")["id"]
    invoice = travel.post(
        "/v1/invoices", customer=customer, collection_method="send_invoice", days_until_due="30", currency="jpy"
    )
    travel.post("/v1/invoiceitems", customer=customer, amount="5000", currency="jpy", invoice=invoice["id"])
    invoice = travel.post(f"/v1/invoices/{invoice['id']}/finalize")
    page = invoice["hosted_invoice_url"].removeprefix("http://sandbox.example")
    travel.visit("POST", page, method="konbini", name="Alice")
    travel.advance(5 * DAY)
    after = travel.get(f"/v1/invoices/{invoice['id']}")
    assert (after["status"], after["attempt_count"]) == ("open", 1)
    assert "invoice.payment_failed" in types(travel)
    travel.visit("POST", page, method="card", number="4242424242424242", expiry="12/34", cvc="123", name="Alice")
    assert travel.get(f"/v1/invoices/{invoice['id']}")["status"] == "paid"


def test_a_voucher_has_no_challenge(travel: Travel) -> None:
    intent = voucher(travel)
    where = f"/challenge/{intent['id']}?client_secret={intent['client_secret']}"
    assert (travel.visit("GET", where), travel.visit("POST", where, answer="complete")) == (404, 404)
    assert travel.get(f"/v1/payment_intents/{intent['id']}")["status"] == "requires_action"
