"""Customers, and what all resources share: update, metadata, deletion."""

from typing import Any

import pytest
import stripe


def test_a_customer_comes_back_as_it_was_made(v1: Any) -> None:
    made = v1.customers.create(
        {
            "name": "アリス",
            "email": "alice@example.com",
            "address": {"country": "JP", "city": "東京"},
            "shipping": {"name": "Alice", "address": {"line1": "1-1"}},
            "preferred_locales": ["ja"],
            "metadata": {"organization": "7"},
        }
    )
    again = v1.customers.retrieve(made.id)
    assert again.to_dict() == made.to_dict()
    assert again.address.city == "東京"
    assert again.address.line2 is None
    assert again.shipping.address.line1 == "1-1"


def test_an_update_touches_what_was_sent_alone(v1: Any) -> None:
    made = v1.customers.create({"name": "Alice", "email": "alice@example.com", "description": "first"})
    changed = v1.customers.update(made.id, {"description": "", "name": "Alice B."})
    assert (changed.name, changed.email, changed.description) == ("Alice B.", "alice@example.com", None)


def test_metadata_is_merged_key_by_key(v1: Any) -> None:
    made = v1.customers.create({"metadata": {"a": "1", "b": "2"}})
    assert v1.customers.update(made.id, {"metadata": {"b": "", "c": "3"}}).metadata.to_dict() == {"a": "1", "c": "3"}
    assert v1.customers.update(made.id, {"metadata": ""}).metadata.to_dict() == {}


def test_a_deleted_customer_leaves_a_stub_and_no_list_shows_it(v1: Any) -> None:
    made = v1.customers.create({"email": "alice@example.com", "payment_method": "pm_card_visa"})
    method = v1.customers.payment_methods.list(made.id).data[0]
    v1.customers.delete(made.id)
    assert v1.customers.retrieve(made.id).to_dict() == {"id": made.id, "object": "customer", "deleted": True}
    assert v1.customers.list({"email": "alice@example.com"}).data == []
    assert v1.payment_methods.retrieve(method.id).customer is None
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.customers.update(made.id, {"name": "again"})
    assert caught.value.http_status == 404


def test_the_default_payment_method_must_be_the_customers_own(v1: Any) -> None:
    alice, bob = v1.customers.create({}), v1.customers.create({})
    method = v1.payment_methods.attach("pm_card_visa", {"customer": bob.id})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.customers.update(alice.id, {"invoice_settings": {"default_payment_method": method.id}})
    assert caught.value.code == "resource_missing"
    assert v1.customers.retrieve(alice.id).invoice_settings.default_payment_method is None
    updated = v1.customers.update(bob.id, {"invoice_settings": {"default_payment_method": method.id}})
    assert updated.invoice_settings.default_payment_method == method.id


def test_detaching_the_default_payment_method_unsets_it(v1: Any) -> None:
    customer = v1.customers.create(
        {"payment_method": "pm_card_visa"},
    )
    method = v1.customers.payment_methods.list(customer.id).data[0].id
    v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method}})
    v1.payment_methods.detach(method)
    assert v1.customers.retrieve(customer.id).invoice_settings.default_payment_method is None
    with pytest.raises(stripe.InvalidRequestError):
        v1.payment_methods.attach(method, {"customer": customer.id})


def test_a_card_that_the_bank_refuses_is_not_attached(v1: Any) -> None:
    customer = v1.customers.create({})
    with pytest.raises(stripe.CardError) as caught:
        v1.payment_methods.attach("pm_card_chargeDeclined", {"customer": customer.id})
    assert caught.value.code == "card_declined"
    assert v1.customers.payment_methods.list(customer.id).data == []


def test_a_payment_method_belongs_to_one_customer(v1: Any) -> None:
    alice, bob = v1.customers.create({}), v1.customers.create({})
    method = v1.payment_methods.attach("pm_card_visa", {"customer": alice.id})
    with pytest.raises(stripe.InvalidRequestError):
        v1.payment_methods.attach(method.id, {"customer": bob.id})
