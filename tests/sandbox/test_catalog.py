"""Products, prices and coupons."""

from typing import Any

import pytest
import stripe


@pytest.fixture
def product(v1: Any) -> Any:
    return v1.products.create({"name": "Business"})


SOLD = {"unit_amount": 1, "currency": "jpy", "product": "own"}


def test_a_product_can_bring_its_default_price(v1: Any) -> None:
    product = v1.products.create(
        {
            "name": "Business",
            "default_price_data": {"currency": "jpy", "unit_amount": 5000, "recurring": {"interval": "month"}},
            "expand": ["default_price"],
        }
    )
    assert (product.default_price.unit_amount, product.default_price.type) == (5000, "recurring")
    assert product.default_price.recurring.interval_count == 1


@pytest.mark.parametrize(
    ("given", "amount", "decimal"),
    [
        ({"unit_amount": 5000}, 5000, "5000"),
        ({"unit_amount": 0}, 0, "0"),
        ({"unit_amount_decimal": "12.5"}, None, "12.5"),
        ({"unit_amount_decimal": "100.00"}, 100, "100"),
    ],
)
def test_an_amount_has_both_forms(
    v1: Any, product: stripe.Product, given: dict[str, Any], amount: int | None, decimal: str
) -> None:
    price = v1.prices.create({"product": product.id, "currency": "JPY", **given})
    raw = price.to_dict()
    assert (price.currency, raw["unit_amount"], str(raw["unit_amount_decimal"])) == ("jpy", amount, decimal)


def test_a_lookup_key_moves_only_when_asked_to(v1: Any, product: stripe.Product) -> None:
    given = {"product": product.id, "currency": "jpy", "unit_amount": 5000, "lookup_key": "business_monthly"}
    first = v1.prices.create(given)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.prices.create(given)
    assert caught.value.param == "lookup_key"
    second = v1.prices.create(given | {"transfer_lookup_key": True})
    assert v1.prices.retrieve(first.id).lookup_key is None
    assert [price.id for price in v1.prices.list({"lookup_keys": ["business_monthly"]}).data] == [second.id]


def test_price_lists_are_filtered_by_every_field_at_once(v1: Any, product: stripe.Product) -> None:
    monthly = {"product": product.id, "currency": "jpy", "unit_amount": 1, "recurring": {"interval": "month"}}
    wanted = v1.prices.create(monthly)
    v1.prices.create(monthly | {"recurring": {"interval": "year"}})
    v1.prices.create(monthly | {"currency": "usd"})
    v1.prices.create(monthly | {"active": False})
    v1.prices.create({"product": product.id, "currency": "jpy", "unit_amount": 1})
    v1.prices.create(monthly | {"product": v1.products.create({"name": "Other"}).id})
    found = v1.prices.list(
        {"product": product.id, "currency": "jpy", "active": True, "recurring": {"interval": "month"}}
    )
    assert [price.id for price in found.data] == [wanted.id]


def test_tiers_are_shown_when_asked_for(v1: Any, product: stripe.Product) -> None:
    price = v1.prices.create(
        {
            "product": product.id,
            "currency": "jpy",
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "recurring": {"interval": "month"},
            "tiers": [{"up_to": 10, "unit_amount": 100}, {"up_to": "inf", "unit_amount_decimal": "50.5"}],
        }
    )
    assert "tiers" not in price.to_dict()
    tiers = v1.prices.retrieve(price.id, {"expand": ["tiers"]}).to_dict()["tiers"]
    assert [tier["up_to"] for tier in tiers] == [10, None]
    assert [tier["unit_amount"] for tier in tiers] == [100, None]


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ({"currency": "jpy", "unit_amount": 1}, "parameter_missing", "product"),
        ({"currency": "jpy", "unit_amount": 1, "product": "prod_none"}, "resource_missing", "product"),
        ({"currency": "xyz", "unit_amount": 1, "product": "own"}, None, "currency"),
        ({"currency": "jpy", "product": "own"}, "parameter_missing", "unit_amount"),
        ({"currency": "jpy", "unit_amount": -1, "product": "own"}, "parameter_invalid_integer", "unit_amount"),
        ({"unit_amount": 1, "product": "own"}, "parameter_missing", "currency"),
        # API reference, "Create a price": three years at the most
        (SOLD | {"recurring": {"interval": "year", "interval_count": 4}}, None, "recurring[interval_count]"),
        (SOLD | {"recurring": {"interval": "week", "interval_count": 157}}, None, "recurring[interval_count]"),
    ],
)
def test_a_price_that_cannot_be_is_refused(
    v1: Any, product: stripe.Product, given: dict[str, Any], code: str | None, param: str
) -> None:
    if given.get("product") == "own":
        given = given | {"product": product.id}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.prices.create(given)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_a_product_with_prices_is_not_deleted(v1: Any, product: stripe.Product) -> None:
    v1.prices.create({"product": product.id, "currency": "jpy", "unit_amount": 1})
    with pytest.raises(stripe.InvalidRequestError):
        v1.products.delete(product.id)
    other = v1.products.create({"name": "Other"})
    assert v1.products.delete(other.id).deleted is True


def test_an_id_of_ones_own_is_taken_once(v1: Any) -> None:
    assert v1.products.create({"id": "business", "name": "Business"}).id == "business"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.products.create({"id": "business", "name": "Again"})
    assert caught.value.code == "resource_already_exists"


def test_a_coupon_takes_off_a_part_or_an_amount(v1: Any) -> None:
    part = v1.coupons.create({"id": "SPRING", "percent_off": 25.5, "duration": "forever"})
    assert (part.id, part.percent_off, part.amount_off) == ("SPRING", 25.5, None)
    amount = v1.coupons.create({"amount_off": 500, "currency": "jpy", "duration": "repeating", "duration_in_months": 3})
    assert (amount.amount_off, amount.currency, amount.valid) == (500, "jpy", True)
    with pytest.raises(stripe.InvalidRequestError):
        v1.coupons.create({"amount_off": 500, "currency": "jpy", "percent_off": 5})
