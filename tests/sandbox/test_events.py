"""Events: what is told, with which previous attributes."""

from typing import Any

import pytest

from sandbox.events import previous_attributes


def newest(v1: Any, type: str) -> Any:
    return v1.events.list({"type": type, "limit": 1}).data[0].to_dict()


def test_an_update_tells_what_was_before(v1: Any) -> None:
    made = v1.customers.create({"name": "Alice", "metadata": {"a": "1", "b": "2"}})
    v1.customers.update(made.id, {"name": "Alice B.", "metadata": {"b": "3", "c": "4"}})
    event = newest(v1, "customer.updated")
    assert event["data"]["previous_attributes"] == {"name": "Alice", "metadata": {"b": "2", "c": None}}
    assert event["data"]["object"]["name"] == "Alice B."


def test_an_update_that_changes_nothing_tells_nothing(v1: Any) -> None:
    made = v1.customers.create({"name": "Alice"})
    v1.customers.update(made.id, {"name": "Alice"})
    assert v1.events.list({"type": "customer.updated"}).data == []


def test_an_event_names_the_request_that_made_it(v1: Any) -> None:
    made = v1.customers.create({}, {"idempotency_key": "make-alice"})
    event = newest(v1, "customer.created")
    assert event["request"] == {"id": made.last_response.request_id, "idempotency_key": "make-alice"}
    assert event["api_version"] == "2026-08-26.dahlia"


def test_an_events_object_stays_as_it_was_then(v1: Any) -> None:
    made = v1.customers.create({"name": "Alice"})
    v1.customers.update(made.id, {"name": "Bob"})
    assert newest(v1, "customer.created")["data"]["object"]["name"] == "Alice"


def test_lists_of_events_are_filtered_by_type(v1: Any) -> None:
    customer = v1.customers.create({})
    v1.customers.update(customer.id, {"name": "Alice"})
    v1.products.create({"name": "Business"})

    def listed(**params: Any) -> list[str]:
        return [event.type for event in v1.events.list(params).data]

    assert listed(type="customer.created") == ["customer.created"]
    assert listed(type="customer.*") == ["customer.updated", "customer.created"]
    assert listed(types=["product.created", "customer.created"]) == ["product.created", "customer.created"]
    assert listed(delivery_success=False) == []


@pytest.mark.parametrize(
    ("old", "new", "previous"),
    [
        # nothing changed
        ({"a": 1}, {"a": 1}, {}),
        # a value
        ({"a": 1, "b": 2}, {"a": 3, "b": 2}, {"a": 1}),
        # a field that came, one that went
        ({}, {"a": 1}, {"a": None}),
        ({"a": 1}, {}, {"a": 1}),
        # inside a hash only what changed
        ({"h": {"x": 1, "y": 2}}, {"h": {"x": 1, "y": 3}}, {"h": {"y": 2}}),
        # a list whole
        ({"l": [1, 2]}, {"l": [1]}, {"l": [1, 2]}),
        # from nothing to a hash and back
        ({"h": None}, {"h": {"x": 1}}, {"h": None}),
        ({"h": {"x": 1}}, {"h": None}, {"h": {"x": 1}}),
    ],
)
def test_previous_attributes_are_the_difference(
    old: dict[str, Any], new: dict[str, Any], previous: dict[str, Any]
) -> None:
    assert previous_attributes(old, new) == previous
