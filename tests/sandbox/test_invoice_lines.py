"""Lines of a draft, what stands beside them (shipping, how it looks), and what of them is shown."""

from typing import Any

import pytest
import stripe

from tests.sandbox.shop import customer, plan, subscribed


def draft(v1: Any, *amounts: int, owner: str = "", **params: Any) -> Any:
    """A draft in yen with a line for each amount, newest first."""
    made = v1.invoices.create({"customer": owner or customer(v1), "currency": "jpy", **params})
    if amounts:
        lines = [{"amount": amount, "description": f"No. {amount}"} for amount in amounts]
        made = v1.invoices.add_lines(made.id, {"lines": lines})
    return made


def amounts(invoice: Any) -> list[int]:
    return [line.amount for line in invoice.lines.data]


def test_an_invoice_shows_ten_lines_and_where_the_others_are(v1: Any) -> None:
    made = draft(v1, *range(1, 25))
    assert (amounts(made), made.lines.has_more) == (list(range(24, 14, -1)), True)
    assert made.total == sum(range(1, 25))
    listed = v1.invoices.line_items.list(made.id, {"limit": 10, "starting_after": made.lines.data[-1].id})
    assert ([line.amount for line in listed.data], listed.has_more) == (list(range(14, 4, -1)), True)
    last = v1.invoices.line_items.list(made.id, {"limit": 10, "starting_after": listed.data[-1].id})
    assert ([line.amount for line in last.data], last.has_more) == ([4, 3, 2, 1], False)
    back = v1.invoices.line_items.list(made.id, {"limit": 3, "ending_before": last.data[0].id})
    assert ([line.amount for line in back.data], back.has_more) == ([7, 6, 5], True)
    opened = v1.invoices.finalize_invoice(made.id)
    told = v1.events.list({"type": "invoice.finalized"}).data[0].data.object
    assert len(opened.lines.data) == len(told["lines"]["data"]) == 10
    assert opened.amount_due == made.total


def test_lines_are_added_with_items_behind_them(v1: Any) -> None:
    owner = customer(v1)
    waiting = v1.invoice_items.create({"customer": owner, "amount": 300, "currency": "jpy"})
    vat = v1.tax_rates.create({"display_name": "VAT", "percentage": 10, "inclusive": False})
    made = draft(v1, owner=owner)
    price_data = {"currency": "jpy", "unit_amount": 200, "product_data": {"name": "Hat"}}
    lines = [
        {"invoice_item": waiting.id},
        {"amount": 1000, "description": "Work", "tax_rates": [vat.id], "period": {"start": 100, "end": 200}},
        {"price_data": price_data, "quantity": 3},
    ]
    added = v1.invoices.add_lines(made.id, {"lines": lines, "invoice_metadata": {"order": "7"}})
    assert amounts(added) == [600, 1000, 300]
    assert (added.total, added.metadata.to_dict()) == (2000, {"order": "7"})
    items = v1.invoice_items.list({"invoice": made.id}).data
    assert sorted(item.amount for item in items) == [300, 600, 1000]
    assert (added.lines.data[0].description, added.lines.data[1].period.start) == ("Hat", 100)


def test_a_line_and_its_item_change_together(v1: Any) -> None:
    made = draft(v1, 1000, 500)
    first, second = made.lines.data
    line = v1.invoices.line_items.update(made.id, first.id, {"amount": 700, "metadata": {"a": "b"}})
    assert (line.amount, line.metadata.to_dict()) == (700, {"a": "b"})
    assert v1.invoice_items.list({"invoice": made.id}).data[0].amount == 700
    changes = [{"id": first.id, "description": "One"}, {"id": second.id, "amount": 20}]
    both = v1.invoices.update_lines(made.id, {"lines": changes})
    assert ([line.description for line in both.lines.data], both.total) == (["One", "No. 1000"], 720)


def test_lines_are_taken_away_for_good_or_for_another_invoice(v1: Any) -> None:
    made = draft(v1, 1000, 500, 20)
    twenty, five, _ = made.lines.data
    gone = [{"id": twenty.id, "behavior": "delete"}, {"id": five.id, "behavior": "unassign"}]
    left = v1.invoices.remove_lines(made.id, {"lines": gone})
    assert (amounts(left), left.total) == ([1000], 1000)
    pending = v1.invoice_items.list({"customer": made.customer, "pending": True}).data
    assert [item.amount for item in pending] == [500]
    with pytest.raises(stripe.InvalidRequestError) as missing:
        v1.invoices.remove_lines(made.id, {"lines": [{"id": twenty.id, "behavior": "delete"}]})
    assert (missing.value.code, missing.value.param) == ("resource_missing", "lines[0][id]")


def test_a_subscriptions_line_is_changed_on_its_invoice_alone(v1: Any) -> None:
    subscription = subscribed(v1, plan(v1, 3000), collection_method="send_invoice", days_until_due=5)
    made = v1.invoices.retrieve(subscription.latest_invoice)
    assert made.status == "draft"
    line = v1.invoices.line_items.update(made.id, made.lines.data[0].id, {"amount": 2500})
    assert (line.amount, v1.invoices.retrieve(made.id).total) == (2500, 2500)
    assert v1.subscriptions.retrieve(subscription.id)["items"].data[0].price.unit_amount == 3000


@pytest.mark.parametrize("act", ["add_lines", "update_lines", "remove_lines"])
def test_lines_of_a_finalized_invoice_stay(v1: Any, act: str) -> None:
    made = v1.invoices.finalize_invoice(draft(v1, 1000).id)
    one = {
        "add_lines": {"amount": 1},
        "update_lines": {"id": made.lines.data[0].id, "amount": 1},
        "remove_lines": {"id": made.lines.data[0].id, "behavior": "delete"},
    }[act]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        getattr(v1.invoices, act)(made.id, {"lines": [one]})
    assert refused.value.code == "invoice_not_editable"
    assert amounts(v1.invoices.retrieve(made.id)) == [1000]


def test_a_shipping_rate_is_made_listed_and_archived(v1: Any) -> None:
    after = {"minimum": {"unit": "day", "value": 2}}
    amount = {"amount": 500, "currency": "jpy", "currency_options": {"usd": {"amount": 450}}}
    rate = v1.shipping_rates.create({
        "display_name": "Post", "type": "fixed_amount", "fixed_amount": amount, "delivery_estimate": after,
    })  # fmt: skip
    assert (rate.fixed_amount.amount, rate.delivery_estimate.minimum.value, rate.active) == (500, 2, True)
    assert [one.id for one in v1.shipping_rates.list({"active": True, "currency": "jpy"}).data] == [rate.id]
    euros = {"fixed_amount": {"currency_options": {"eur": {"amount": 400}}}}
    changed = v1.shipping_rates.update(rate.id, euros)
    assert sorted(changed.fixed_amount.currency_options) == ["eur", "usd"]
    assert v1.shipping_rates.update(rate.id, {"active": False}).active is False
    assert v1.shipping_rates.list({"active": True}).data == []


def test_shipping_is_in_the_total_and_no_discount_takes_from_it(v1: Any) -> None:
    off = v1.coupons.create({"percent_off": 50, "duration": "once"})
    rate = v1.shipping_rates.create({"display_name": "Post", "fixed_amount": {"amount": 500, "currency": "jpy"}})
    address = {"line1": "1-1", "city": "Tokyo", "country": "JP"}
    made = draft(
        v1, 1000, discounts=[{"coupon": off.id}], shipping_cost={"shipping_rate": rate.id},
        shipping_details={"name": "Alice", "address": address},
    )  # fmt: skip
    assert (made.subtotal, made.amount_shipping, made.total, made.amount_due) == (1000, 500, 1000, 1000)
    assert (made.shipping_cost.shipping_rate, made.shipping_cost.amount_total) == (rate.id, 500)
    assert (made.shipping_details.name, made.shipping_details.address.city) == ("Alice", "Tokyo")
    free = v1.invoices.update(made.id, {"shipping_cost": ""})
    assert (free.total, free.shipping_cost) == (500, None)
    given = {"display_name": "Courier", "fixed_amount": {"amount": 900, "currency": "jpy"}}
    paid = v1.invoices.pay(v1.invoices.update(made.id, {"shipping_cost": {"shipping_rate_data": given}}).id)
    assert (paid.status, paid.amount_paid) == ("paid", 1400)


def test_how_it_looks_is_kept(v1: Any) -> None:
    made = draft(v1, 1000, rendering={"amount_tax_display": "exclude_tax", "pdf": {"page_size": "letter"}})
    assert (made.rendering.amount_tax_display, made.rendering.pdf.page_size) == ("exclude_tax", "letter")
    changed = v1.invoices.update(made.id, {"rendering": {"pdf": {"page_size": "a4"}}})
    assert (changed.rendering.amount_tax_display, changed.rendering.pdf.page_size) == ("exclude_tax", "a4")
