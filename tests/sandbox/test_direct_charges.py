"""The older way to pay: a token for a card, a charge for the token."""

from typing import Any

import pytest
import stripe

from tests.sandbox.running import body_of
from tests.sandbox.shop import types

CARD = {"number": "4242424242424242", "exp_month": "8", "exp_year": "2040", "cvc": "314", "name": "Alice"}


def test_a_token_is_charged_once(v1: Any) -> None:
    token = v1.tokens.create({"card": CARD})
    assert (token.card.brand, token.card.last4, token.card.name, token.used) == ("Visa", "4242", "Alice", False)
    charge = v1.charges.create({"amount": 5000, "currency": "jpy", "source": token.id, "metadata": {"order": "7"}})
    assert (charge.paid, charge.captured, charge.payment_intent) == (True, True, None)
    assert (charge.source.object, charge.source.last4) == ("card", "4242")
    assert v1.balance.retrieve().available[0].amount == 5000
    assert types(v1) == ["charge.succeeded"]
    assert v1.tokens.retrieve(token.id).used is True
    with pytest.raises(stripe.InvalidRequestError, match="more than once") as caught:
        v1.charges.create({"amount": 5000, "currency": "jpy", "source": token.id})
    assert caught.value.code == "token_already_used"


def test_a_token_becomes_a_payment_method(v1: Any) -> None:
    token = v1.tokens.create({"card": CARD})
    method = v1.payment_methods.create({"type": "card", "card": {"token": token.id}})
    assert (method.card.last4, method.card.exp_year) == ("4242", 2040)


def test_what_is_held_is_captured_in_part_and_given_back(v1: Any) -> None:
    held = v1.charges.create({"amount": 2000, "currency": "usd", "source": "tok_visa", "capture": False})
    assert (held.captured, held.amount_captured) == (False, 0)
    taken = v1.charges.capture(held.id, {"amount": 1500})
    assert (taken.captured, taken.amount_captured, taken.amount_refunded) == (True, 1500, 500)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.charges.capture(held.id)
    assert caught.value.code == "charge_already_captured"
    refund = v1.refunds.create({"charge": held.id})
    assert (refund.amount, refund.payment_intent) == (1500, None)
    assert types(v1) == ["charge.succeeded", "charge.captured", "refund.created", "charge.refunded"]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("tok_chargeDeclined", "card_declined"),
        ("tok_chargeDeclinedExpiredCard", "expired_card"),
        ("tok_threeDSecure2Required", "authentication_required"),  # a charge cannot ask the cardholder
    ],
)
def test_a_refused_charge_stays_as_failed(v1: Any, source: str, code: str) -> None:
    with pytest.raises(stripe.CardError) as caught:
        v1.charges.create({"amount": 2000, "currency": "usd", "source": source})
    assert caught.value.code == code
    charge = v1.charges.retrieve(body_of(caught.value).charge)
    assert (charge.status, charge.failure_code, charge.captured) == ("failed", code, False)
    assert types(v1) == ["charge.failed"]


def test_a_charge_needs_a_source(v1: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Must provide source or customer"):
        v1.charges.create({"amount": 2000, "currency": "usd"})
    with pytest.raises(stripe.InvalidRequestError, match="No such token: 'tok_none'"):
        v1.charges.create({"amount": 2000, "currency": "usd", "source": "tok_none"})
    with pytest.raises(stripe.CardError, match="no active card"):
        v1.charges.create({"amount": 2000, "currency": "usd", "customer": v1.customers.create({}).id})
