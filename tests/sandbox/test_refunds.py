"""Refunds: never more than was paid."""

from typing import Any

import pytest
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.running import RunningSandbox, body_of
from tests.sandbox.test_payments import pay, types


def test_a_partial_refund_leaves_the_rest(v1: Any) -> None:
    intent = pay(v1, "pm_card_visa")
    refund = v1.refunds.create({"payment_intent": intent.id, "amount": 2000, "reason": "requested_by_customer"})
    charge = v1.charges.retrieve(intent.latest_charge, {"expand": ["refunds"]})
    assert (refund.status, refund.charge, refund.currency) == ("succeeded", charge.id, "jpy")
    assert (charge.amount_refunded, charge.refunded) == (2000, False)
    assert [made.id for made in charge.refunds.data] == [refund.id]
    assert types(v1)[-2:] == ["refund.created", "charge.refunded"]


@pytest.mark.parametrize(
    ("before", "amount", "code", "message"),
    [
        (0, 5001, None, "Refund amount (¥5,001) is greater than charge amount (¥5,000)"),
        (2000, 3001, None, "Refund amount (¥3,001) is greater than unrefunded amount on charge (¥3,000)"),
        (5000, 1, "charge_already_refunded", "Charge {charge} has already been refunded."),
        (5000, None, "charge_already_refunded", "Charge {charge} has already been refunded."),
    ],
)
def test_more_than_is_left_is_refused(v1: Any, before: int, amount: int | None, code: str | None, message: str) -> None:
    charge = pay(v1, "pm_card_visa").latest_charge
    if before:
        v1.refunds.create({"charge": charge, "amount": before})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.refunds.create({"charge": charge} | ({"amount": amount} if amount else {}))
    assert (caught.value.code, caught.value.user_message) == (code, message.format(charge=charge))
    assert v1.charges.retrieve(charge).amount_refunded == before


def test_a_declined_payment_has_nothing_to_refund(v1: Any) -> None:
    with pytest.raises(stripe.CardError) as declined:
        pay(v1, "pm_card_chargeDeclined")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.refunds.create({"payment_intent": body_of(declined.value).payment_intent.id})
    assert "does not have a successful charge" in caught.value.user_message


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(amounts=st.lists(st.integers(min_value=1, max_value=4000), min_size=1, max_size=6))
def test_the_balance_is_what_was_paid_less_what_was_refunded(running: RunningSandbox, amounts: list[int]) -> None:
    v1 = running.client().v1
    charge = pay(v1, "pm_card_visa").latest_charge
    left = 5000
    for amount in amounts:
        try:
            v1.refunds.create({"charge": charge, "amount": amount})
            left -= amount
        except stripe.InvalidRequestError:
            assert amount > left
    assert left >= 0
    assert [line.amount for line in v1.balance.retrieve().available] == [left]
    assert sum(line.net for line in v1.balance_transactions.list({"limit": 100}).data) == left
