"""Our objects fit what the official library declares of them; here is shown that the comparison sees what does not.

The comparison itself runs with every answer that a test of the sandbox gets: see `travel.py` and `running.py`.
"""

from typing import Any

import pytest

from tests.sandbox.declared import misfits
from tests.sandbox.travel import Travel


@pytest.fixture
def price(travel: Travel) -> Any:
    sold = {"currency": "usd", "unit_amount": "5", "product_data[name]": "Pro", "recurring[interval]": "month"}
    return travel.post("/v1/prices", **sold)


@pytest.mark.parametrize(
    ("changes", "misfit"),
    [
        ({}, None),
        ({"nickname": None}, None),  # may be null
        ({"currency_options": None}, "price.currency_options: null"),  # may be absent, never null
        ({"metadata": None}, "price.metadata: None is no UntypedStripeObject[str]"),
        ({"active": "yes"}, "price.active: 'yes' is no bool"),
        ({"created": True}, "price.created: True is no int"),
        ({"unit_price": 5}, "price.unit_price: not declared"),
        ({"type": "sometimes"}, "price.type: 'sometimes' is none of ['one_time', 'recurring']"),
        ({"product": 7}, "price.product: 7 is no id"),
        ({"object": "cost"}, "cost: no such kind of object"),
    ],
)
def test_what_does_not_fit_is_seen(price: Any, changes: dict[str, Any], misfit: str | None) -> None:
    assert misfits(price | changes) == ([misfit] if misfit else [])


def test_what_is_missing_is_seen_inside_too(price: Any) -> None:
    del price["currency"]
    del price["recurring"]["interval"]
    assert sorted(misfits(price)) == ["price.currency: missing", "price.recurring.interval: missing"]


def test_what_may_be_null_must_be_there_all_the_same(price: Any) -> None:
    del price["nickname"]
    del price["recurring"]["meter"]
    assert sorted(misfits(price)) == ["price.nickname: missing", "price.recurring.meter: missing"]


def test_the_members_of_a_list_are_compared(price: Any) -> None:
    listed = {"object": "list", "data": [price, price | {"active": 1}], "has_more": False, "url": "/v1/prices"}
    assert misfits(listed) == ["price.active: 1 is no bool"]
