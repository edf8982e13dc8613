"""What credit notes take back, and where the money goes."""

import re
from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.shop import customer, plan, subscribed, types


def _open(v1: Any, amount: int = 5000) -> Any:
    owner = customer(v1, None)
    v1.invoice_items.create({"customer": owner, "amount": amount, "currency": "usd"})
    draft = v1.invoices.create({"customer": owner, "pending_invoice_items_behavior": "include"})
    return v1.invoices.finalize_invoice(draft.id)


def _paid(v1: Any, **params: Any) -> Any:
    return v1.invoices.retrieve(subscribed(v1, plan(v1, 5000, "usd"), **params).latest_invoice)


def test_before_payment_it_lowers_what_is_asked(v1: Any) -> None:
    invoice = _open(v1)
    note = v1.credit_notes.create({"invoice": invoice.id, "amount": 2000, "reason": "duplicate"})
    assert (note.type, note.number, note.pre_payment_amount) == ("pre_payment", f"{invoice.number}-CN-01", 2000)
    lowered = v1.invoices.retrieve(invoice.id)
    assert (lowered.total, lowered.amount_due, lowered.amount_remaining) == (5000, 3000, 3000)
    v1.payment_methods.attach("pm_card_visa", {"customer": invoice.customer})
    card = v1.payment_methods.list({"customer": invoice.customer}).data[0].id
    settled = v1.invoices.pay(invoice.id, {"payment_method": card})
    assert (settled.status, settled.amount_paid) == ("paid", 3000)


def test_voiding_it_asks_for_the_whole_again(v1: Any) -> None:
    invoice = _open(v1)
    note = v1.credit_notes.create({"invoice": invoice.id, "amount": 2000})
    assert v1.credit_notes.void_credit_note(note.id).status == "void"
    assert v1.invoices.retrieve(invoice.id).amount_remaining == 5000
    assert types(v1).count("credit_note.voided") == 1


def test_a_note_over_all_of_it_settles_the_invoice(v1: Any) -> None:
    invoice = _open(v1)
    v1.credit_notes.create({"invoice": invoice.id, "amount": 5000})
    settled = v1.invoices.retrieve(invoice.id)
    assert (settled.status, settled.amount_paid, settled.amount_remaining) == ("paid", 0, 0)


def test_after_payment_it_is_refunded_credited_and_settled_elsewhere(v1: Any) -> None:
    invoice = _paid(v1)
    ways = {"refund_amount": 2000, "credit_amount": 1500, "out_of_band_amount": 500}
    note = v1.credit_notes.create({"invoice": invoice.id, "amount": 4000, **ways})
    refund = v1.refunds.retrieve(note.refunds[0].refund)
    assert (note.type, note.post_payment_amount, refund.amount) == ("post_payment", 4000, 2000)
    assert v1.customers.retrieve(invoice.customer).balance == -1500
    moved = v1.customers.balance_transactions.retrieve(invoice.customer, note.customer_balance_transaction)
    assert (moved.type, moved.credit_note) == ("credit_note", note.id)
    assert v1.invoices.retrieve(invoice.id).post_payment_credit_notes_amount == 4000


def test_a_line_takes_its_part_of_discounts_and_taxes_along(v1: Any) -> None:
    vat = v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    off = v1.coupons.create({"percent_off": 10, "duration": "once"})
    invoice = _paid(v1, default_tax_rates=[vat.id], discounts=[{"coupon": off.id}])
    assert invoice.total == 5400
    line = {"type": "invoice_line_item", "invoice_line_item": invoice.lines.data[0].id, "amount": 2500}
    seen = v1.credit_notes.preview({"invoice": invoice.id, "lines": [line], "refund_amount": 2700})
    note = v1.credit_notes.create({"invoice": invoice.id, "lines": [line], "refund_amount": 2700})
    assert (note.subtotal, note.discount_amount, note.total, note.total_excluding_tax) == (2500, 250, 2700, 2250)
    assert (seen.total, seen.number) == (note.total, note.number)


@pytest.mark.parametrize(
    "terms",
    [
        {"amount": 5001, "refund_amount": 5001},  # more than the invoice
        {"amount": 1000},  # nobody says where it goes
        {"amount": 1000, "credit_amount": 900},  # not all of it
        {},  # nothing
    ],
)
def test_it_never_gives_back_more_or_less_than_it_says(v1: Any, terms: dict[str, int]) -> None:
    invoice = _paid(v1)
    with pytest.raises(stripe.InvalidRequestError):
        v1.credit_notes.create({"invoice": invoice.id, **terms})
    assert v1.customers.retrieve(invoice.customer).balance == 0


def test_several_notes_together_never_exceed_the_invoice(v1: Any) -> None:
    invoice = _paid(v1)
    v1.credit_notes.create({"invoice": invoice.id, "amount": 3000, "credit_amount": 3000})
    with pytest.raises(stripe.InvalidRequestError, match="left of the invoice"):
        v1.credit_notes.create({"invoice": invoice.id, "amount": 2001, "credit_amount": 2001})


def test_a_draft_has_no_credit_notes(v1: Any) -> None:
    draft = v1.invoices.create({"customer": customer(v1)})
    with pytest.raises(stripe.InvalidRequestError, match="open or paid"):
        v1.credit_notes.create({"invoice": draft.id, "amount": 1})


def test_shipping_is_given_back_once(v1: Any) -> None:
    owner = customer(v1)
    rate = v1.shipping_rates.create({"display_name": "Post", "fixed_amount": {"amount": 500, "currency": "usd"}})
    made = v1.invoices.create({"customer": owner, "currency": "usd", "shipping_cost": {"shipping_rate": rate.id}})
    v1.invoices.add_lines(made.id, {"lines": [{"amount": 2000}]})
    paid = v1.invoices.pay(v1.invoices.finalize_invoice(made.id).id)
    back = {"invoice": paid.id, "shipping_cost": {"shipping_rate": rate.id}, "refund_amount": 500}
    note = v1.credit_notes.create(back)
    assert (note.total, note.amount_shipping, note.subtotal, note.shipping_cost.amount_total) == (500, 500, 0, 500)
    with pytest.raises(stripe.InvalidRequestError, match="credited already"):
        v1.credit_notes.create(back)


def test_a_refund_that_was_made_before_is_counted_once(v1: Any) -> None:
    invoice = _paid(v1)
    [payment] = v1.invoice_payments.list({"invoice": invoice.id, "status": "paid"}).data
    refund = v1.refunds.create({"payment_intent": payment.payment.payment_intent, "amount": 1000})
    linked = {"refunds": [{"refund": refund.id, "amount_refunded": 1000}]}
    note = v1.credit_notes.create({"invoice": invoice.id, "amount": 1000, **linked})
    assert (note.refunds[0].refund, note.post_payment_amount) == (refund.id, 1000)
    with pytest.raises(stripe.InvalidRequestError, match="left of the refund"):
        v1.credit_notes.create({"invoice": invoice.id, "amount": 1000, **linked})
    other = _paid(v1)
    with pytest.raises(stripe.InvalidRequestError, match="not of a payment of this invoice"):
        v1.credit_notes.create({"invoice": other.id, "amount": 1000, **linked})


def written(body: bytes) -> tuple[int, str]:
    """How many pages a PDF of the sandbox has, and its words."""
    runs = re.findall(rb"/(F\d) [\d.]+ Tf [\d. ]+ Td <([0-9a-f]*)> Tj", body)
    words = [bytes.fromhex(run.decode()).decode("utf-16-be" if font == b"F3" else "cp1252") for font, run in runs]
    return body.count(b"/Type /Page /Parent"), "\n".join(words)


def test_its_file_is_a_real_pdf_in_the_customers_language(v1: Any) -> None:
    owner = customer(v1, name="Alice", preferred_locales=["ja"])
    vat = v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    lines = [{"amount": 1000 + number, "description": f"No. {number}"} for number in range(40)]
    made = v1.invoices.create({"customer": owner, "currency": "usd", "default_tax_rates": [vat.id]})
    paid = v1.invoices.pay(v1.invoices.add_lines(made.id, {"lines": lines}).id)
    listed = v1.invoices.line_items.list(paid.id, {"limit": 40}).data
    credited = [{"type": "invoice_line_item", "invoice_line_item": line.id, "amount": line.amount} for line in listed]
    terms = {"lines": credited, "refund_amount": paid.total, "memo": "Sorry."}
    note = v1.credit_notes.create({"invoice": paid.id, **terms})
    assert (len(note.lines.data), note.lines.has_more) == (10, True)
    said = httpx.get(note.pdf, trust_env=False)
    assert (said.headers["content-type"], said.content[:5]) == ("application/pdf", b"%PDF-")
    pages, words = written(said.content)
    assert pages == 2
    assert {note.number, "No. 39", "No. 0", "Sorry.", "Alice", "クレジットノート番号"} <= set(words.split("\n"))
    assert httpx.get(note.pdf.replace("test_", "test_x"), trust_env=False).status_code == 404
