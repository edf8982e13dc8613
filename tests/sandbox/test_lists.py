"""Lists: pages in both directions, ranges, and expansion."""

import operator
from typing import Any

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox.running import RunningSandbox


@pytest.fixture(scope="module")
def shelf(running: RunningSandbox) -> tuple[Any, list[str]]:
    """A client whose account has 23 products, and their ids, newest first."""
    v1 = running.client().v1
    ids = [v1.products.create({"name": f"Product {number}", "active": number % 3 > 0}).id for number in range(23)]
    return v1, ids[::-1]


@settings(max_examples=25, deadline=None)
@given(limit=st.integers(min_value=1, max_value=30))
def test_pages_forward_and_backward_give_every_object_once_in_order(shelf: tuple[Any, list[str]], limit: int) -> None:
    v1, ids = shelf
    assert [product.id for product in v1.products.list({"limit": limit}).auto_paging_iter()] == ids
    backward = v1.products.list({"limit": limit, "ending_before": ids[-1]}).auto_paging_iter()
    assert [product.id for product in backward] == ids[:-1][::-1]


@settings(max_examples=25, deadline=None)
@given(place=st.integers(min_value=0, max_value=22), limit=st.integers(min_value=1, max_value=30))
def test_has_more_is_true_when_and_only_when_there_is_more(
    shelf: tuple[Any, list[str]], place: int, limit: int
) -> None:
    v1, ids = shelf
    after = v1.products.list({"starting_after": ids[place], "limit": limit})
    assert [product.id for product in after.data] == ids[place + 1 :][:limit]
    assert after.has_more is (place + 1 + limit < len(ids))
    before = v1.products.list({"ending_before": ids[place], "limit": limit})
    assert [product.id for product in before.data] == ids[max(place - limit, 0) : place]
    assert before.has_more is (place > limit)


def test_a_filtered_list_pages_too(shelf: tuple[Any, list[str]]) -> None:
    v1, ids = shelf
    inactive = [product.id for product in v1.products.list({"active": False, "limit": 3}).auto_paging_iter()]
    assert inactive == [id for number, id in zip(range(22, -1, -1), ids, strict=True) if number % 3 == 0]


def test_created_bounds_a_list(shelf: tuple[Any, list[str]]) -> None:
    v1, ids = shelf
    times = {product.id: product.created for product in v1.products.list({"limit": 100}).data}
    middle = times[ids[10]]
    for bound, fits in {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}.items():
        found = v1.products.list({"created": {bound: middle}, "limit": 100}).data
        assert [product.id for product in found] == [id for id in ids if fits(times[id], middle)]
    assert v1.products.list({"created": middle - 10_000}).data == []


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"limit": 0}, "parameter_invalid_integer", "limit"),
        ({"limit": 101}, "parameter_invalid_integer", "limit"),
        ({"starting_after": "prod_none"}, "resource_missing", "starting_after"),
        ({"created": {"since": 1}}, "parameter_unknown", "created[since]"),
        ({"colour": "red"}, "parameter_unknown", "colour"),
    ],
)
def test_a_malformed_list_request_is_refused(v1: Any, params: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.products.list(params)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_nested_paths_are_expanded_in_lists(v1: Any) -> None:
    customer = v1.customers.create({"payment_method": "pm_card_visa"})
    method = v1.customers.payment_methods.list(customer.id).data[0].id
    v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method}})
    v1.payment_intents.create(
        {"amount": 5000, "currency": "jpy", "customer": customer.id, "payment_method": method, "confirm": True,
         "off_session": True}
    )  # fmt: skip
    [intent] = v1.payment_intents.list(
        {"expand": ["data.customer.invoice_settings.default_payment_method", "data.latest_charge.balance_transaction"]}
    ).data
    assert intent.customer.invoice_settings.default_payment_method.card.last4 == "4242"
    assert intent.latest_charge.balance_transaction.amount == 5000


def test_a_deleted_object_expands_to_its_stub(v1: Any) -> None:
    customer = v1.customers.create({})
    intent = v1.payment_intents.create({"amount": 5000, "currency": "jpy", "customer": customer.id})
    v1.customers.delete(customer.id)
    assert v1.payment_intents.retrieve(intent.id, {"expand": ["customer"]}).customer.deleted is True


def test_what_is_empty_expands_to_nothing(v1: Any) -> None:
    intent = v1.payment_intents.create({"amount": 5000, "currency": "jpy", "expand": ["customer", "latest_charge"]})
    assert (intent.customer, intent.latest_charge) == (None, None)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["name"], "This property cannot be expanded (name)."),
        (["unicorn"], "This property cannot be expanded (unicorn)."),
        (["default_price.product.default_price.product.name"], "You cannot expand more than 4 levels of a property."),
    ],
)
def test_a_property_that_cannot_be_expanded_is_refused(v1: Any, paths: list[str], message: str) -> None:
    product = v1.products.create({"name": "Business"})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.products.retrieve(product.id, {"expand": paths})
    assert caught.value.user_message.startswith(message)
