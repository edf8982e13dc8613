"""Events as Stripe sends them."""

from typing import Any


def an_event(**changes: Any) -> dict[str, Any]:
    """A small snapshot event as Stripe sends it."""
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-08-26.dahlia",
        "created": 1_767_225_600,
        "livemode": False,
        "type": "customer.updated",
        "data": {"object": {"id": "cus_1", "object": "customer", "email": "alice@example.com"}},
        **changes,
    }
