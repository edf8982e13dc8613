"""Discounts, taxes, credit and schedules have the fields that Stripe's own examples have."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.running import RunningSandbox, new_key
from tests.sandbox.shop import plan, subscribed

EXAMPLES = Path(__file__).parents[3] / "shared" / "stripe" / "fixtures3.json"
NOT_SHOWN = {"credit_note_line_item": {"invoice_line_item"}}
"""Fields that only one of two forms has: a line of one's own words has no invoice line."""


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
    coupon = v1.coupons.create({"percent_off": 10, "duration": "forever"})
    code = v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}})
    rate = v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    sold = subscribed(v1, plan(v1), discounts=[{"promotion_code": code.id}], default_tax_rates=[rate.id])
    note = v1.credit_notes.create({"invoice": sold.latest_invoice, "amount": 100, "credit_amount": 100})
    fixed: Any = {"amount": 500, "currency": "usd"}
    shipping = v1.shipping_rates.create({"display_name": "Post", "fixed_amount": fixed})
    owner = v1.customers.create({"source": "tok_visa"})
    schedule = v1.subscription_schedules.create({"from_subscription": sold.id})

    def get(path: str) -> Any:
        answer = http.get(f"/v1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    return {
        "card": get(f"customers/{owner.id}/sources/{owner.default_source}"),
        "coupon": get(f"coupons/{coupon.id}"),
        "credit_note": get(f"credit_notes/{note.id}"),
        "credit_note_line_item": get(f"credit_notes/{note.id}/lines")["data"][0],
        "customer_balance_transaction": get(f"customers/{sold.customer}/balance_transactions")["data"][0],
        "discount": get(f"subscriptions/{sold.id}?expand[]=discounts")["discounts"][0],
        "promotion_code": get(f"promotion_codes/{code.id}"),
        "shipping_rate": get(f"shipping_rates/{shipping.id}"),
        "subscription_schedule": get(f"subscription_schedules/{schedule.id}"),
        "tax_rate": get(f"tax_rates/{rate.id}"),
        "deleted_discount": http.delete(f"/v1/subscriptions/{sold.id}/discount").json(),
    }


KINDS = (
    "card", "coupon", "credit_note", "credit_note_line_item", "customer_balance_transaction", "deleted_discount",
    "discount", "promotion_code", "shipping_rate", "subscription_schedule", "tax_rate",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_has_the_fields_of_stripes_example(kind: str, ours: dict[str, Any], examples: dict[str, Any]) -> None:
    assert set(ours[kind]) == set(examples[kind]) - NOT_SHOWN.get(kind, set())


def test_a_phase_has_the_fields_of_stripes_example(ours: dict[str, Any], examples: dict[str, Any]) -> None:
    [phase], [example] = ours["subscription_schedule"]["phases"], examples["subscription_schedule"]["phases"]
    assert set(phase) == set(example)
    assert set(phase["items"][0]) == set(example["items"][0])
