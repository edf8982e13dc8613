"""What coupons take off, and when they end."""

from typing import Any

import httpx
import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from sandbox.billing.reckoning import Off, Rate, Row, reckon, spread, sums
from tests.sandbox.running import body_of
from tests.sandbox.shop import GOOD, checkout, customer, fill_in, plan, subscribed, types
from tests.sandbox.travel import Travel

offs = st.lists(
    st.one_of(
        st.decimals("0.01", 100, places=2).map(lambda percent: ("percent", percent)),
        st.integers(1, 5000).map(lambda amount: ("amount", amount)),
    ),
    max_size=3,
)
rows = st.lists(st.tuples(st.integers(-3000, 9000), st.booleans()), min_size=1, max_size=5)
rates = st.lists(st.tuples(st.decimals(0, 30, places=2), st.booleans()), max_size=3)


@given(rows, offs, offs, rates)
def test_what_is_taken_off_and_added_explains_every_unit(rows: Any, own: Any, shared: Any, rates: Any) -> None:
    def made(name: str, given: Any) -> tuple[Off, ...]:
        return tuple(Off(f"{name}{number}", **{kind: value}) for number, (kind, value) in enumerate(given))

    taxed = tuple(Rate(f"r{number}", percent, inclusive) for number, (percent, inclusive) in enumerate(rates))
    given = [Row(amount, discountable=able, own=made("own", own), rates=taxed) for amount, able in rows]
    lines = reckon(given, made("shared", shared))
    whole = sums(lines)
    for row, line in zip(given, lines, strict=True):
        assert min(row.amount, 0) <= line.net <= max(row.amount, 0)
        assert row.discountable or line.net == row.amount
    off_all = sum(sum(line.shared.values()) for line in lines)
    added = sum(tax.amount for line in lines for tax in line.taxes if not tax.inclusive)
    held = sum(tax.amount for line in lines for tax in line.taxes)
    assert whole.subtotal == sum(row.amount for row in given) - sum(sum(line.own.values()) for line in lines)
    assert whole.total == whole.subtotal - off_all + added
    assert whole.total_excluding_tax == whole.total - held


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=6), st.integers(0, 60_000))
def test_a_fixed_amount_is_spread_exactly_and_no_line_gets_more_than_it_has(sizes: list[int], amount: int) -> None:
    amount = min(amount, sum(sizes))
    parts = spread(amount, dict(enumerate(sizes)))
    assert sum(parts.values()) == amount
    assert all(0 <= parts[number] <= size for number, size in enumerate(sizes))


def coupon(v1: Any, **params: Any) -> str:
    return str(v1.coupons.create({"percent_off": 25, "duration": "once"} | params).id)


@pytest.mark.parametrize(
    ("discounts", "total"),
    [
        # Stripe docs, "Coupons and promotion codes": discounts are taken in their order
        ([{"percent_off": 20}], 8000),
        ([{"percent_off": 20}, {"amount_off": 500, "currency": "usd", "percent_off": None}], 7500),
        ([{"amount_off": 500, "currency": "usd", "percent_off": None}, {"percent_off": 20}], 7600),
        ([{"amount_off": 20_000, "currency": "usd", "percent_off": None}], 0),
        ([{"amount_off": 500, "currency": "jpy", "percent_off": None}], 10_000),  # another currency: nothing
    ],
)
def test_discounts_are_taken_in_their_order(v1: Any, discounts: list[Any], total: int) -> None:
    made = [coupon(v1, **{key: value for key, value in ({"percent_off": 25} | given).items() if value is not None})
            if given.get("percent_off", 1) is not None
            else str(v1.coupons.create({key: value for key, value in given.items() if value is not None}).id)
            for given in discounts]  # fmt: skip
    sold = subscribed(v1, plan(v1, 10_000, "usd"), discounts=[{"coupon": id} for id in made])
    invoice = v1.invoices.retrieve(sold.latest_invoice)
    assert (invoice.subtotal, invoice.total, invoice.amount_paid) == (10_000, total, total)
    assert sum(taken.amount for taken in invoice.total_discount_amounts) == 10_000 - total


def test_a_coupon_for_a_product_leaves_the_others_alone(v1: Any) -> None:
    first, second = plan(v1, 1000, "usd"), plan(v1, 3000, "usd")
    product = v1.prices.retrieve(first).product
    made = v1.coupons.create({"percent_off": 50, "duration": "forever", "applies_to": {"products": [product]}})
    sold = v1.subscriptions.create(
        {"customer": customer(v1), "items": [{"price": first}, {"price": second}], "discounts": [{"coupon": made.id}]}
    )
    assert v1.invoices.retrieve(sold.latest_invoice).total == 3500


def test_a_coupon_on_an_item_is_taken_before_the_subtotal(v1: Any) -> None:
    item = {"price": plan(v1, 2000, "usd"), "discounts": [{"coupon": coupon(v1, percent_off=10)}]}
    sold = v1.subscriptions.create(
        {"customer": customer(v1), "items": [item], "discounts": [{"coupon": coupon(v1, percent_off=50)}]}
    )
    invoice = v1.invoices.retrieve(sold.latest_invoice)
    assert (invoice.subtotal, invoice.total) == (1800, 900)
    assert [taken.amount for taken in invoice.lines.data[0].discount_amounts] == [200, 900]


def test_a_code_can_be_used_as_often_as_it_says(v1: Any) -> None:
    code = v1.promotion_codes.create(
        {
            "promotion": {"type": "coupon", "coupon": coupon(v1, duration="forever")},
            "code": "SPRING",
            "max_redemptions": 1,
        }
    )
    sold = subscribed(v1, discounts=[{"promotion_code": code.id}])
    [held] = v1.subscriptions.retrieve(sold.id, {"expand": ["discounts.source.coupon"]}).discounts
    assert (held.promotion_code, held.source.coupon.percent_off, held.subscription) == (code.id, 25.0, sold.id)
    used = v1.promotion_codes.retrieve(code.id)
    assert (used.times_redeemed, used.active) == (1, False)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        subscribed(v1, discounts=[{"promotion_code": code.id}])
    assert body_of(refused.value).param == "discounts[0][promotion_code]"
    assert {"promotion_code.created", "customer.discount.created"} <= set(types(v1))


def test_a_coupon_that_is_used_up_or_late_is_refused(v1: Any) -> None:
    last = coupon(v1, max_redemptions=1)
    subscribed(v1, discounts=[{"coupon": last}])
    with pytest.raises(stripe.InvalidRequestError, match="used up"):
        subscribed(v1, discounts=[{"coupon": last}])


def _life(travel: Travel, **terms: str) -> tuple[str, list[int]]:
    """A subscription of 3000 a month under a coupon, after four renewals: its id and the totals of its invoices."""
    product = travel.post("/v1/products", name="Pro")["id"]
    terms_of_price = {"product": product, "currency": "jpy", "unit_amount": "3000", "recurring[interval]": "month"}
    price = travel.post("/v1/prices", **terms_of_price)["id"]
    owner = travel.post("/v1/customers", email="alice@example.com")["id"]
    card = travel.post("/v1/payment_methods/pm_card_visa/attach", customer=owner)["id"]
    travel.post(f"/v1/customers/{owner}", **{"invoice_settings[default_payment_method]": card})
    off = travel.post("/v1/coupons", **terms)["id"]
    given = {"customer": owner, "items[0][price]": price, "discounts[0][coupon]": off}
    id = travel.post("/v1/subscriptions", **given)["id"]
    for _ in range(4):
        travel.advance(31 * 24 * 3600)
    found = travel.get("/v1/invoices", subscription=id)["data"]
    return id, [invoice["total"] for invoice in found][::-1]


@pytest.mark.parametrize(
    ("terms", "totals"),
    [
        ({"duration": "once", "percent_off": "50"}, [1500, 3000, 3000, 3000, 3000]),
        ({"duration": "repeating", "duration_in_months": "3", "percent_off": "50"}, [1500, 1500, 1500, 3000, 3000]),
        ({"duration": "forever", "percent_off": "50"}, [1500] * 5),
    ],
)
def test_a_discount_lasts_as_long_as_its_coupon_says(travel: Travel, terms: dict[str, str], totals: list[int]) -> None:
    id, found = _life(travel, **terms)
    assert found == totals
    over = terms["duration"] != "forever"
    assert bool(travel.get(f"/v1/subscriptions/{id}")["discounts"]) is not over


def test_half_a_period_under_a_coupon_is_credited_at_what_was_paid(travel: Travel) -> None:
    id, _ = _life(travel, duration="forever", percent_off="50")
    item = travel.get(f"/v1/subscriptions/{id}")["items"]["data"][0]
    middle = (item["current_period_start"] + item["current_period_end"]) // 2
    changes = {"items[0][id]": item["id"], "items[0][quantity]": "2", "proration_date": str(middle)}
    travel.post(f"/v1/subscriptions/{id}", **changes)
    waiting = travel.get("/v1/invoiceitems", pending="true")["data"]
    assert sorted(item["amount"] for item in waiting) == [-750, 1500]


def test_a_customers_discount_is_taken_by_what_they_are_billed_and_can_be_taken_away(v1: Any) -> None:
    owner = customer(v1)
    made = coupon(v1, duration="forever", percent_off=10)
    v1.customers.update(owner, {"coupon": made})
    v1.invoice_items.create({"customer": owner, "amount": 1000, "currency": "usd"})
    draft = v1.invoices.create({"customer": owner, "pending_invoice_items_behavior": "include"})
    assert (draft.subtotal, draft.total, draft.amount_due) == (1000, 900, 900)
    gone = v1.customers.delete_discount(owner)
    assert (gone.deleted, v1.customers.retrieve(owner).discount) == (True, None)
    assert v1.invoices.update(draft.id, {"discounts": ""}).total == 1000


def test_taxes_stand_on_lines_and_sums(v1: Any) -> None:
    vat = v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False, "country": "GB"})
    held = v1.tax_rates.create({"display_name": "JCT", "percentage": 10, "inclusive": True})
    owner = customer(v1)
    items = [
        {"price": plan(v1, 1000, "usd"), "tax_rates": [held.id]},
        {"price": plan(v1, 2000, "usd")},
    ]
    sold = v1.subscriptions.create({"customer": owner, "items": items, "default_tax_rates": [vat.id]})
    invoice = v1.invoices.retrieve(sold.latest_invoice)
    assert (invoice.subtotal, invoice.total, invoice.total_excluding_tax) == (3000, 3400, 2909)
    by_rate = {tax.tax_rate_details.tax_rate: tax for tax in invoice.total_taxes}
    assert (by_rate[held.id].amount, by_rate[held.id].tax_behavior, by_rate[held.id].taxable_amount) == (
        91, "inclusive", 909,
    )  # fmt: skip
    assert (by_rate[vat.id].amount, by_rate[vat.id].taxable_amount) == (400, 2000)


def test_an_exempt_customer_pays_no_tax(v1: Any) -> None:
    vat = v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    sold = v1.subscriptions.create(
        {"customer": customer(v1, tax_exempt="exempt"), "items": [{"price": plan(v1)}], "default_tax_rates": [vat.id]}
    )
    invoice = v1.invoices.retrieve(sold.latest_invoice)
    assert (invoice.total, invoice.total_taxes[0].taxability_reason) == (3000, "customer_exempt")


def test_credit_is_used_and_what_is_left_is_kept(v1: Any) -> None:
    owner = customer(v1)
    v1.customers.balance_transactions.create(owner, {"amount": -5000, "currency": "jpy", "description": "Sorry"})
    sold = v1.subscriptions.create({"customer": owner, "items": [{"price": plan(v1)}]})
    invoice = v1.invoices.retrieve(sold.latest_invoice)
    assert (invoice.status, invoice.starting_balance, invoice.ending_balance) == ("paid", -5000, -2000)
    moved = v1.customers.balance_transactions.list(owner).data
    assert [(one.type, one.amount, one.ending_balance) for one in moved] == [
        ("applied_to_invoice", 3000, -2000), ("adjustment", -5000, -5000),
    ]  # fmt: skip
    assert v1.customers.retrieve(owner).balance == -2000


def test_voiding_gives_back_the_credit_that_was_applied(v1: Any) -> None:
    owner = customer(v1, None)
    v1.customers.update(owner, {"balance": -1000})
    v1.invoice_items.create({"customer": owner, "amount": 3000, "currency": "usd"})
    draft = v1.invoices.create({"customer": owner, "pending_invoice_items_behavior": "include"})
    opened = v1.invoices.finalize_invoice(draft.id)
    assert (opened.amount_due, v1.customers.retrieve(owner).balance) == (2000, 0)
    v1.invoices.void_invoice(draft.id)
    assert v1.customers.retrieve(owner).balance == -1000


def test_a_negative_invoice_becomes_credit(v1: Any) -> None:
    owner = customer(v1)
    v1.invoice_items.create({"customer": owner, "amount": -700, "currency": "usd"})
    draft = v1.invoices.create({"customer": owner, "pending_invoice_items_behavior": "include"})
    done = v1.invoices.finalize_invoice(draft.id)
    assert (done.status, done.total, done.amount_due, done.ending_balance) == ("paid", -700, 0, -700)
    assert v1.customers.retrieve(owner).balance == -700


def test_a_preview_takes_discounts_and_items_and_leaves_nothing_behind(v1: Any) -> None:
    vat = v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    sold = subscribed(v1, plan(v1, 2000, "usd"), default_tax_rates=[vat.id])
    off = coupon(v1, percent_off=50)
    seen = v1.invoices.create_preview(
        {
            "subscription": sold.id,
            "discounts": [{"coupon": off}],
            "invoice_items": [{"amount": 1000, "currency": "usd"}],
        }
    )
    assert (seen.subtotal, seen.total, seen.amount_due) == (3000, 1800, 1800)
    assert v1.coupons.retrieve(off).times_redeemed == 0
    assert v1.invoice_items.list({"customer": sold.customer}).data == []


@pytest.mark.parametrize("behavior", ["always_invoice", "create_prorations", "none"])
@pytest.mark.parametrize("quantity", [1, 3])
def test_a_preview_is_what_then_happens(travel: Travel, behavior: str, quantity: int) -> None:
    id, _ = _life(travel, duration="forever", percent_off="33.3")
    travel.advance(9 * 24 * 3600 + 1)
    item = travel.get(f"/v1/subscriptions/{id}")["items"]["data"][0]
    change = {"items[0][id]": item["id"], "items[0][quantity]": str(quantity), "proration_behavior": behavior}
    asked = {"subscription_details[" + name.replace("[", "][", 1): value for name, value in change.items()}
    asked["subscription_details[proration_behavior]"] = asked.pop("subscription_details[proration_behavior")
    seen = travel.post("/v1/invoices/create_preview", subscription=id, **asked)
    travel.post(f"/v1/subscriptions/{id}", **change)
    at_once = behavior == "always_invoice" and quantity > 1
    if not at_once:
        travel.advance(31 * 24 * 3600)
    invoice = travel.get("/v1/invoices", subscription=id)["data"][0]
    names = ("subtotal", "total", "amount_due", "total_discount_amounts")
    assert {name: seen[name] for name in names} == {name: invoice[name] for name in names}
    assert [line["amount"] for line in seen["lines"]["data"]] == [line["amount"] for line in invoice["lines"]["data"]]


def test_a_checkout_session_sells_under_its_coupon_and_taxes(v1: Any) -> None:
    vat = v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    off = coupon(v1, percent_off=50)
    items = [{"price": plan(v1, 2000, "usd"), "quantity": 1, "tax_rates": [vat.id]}]
    session = checkout(v1, line_items=items, discounts=[{"coupon": off}])
    assert (session.amount_subtotal, session.amount_total) == (2000, 1200)
    assert session.total_details.to_dict() == {"amount_discount": 1000, "amount_shipping": 0, "amount_tax": 200}
    fill_in(session.url, GOOD)
    done = v1.checkout.sessions.retrieve(session.id, {"expand": ["invoice", "total_details.breakdown"]})
    assert (done.invoice.total, done.invoice.amount_paid) == (1200, 1200)
    assert [taken.amount for taken in done.total_details.breakdown.discounts] == [1000]
    assert v1.coupons.retrieve(off).times_redeemed == 1


def test_a_payment_in_checkout_uses_its_coupon_once(v1: Any) -> None:
    off = coupon(v1, max_redemptions=1)
    data = {"currency": "usd", "unit_amount": 2000, "product_data": {"name": "Hat"}}
    line = {"price_data": data, "quantity": 1}
    session = checkout(v1, mode="payment", line_items=[line], discounts=[{"coupon": off}])
    fill_in(session.url, GOOD)
    done = v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (done.payment_status, done.payment_intent.amount_received) == ("paid", 1500)
    assert v1.coupons.retrieve(off).valid is False


def test_page_and_pdf_tell_of_discounts_taxes_and_credit(v1: Any) -> None:
    vat = v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    owner = customer(v1)
    v1.customers.update(owner, {"balance": -100})
    terms = {"default_tax_rates": [vat.id], "discounts": [{"coupon": coupon(v1, percent_off=50)}]}
    sold = v1.subscriptions.create({"customer": owner, "items": [{"price": plan(v1, 2000, "usd")}], **terms})
    invoice = v1.invoices.retrieve(sold.latest_invoice)
    page = httpx.get(invoice.hosted_invoice_url, trust_env=False, headers={"Accept-Language": "en"}).text
    for name, amount in [("Discount", "$10.00"), ("Tax", "$2.00"), ("Credit applied", "$1.00"), ("Total", "$12.00")]:
        row = page.split(f"<dt>{name}</dt><dd>")[1].split("</dd>")[0]
        assert row.lstrip("-−") == amount
    assert httpx.get(invoice.invoice_pdf, trust_env=False).content.startswith(b"%PDF")
