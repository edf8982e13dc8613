"""What usage costs at the end of a period."""

import pytest

from sandbox.billing.periods import DAY
from tests.sandbox.metered import HOUR, MIDNIGHT, TIERS, Shop, lines_of
from tests.sandbox.travel import Travel


def test_a_metered_price_wants_an_active_meter(travel: Travel) -> None:
    shop = Shop(travel)
    sold = {"currency": "usd", "product_data[name]": "Calls", "unit_amount": "1", "recurring[interval]": "month"}
    status, said = shop.ask("POST", "/v1/prices", **sold, **{"recurring[usage_type]": "metered"})
    assert status == 400
    assert said["error"]["message"] == (
        "Starting with Stripe version `2025-03-31.basil`, metered prices must be backed by meters."
    )
    shop.post(f"/v1/billing/meters/{shop.meter}/deactivate")
    assert shop.ask("POST", "/v1/prices", **sold, **{"recurring[meter]": shop.meter})[0] == 400


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"tiers[1][up_to]": "9"}, "tiers"),  # the last has an end
        ({"tiers[0][up_to]": "inf"}, "tiers"),  # one without an end before the last
        ({"transform_quantity[divide_by]": "5", "transform_quantity[round]": "up"}, "transform_quantity"),
        ({"unit_amount": "100"}, "unit_amount"),
        ({"billing_scheme": "per_unit", "unit_amount": "1"}, "tiers"),
    ],
)
def test_tiers_that_make_no_sense_are_refused(travel: Travel, changes: dict[str, str], param: str) -> None:
    shop = Shop(travel)
    recurring = {"recurring[interval]": "month", "currency": "usd", "product_data[name]": "Calls"}
    status, said = shop.ask("POST", "/v1/prices", **recurring, **TIERS | changes)
    assert (status, said["error"]["param"]) == (400, param)


def test_usage_is_invoiced_when_its_period_is_over(travel: Travel) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.licensed(), shop.price())
    [first] = shop.invoices()
    assert lines_of(first) == [("1 × Base (at $20.00 / month)", 1, 2000)]
    shop.use(30)
    end = subscription["items"]["data"][0]["current_period_end"]
    travel.advance(end - travel.now)
    shop.use(12, at=end - 60)  # within the hour of the draft, for the period before
    shop.use(5)  # for the new period
    travel.advance(2 * HOUR)
    second = shop.invoices()[1]
    assert lines_of(second) == [("1 × Base (at $20.00 / month)", 1, 2000), ("42 × Calls (at $0.10 / month)", 42, 420)]
    assert (second["status"], second["total"]) == ("paid", 2420)
    base, usage = second["lines"]["data"]
    assert (usage["period"]["start"], usage["period"]["end"], base["period"]["start"]) == (MIDNIGHT, end, end)


def test_a_subscription_to_usage_alone_has_no_first_invoice(travel: Travel) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.price())
    assert (subscription["status"], subscription["latest_invoice"], shop.invoices()) == ("active", None, [])
    assert "quantity" not in subscription["items"]["data"][0]


def test_in_classic_mode_the_first_invoice_has_a_line_of_nothing(travel: Travel) -> None:
    shop = Shop(travel)
    shop.subscribe(shop.price(), **{"billing_mode[type]": "classic"})
    [first] = shop.invoices()
    assert (lines_of(first), first["status"]) == ([("0 × Calls (at $0.10 / month)", 0, 0)], "paid")


def test_a_first_invoice_that_waits_does_not_take_what_is_used_meanwhile(travel: Travel) -> None:
    shop = Shop(travel)
    how = {"billing_mode[type]": "classic", "collection_method": "send_invoice", "days_until_due": "30"}
    shop.subscribe(shop.licensed(), shop.price(), **how)
    shop.use(30)
    travel.advance(31 * DAY + 2 * HOUR)
    first, second = shop.invoices()
    assert (first["total"], second["total"]) == (2000, 2300)


def test_tiers_stand_on_lines_of_their_own(travel: Travel) -> None:
    shop = Shop(travel)
    shop.subscribe(shop.price(**TIERS))
    shop.use("8.5")
    travel.advance(31 * DAY + 2 * HOUR)
    [invoice] = shop.invoices()
    assert lines_of(invoice) == [
        ("5 × Calls (Tier 1 at $7.00 / month)", 5, 3500),
        ("Calls (Tier 1 at $10.00 / month)", 0, 1000),
        ("3.5 × Calls (Tier 2 at $0.005 / month)", 3, 2),
    ]
    assert invoice["lines"]["data"][2]["quantity_decimal"] == "3.5"
    assert invoice["total"] == 4502


def test_usage_in_a_trial_costs_nothing(travel: Travel) -> None:
    shop = Shop(travel)
    shop.subscribe(shop.licensed(), shop.price(), trial_period_days="7")
    shop.use(100)
    travel.advance(7 * DAY + 2 * HOUR)
    assert shop.invoices()[-1]["total"] == 2000


def test_what_was_used_is_charged_at_a_planned_end(travel: Travel) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.price(), cancel_at_period_end="true")
    shop.use(30)
    travel.advance(31 * DAY + 2 * HOUR)
    ended = shop.get(f"/v1/subscriptions/{subscription['id']}")
    [last] = shop.invoices()
    assert (ended["status"], ended["latest_invoice"]) == ("canceled", last["id"])
    assert (last["total"], last["status"]) == (300, "paid")


@pytest.mark.parametrize(("how", "totals"), [({}, []), ({"invoice_now": "true"}, [300])])
def test_a_sudden_end_charges_usage_if_asked(travel: Travel, how: dict[str, str], totals: list[int]) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.price())
    shop.use(30)
    travel.advance(DAY)
    address = f"/v1/subscriptions/{subscription['id']}"
    assert travel.ask("DELETE", address, **how)[1]["status"] == "canceled"
    travel.advance(40 * DAY)
    assert [invoice["total"] for invoice in shop.invoices()] == totals


@pytest.mark.parametrize(
    ("mode", "behavior", "at_once"),
    [
        # Stripe docs, "Manage your usage-based billing setup": an invoice item for what was used so far
        ("flexible", "create_prorations", [300]),
        # "If you want to remove a metered price without billing for it, set proration_behavior to none"
        ("flexible", "none", []),
        # "Usage from January 1 to January 16 isn't billed"
        ("classic", "create_prorations", []),
    ],
)
def test_a_new_price_counts_from_its_own_day(travel: Travel, mode: str, behavior: str, at_once: list[int]) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.price(), **{"billing_mode[type]": mode})
    shop.use(30)
    travel.advance(15 * DAY)
    item = subscription["items"]["data"][0]["id"]
    change = {"items[0][id]": item, "items[0][price]": shop.price(unit_amount="7"), "proration_behavior": behavior}
    shop.post(f"/v1/subscriptions/{subscription['id']}", **change)
    pending = shop.get("/v1/invoiceitems", customer=shop.customer, pending="true")["data"]
    assert [one["amount"] for one in pending] == at_once
    shop.use(10)
    travel.advance(16 * DAY + 2 * HOUR)
    assert shop.invoices()[-1]["total"] == sum(at_once) + 70


def test_a_preview_counts_what_was_used_so_far(travel: Travel) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.licensed(), shop.price())
    shop.use(30)
    foreseen = shop.post("/v1/invoices/create_preview", subscription=subscription["id"])
    travel.advance(31 * DAY + 2 * HOUR)
    happened = shop.invoices()[-1]
    assert lines_of(foreseen) == lines_of(happened)
    assert foreseen["total"] == happened["total"] == 2300


def test_a_new_cycle_charges_what_was_used_at_the_old_price(travel: Travel) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.price())
    shop.use(30)
    travel.advance(10 * DAY)
    shop.post(f"/v1/subscriptions/{subscription['id']}", billing_cycle_anchor="now")
    assert [invoice["total"] for invoice in shop.invoices()] == [300]
    travel.advance(32 * DAY)
    assert [invoice["total"] for invoice in shop.invoices()] == [300, 0]


def test_usage_lives_in_the_time_of_its_customers_test_clock(travel: Travel) -> None:
    shop = Shop(travel)
    clock = shop.post("/v1/test_helpers/test_clocks", frozen_time=str(MIDNIGHT - 300 * DAY))["id"]
    shop.customer = shop.new_customer(test_clock=clock)
    shop.subscribe(shop.price())
    assert shop.use(30)[1]["timestamp"] == MIDNIGHT - 300 * DAY
    assert shop.use(12, at=MIDNIGHT)[0] == 400  # in the clock's future
    shop.post(f"/v1/test_helpers/test_clocks/{clock}/advance", frozen_time=str(MIDNIGHT - 268 * DAY))
    travel.advance(1)
    assert [(one["total"], one["status"]) for one in shop.invoices()] == [(300, "paid")]


def test_discounts_and_taxes_are_counted_again_with_the_usage(travel: Travel) -> None:
    shop = Shop(travel)
    coupon = shop.post("/v1/coupons", percent_off="50", duration="forever")["id"]
    rate = shop.post("/v1/tax_rates", display_name="VAT", percentage="10", inclusive="false")["id"]
    terms = {"discounts[0][coupon]": coupon, "default_tax_rates[0]": rate}
    subscription = shop.subscribe(shop.licensed(), shop.price(), **terms)
    shop.use(30)
    foreseen = shop.post("/v1/invoices/create_preview", subscription=subscription["id"])
    travel.advance(31 * DAY)
    shop.use(20, at=travel.now - 60)
    travel.advance(2 * HOUR)
    # half of 2000 + 300, and of 2000 + 500, with a tenth more
    assert (foreseen["total"], shop.invoices()[-1]["total"]) == (1265, 1375)


def test_checkout_sells_usage(travel: Travel) -> None:
    shop = Shop(travel)
    sold = {"line_items[0][price]": shop.price(), "mode": "subscription", "success_url": "http://shop.example/"}
    assert shop.ask("POST", "/v1/checkout/sessions", **sold, **{"line_items[0][quantity]": "1"})[0] == 400
    session = shop.post("/v1/checkout/sessions", customer=shop.customer, **sold)
    shop.post(f"/v1/payment_pages/{session['id']}/confirm", payment_method="pm_card_visa", expected_amount="0")
    session = shop.get(f"/v1/checkout/sessions/{session['id']}")
    assert (session["status"], session["payment_status"], session["invoice"]) == (
        "complete", "no_payment_required", None,
    )  # fmt: skip
    shop.use(30)
    travel.advance(31 * DAY + 2 * HOUR)
    assert [(one["total"], one["status"]) for one in shop.invoices()] == [(300, "paid")]


def test_a_metered_item_that_is_taken_away_is_charged_once(travel: Travel) -> None:
    shop = Shop(travel)
    subscription = shop.subscribe(shop.licensed(), shop.price())
    shop.use(30)
    travel.advance(10 * DAY)
    [item] = [one["id"] for one in subscription["items"]["data"] if "quantity" not in one]
    assert travel.ask("DELETE", f"/v1/subscription_items/{item}")[0] == 200
    travel.advance(60 * DAY)
    assert [invoice["total"] for invoice in shop.invoices()] == [2000, 2300, 2000]
