"""Checkout sessions and their page, without a browser."""

import threading
from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.shop import (
    ASKS,
    CANCEL,
    DECLINED,
    GOOD,
    POOR,
    answer_the_bank,
    checkout,
    customer,
    fill_in,
    plan,
    types,
)  # fmt: skip


def seen(address: str, **headers: str) -> str:
    return httpx.get(address, headers=headers, trust_env=False).text


def problem(page: httpx.Response) -> str:
    """What the page says went wrong."""
    return page.text.split('role="alert">')[1].split("</span>")[1].split("</p>")[0].strip()


def after(v1: Any, session: Any, *expand: str) -> Any:
    return v1.checkout.sessions.retrieve(session.id, {"expand": list(expand)})


def test_paying_makes_customer_subscription_invoice_and_goes_back(v1: Any) -> None:
    session = checkout(v1, client_reference_id="org_7", subscription_data={"metadata": {"order": "7"}})
    assert (session.status, session.payment_status, session.amount_total) == ("open", "unpaid", 3000)
    answer = fill_in(session.url, GOOD)
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"http://shop.example/thanks?session={session.id}",
    )
    done = after(v1, session, "subscription", "invoice", "customer")
    assert (done.status, done.payment_status, done.url) == ("complete", "paid", None)
    assert (done.subscription.status, done.invoice.status) == ("active", "paid")
    assert done.subscription.metadata.to_dict() == {"order": "7"}
    assert done.subscription.default_payment_method.startswith("pm_")
    assert (done.customer.email, done.customer.name) == ("alice@example.com", "Alice")
    assert done.customer_details.email == "alice@example.com"
    assert done.client_reference_id == "org_7"


def test_the_world_is_told_in_the_order_of_what_happened(v1: Any) -> None:
    session = checkout(v1)
    before = len(types(v1))
    fill_in(session.url, GOOD)
    assert types(v1)[before:] == [
        "customer.created",
        "customer.updated",
        "invoice.created",
        "invoice.finalized",
        "payment_intent.created",
        "customer.subscription.created",
        "payment_method.attached",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
        "customer.subscription.updated",
        "checkout.session.completed",
    ]
    [updated] = v1.events.list({"type": "customer.subscription.updated"}).data
    assert updated.data.previous_attributes.status == "incomplete"
    assert updated.data.object.status == "active"


def test_a_decline_is_said_in_stripes_words_and_nothing_typed_is_lost(v1: Any) -> None:
    session = checkout(v1)
    page = fill_in(session.url, POOR, name="Alice Ampersand & Sons")
    assert problem(page) == "Your card has insufficient funds."
    for typed in (POOR, "12 / 34", "Alice Ampersand &amp; Sons", "alice@example.com"):
        assert f'value="{typed}"' in page.text
    assert after(v1, session).status == "open"
    assert v1.subscriptions.list({"status": "all"}).data == []
    assert types(v1)[-2:] == ["charge.failed", "payment_intent.payment_failed"]


@pytest.mark.parametrize(
    ("number", "typed", "words"),
    [
        (DECLINED, {}, "Your card was declined."),
        ("4000000000000069", {}, "Your card has expired."),
        ("4000000000000127", {}, "Your card&#39;s security code is incorrect."),
        ("4242424242424241", {}, "Your card number is incorrect."),
        ("4242", {}, "Your card number is incomplete."),
        (GOOD, {"expiry": "12"}, "Your card&#39;s expiration date is incomplete."),
        (GOOD, {"expiry": "12 / 20"}, "Your card&#39;s expiration year is invalid."),
        (GOOD, {"expiry": "13 / 34"}, "Your card&#39;s expiration month is invalid."),
        (GOOD, {"cvc": "1"}, "Your card&#39;s security code is incomplete."),
        (GOOD, {"email": "alice"}, "Your email is incomplete."),
    ],
)
def test_what_cannot_be_right_is_said(v1: Any, number: str, typed: dict[str, str], words: str) -> None:
    session = checkout(v1)
    assert problem(fill_in(session.url, number, **typed)) == words
    assert after(v1, session).status == "open"


def test_after_a_decline_another_card_pays(v1: Any) -> None:
    session = checkout(v1)
    for number in (DECLINED, POOR):
        fill_in(session.url, number)
    assert fill_in(session.url, GOOD).status_code == 303
    assert len(v1.subscriptions.list().data) == 1
    assert len(v1.customers.list().data) == 1


def test_many_clicks_at_once_pay_once(v1: Any) -> None:
    session = checkout(v1)
    answers: list[httpx.Response] = []
    clicks = [threading.Thread(target=lambda: answers.append(fill_in(session.url, GOOD))) for _ in range(6)]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert {answer.headers.get("location") for answer in answers} == {
        f"http://shop.example/thanks?session={session.id}"
    }
    assert len(v1.subscriptions.list({"status": "all"}).data) == 1
    assert [charge.status for charge in v1.charges.list().data] == ["succeeded"]


def test_a_challenge_that_is_passed_pays(v1: Any) -> None:
    session = checkout(v1)
    asked = fill_in(session.url, ASKS)
    assert "/challenge/" in asked.headers["location"]
    back = answer_the_bank(asked, "complete")
    assert back.headers["location"] == f"http://shop.example/thanks?session={session.id}"
    assert after(v1, session, "subscription").subscription.status == "active"


def test_a_challenge_that_fails_lets_the_customer_try_again(v1: Any) -> None:
    session = checkout(v1)
    page = answer_the_bank(fill_in(session.url, ASKS), "fail")
    assert problem(page).startswith("We are unable to authenticate your payment method.")
    assert fill_in(session.url, GOOD).status_code == 303
    done = after(v1, session, "subscription")
    assert done.subscription.status == "active"
    assert len(v1.subscriptions.list({"status": "all"}).data) == 1


def test_somebody_who_never_comes_back_from_the_bank_has_paid_all_the_same(v1: Any) -> None:
    session = checkout(v1)
    asked = fill_in(session.url, ASKS)
    httpx.post(asked.headers["location"], data={"answer": "complete"}, trust_env=False)
    assert after(v1, session).status == "complete"


def test_a_trial_keeps_the_card_and_charges_nothing(v1: Any) -> None:
    session = checkout(v1, subscription_data={"trial_period_days": 14})
    assert session.amount_total == 0
    fill_in(session.url, GOOD)
    done = after(v1, session, "subscription")
    assert (done.payment_status, done.subscription.status) == ("no_payment_required", "trialing")
    assert done.subscription.default_payment_method.startswith("pm_")
    assert v1.charges.list().data == []


def test_a_trial_with_a_challenge_begins_when_it_is_passed(v1: Any) -> None:
    session = checkout(v1, subscription_data={"trial_period_days": 14})
    answer_the_bank(fill_in(session.url, ASKS), "complete")
    assert after(v1, session, "subscription").subscription.status == "trialing"


def test_setup_mode_keeps_a_card_for_the_customer(v1: Any) -> None:
    owner = customer(v1, None)
    session = checkout(v1, mode="setup", customer=owner, currency="jpy")
    fill_in(session.url, GOOD)
    done = after(v1, session, "setup_intent")
    assert (done.status, done.setup_intent.status) == ("complete", "succeeded")
    assert v1.payment_methods.list({"customer": owner}).data[0].id == done.setup_intent.payment_method


def test_payment_mode_charges_once_for_all_lines(v1: Any) -> None:
    hat = {"currency": "usd", "unit_amount": 1250, "product_data": {"name": "Hat"}}
    session = checkout(
        v1,
        mode="payment",
        line_items=[{"price_data": hat, "quantity": 2}],
        payment_intent_data={"metadata": {"order": "9"}, "description": "Two hats"},
    )
    assert (session.amount_total, session.payment_intent) == (2500, None)
    fill_in(session.url, DECLINED)
    fill_in(session.url, GOOD)
    intent = after(v1, session, "payment_intent").payment_intent
    assert (intent.status, intent.amount_received, intent.description) == ("succeeded", 2500, "Two hats")
    assert [charge.status for charge in v1.charges.list().data] == ["succeeded", "failed"]


def test_one_time_lines_stand_on_the_first_invoice(v1: Any) -> None:
    product = v1.products.create({"name": "Setting up"})
    once = v1.prices.create({"product": product.id, "currency": "jpy", "unit_amount": 5000})
    session = checkout(v1, line_items=[{"price": plan(v1, 3000), "quantity": 1}, {"price": once.id, "quantity": 1}])
    fill_in(session.url, GOOD)
    done = after(v1, session, "invoice", "subscription")
    assert (session.amount_total, done.invoice.amount_paid) == (8000, 8000)
    assert len(done.subscription["items"].data) == 1


def test_line_items_are_listed_and_expanded(v1: Any) -> None:
    session = checkout(v1)
    [line] = v1.checkout.sessions.line_items.list(session.id).data
    assert (line.object, line.description, line.amount_total, line.quantity) == ("item", "Pro", 3000, 1)
    assert after(v1, session, "line_items").line_items.data[0].id == line.id


def test_an_expired_session_takes_no_money(v1: Any) -> None:
    session = checkout(v1)
    address = session.url
    assert v1.checkout.sessions.expire(session.id).status == "expired"
    assert types(v1)[-1] == "checkout.session.expired"
    assert "This page has expired" in seen(address)
    assert CANCEL in seen(address)
    fill_in(address, GOOD)
    assert v1.charges.list().data == []
    with pytest.raises(stripe.InvalidRequestError, match="can be expired"):
        v1.checkout.sessions.expire(session.id)


def test_expiring_ends_a_subscription_that_waits_for_a_challenge(v1: Any) -> None:
    session = checkout(v1)
    fill_in(session.url, ASKS)
    v1.checkout.sessions.expire(session.id)
    [ended] = v1.subscriptions.list({"status": "all"}).data
    assert ended.status == "incomplete_expired"


def test_a_paid_session_says_so_when_visited_again(v1: Any) -> None:
    session = checkout(v1)
    fill_in(session.url, GOOD)
    assert "This is paid already" in seen(session.url)


def test_the_customers_address_is_not_asked_for_again(v1: Any) -> None:
    session = checkout(v1, customer=customer(v1, None))
    page = seen(session.url)
    assert "alice@example.com" in page
    assert 'name="email"' not in page
    assert fill_in(session.url, GOOD, email="").status_code == 303
    assert len(v1.customers.list().data) == 1


@pytest.mark.parametrize(
    ("locale", "browser", "words"),
    [
        ("ja", "en-US", "Proに申し込む"),
        ("auto", "ja-JP,ja;q=0.9,en;q=0.8", "Proに申し込む"),
        (None, "ja", "Proに申し込む"),
        ("en", "ja", "Subscribe to Pro"),
        (None, "fr-FR,en;q=0.5", "Subscribe to Pro"),
    ],
)
def test_the_page_speaks_the_customers_language(v1: Any, locale: str | None, browser: str, words: str) -> None:
    session = checkout(v1, **({"locale": locale} if locale else {}))
    assert words in seen(session.url, **{"Accept-Language": browser})


def test_a_page_that_does_not_exist_is_a_404(v1: Any) -> None:
    session = checkout(v1)
    assert httpx.get(session.url[:-4] + "xxxx", trust_env=False).status_code == 404


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"mode": "payment"}, "Missing required param: line_items"),
        ({"mode": "rent"}, "Invalid mode: must be one of payment, setup, or subscription"),
        ({"customer": "cus_x"}, "No such customer: 'cus_x'"),
        ({"customer_email": "a@b.co", "customer": "cus_x"}, "You may only specify one of these parameters"),
        ({"expires_at": 1}, "at least 30 minutes"),
        ({"line_items": [{"price": "price_x", "quantity": 1}]}, "No such price: 'price_x'"),
        ({"payment_intent_data": {"description": "x"}}, "You can not pass `payment_intent_data`"),
    ],
)
def test_bad_input_is_refused_in_stripes_words(v1: Any, params: dict[str, Any], words: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        checkout(v1, **params)
    assert words in str(refused.value)


def test_payment_mode_takes_no_recurring_price(v1: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="You specified `payment` mode but passed a recurring price"):
        checkout(v1, mode="payment", line_items=[{"price": plan(v1), "quantity": 1}])


def test_a_success_address_is_required(v1: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Missing required param: success_url"):
        v1.checkout.sessions.create({"mode": "setup", "currency": "jpy"})
