"""Invoices: drafts, their money, their ends."""

from typing import Any

import pytest
import stripe

from tests.sandbox.shop import customer, plan, subscribed, types


def draft(v1: Any, *amounts: int, **params: Any) -> Any:
    """A draft in yen with a line for each amount."""
    invoice = v1.invoices.create({"customer": customer(v1), "currency": "jpy", "auto_advance": False, **params})
    for amount in amounts:
        v1.invoice_items.create(
            {
                "customer": invoice.customer,
                "invoice": invoice.id,
                "amount": amount,
                "currency": "jpy",
                "description": "x",
            }
        )
    return v1.invoices.retrieve(invoice.id)


def test_a_draft_adds_up_and_is_finalized_paid_and_numbered(v1: Any) -> None:
    invoice = draft(v1, 1000, -200)
    assert (invoice.status, invoice.total, invoice.number) == ("draft", 800, None)
    opened = v1.invoices.finalize_invoice(invoice.id)
    assert (opened.status, opened.amount_due) == ("open", 800)
    assert opened.number.endswith("-0001")
    assert opened.hosted_invoice_url.startswith("http://")
    assert opened.invoice_pdf == f"{opened.hosted_invoice_url}/pdf"
    paid = v1.invoices.pay(invoice.id)
    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 800, 0)
    assert (paid.attempted, paid.attempt_count) == (True, 1)
    assert paid.status_transitions.paid_at


def test_numbers_follow_each_other_for_each_customer(v1: Any) -> None:
    first = draft(v1, 100)
    v1.invoices.finalize_invoice(first.id)
    second = v1.invoices.create({"customer": first.customer, "currency": "jpy"})
    second = v1.invoices.finalize_invoice(second.id)
    assert second.number.split("-") == [first_prefix(v1, first), "0002"]


def first_prefix(v1: Any, invoice: Any) -> str:
    return str(v1.customers.retrieve(invoice.customer).invoice_prefix)


def test_nothing_due_is_paid_without_a_payment(v1: Any) -> None:
    invoice = v1.invoices.finalize_invoice(draft(v1).id)
    assert (invoice.status, invoice.amount_due) == ("paid", 0)
    assert v1.invoice_payments.list({"invoice": invoice.id}).data == []


def test_a_credit_balance_is_used_first(v1: Any) -> None:
    invoice = draft(v1, 1000)
    v1.customers.update(invoice.customer, {"balance": -300})
    opened = v1.invoices.finalize_invoice(invoice.id)
    assert (opened.total, opened.amount_due, opened.starting_balance, opened.ending_balance) == (1000, 700, -300, 0)
    assert v1.customers.retrieve(invoice.customer).balance == 0


def test_a_negative_total_becomes_a_credit(v1: Any) -> None:
    invoice = v1.invoices.finalize_invoice(draft(v1, -500).id)
    assert (invoice.status, invoice.amount_due, invoice.ending_balance) == ("paid", 0, -500)
    assert v1.customers.retrieve(invoice.customer).balance == -500


def test_the_payment_that_paid_is_found_from_both_sides(v1: Any) -> None:
    subscription = subscribed(v1)
    [payment] = v1.invoice_payments.list({"invoice": subscription.latest_invoice, "status": "paid"}).data
    intent_id = payment.payment.payment_intent
    by_intent = {"payment": {"type": "payment_intent", "payment_intent": intent_id}}
    assert v1.invoice_payments.list(by_intent).data[0].invoice == subscription.latest_invoice
    assert v1.invoice_payments.retrieve(payment.id).amount_paid == 3000
    assert payment.is_default is True


def test_a_declined_payment_leaves_it_open_and_says_why(v1: Any) -> None:
    invoice = draft(v1, 1000, customer=customer(v1, "pm_card_chargeCustomerFail"))
    with pytest.raises(stripe.CardError) as refused:
        v1.invoices.pay(invoice.id)
    assert (refused.value.code, refused.value.http_status) == ("card_declined", 402)
    after = v1.invoices.retrieve(invoice.id)
    assert (after.status, after.attempt_count, after.attempted) == ("open", 1, True)
    assert "invoice.payment_failed" in types(v1)


def test_without_any_card_it_says_what_is_missing(v1: Any) -> None:
    invoice = draft(v1, 1000, customer=customer(v1, None))
    with pytest.raises(stripe.InvalidRequestError, match="There is no `default_payment_method`"):
        v1.invoices.pay(invoice.id)


def test_paid_out_of_band_cancels_the_payment_that_waited(v1: Any) -> None:
    invoice = v1.invoices.finalize_invoice(draft(v1, 1000).id)
    [waiting] = v1.invoice_payments.list({"invoice": invoice.id}).data
    paid = v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
    assert (paid.status, paid.attempted) == ("paid", False)
    assert v1.payment_intents.retrieve(waiting.payment.payment_intent).status == "canceled"


@pytest.mark.parametrize(
    ("reach", "act", "words"),
    [
        ("draft", "void_invoice", "You can only pass in open invoices. This invoice isn't open."),
        ("draft", "mark_uncollectible", "You can only pass in open invoices. This invoice isn't open."),
        ("paid", "void_invoice", "Invoices with `paid` payments cannot be voided."),
        ("uncollectible", "mark_uncollectible", "This invoice has already been marked uncollectible."),
        ("paid", "pay", "Invoice is already paid"),
        ("paid", "finalize_invoice", "already finalized"),
        ("void", "pay", "This invoice can no longer be paid."),
        ("void", "mark_uncollectible", "You can only pass in open invoices. This invoice isn't open."),
        ("open", "delete", "You can only delete draft invoices."),
        ("open", "send_invoice", "collection method is 'send_invoice'"),
    ],
)
def test_an_act_that_the_state_forbids_is_refused(v1: Any, reach: str, act: str, words: str) -> None:
    invoice = draft(v1, 1000)
    if reach != "draft":
        v1.invoices.finalize_invoice(invoice.id)
    if reach == "paid":
        v1.invoices.pay(invoice.id)
    if reach == "void":
        v1.invoices.void_invoice(invoice.id)
    if reach == "uncollectible":
        v1.invoices.mark_uncollectible(invoice.id)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        getattr(v1.invoices, act)(invoice.id)
    assert words in str(refused.value)
    assert v1.invoices.retrieve(invoice.id).status == reach


def test_a_written_off_invoice_can_still_be_voided(v1: Any) -> None:
    """Stripe docs, "Status transitions and finalization"."""
    invoice = v1.invoices.finalize_invoice(draft(v1, 1000).id)
    v1.invoices.mark_uncollectible(invoice.id)
    voided = v1.invoices.void_invoice(invoice.id)
    assert (voided.status, voided.status_transitions.voided_at is not None) == ("void", True)
    [tried] = v1.invoice_payments.list({"invoice": invoice.id}).data
    assert tried.status == "canceled"


def test_a_written_off_invoice_can_still_be_paid(v1: Any) -> None:
    invoice = v1.invoices.finalize_invoice(draft(v1, 1000).id)
    assert v1.invoices.mark_uncollectible(invoice.id).status == "uncollectible"
    assert v1.invoices.pay(invoice.id).status == "paid"


def test_a_deleted_draft_takes_its_items_with_it(v1: Any) -> None:
    invoice = draft(v1, 1000)
    [item] = v1.invoice_items.list({"invoice": invoice.id}).data
    assert v1.invoices.delete(invoice.id).deleted is True
    assert v1.invoice_items.list({"customer": invoice.customer, "pending": True}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="This invoice item has been deleted"):
        v1.invoice_items.update(item.id, {"amount": 1})


def test_pending_items_come_onto_an_invoice_that_includes_them(v1: Any) -> None:
    owner = customer(v1)
    for amount in (300, 400):
        v1.invoice_items.create({"customer": owner, "amount": amount, "currency": "jpy"})
    left_out = v1.invoices.create({"customer": owner, "currency": "jpy"})
    assert left_out.total == 0
    included = v1.invoices.create({"customer": owner, "currency": "jpy", "pending_invoice_items_behavior": "include"})
    assert [line.amount for line in included.lines.data] == [400, 300]
    assert v1.invoice_items.list({"customer": owner, "pending": True}).data == []


def test_items_on_a_draft_are_changed_and_removed(v1: Any) -> None:
    invoice = draft(v1, 1000, 500)
    first = v1.invoice_items.list({"invoice": invoice.id}).data[-1]
    v1.invoice_items.update(first.id, {"amount": 700})
    assert v1.invoices.retrieve(invoice.id).total == 1200
    v1.invoice_items.delete(first.id)
    assert v1.invoices.retrieve(invoice.id).total == 500
    v1.invoices.finalize_invoice(invoice.id)
    left = v1.invoice_items.list({"invoice": invoice.id}).data[0]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        v1.invoice_items.update(left.id, {"amount": 1})
    assert refused.value.code == "invoice_not_editable"


def test_an_item_by_price_takes_its_amount_and_name(v1: Any) -> None:
    product = v1.products.create({"name": "Hat"})
    price = v1.prices.create({"product": product.id, "currency": "jpy", "unit_amount": 900})
    item = v1.invoice_items.create({"customer": customer(v1), "pricing": {"price": price.id}, "quantity": 3})
    assert (item.amount, item.description, item.pricing.price_details.price) == (2700, "Hat", price.id)


def test_most_of_a_finalized_invoice_is_fixed(v1: Any) -> None:
    invoice = v1.invoices.finalize_invoice(draft(v1, 1000).id)
    assert v1.invoices.update(invoice.id, {"metadata": {"a": "b"}}).metadata.to_dict() == {"a": "b"}
    with pytest.raises(stripe.InvalidRequestError, match="Finalized invoices can't be updated in this way") as refused:
        v1.invoices.update(invoice.id, {"description": "Late"})
    assert refused.value.param == "description"


def test_lists_are_narrowed_by_customer_subscription_and_status(v1: Any) -> None:
    subscription = subscribed(v1)
    other = draft(v1, 100)
    ids = lambda **by: [invoice.id for invoice in v1.invoices.list(by).data]  # noqa: E731
    assert ids(subscription=subscription.id) == [subscription.latest_invoice]
    assert ids(status="draft") == [other.id]
    assert ids(customer=subscription.customer) == [subscription.latest_invoice]


def test_lines_are_paged_in_their_order(v1: Any) -> None:
    invoice = draft(v1, *range(1, 13))  # the newest stands first
    listed = v1.invoices.line_items.list(invoice.id, {"limit": 5})
    assert listed.has_more is True
    assert [line.amount for line in listed.auto_paging_iter()] == list(range(12, 0, -1))


def test_a_subscription_invoice_is_expanded_to_its_subscription(v1: Any) -> None:
    subscription = subscribed(v1)
    invoice = v1.invoices.retrieve(
        subscription.latest_invoice, {"expand": ["parent.subscription_details.subscription", "customer"]}
    )
    assert invoice.parent.subscription_details.subscription.status == "active"
    [line] = v1.invoices.line_items.list(invoice.id, {"expand": ["data.pricing.price_details.price"]}).data
    assert line.pricing.price_details.price.unit_amount == 3000
    assert invoice.customer.email == "alice@example.com"


def test_a_sent_invoice_needs_a_due_date(v1: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="due_date"):
        v1.invoices.create({"customer": customer(v1), "collection_method": "send_invoice"})
    invoice = draft(v1, 100, collection_method="send_invoice", days_until_due=3)
    assert v1.invoices.send_invoice(invoice.id).status == "open"
    assert "invoice.sent" in types(v1)


def test_two_currencies_do_not_mix(v1: Any) -> None:
    subscription = subscribed(v1, plan(v1, 3000, "jpy"))
    with pytest.raises(stripe.InvalidRequestError, match="cannot combine currencies"):
        v1.subscriptions.create({"customer": subscription.customer, "items": [{"price": plan(v1, 20, "usd")}]})


def test_too_little_to_charge_is_owed_on_the_next_invoice(v1: Any) -> None:
    invoice = v1.invoices.finalize_invoice(draft(v1, 40).id)
    assert (invoice.status, invoice.amount_due, invoice.attempt_count) == ("paid", 0, 0)
    assert v1.customers.retrieve(invoice.customer).balance == 40
    after = v1.invoices.create({"customer": invoice.customer, "currency": "jpy"})
    v1.invoice_items.create({"customer": invoice.customer, "invoice": after.id, "amount": 500, "currency": "jpy"})
    assert v1.invoices.finalize_invoice(after.id).amount_due == 540


def test_a_draft_that_advances_by_itself_says_when(v1: Any) -> None:
    invoice = draft(v1, 100, auto_advance=True)
    assert invoice.automatically_finalizes_at == invoice.created + 3601
    assert invoice.next_payment_attempt == invoice.created + 3600
    still = v1.invoices.update(invoice.id, {"auto_advance": False})
    assert (still.automatically_finalizes_at, still.next_payment_attempt) == (None, None)


@pytest.mark.parametrize(
    ("act", "param"),
    [("retrieve", "invoice"), ("delete", "invoice"), ("pay", "id"), ("finalize_invoice", "id"), ("void_invoice", "id")],
)
def test_a_missing_invoice_is_named_as_stripe_names_it(v1: Any, act: str, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as missing:
        getattr(v1.invoices, act)("in_x")
    assert (missing.value.http_status, missing.value.param) == (404, param)
