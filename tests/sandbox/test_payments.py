"""Payment intents and charges: which card leads to which state, and what is left behind."""

from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.running import RunningSandbox, body_of, new_account, new_key

BACK = "http://shop.example/back"


def pay(v1: Any, payment_method: str, **params: Any) -> Any:
    given = {"amount": 5000, "currency": "jpy", "payment_method": payment_method, "confirm": True, "return_url": BACK}
    return v1.payment_intents.create(given | params)


def types(v1: Any) -> list[str]:
    """The events so far, oldest first."""
    return [event.type for event in v1.events.list({"limit": 100}).data][::-1]


def test_a_good_card_pays_at_once_and_the_money_is_in_the_balance(v1: Any) -> None:
    intent = pay(v1, "pm_card_visa", expand=["latest_charge.balance_transaction"])
    assert intent.status == "succeeded"
    assert intent.amount_received == 5000
    assert intent.latest_charge.balance_transaction.net == 5000
    assert intent.latest_charge.outcome.type == "authorized"
    available = {line.currency: line.amount for line in v1.balance.retrieve().available}
    assert available == {"jpy": 5000}
    assert types(v1) == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


@pytest.mark.parametrize(
    ("payment_method", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
    ],
)
def test_a_declined_card_raises_and_leaves_the_failed_charge(
    v1: Any, payment_method: str, code: str, decline_code: str
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        pay(v1, payment_method)
    error = body_of(caught.value)
    assert (caught.value.http_status, caught.value.code, error.decline_code) == (402, code, decline_code)
    intent = v1.payment_intents.retrieve(error.payment_intent.id, {"expand": ["latest_charge"]})
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    assert intent.last_payment_error.decline_code == decline_code
    assert (intent.latest_charge.status, intent.latest_charge.id) == ("failed", error.charge)
    assert types(v1) == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]


def test_a_declined_intent_can_be_paid_with_another_card(v1: Any) -> None:
    with pytest.raises(stripe.CardError) as caught:
        pay(v1, "pm_card_chargeDeclined")
    intent = v1.payment_intents.confirm(
        body_of(caught.value).payment_intent.id, {"payment_method": "pm_card_visa", "return_url": BACK}
    )
    assert (intent.status, intent.last_payment_error) == ("succeeded", None)
    assert len(v1.charges.list({"payment_intent": intent.id}).data) == 2


def test_a_held_amount_is_captured_in_part_and_the_rest_released(v1: Any) -> None:
    held = pay(v1, "pm_card_visa", capture_method="manual")
    assert (held.status, held.amount_capturable, held.amount_received) == ("requires_capture", 5000, 0)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.payment_intents.capture(held.id, {"amount_to_capture": 5001})
    assert caught.value.param == "amount_to_capture"
    taken = v1.payment_intents.capture(held.id, {"amount_to_capture": 3000})
    assert (taken.status, taken.amount_capturable, taken.amount_received) == ("succeeded", 0, 3000)
    assert [line.amount for line in v1.balance.retrieve().available] == [3000]
    assert "charge.captured" in types(v1)


def test_a_held_amount_that_is_canceled_never_reaches_the_balance(v1: Any) -> None:
    held = pay(v1, "pm_card_visa", capture_method="manual")
    canceled = v1.payment_intents.cancel(held.id, {"cancellation_reason": "duplicate"})
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "duplicate")
    assert v1.charges.retrieve(held.latest_charge).refunded is True
    assert [line.amount for line in v1.balance.retrieve().available] == [0]


@pytest.mark.parametrize(
    ("act", "params"),
    [("confirm", {"payment_method": "pm_card_visa"}), ("capture", {}), ("cancel", {}), ("update", {"amount": 1000})],
)
def test_a_paid_intent_refuses_every_further_step(v1: Any, act: str, params: dict[str, Any]) -> None:
    intent = pay(v1, "pm_card_visa")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        getattr(v1.payment_intents, act)(intent.id, params)
    assert (caught.value.http_status, caught.value.code) == (400, "payment_intent_unexpected_state")
    assert body_of(caught.value).payment_intent.id == intent.id


def challenge(url: str, answer: str) -> httpx.Response:
    with httpx.Client(trust_env=False) as browser:
        assert browser.get(url).status_code == 200
        return browser.post(url, data={"answer": answer})


@pytest.mark.parametrize(
    ("answer", "status", "redirect_status"),
    [("complete", "succeeded", "succeeded"), ("fail", "requires_payment_method", "failed")],
)
def test_a_challenge_ends_as_the_cardholder_answers(v1: Any, answer: str, status: str, redirect_status: str) -> None:
    intent = pay(v1, "pm_card_authenticationRequired")
    assert (intent.status, intent.next_action.type) == ("requires_action", "redirect_to_url")
    answered = challenge(intent.next_action.redirect_to_url.url, answer)
    assert answered.status_code == 303
    back = httpx.URL(answered.headers["Location"])
    assert str(back).startswith(BACK)
    assert (back.params["payment_intent"], back.params["redirect_status"]) == (intent.id, redirect_status)
    after = v1.payment_intents.retrieve(intent.id)
    assert (after.status, after.next_action) == (status, None)


def test_a_second_click_on_the_challenge_does_not_charge_twice(v1: Any) -> None:
    intent = pay(v1, "pm_card_authenticationRequired")
    url = intent.next_action.redirect_to_url.url
    challenge(url, "complete")
    challenge(url, "fail")
    assert v1.payment_intents.retrieve(intent.id).status == "succeeded"
    assert len(v1.charges.list({"payment_intent": intent.id}).data) == 1


def test_the_challenge_page_needs_the_client_secret(v1: Any) -> None:
    intent = pay(v1, "pm_card_authenticationRequired")
    url = httpx.URL(intent.next_action.redirect_to_url.url).copy_set_param("client_secret", "pi_other_secret")
    assert httpx.get(url, trust_env=False).status_code == 404


@pytest.mark.parametrize(
    ("payment_method", "challenged", "off_session_status"),
    [
        # set up once with a challenge, then free
        ("pm_card_authenticationRequiredOnSetup", True, "succeeded"),
        # asks for every payment, however it was set up
        ("pm_card_authenticationRequired", True, "requires_payment_method"),
        # counts as set up already
        ("pm_card_authenticationRequiredSetupForOffSession", False, "succeeded"),
        # never asks
        ("pm_card_visa", False, "succeeded"),
    ],
)
def test_a_card_that_was_set_up_behaves_off_session_as_documented(
    v1: Any, payment_method: str, challenged: bool, off_session_status: str
) -> None:
    customer = v1.customers.create({})
    setup = v1.setup_intents.create(
        {"customer": customer.id, "payment_method": payment_method, "confirm": True, "return_url": BACK}
    )
    assert (setup.status == "requires_action") is challenged
    if challenged:
        challenge(setup.next_action.redirect_to_url.url, "complete")
    setup = v1.setup_intents.retrieve(setup.id)
    assert setup.status == "succeeded"
    try:
        intent = pay(v1, setup.payment_method, customer=customer.id, off_session=True)
    except stripe.CardError as error:
        assert (error.code, body_of(error).decline_code) == ("authentication_required", "authentication_required")
        intent = v1.payment_intents.retrieve(body_of(error).payment_intent.id)
    assert intent.status == off_session_status


def test_setup_future_usage_keeps_the_card_with_the_customer(v1: Any) -> None:
    customer = v1.customers.create({})
    intent = pay(v1, "pm_card_visa", customer=customer.id, setup_future_usage="off_session")
    kept = v1.customers.payment_methods.list(customer.id).data
    assert [method.id for method in kept] == [intent.payment_method]


def test_a_card_that_paid_without_a_customer_cannot_be_used_again(v1: Any) -> None:
    intent = pay(v1, "pm_card_visa")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        pay(v1, intent.payment_method)
    assert caught.value.param == "payment_method"


@pytest.mark.parametrize(
    ("amount", "currency", "code", "message"),
    [
        (49, "usd", "amount_too_small", "Amount must be at least $0.50 usd"),
        (49, "jpy", "amount_too_small", "Amount must be at least ¥50 jpy"),
        (100_000_000, "usd", "amount_too_large", "Amount must be no more than $999,999.99 usd"),
    ],
)
def test_an_amount_outside_of_the_limits_is_refused(
    v1: Any, amount: int, currency: str, code: str, message: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.payment_intents.create({"amount": amount, "currency": currency})
    assert (caught.value.code, caught.value.param, caught.value.user_message) == (code, "amount", message)


def test_a_card_by_number_is_what_its_number_says(v1: Any) -> None:
    method = v1.payment_methods.create(
        {"type": "card", "card": {"number": "5555555555554444", "exp_month": 3, "exp_year": 2040, "cvc": "123"}}
    )
    assert (method.card.brand, method.card.last4, method.card.exp_year) == ("mastercard", "4444", 2040)


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ({"number": "4242424242424241", "exp_month": 3, "exp_year": 2040}, "incorrect_number"),
        ({"number": "4242424242424242", "exp_month": 13, "exp_year": 2040}, "invalid_expiry_month"),
        ({"number": "4242424242424242", "exp_month": 3, "exp_year": 1999}, "invalid_expiry_year"),
    ],
)
def test_a_card_that_cannot_be_is_refused(v1: Any, card: dict[str, Any], code: str) -> None:
    with pytest.raises(stripe.CardError) as caught:
        v1.payment_methods.create({"type": "card", "card": card})
    assert caught.value.code == code


def test_a_browser_may_confirm_with_the_publishable_key_and_the_client_secret(running: RunningSandbox) -> None:
    account = new_account()
    intent = running.client(new_key("sk", account=account)).v1.payment_intents.create(
        {"amount": 5000, "currency": "jpy"}
    )
    browser = running.http(new_key("pk", account=account))
    data = {"payment_method_data[type]": "card", "payment_method_data[card][token]": "tok_visa"}
    assert browser.post(f"/v1/payment_intents/{intent.id}/confirm", data=data).status_code == 404
    confirmed = browser.post(
        f"/v1/payment_intents/{intent.id}/confirm", data=data | {"client_secret": intent.client_secret}
    )
    assert (confirmed.status_code, confirmed.json()["status"]) == (200, "succeeded")


def test_what_is_said_for_cards_goes_before_what_is_said_for_all(v1: Any) -> None:
    owner = v1.customers.create({})
    options = {"card": {"capture_method": "manual", "setup_future_usage": "off_session"}}
    intent = pay(v1, "pm_card_visa", customer=owner.id, payment_method_options=options)
    assert (intent.status, intent.capture_method) == ("requires_capture", "automatic_async")
    assert intent.payment_method_options.card.capture_method == "manual"
    assert [kept.id for kept in v1.customers.payment_methods.list(owner.id).data] == [intent.payment_method]
    assert v1.payment_intents.capture(intent.id).status == "succeeded"


@pytest.mark.parametrize(
    ("asked", "status"),
    [("automatic", "succeeded"), ("any", "requires_action"), ("challenge", "requires_action")],
)
def test_an_optional_challenge_is_made_when_it_is_asked_for(v1: Any, asked: str, status: str) -> None:
    options = {"card": {"request_three_d_secure": asked}}
    assert pay(v1, "pm_card_threeDSecureOptional", payment_method_options=options).status == status


def test_a_decline_says_what_to_do_about_it(v1: Any) -> None:
    """As Stripe's test mode answers: again later, and the network's own code."""
    with pytest.raises(stripe.CardError) as caught:
        v1.payment_intents.create(
            {"amount": 500, "currency": "usd", "payment_method": "pm_card_chargeDeclined", "confirm": True,
             "payment_method_types": ["card"]}
        )  # fmt: skip
    said = body_of(caught.value)
    assert (said.advice_code, said["network_decline_code"]) == ("try_again_later", "01")
    assert v1.charges.retrieve(said.charge).outcome.network_decline_code == "01"
    assert said.payment_intent.last_payment_error.advice_code == "try_again_later"


@pytest.mark.parametrize("amount", [0, -5])
def test_nothing_cannot_be_paid(v1: Any, amount: int) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="minimum charge amount allowed for your account") as caught:
        v1.payment_intents.create({"amount": amount, "currency": "usd"})
    assert (caught.value.code, caught.value.param) == ("parameter_invalid_integer", "amount")
