"""An expanded answer becomes the plain object and, beside it, the objects that were inside."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.mirror.collapse import collapse
from billing.mirror.kinds import KINDS, Ref, kind_for
from config.env import BASE_DIR
from tests.billing.objects import card, declined_intent, invoice, item, price, product, subscription

EXAMPLES = BASE_DIR.parent / "shared" / "stripe" / "fixtures3.json"
CUSTOMER = {"id": "cus_1", "object": "customer", "name": "Alice"}


def test_references_become_ids_and_their_objects_stand_beside():
    sub = subscription()
    answer = {**sub, "customer": {**CUSTOMER, "default_source": None}, "latest_invoice": invoice()}
    plain, inner = collapse(kind_for("subscription"), answer)
    assert plain == sub
    assert dict(inner) == {
        Ref("customer", "cus_1"): {**CUSTOMER, "default_source": None},
        Ref("invoice", "in_1"): invoice(),
    }


def test_what_is_expanded_inside_an_expansion_is_parted_too():
    answer = price(product={**product(), "default_price": price(id="price_2")})
    plain, inner = collapse(kind_for("price"), answer)
    assert plain == price()
    assert [ref for ref, _ in inner] == [Ref("price", "price_2"), Ref("product", "prod_business")]
    assert inner[1][1] == product(default_price="price_2")


def test_what_stripe_keeps_inside_by_nature_stays():
    rate = {"id": "txr_1", "object": "tax_rate"}
    sub = subscription(items=[item(tax_rates=[rate])], default_tax_rates=[rate])
    assert collapse(kind_for("subscription"), sub) == (sub, [])


def test_expansions_within_what_stays_are_parted():
    sub = subscription(items=[item(price={"product": product()})])
    plain, inner = collapse(kind_for("subscription"), sub)
    assert plain == subscription()
    assert inner == [(Ref("product", "prod_business"), product())]


def test_an_expanded_list_of_references_becomes_a_list_of_ids():
    discount = {"id": "di_1", "object": "discount", "source": {"coupon": {"id": "SUMMER", "object": "coupon"}}}
    plain, inner = collapse(kind_for("invoice"), invoice(discounts=[discount, "di_2"]))
    assert plain == invoice(discounts=["di_1", "di_2"])
    assert inner == [
        (Ref("coupon", "SUMMER"), {"id": "SUMMER", "object": "coupon"}),
        (Ref("discount", "di_1"), {**discount, "source": {"coupon": "SUMMER"}}),
    ]


def test_what_an_error_quotes_is_left_whole():
    intent = declined_intent(last_payment_error={"code": "card_declined", "payment_method": card()})
    answer = {**intent, "payment_method": card()}
    plain, inner = collapse(kind_for("payment_intent"), answer)
    assert plain == {**intent, "payment_method": "pm_1"}
    assert inner == [(Ref("payment_method", "pm_1"), card())]


@pytest.mark.parametrize("name", list(KINDS))
def test_stripes_own_examples_are_left_as_they_are(name):
    if not EXAMPLES.exists():
        pytest.skip(f"Stripe's example objects are not at {EXAMPLES}.")
    example = json.loads(EXAMPLES.read_text())["resources"].get(name)
    if example is None or name == "event":
        pytest.skip(f"Stripe has no example of {name}, or it holds another object.")
    plain, inner = collapse(kind_for(name), example)
    assert {ref.kind for ref, _ in inner} <= {"account"}  # transfer_data.destination, which the examples expand
    if not inner:
        assert plain == example


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "object", "data", "customer", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=3), values, max_size=4))
def test_whatever_was_collapsed_once_stays_the_same(data: dict[str, Any]):
    plain, inner = collapse(kind_for("charge"), data)
    assert collapse(kind_for("charge"), plain) == (plain, [])
    for ref, whole in inner:
        assert collapse(kind_for(ref.kind), whole) == (whole, [])
