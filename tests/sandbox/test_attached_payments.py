"""Payments that were made beside an invoice and are counted for it."""

from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.shop import customer, types
from tests.sandbox.test_invoice_lines import draft


def opened(v1: Any, amount: int = 1000) -> Any:
    return v1.invoices.finalize_invoice(draft(v1, amount).id)


def paying(v1: Any, owner: str, amount: int, **more: Any) -> Any:
    card = {"payment_method": "pm_card_visa", "payment_method_types": ["card"], "confirm": True}
    given = {"amount": amount, "currency": "jpy", "customer": owner}
    return v1.payment_intents.create(given | (more or card))


def attach(v1: Any, invoice: Any, intent: Any) -> Any:
    return v1.invoices.attach_payment(invoice.id, {"payment_intent": intent.id})


def test_two_part_payments_pay_an_invoice(v1: Any) -> None:
    invoice = opened(v1)
    part = attach(v1, invoice, paying(v1, invoice.customer, 400))
    assert (part.status, part.amount_paid, part.amount_remaining) == ("open", 400, 600)
    [default] = [one for one in v1.invoice_payments.list({"invoice": invoice.id}).data if one.is_default]
    assert v1.payment_intents.retrieve(default.payment.payment_intent).amount == 600
    page = httpx.get(part.hosted_invoice_url, trust_env=False, headers={"Accept-Language": "en"}).text
    assert "Amount remaining" in page and "Pay ¥600" in page
    whole = attach(v1, invoice, paying(v1, invoice.customer, 600))
    assert (whole.status, whole.amount_paid, whole.amount_remaining) == ("paid", 1000, 0)
    states = sorted(
        (one.amount_paid or 0, one.status) for one in v1.invoice_payments.list({"invoice": invoice.id}).data
    )
    assert states == [(0, "canceled"), (400, "paid"), (600, "paid")]
    assert types(v1).count("invoice_payment.paid") == 2


def test_the_invoices_own_payment_takes_what_is_left(v1: Any) -> None:
    invoice = opened(v1)
    attach(v1, invoice, paying(v1, invoice.customer, 400))
    paid = v1.invoices.pay(invoice.id)
    assert (paid.status, paid.amount_paid) == ("paid", 1000)
    assert v1.balance.retrieve().available[0].amount == 1000


def test_a_payment_that_comes_later_counts_then(v1: Any) -> None:
    invoice = opened(v1)
    intent = paying(v1, invoice.customer, 1000, payment_method_types=["card"])
    assert attach(v1, invoice, intent).status == "open"
    v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert v1.invoices.retrieve(invoice.id).status == "paid"


def test_what_is_too_much_becomes_credit(v1: Any) -> None:
    invoice = opened(v1)
    paid = attach(v1, invoice, paying(v1, invoice.customer, 1500))
    assert (paid.status, paid.amount_paid, paid.amount_overpaid) == ("paid", 1000, 500)
    assert v1.customers.retrieve(invoice.customer).balance == -500
    [moved] = v1.customers.balance_transactions.list(invoice.customer).data
    assert (moved.type, moved.amount) == ("invoice_overpaid", -500)
    assert "invoice.overpaid" in types(v1)


def test_a_payment_counts_for_one_invoice_alone(v1: Any) -> None:
    first = opened(v1)
    second = v1.invoices.finalize_invoice(draft(v1, 700, owner=first.customer).id)
    intent = paying(v1, first.customer, 400)
    attach(v1, first, intent)
    with pytest.raises(stripe.InvalidRequestError, match="attached to an invoice already"):
        attach(v1, second, intent)


def test_a_voided_invoice_lets_go_of_a_payment_that_has_not_come(v1: Any) -> None:
    invoice = opened(v1)
    intent = paying(v1, invoice.customer, 400, payment_method_types=["card"])
    attach(v1, invoice, intent)
    v1.invoices.void_invoice(invoice.id)
    assert v1.payment_intents.retrieve(intent.id).status == "requires_payment_method"
    v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert (v1.invoices.retrieve(invoice.id).status, v1.invoices.retrieve(invoice.id).amount_paid) == ("void", 0)


@pytest.mark.parametrize("wrong", ["customer", "currency", "canceled", "draft"])
def test_a_payment_that_does_not_fit_is_refused(v1: Any, wrong: str) -> None:
    invoice = draft(v1, 1000) if wrong == "draft" else opened(v1)
    owner = customer(v1) if wrong == "customer" else invoice.customer
    currency = "usd" if wrong == "currency" else "jpy"
    intent = v1.payment_intents.create({"amount": 400, "currency": currency, "customer": owner})
    if wrong == "canceled":
        v1.payment_intents.cancel(intent.id)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        attach(v1, invoice, intent)
    assert refused.value.param == ("id" if wrong == "draft" else "payment_intent")
