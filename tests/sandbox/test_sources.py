"""Cards kept the older way, as a customer's sources."""

from typing import Any

import pytest
import stripe

from tests.sandbox.shop import plan, types


def kept(v1: Any, token: str = "tok_visa", **fields: Any) -> Any:
    return v1.customers.create({"email": "alice@example.com", "source": token, **fields})


def ids(v1: Any, owner: str) -> list[str]:
    return [source.id for source in v1.customers.payment_sources.list(owner).data]


def test_a_customer_keeps_the_card_of_a_token(v1: Any) -> None:
    owner = kept(v1, "tok_mastercard", expand=["default_source", "sources"])
    card = owner.default_source
    assert (card.object, card.brand, card.last4, card.customer) == ("card", "MasterCard", "4444", owner.id)
    assert [source.id for source in owner.sources.data] == [card.id]
    assert v1.customers.payment_sources.retrieve(owner.id, card.id).last4 == "4444"
    assert [one.id for one in v1.payment_methods.list({"customer": owner.id}).data] == [card.id]
    assert "customer.source.created" in types(v1)


def test_it_pays_for_charges_and_subscriptions(v1: Any) -> None:
    owner = kept(v1)
    charge = v1.charges.create({"amount": 700, "currency": "jpy", "customer": owner.id})
    assert (charge.paid, charge.customer, charge.source.id) == (True, owner.id, owner.default_source)
    sold = v1.subscriptions.create({"customer": owner.id, "items": [{"price": plan(v1)}]})
    assert (sold.status, v1.balance.retrieve().available[0].amount) == ("active", 3700)


def test_a_second_one_is_charged_by_its_name(v1: Any) -> None:
    owner = kept(v1)
    second = v1.customers.payment_sources.create(owner.id, {"source": "tok_amex", "metadata": {"a": "b"}})
    assert v1.customers.retrieve(owner.id).default_source == owner.default_source
    charge = v1.charges.create({"amount": 700, "currency": "jpy", "customer": owner.id, "source": second.id})
    assert (charge.source.brand, second.metadata.to_dict()) == ("American Express", {"a": "b"})
    changed = v1.customers.update(owner.id, {"default_source": second.id})
    assert changed.default_source == second.id
    with pytest.raises(stripe.InvalidRequestError, match="No such source"):
        v1.customers.update(owner.id, {"default_source": "card_none"})


def test_a_new_one_takes_the_place_of_the_default(v1: Any) -> None:
    owner = kept(v1)
    changed = v1.customers.update(owner.id, {"source": "tok_amex"})
    assert changed.default_source != owner.default_source
    assert ids(v1, owner.id) == [changed.default_source]


def test_one_that_goes_leaves_the_default_to_another(v1: Any) -> None:
    owner = kept(v1)
    second = v1.customers.payment_sources.create(owner.id, {"source": "tok_amex"})
    gone = v1.customers.payment_sources.delete(owner.id, owner.default_source)
    assert (gone.deleted, v1.customers.retrieve(owner.id).default_source) == (True, second.id)
    v1.customers.payment_sources.delete(owner.id, second.id)
    assert v1.customers.retrieve(owner.id).default_source is None
    with pytest.raises(stripe.CardError, match="no active card") as refused:
        v1.charges.create({"amount": 700, "currency": "jpy", "customer": owner.id})
    assert refused.value.code == "missing"


def test_one_that_is_detached_as_a_payment_method_is_no_source_either(v1: Any) -> None:
    owner = kept(v1)
    v1.payment_methods.detach(owner.default_source)
    assert (ids(v1, owner.id), v1.customers.retrieve(owner.id).default_source) == ([], None)


def test_its_date_is_changed_for_both_pictures_of_it(v1: Any) -> None:
    owner = kept(v1)
    changed = v1.customers.payment_sources.update(owner.id, owner.default_source, {"exp_year": 2041, "name": "Alice"})
    assert (changed.exp_year, changed.name) == (2041, "Alice")
    assert v1.payment_methods.retrieve(owner.default_source).card.exp_year == 2041


def test_a_refused_one_leaves_no_customer_behind(v1: Any) -> None:
    with pytest.raises(stripe.CardError) as refused:
        kept(v1, "tok_chargeDeclined")
    assert refused.value.code == "card_declined"
    assert v1.customers.list().data == []


def test_what_belongs_to_another_is_not_found(v1: Any) -> None:
    alice, charlie = kept(v1), kept(v1)
    with pytest.raises(stripe.InvalidRequestError) as missing:
        v1.customers.payment_sources.retrieve(charlie.id, alice.default_source)
    assert (missing.value.code, missing.value.http_status) == ("resource_missing", 404)
    with pytest.raises(stripe.CardError, match="does not have a linked source"):
        v1.charges.create({
            "amount": 700, "currency": "jpy", "customer": charlie.id, "source": alice.default_source,
        })  # fmt: skip
