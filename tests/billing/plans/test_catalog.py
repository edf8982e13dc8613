"""The catalogue: what is on offer, from Stripe's products and prices alone."""

from typing import Any

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from billing.plans.catalog import read_catalog
from billing.plans.prices import choose_currency, choose_interval, price_words
from tests.billing.objects import price, product

METERED = {"interval": "month", "interval_count": 1, "usage_type": "metered"}
QUARTERLY = {"interval": "month", "interval_count": 3, "usage_type": "licensed"}
YEARLY = {"interval": "year", "interval_count": 1, "usage_type": "licensed"}


def names(*products: dict[str, Any], prices: list[dict[str, Any]]) -> list[str]:
    return [plan.name for plan in read_catalog(products, prices).plans]


@pytest.mark.parametrize(
    ("product_fields", "price_fields", "offered"),
    [
        ({}, {}, True),
        # the company has withdrawn it
        ({"active": False}, {}, False),
        ({}, {"active": False}, False),
        # not meant for this page
        ({"metadata": {}}, {}, False),
        ({"metadata": {"kessai_plan": "  "}}, {}, False),
        # cannot be named in one number beforehand
        ({}, {"recurring": METERED}, False),
        ({}, {"recurring": None}, False),
        ({}, {"billing_scheme": "tiered", "unit_amount": None}, False),
        ({}, {"unit_amount": None, "unit_amount_decimal": "0.5"}, False),
        ({}, {"transform_quantity": {"divide_by": 10, "round": "up"}}, False),
        # an interval that the page has no switch for
        ({}, {"recurring": QUARTERLY}, False),
        # free plans are plans
        ({}, {"unit_amount": 0}, True),
        # nothing but a key: still readable
        ({"name": None, "description": None, "marketing_features": None}, {}, True),
    ],
)
def test_a_plan_is_offered(product_fields: dict[str, Any], price_fields: dict[str, Any], offered: bool) -> None:
    catalog = read_catalog([product(**product_fields)], [price(**price_fields)])
    assert bool(catalog.plans) is offered
    assert all(plan.name for plan in catalog.plans)


def test_plans_stand_in_the_order_that_the_metadata_give_and_others_come_last() -> None:
    products = [
        product("prod_c", name="C", metadata={"kessai_plan": "c"}),
        product("prod_b", name="B", metadata={"kessai_plan": "b", "kessai_order": "2"}),
        product("prod_a", name="A", metadata={"kessai_plan": "a", "kessai_order": "10"}),
        product("prod_d", name="D", metadata={"kessai_plan": "d", "kessai_order": "soon"}),
    ]
    prices = [price(f"price_{p['id']}", product=p["id"]) for p in products]
    assert names(*products, prices=prices) == ["B", "A", "C", "D"]


def test_the_newest_version_of_a_price_is_the_one_on_offer() -> None:
    old, new = price("price_v1", created=100), price("price_v2", created=200, unit_amount=6000)
    plan = read_catalog([product()], [new, old]).plans[0]
    offered = plan.price_for("jpy", "month")
    assert offered and offered.id == "price_v2"


def test_a_price_that_expands_its_product_is_the_same_price() -> None:
    assert names(product(), prices=[price(product=product())]) == ["Business"]


@pytest.mark.parametrize(
    ("fixed", "asked", "language", "currency"),
    [
        ("jpy", "usd", "en", "jpy"),  # a customer who has paid keeps their currency
        ("", "usd", "ja", "usd"),  # then what was asked for
        ("", "", "ja", "jpy"),  # then what the language suggests
        ("", "", "en-gb", "usd"),
        ("", "xyz", "de", "jpy"),  # then the first there is
        ("eur", "", "en", "usd"),  # a fixed currency in which nothing is on offer cannot be shown
    ],
)
def test_the_currency_is_chosen(fixed: str, asked: str, language: str, currency: str) -> None:
    catalog = read_catalog([product()], [price(), price("price_usd", currency="usd")])
    assert choose_currency(catalog, fixed=fixed, asked=asked, language=language) == currency


def test_an_interval_that_is_not_there_falls_back_to_months() -> None:
    catalog = read_catalog([product()], [price(), price("price_yearly", recurring=YEARLY)])
    assert [choose_interval(catalog, "jpy", asked=asked) for asked in ("year", "week", "")] == [
        "year",
        "month",
        "month",
    ]


def test_nothing_on_offer_is_no_error() -> None:
    catalog = read_catalog([], [])
    assert choose_currency(catalog, fixed="", asked="usd", language="en") == ""
    assert choose_interval(catalog, "", asked="") == ""
    assert catalog.find_price("price_business") is None


@pytest.mark.parametrize(
    ("amount", "currency", "interval", "count", "words"),
    [
        (5000, "jpy", "month", 1, "¥5,000 per month"),
        (5000, "usd", "year", 1, "$50.00 per year"),
        (999, "eur", "month", 3, "€9.99 every 3 months"),
        (100, "usd", "fortnight", 1, "$1.00"),
    ],
)
def test_prices_are_said(amount: int, currency: str, interval: str, count: int, words: str) -> None:
    with translation.override("en"):
        assert price_words(amount, currency, interval, count, "en") == words


def test_a_plan_speaks_the_readers_language_where_its_product_does() -> None:
    metadata = {
        "kessai_plan": "x",
        "kessai_description_ja": "お一人の方に。",
        "kessai_features_ja": "1 シート | 監査ログ|",
    }
    spoken = product(description="For one.", marketing_features=[{"name": "1 seat"}], metadata=metadata)
    said = {
        language: [(plan.description, [f.name for f in plan.features]) for plan in catalog.plans]
        for language in ("ja", "de")
        for catalog in [read_catalog([spoken], [price()], language=language)]
    }
    assert said == {"ja": [("お一人の方に。", ["1 シート", "監査ログ"])], "de": [("For one.", ["1 seat"])]}


texts = st.one_of(st.none(), st.text(max_size=300))


@given(
    name=texts,
    description=texts,
    order=texts,
    features=st.lists(st.fixed_dictionaries({"name": texts}), max_size=5),
    amount=st.one_of(st.none(), st.integers(0, 10**14)),
)
def test_whatever_the_texts_are_the_catalogue_can_be_read(
    name: str | None, description: str | None, order: str | None, features: list[dict[str, Any]], amount: int | None
) -> None:
    metadata = {"kessai_plan": "x", **({"kessai_order": order} if order is not None else {})}
    odd = product(name=name, description=description, marketing_features=features, metadata=metadata)
    for plan in read_catalog([odd], [price(unit_amount=amount)]).plans:
        assert plan.name and isinstance(plan.order, int) and all(feature.name for feature in plan.features)
