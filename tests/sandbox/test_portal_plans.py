"""Plans and quantities changed in the billing portal, without a browser."""

from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.running import body_of
from tests.sandbox.shop import customer, plan, subscribed, types

BACK = "http://shop.example/account"
DONE = "http://shop.example/done"


def configuration(v1: Any, *prices: str, **more: Any) -> Any:
    """A portal in which these prices may be chosen, and any quantity."""
    by_product: dict[str, list[str]] = {}
    for id in prices:
        by_product.setdefault(v1.prices.retrieve(id).product, []).append(id)
    products = [
        {"product": product, "prices": held, "adjustable_quantity": {"enabled": True, "minimum": 1, "maximum": 10}}
        for product, held in by_product.items()
    ]
    update = {
        "enabled": True, "default_allowed_updates": ["price", "quantity"], "products": products,
        "proration_behavior": "always_invoice",
    } | more  # fmt: skip
    cancel = {"enabled": True}
    return v1.billing_portal.configurations.create(
        {"features": {"subscription_update": update, "subscription_cancel": cancel}}
    )


def opened(v1: Any, owner: str, held: Any, **params: Any) -> Any:
    return v1.billing_portal.sessions.create(
        {"customer": owner, "configuration": held.id, "return_url": BACK, **params}
    )


def seen(address: str, **query: str) -> httpx.Response:
    return httpx.get(address, params=query or None, trust_env=False, follow_redirects=True)


def do(address: str, **form: str) -> httpx.Response:
    return httpx.post(address, data=form, trust_env=False)


@pytest.fixture
def prices(v1: Any) -> tuple[str, str]:
    return plan(v1, 3000), plan(v1, 5000, name="Business")


def item_of(v1: Any, subscription: Any) -> Any:
    return v1.subscriptions.retrieve(subscription.id)["items"].data[0]


def test_a_configuration_keeps_the_plans_that_may_be_chosen(v1: Any, prices: tuple[str, str]) -> None:
    held = configuration(v1, *prices)
    shown = v1.billing_portal.configurations.retrieve(held.id, {"expand": ["features.subscription_update.products"]})
    found = shown.features.subscription_update.products
    assert [one.prices for one in found] == [[prices[0]], [prices[1]]]
    assert found[0].adjustable_quantity.to_dict() == {"enabled": True, "maximum": 10, "minimum": 1}


@pytest.mark.parametrize(
    ("update", "param"),
    [
        ({"products": ""}, "features[subscription_update][products]"),
        ({"default_allowed_updates": ""}, "features[subscription_update][default_allowed_updates]"),
        ({"default_allowed_updates": ["colour"]}, "features[subscription_update][default_allowed_updates][0]"),
    ],
)
def test_a_configuration_without_anything_to_choose_is_refused(
    v1: Any, prices: tuple[str, str], update: dict[str, Any], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        configuration(v1, *prices, **update)
    assert body_of(refused.value).param == param


def test_a_price_of_another_product_is_refused(v1: Any, prices: tuple[str, str]) -> None:
    product = v1.prices.retrieve(prices[0]).product
    with pytest.raises(stripe.InvalidRequestError) as refused:
        configuration(v1, prices[0], products=[{"product": product, "prices": [prices[1]]}])
    assert body_of(refused.value).param == "features[subscription_update][products][0][prices][0]"


def test_an_upgrade_says_what_it_costs_and_costs_that(v1: Any, prices: tuple[str, str]) -> None:
    subscription = subscribed(v1, prices[0])
    session = opened(v1, subscription.customer, configuration(v1, *prices))
    assert "Change the plan" in seen(session.url).text
    page = seen(f"{session.url}/update/{subscription.id}").text
    assert ("Business" in page, "Your plan now" in page, "¥5,000" in page) == (True, True, True)
    address = f"{session.url}/update/{subscription.id}/confirm"
    page = seen(address, price=prices[1], quantity="2").text
    assert "Confirm · ¥7,000 now" in page or "Confirm · ¥6,99" in page  # some seconds are used
    answer = do(address, price=prices[1], quantity="2")
    assert answer.headers["location"].endswith("?home=1&said=updated")
    item = item_of(v1, subscription)
    assert (item.price.id, item.quantity) == (prices[1], 2)
    invoice = v1.invoices.list({"subscription": subscription.id}).data[0]
    assert (invoice.status, invoice.billing_reason) == ("paid", "subscription_update")
    assert invoice.amount_paid in (6999, 7000)
    assert do(address, price=prices[1], quantity="2").status_code == 303  # a second click
    assert len(v1.invoices.list({"subscription": subscription.id}).data) == 2


def test_a_refused_card_changes_nothing(v1: Any, prices: tuple[str, str]) -> None:
    subscription = subscribed(v1, prices[0])
    bad = v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": subscription.customer}).id
    v1.customers.update(subscription.customer, {"invoice_settings": {"default_payment_method": bad}})
    session = opened(v1, subscription.customer, configuration(v1, *prices))
    page = do(f"{session.url}/update/{subscription.id}/confirm", price=prices[1], quantity="1")
    assert page.status_code == 422
    assert "Your card was declined." in page.text
    assert item_of(v1, subscription).price.id == prices[0]
    assert len(v1.invoices.list({"subscription": subscription.id}).data) == 1


@pytest.mark.parametrize(
    ("conditions", "chosen", "quantity", "waits"),
    [
        (["decreasing_item_amount"], "small", "1", True),
        (["decreasing_item_amount"], "large", "1", False),
        (["decreasing_item_amount"], "yearly", "1", True),  # less by the day
        (["shortening_interval"], "small", "1", False),
        ([], "small", "1", False),
    ],
)
def test_a_downgrade_waits_for_the_end_of_the_period_if_the_seller_says_so(
    v1: Any, conditions: list[str], chosen: str, quantity: str, waits: bool
) -> None:
    named = {
        "now": plan(v1, 3000), "small": plan(v1, 1000, name="Small"), "large": plan(v1, 9000, name="Large"),
        "yearly": plan(v1, 30_000, interval="year", name="Yearly"),
    }  # fmt: skip
    when = {"schedule_at_period_end": {"conditions": [{"type": condition} for condition in conditions]}}
    subscription = subscribed(v1, named["now"])
    session = opened(v1, subscription.customer, configuration(v1, *named.values(), **when))
    address = f"{session.url}/update/{subscription.id}/confirm"
    page = seen(address, price=named[chosen], quantity=quantity).text
    assert ("Nothing changes before" in page) is waits
    assert (
        do(address, price=named[chosen], quantity=quantity)
        .headers["location"]
        .endswith("planned" if waits else "updated")
    )
    assert (item_of(v1, subscription).price.id == named["now"]) is waits
    if waits:
        schedule = v1.subscription_schedules.retrieve(v1.subscriptions.retrieve(subscription.id).schedule)
        assert [phase["items"][0].price for phase in schedule.phases] == [named["now"], named[chosen]]
        assert "From " in seen(session.url).text
        assert "Change the plan" not in seen(session.url).text
        do(f"{session.url}/keep/{subscription.id}")
        assert v1.subscriptions.retrieve(subscription.id).schedule is None


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"quantity": "11"}, "Choose a quantity from 1 to 10."),
        ({"quantity": "many"}, "Choose a quantity from 1 to 10."),
        ({"quantity": "1"}, "Choose something else than you have now."),
        ({"price": "price_of_nothing"}, "This plan is not offered any more."),
    ],
)
def test_a_choice_that_cannot_be_made_says_why(
    v1: Any, prices: tuple[str, str], query: dict[str, str], sentence: str
) -> None:
    subscription = subscribed(v1, prices[0])
    session = opened(v1, subscription.customer, configuration(v1, *prices))
    page = seen(f"{session.url}/update/{subscription.id}/confirm", **{"price": prices[0]} | query)
    assert (page.status_code, sentence in page.text) == (422, True)


def test_only_ones_own_subscription_can_be_changed(v1: Any, prices: tuple[str, str]) -> None:
    subscription, other = subscribed(v1, prices[0]), subscribed(v1, prices[0])
    session = opened(v1, other.customer, configuration(v1, *prices))
    assert "There is no such page" in seen(f"{session.url}/update/{subscription.id}").text
    do(f"{session.url}/update/{subscription.id}/confirm", price=prices[1], quantity="1")
    assert item_of(v1, subscription).price.id == prices[0]


def test_a_session_for_one_change_leads_to_it_and_on(v1: Any, prices: tuple[str, str]) -> None:
    subscription = subscribed(v1, prices[0])
    off = v1.coupons.create({"percent_off": 10, "duration": "forever"}).id
    flow = {
        "type": "subscription_update_confirm",
        "after_completion": {"type": "redirect", "redirect": {"return_url": DONE}},
        "subscription_update_confirm": {
            "subscription": subscription.id,
            "items": [{"id": subscription["items"].data[0].id, "price": prices[1], "quantity": 3}],
            "discounts": [{"coupon": off}],
        },
    }
    session = opened(v1, subscription.customer, configuration(v1, *prices), flow_data=flow)
    shown = session.flow.subscription_update_confirm
    assert (shown.subscription, shown["items"][0].quantity) == (subscription.id, 3)
    assert shown.discounts[0].coupon == off
    page = seen(session.url).text
    assert ("Confirm the change" in page, "× 3" in page) == (True, True)
    answer = do(f"{session.url}/update/{subscription.id}/confirm")
    assert answer.headers["location"] == DONE
    changed = v1.subscriptions.retrieve(subscription.id)
    assert (changed["items"].data[0].quantity, len(changed.discounts)) == (3, 1)


def test_a_session_to_choose_a_plan_confirms_in_words(v1: Any, prices: tuple[str, str]) -> None:
    subscription = subscribed(v1, prices[0])
    flow = {
        "type": "subscription_update",
        "after_completion": {"type": "hosted_confirmation", "hosted_confirmation": {"custom_message": "Enjoy it."}},
        "subscription_update": {"subscription": subscription.id},
    }
    session = opened(v1, subscription.customer, configuration(v1, *prices), flow_data=flow)
    assert "Change your subscription" in seen(session.url).text
    page = do(f"{session.url}/update/{subscription.id}/confirm", price=prices[1])
    assert "Your subscription is changed." in page.text
    assert "Enjoy it." in page.text


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"price": "price_of_nothing"}, "[items][0][price]"),
        ({"quantity": 11}, "[items][0][quantity]"),
        ({}, "[items][0]"),
        ({"id": "si_another"}, "[items][0][id]"),
    ],
)
def test_a_session_for_a_change_that_cannot_be_made_is_refused(
    v1: Any, prices: tuple[str, str], change: dict[str, Any], param: str
) -> None:
    subscription = subscribed(v1, prices[0])
    item = {"id": subscription["items"].data[0].id} | change
    flow = {
        "type": "subscription_update_confirm",
        "subscription_update_confirm": {"subscription": subscription.id, "items": [item]},
    }
    with pytest.raises(stripe.InvalidRequestError) as refused:
        opened(v1, subscription.customer, configuration(v1, *prices), flow_data=flow)
    assert body_of(refused.value).param == f"flow_data[subscription_update_confirm]{param}"


def test_what_the_portal_cannot_change_it_does_not_offer(v1: Any, prices: tuple[str, str]) -> None:
    owner = customer(v1)
    both = v1.subscriptions.create({"customer": owner, "items": [{"price": price} for price in prices]})
    held = configuration(v1, *prices)
    assert "Change the plan" not in seen(opened(v1, owner, held).url).text
    flow = {"type": "subscription_update", "subscription_update": {"subscription": both.id}}
    with pytest.raises(stripe.InvalidRequestError, match="several items"):
        opened(v1, owner, held, flow_data=flow)
    disabled = v1.billing_portal.configurations.create({"features": {"invoice_history": {"enabled": True}}})
    with pytest.raises(stripe.InvalidRequestError, match="disabled"):
        opened(v1, owner, disabled, flow_data=flow)


def test_a_trial_ends_with_the_change_or_goes_on(v1: Any, prices: tuple[str, str]) -> None:
    for behavior, status in (("end_trial", "active"), ("continue_trial", "trialing")):
        subscription = subscribed(v1, prices[0], trial_period_days=10)
        session = opened(v1, subscription.customer, configuration(v1, *prices, trial_update_behavior=behavior))
        do(f"{session.url}/update/{subscription.id}/confirm", price=prices[1])
        changed = v1.subscriptions.retrieve(subscription.id)
        assert (changed.status, changed["items"].data[0].price.id) == (status, prices[1])
    assert "customer.subscription.updated" in types(v1)


def test_a_code_is_taken_with_the_change(v1: Any, prices: tuple[str, str]) -> None:
    off = v1.coupons.create({"percent_off": 50, "duration": "forever"})
    restrictions = {"minimum_amount": 5000, "minimum_amount_currency": "jpy"}
    v1.promotion_codes.create(
        {"promotion": {"type": "coupon", "coupon": off.id}, "code": "HALF", "restrictions": restrictions}
    )
    subscription = subscribed(v1, prices[0])
    held = configuration(v1, *prices, default_allowed_updates=["price", "promotion_code", "quantity"])
    session = opened(v1, subscription.customer, held)
    address = f"{session.url}/update/{subscription.id}/confirm"
    assert "Promotion code" in seen(f"{session.url}/update/{subscription.id}").text
    for wanted, sentence in (
        ({"price": prices[1], "code": "HLF"}, "There is no such code."),
        ({"price": prices[0], "quantity": "1", "code": "HALF"}, "Choose something else"),
    ):
        refused = seen(address, **wanted)
        assert (refused.status_code, sentence in refused.text) == (422, True)
    page = seen(address, price=prices[1], code="half").text
    assert ("HALF" in page, "nothing to pay" in page) == (True, True)  # 2500 for the rest, less 3000
    do(address, price=prices[1], code="half")
    [discount] = v1.subscriptions.retrieve(subscription.id, {"expand": ["discounts"]}).discounts
    assert discount.source.coupon == off.id
    assert item_of(v1, subscription).price.id == prices[1]


def test_who_wants_to_leave_is_offered_a_coupon_and_stays(v1: Any, prices: tuple[str, str]) -> None:
    off = v1.coupons.create({"percent_off": 20, "duration": "repeating", "duration_in_months": 3}).id
    subscription = subscribed(v1, prices[0])
    flow = {
        "type": "subscription_cancel",
        "subscription_cancel": {
            "subscription": subscription.id,
            "retention": {"type": "coupon_offer", "coupon_offer": {"coupon": off}},
        },
    }
    session = opened(v1, subscription.customer, configuration(v1, *prices), flow_data=flow)
    assert session.flow.subscription_cancel.retention.coupon_offer.coupon == off
    assert "If you stay: 20% off for 3 months." in seen(session.url).text
    for _ in range(2):
        assert do(f"{session.url}/stay/{subscription.id}").headers["location"].endswith("said=stayed")
    kept = v1.subscriptions.retrieve(subscription.id, {"expand": ["discounts"]})
    assert ([one.source.coupon for one in kept.discounts], kept.cancel_at_period_end) == ([off], False)
    assert "If you stay" not in seen(f"{session.url}/cancel/{subscription.id}").text
