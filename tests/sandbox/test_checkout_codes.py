"""Promotion codes on Checkout's page, and orders that cost nothing."""

from typing import Any

import httpx
import pytest

from tests.sandbox.running import until
from tests.sandbox.shop import DECLINED, GOOD, checkout, customer, fill_in, plan


def code(v1: Any, word: str = "SPRING", off: dict[str, Any] | None = None, **terms: Any) -> Any:
    coupon = v1.coupons.create(off or {"percent_off": 25, "duration": "once"})
    return v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": word, **terms})


def enter(session: Any, word: str, **more: str) -> httpx.Response:
    """Type a code and see the page that follows."""
    return httpx.post(f"{session.url}/code", data={"code": word} | more, trust_env=False, follow_redirects=True)


def wrong(page: httpx.Response) -> str:
    return page.text.split('id="code-problem" role="alert">')[1].split("</p>")[0]


def after(v1: Any, session: Any, *expand: str) -> Any:
    return v1.checkout.sessions.retrieve(session.id, {"expand": list(expand)})


HAT = {"price_data": {"currency": "usd", "unit_amount": 2000, "product_data": {"name": "Hat"}}, "quantity": 1}


def test_a_code_is_taken_off_and_the_subscription_begins_under_it(v1: Any) -> None:
    held, session = code(v1), checkout(v1, allow_promotion_codes=True)
    page = enter(session, " spring ")
    assert page.status_code == 200
    for words in ("SPRING", "25% off your first invoice", "-¥750", "Subscribe · ¥2,250 now"):
        assert words in page.text
    shown = after(v1, session)
    assert (shown.amount_subtotal, shown.amount_total, shown.total_details.amount_discount) == (3000, 2250, 750)
    assert shown.discounts[0].promotion_code == held.id
    fill_in(session.url, GOOD)
    done = after(v1, session, "invoice")
    assert done.invoice.amount_paid == 2250
    until(lambda: not v1.subscriptions.retrieve(done.subscription).discounts)
    assert v1.promotion_codes.retrieve(held.id).times_redeemed == 1


def test_a_code_that_was_taken_back_takes_nothing_off(v1: Any) -> None:
    session = checkout(v1, allow_promotion_codes=True)
    code(v1)
    enter(session, "SPRING")
    assert "Subscribe · ¥3,000 now" in enter(session, "", act="remove").text
    fill_in(session.url, GOOD)
    assert after(v1, session, "invoice").invoice.amount_paid == 3000


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        (None, "There is no such code."),
        ({"active": False}, "This code is not valid any more."),
        ({"restrictions": {"minimum_amount": 3001, "minimum_amount_currency": "jpy"}}, "This code is for larger"),
        ({"off": {"amount_off": 500, "currency": "usd"}}, "This code is not for what you buy here."),
        ({"off": {"percent_off": 10, "applies_to": {"products": ["another"]}}}, "This code is not for what you buy"),
        ({"restrictions": {"first_time_transaction": True}}, "This code is for a first purchase only."),
        ({"max_redemptions": 1}, "This code was used as often as it may be."),
    ],
)
def test_a_code_that_cannot_be_used_says_why(v1: Any, terms: dict[str, Any] | None, sentence: str) -> None:
    owner = customer(v1)
    if terms is not None:
        products = (terms.get("off") or {}).get("applies_to", {})
        products["products"] = [v1.products.create({"name": "Another"}).id]
        held = code(v1, **terms)
        bought = {"discounts": [{"promotion_code": held.id}]} if "max_redemptions" in terms else {}
        v1.subscriptions.create({"customer": owner, "items": [{"price": plan(v1)}], **bought})
    session = checkout(v1, customer=owner, allow_promotion_codes=True)
    page = enter(session, "SPRING")
    assert page.status_code == 422
    assert wrong(page).startswith(sentence)
    assert after(v1, session).amount_total == 3000


def test_a_code_is_typed_only_where_the_seller_lets_it(v1: Any) -> None:
    code(v1)
    session = checkout(v1)
    enter(session, "SPRING")
    assert after(v1, session).amount_total == 3000


def test_a_code_after_a_refused_card_changes_what_the_next_card_pays(v1: Any) -> None:
    code(v1)
    session = checkout(v1, mode="payment", line_items=[HAT], allow_promotion_codes=True)
    fill_in(session.url, DECLINED)
    enter(session, "SPRING")
    fill_in(session.url, GOOD)
    done = after(v1, session, "payment_intent")
    assert (done.payment_intent.amount_received, done.payment_intent.amount) == (1500, 1500)


def test_a_code_that_was_used_up_meanwhile_is_not_paid_with(v1: Any) -> None:
    held = code(v1, max_redemptions=1)
    sessions = [
        checkout(v1, mode="payment", line_items=[HAT], allow_promotion_codes=True, customer=customer(v1))
        for _ in range(2)
    ]
    for session in sessions:
        enter(session, "SPRING")
    assert [fill_in(session.url, GOOD).status_code for session in sessions] == [303, 422]
    assert v1.promotion_codes.retrieve(held.id).times_redeemed == 1
    assert [after(v1, session).status for session in sessions] == ["complete", "open"]


@pytest.mark.parametrize("mode", ["payment", "subscription"])
def test_an_order_that_costs_nothing_needs_no_card(v1: Any, mode: str) -> None:
    """Stripe docs, "No-cost orders"."""
    held = code(v1, "FREE", {"percent_off": 100, "duration": "forever"})
    more: dict[str, Any] = {
        "payment": {"line_items": [HAT]},
        "subscription": {"payment_method_collection": "if_required"},
    }
    session = checkout(v1, mode=mode, allow_promotion_codes=True, **more[mode])
    page = enter(session, "free").text
    assert "nothing to pay" in page
    assert "Card number" not in page
    answer = httpx.post(session.url, data={"email": "alice@example.com"}, trust_env=False)
    assert answer.headers["location"].startswith("http://shop.example/thanks")
    done = after(v1, session)
    assert (done.status, done.payment_status, done.amount_total) == ("complete", "no_payment_required", 0)
    assert done.payment_intent is None
    if mode == "subscription":
        assert v1.subscriptions.retrieve(done.subscription).status == "active"
    assert v1.promotion_codes.retrieve(held.id).times_redeemed == 1


def test_what_is_left_must_be_enough_for_a_bank(v1: Any) -> None:
    code(v1, off={"amount_off": 1990, "currency": "usd", "duration": "once"})
    session = checkout(v1, mode="payment", line_items=[HAT], allow_promotion_codes=True)
    assert wrong(enter(session, "SPRING")).startswith("With this code too little would be left")
    assert after(v1, session).amount_total == 2000
