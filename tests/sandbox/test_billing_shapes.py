"""The billing objects have the fields that Stripe's own examples have."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox.running import RunningSandbox, new_key
from tests.sandbox.shop import GOOD, checkout, fill_in, subscribed

EXAMPLES = Path(__file__).parents[3] / "shared" / "stripe" / "fixtures3.json"
NO_LONGER = {"invoice": {"subscription"}}
"""Fields of the examples that the API left behind: an invoice's subscription stands in `parent`."""
CHOICES = {
    "flow", "parent", "payment_method_options", "pricing", "payment", "pending_update", "pause_collection",
    "billing_cycle_anchor_config", "custom_unit_amount", "transform_quantity",
}  # fmt: skip
"""Hashes of which the example shows all alternatives at once."""


@pytest.fixture(scope="module")
def examples() -> Any:
    if not EXAMPLES.exists():
        pytest.skip("Stripe's example objects are not beside the project, so shapes cannot be compared.")
    return json.loads(EXAMPLES.read_text())["resources"]


@pytest.fixture(scope="module")
def ours(running: RunningSandbox) -> dict[str, Any]:
    """One object of each kind, as it comes over the wire."""
    key = new_key()
    v1, http = running.client(key).v1, running.http(key)
    subscription = subscribed(v1)
    session = checkout(v1)
    fill_in(session.url, GOOD)
    draft = v1.invoices.create({"customer": subscription.customer, "currency": "jpy"})
    item = v1.invoice_items.create({"customer": subscription.customer, "amount": 1, "currency": "jpy"})
    portal = http.post("/v1/billing_portal/sessions", data={"customer": subscription.customer}).json()

    def get(path: str) -> Any:
        answer = http.get(f"/v1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    invoice = get(f"invoices/{subscription.latest_invoice}")
    whole = get(f"subscriptions/{subscription.id}")
    return {
        "billing_portal.configuration": get(f"billing_portal/configurations/{portal['configuration']}"),
        "billing_portal.session": portal,
        "checkout.session": get(f"checkout/sessions/{session.id}"),
        "deleted_invoice": http.delete(f"/v1/invoices/{draft.id}").json(),
        "deleted_invoiceitem": http.delete(f"/v1/invoiceitems/{item.id}").json(),
        "invoice": invoice,
        "invoice_payment": get("invoice_payments")["data"][0],
        "invoiceitem": _pending(http, subscription.customer),
        "item": get(f"checkout/sessions/{session.id}/line_items")["data"][0],
        "line_item": invoice["lines"]["data"][0],
        "plan": whole["items"]["data"][0]["plan"],
        "subscription": whole,
        "subscription_item": get(f"subscription_items/{whole['items']['data'][0]['id']}"),
    }


def _pending(http: httpx.Client, customer: str) -> Any:
    data = {"customer": customer, "amount": "1", "currency": "jpy"}
    return http.post("/v1/invoiceitems", data=data).json()


NEWER = {"cancellation_details": {"feedback_option"}}
"""What 2026-08-26 shows besides: Stripe's changelog. The examples are older."""
KINDS = (
    "billing_portal.configuration", "billing_portal.session", "checkout.session", "deleted_invoice",
    "deleted_invoiceitem", "invoice", "invoice_payment", "invoiceitem", "item", "line_item", "plan", "subscription",
    "subscription_item",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_has_the_fields_of_stripes_example(kind: str, ours: dict[str, Any], examples: dict[str, Any]) -> None:
    assert set(ours[kind]) == set(examples[kind]) - NO_LONGER.get(kind, set())


@pytest.mark.parametrize("kind", KINDS)
def test_hashes_inside_have_the_fields_of_stripes_example(
    kind: str, ours: dict[str, Any], examples: dict[str, Any]
) -> None:
    for name, example in examples[kind].items():
        held = ours[kind].get(name)
        if isinstance(example, dict) and isinstance(held, dict) and name not in CHOICES:
            assert set(held) == set(example) | NEWER.get(name, set()), name
