"""Who may redeem which coupon and code, for what and until when; and what is told of discounts."""

from typing import Any

import pytest

from tests.sandbox.travel import Travel

DAY = 24 * 3600


def price(travel: Travel, amount: int, currency: str = "jpy", interval: str = "month") -> str:
    product = travel.post("/v1/products", name=f"Plan {amount}")["id"]
    terms = {"product": product, "currency": currency, "unit_amount": str(amount), "recurring[interval]": interval}
    return str(travel.post("/v1/prices", **terms)["id"])


def customer(travel: Travel, **more: str) -> str:
    owner = travel.post("/v1/customers", email="alice@example.com", **more)["id"]
    card = travel.post("/v1/payment_methods/pm_card_visa/attach", customer=owner)["id"]
    travel.post(f"/v1/customers/{owner}", **{"invoice_settings[default_payment_method]": card})
    return str(owner)


def coupon(travel: Travel, **terms: str) -> str:
    given = terms if "amount_off" in terms else {"percent_off": "50"} | terms
    return str(travel.post("/v1/coupons", **{"duration": "forever"} | given)["id"])


def code(travel: Travel, **terms: str) -> str:
    off = terms.pop("coupon", None) or coupon(travel)
    given = {"promotion[type]": "coupon", "promotion[coupon]": off} | terms
    return str(travel.post("/v1/promotion_codes", **given)["id"])


def kinds(travel: Travel) -> list[str]:
    return [event["type"] for event in travel.get("/v1/events", limit="100")["data"]][::-1]


def _try_subscription(travel: Travel, owner: str, used: str) -> tuple[int, Any]:
    given = {"customer": owner, "items[0][price]": price(travel, 3000), "discounts[0][promotion_code]": used}
    return travel.ask("POST", "/v1/subscriptions", **given)


def _try_item(travel: Travel, owner: str, used: str) -> tuple[int, Any]:
    given = {"items[0][price]": price(travel, 3000), "items[0][discounts][0][promotion_code]": used}
    return travel.ask("POST", "/v1/subscriptions", customer=owner, **given)


def _try_invoice(travel: Travel, owner: str, used: str) -> tuple[int, Any]:
    travel.post("/v1/invoiceitems", customer=owner, amount="3000", currency="jpy")
    draft = travel.post("/v1/invoices", customer=owner, currency="jpy", pending_invoice_items_behavior="include")
    return travel.ask("POST", f"/v1/invoices/{draft['id']}", **{"discounts[0][promotion_code]": used})


def _try_new_invoice(travel: Travel, owner: str, used: str) -> tuple[int, Any]:
    travel.post("/v1/invoiceitems", customer=owner, amount="3000", currency="jpy")
    given = {"currency": "jpy", "pending_invoice_items_behavior": "include", "discounts[0][promotion_code]": used}
    return travel.ask("POST", "/v1/invoices", customer=owner, **given)


def _try_checkout(travel: Travel, owner: str, used: str) -> tuple[int, Any]:
    given = {
        "line_items[0][price]": price(travel, 3000),
        "line_items[0][quantity]": "1",
        "success_url": "http://a.example",
    }
    named = {"customer": owner, "discounts[0][promotion_code]": used}
    return travel.ask("POST", "/v1/checkout/sessions", mode="subscription", **given, **named)


WAYS = [_try_subscription, _try_item, _try_invoice, _try_new_invoice, _try_checkout]


@pytest.mark.parametrize("attempt", WAYS)
@pytest.mark.parametrize(
    ("terms", "words", "name"),
    [
        ({"restrictions[minimum_amount]": "3001", "restrictions[minimum_amount_currency]": "jpy"},
         "does not meet the minimum amount", None),
        ({"restrictions[minimum_amount]": "1", "restrictions[minimum_amount_currency]": "usd"},  # another currency
         "does not meet the minimum amount", None),
        ({"restrictions[first_time_transaction]": "true"},
         "prior transactions", "promotion_code_customer_not_first_time"),
        ({"max_redemptions": "1"}, "maximum number of times", None),
        ({"active": "false"}, "not active", None),
        ({"customer": "another"}, "another customer", None),
        ({"expires_at": "soon"}, "expired", "coupon_expired"),
    ],
)  # fmt: skip
def test_a_code_is_refused_wherever_it_is_used(
    travel: Travel, attempt: Any, terms: dict[str, str], words: str, name: str | None
) -> None:
    owner = customer(travel)
    travel.post("/v1/subscriptions", customer=owner, **{"items[0][price]": price(travel, 100)})  # has paid before
    told = {"another": customer(travel), "soon": str(travel.now + 60)}
    used = code(travel, **{key: told.get(value, value) for key, value in terms.items()})
    if "max_redemptions" in terms:
        assert _try_subscription(travel, owner, used)[0] == 200
    travel.advance(61)
    status, said = attempt(travel, owner, used)
    assert status == 400
    assert words in said["error"]["message"]
    assert (said["error"].get("code"), said["error"]["param"].endswith("[promotion_code]")) == (name, True)


@pytest.mark.parametrize("attempt", WAYS)
def test_a_code_is_taken_for_just_enough(travel: Travel, attempt: Any) -> None:
    least = {"restrictions[minimum_amount]": "3000", "restrictions[minimum_amount_currency]": "jpy"}
    assert attempt(travel, customer(travel), code(travel, **least))[0] == 200


def test_an_upgrade_and_its_code_come_together(travel: Travel) -> None:
    sold = travel.post("/v1/subscriptions", customer=customer(travel), **{"items[0][price]": price(travel, 100)})
    least = {"restrictions[minimum_amount]": "3000", "restrictions[minimum_amount_currency]": "jpy"}
    given = {
        "items[0][id]": sold["items"]["data"][0]["id"], "items[0][price]": price(travel, 1500),
        "items[0][quantity]": "2", "discounts[0][promotion_code]": code(travel, **least),
    }  # fmt: skip
    assert len(travel.post(f"/v1/subscriptions/{sold['id']}", **given)["discounts"]) == 1


def test_a_coupon_and_a_code_have_amounts_in_other_currencies(travel: Travel) -> None:
    terms = {"amount_off": "500", "currency": "usd", "currency_options[jpy][amount_off]": "700"}
    off = coupon(travel, **terms)
    shown = travel.get(f"/v1/coupons/{off}", **{"expand[]": "currency_options"})
    assert shown["currency_options"] == {"usd": {"amount_off": 500}, "jpy": {"amount_off": 700}}
    assert "currency_options" not in travel.get(f"/v1/coupons/{off}")
    least = {
        "restrictions[minimum_amount]": "10000", "restrictions[minimum_amount_currency]": "usd",
        "restrictions[currency_options][jpy][minimum_amount]": "2000",
    }  # fmt: skip
    used = code(travel, coupon=off, **least)
    found = travel.get(f"/v1/promotion_codes/{used}", **{"expand[]": "restrictions.currency_options"})
    assert found["restrictions"]["currency_options"]["jpy"] == {"minimum_amount": 2000}
    status, sold = _try_subscription(travel, customer(travel), used)
    assert (status, travel.get(f"/v1/invoices/{sold['latest_invoice']}")["total"]) == (200, 2300)
    travel.post(f"/v1/coupons/{off}", **{"currency_options[eur][amount_off]": "400"})
    status, said = travel.ask("POST", f"/v1/coupons/{off}", **{"currency_options[eur][amount_off]": "1"})
    assert (status, said["error"]["param"]) == (400, "currency_options[eur]")


def test_a_coupon_that_is_over_closes_its_codes(travel: Travel) -> None:
    off = coupon(travel, redeem_by=str(travel.now + DAY))
    used = code(travel, coupon=off)
    travel.advance(DAY + 1)
    assert travel.get(f"/v1/coupons/{off}")["valid"] is False
    assert travel.get(f"/v1/promotion_codes/{used}")["active"] is False
    assert kinds(travel)[-2:] == ["coupon.updated", "promotion_code.updated"]
    status, said = travel.ask("POST", f"/v1/promotion_codes/{used}", active="true")
    assert (status, said["error"]["code"]) == (400, "coupon_expired")


def test_going_from_one_coupon_to_another_is_told_as_an_update(travel: Travel) -> None:
    first, second = coupon(travel), coupon(travel, percent_off="20")
    sold = travel.post(
        "/v1/subscriptions", customer=customer(travel),
        **{"items[0][price]": price(travel, 100), "discounts[0][coupon]": first},
    )  # fmt: skip
    travel.post(f"/v1/subscriptions/{sold['id']}", **{"discounts[0][coupon]": second})
    about = travel.get("/v1/events", type="customer.discount.updated")["data"]
    assert [event["data"]["object"]["source"]["coupon"] for event in about] == [second]
    assert about[0]["data"]["previous_attributes"]["source"] == {"coupon": first}
    assert [kind for kind in kinds(travel) if kind.startswith("customer.discount.")] == [
        "customer.discount.created", "customer.discount.updated",
    ]  # fmt: skip
    owner = customer(travel)
    for off in (first, second, ""):
        travel.post(f"/v1/customers/{owner}", coupon=off)
    assert [kind for kind in kinds(travel) if kind.startswith("customer.discount.")][2:] == [
        "customer.discount.created", "customer.discount.updated", "customer.discount.deleted",
    ]  # fmt: skip


def test_a_discount_ends_with_the_item_that_had_it(travel: Travel) -> None:
    given = {"items[0][price]": price(travel, 100), "items[1][price]": price(travel, 200)}
    given["items[1][discounts][0][coupon]"] = coupon(travel)
    sold = travel.post("/v1/subscriptions", customer=customer(travel), **given)
    item = sold["items"]["data"][1]
    left = travel.post(f"/v1/subscriptions/{sold['id']}", **{"items[0][id]": item["id"], "items[0][deleted]": "true"})
    assert len(left["items"]["data"]) == 1
    [told] = travel.get("/v1/events", type="customer.discount.deleted")["data"]
    assert (told["data"]["object"]["id"], told["data"]["object"]["subscription_item"]) == (
        item["discounts"][0], item["id"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("start", "months", "discounted"),
    [
        (1_801_353_600, 2, 2),  # 31 January 2027: renewals on 28 February and 31 March
        (1_801_353_600, 1, 1),
        (1_803_772_800, 3, 3),  # 28 February
        (1_798_675_200, 2, 2),  # 31 December
    ],
)
def test_a_repeating_discount_counts_months_as_renewals_do(
    travel: Travel, start: int, months: int, discounted: int
) -> None:
    travel.advance(start - travel.now)
    off = coupon(travel, duration="repeating", duration_in_months=str(months))
    given = {"items[0][price]": price(travel, 1000), "discounts[0][coupon]": off}
    sold = travel.post("/v1/subscriptions", customer=customer(travel), **given)
    for _ in range(5):
        travel.advance(31 * DAY)
    totals = [invoice["total"] for invoice in travel.get("/v1/invoices", subscription=sold["id"])["data"]][::-1]
    assert totals == [500] * discounted + [1000] * (len(totals) - discounted)


@pytest.mark.parametrize("own", [True, False])
def test_prorations_show_what_they_include_or_itemize_it(travel: Travel, own: bool) -> None:
    """Changelog 2025-09-30, "Adds the ability to itemize proration discount amounts"."""
    shown = {}
    for way in ("included", "itemized"):
        owner = customer(travel)
        place = "items[0][discounts][0][coupon]" if own else "discounts[0][coupon]"
        mode = {"billing_mode[type]": "flexible", "billing_mode[flexible][proration_discounts]": way}
        given = {"items[0][price]": price(travel, 1001), place: coupon(travel, percent_off="10")}
        sold = travel.post("/v1/subscriptions", customer=owner, **given, **mode)
        assert sold["billing_mode"]["flexible"] == {"proration_discounts": way}
        [item] = sold["items"]["data"]
        half = str((item["current_period_start"] + item["current_period_end"]) // 2)
        change = {"items[0][id]": item["id"], "items[0][quantity]": "3", "proration_date": half}
        changed = travel.post(f"/v1/subscriptions/{sold['id']}", proration_behavior="always_invoice", **change)
        shown[way] = travel.get(f"/v1/invoices/{changed['latest_invoice']}")
    lines = {way: [(line["amount"], [taken["amount"] for taken in line["discount_amounts"]])
                   for line in invoice["lines"]["data"]] for way, invoice in shown.items()}  # fmt: skip
    # 1001 less 10 % are 901, halved: -451 and 1352 (of 2703)
    assert lines["included"] == [(-451, [] if own else [0]), (1352, [] if own else [0])]
    assert lines["itemized"] == [(-501, [-50]), (1502, [150])]
    assert shown["included"]["total"] == shown["itemized"]["total"] == 901
    assert sum(taken["amount"] for taken in shown["itemized"]["total_discount_amounts"]) == 100
    assert shown["itemized"]["subtotal"] == (901 if own else 1001)


def test_a_subscription_is_migrated_one_way(travel: Travel) -> None:
    """API reference, "Migrate a subscription"; changelog 2025-09-30."""
    given = {"items[0][price]": price(travel, 100), "billing_mode[type]": "classic"}
    id = travel.post("/v1/subscriptions", customer=customer(travel), **given)["id"]
    flexible = {"billing_mode[type]": "flexible"}
    moved = travel.post(f"/v1/subscriptions/{id}/migrate", **flexible)
    assert moved["billing_mode"] == {
        "flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": travel.now,
    }  # fmt: skip
    name = "billing_mode[flexible][proration_discounts]"
    assert travel.post(f"/v1/subscriptions/{id}/migrate", **flexible, **{name: "itemized"})
    for wrong in (flexible, {"billing_mode[type]": "classic"}):
        assert travel.ask("POST", f"/v1/subscriptions/{id}/migrate", **wrong)[0] == 400
    assert kinds(travel).count("customer.subscription.updated") == 2
