"""The recipes of Stripe's own command line (`stripe trigger …`) make the events that they promise: of all recipes those
whose resources are there, but for the meters' error reports (test_meter_streams.py).

They were written against Stripe and know nothing of the sandbox.
"""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.sandbox.running import RunningSandbox, new_key, until

RECIPES = Path(__file__).parents[3] / "shared" / "stripe" / "stripe-cli-triggers" / "triggers"
PROMISED = (
    "billing_portal.configuration.created", "billing_portal.configuration.updated",
    "billing_portal.session.created", "cash_balance.funds_available", "charge.captured",
    "charge.dispute.closed", "charge.dispute.created", "charge.dispute.updated", "charge.failed",
    "charge.refund.updated", "charge.refunded", "charge.succeeded", "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded", "checkout.session.completed", "checkout.session.expired",
    "coupon.created", "coupon.deleted", "coupon.updated", "credit_note.created", "credit_note.updated",
    "credit_note.voided", "customer.created", "customer.deleted", "customer.discount.created",
    "customer.discount.deleted", "customer.subscription.created", "customer.subscription.deleted",
    "customer.subscription.paused", "customer.subscription.trial_will_end", "customer.subscription.updated",
    "customer.updated", "invoice.created", "invoice.deleted", "invoice.finalized",
    "invoice.marked_uncollectible", "invoice.paid", "invoice.payment_action_required", "invoice.payment_failed",
    "invoice.sent", "invoice.updated", "invoice.voided", "invoiceitem.created", "invoiceitem.deleted",
    "payment_intent.amount_capturable_updated", "payment_intent.canceled", "payment_intent.created",
    "payment_intent.partially_funded", "payment_intent.payment_failed", "payment_intent.processing",
    "payment_intent.requires_action", "payment_intent.succeeded", "payment_method.attached",
    "payment_method.detached", "payment_method.updated", "price.created", "price.updated", "product.created",
    "product.deleted", "product.updated", "setup_intent.canceled", "setup_intent.created",
    "setup_intent.requires_action", "setup_intent.setup_failed", "setup_intent.succeeded", "tax_rate.created",
    "tax_rate.updated", "test_helpers.test_clock.advancing", "test_helpers.test_clock.created",
    "test_helpers.test_clock.deleted", "test_helpers.test_clock.ready",
)  # fmt: skip


def flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested parameters as form fields."""
    if isinstance(value, dict):
        return [field for key, inner in value.items() for field in flat(inner, _inside(name, key))]
    if isinstance(value, list):
        return [field for number, inner in enumerate(value) for field in flat(inner, f"{name}[{number}]")]
    return [(name, str(value).lower() if isinstance(value, bool) else str(value))]


def _inside(name: str, key: str) -> str:
    head, bracket, rest = key.partition("[")
    return f"{name}[{head}]{bracket}{rest}" if name else key


def filled(value: Any, made: dict[str, Any]) -> Any:
    """`${customer:id}` becomes what an earlier step answered; `${env:x|y}` its default."""
    if isinstance(value, dict):
        return {key: filled(inner, made) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, made) for inner in value]
    return (
        re.sub(r"\$\{([^}]*)\}", lambda found: _looked_up(found[1], made), value) if isinstance(value, str) else value
    )


def _looked_up(reference: str, made: dict[str, Any]) -> str:
    step, _, path = reference.partition(":")
    path, _, default = path.partition("|")
    value = made.get(step)
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else (value or {}).get(part)
    return str(default if value is None else value)


def cook(http: httpx.Client, recipe: dict[str, Any]) -> None:
    """Make each call; an error that the recipe expects is none."""
    made: dict[str, Any] = {}
    for step in recipe["fixtures"]:
        path, params = filled(step["path"], made), filled(step.get("params", {}), made)
        plain = {"Content-Type": "application/x-www-form-urlencoded"}
        headers = plain | filled(step.get("headers", {}), made)
        body = json.dumps(params) if "json" in headers["Content-Type"] else urlencode(flat(params))
        answer = http.request(step["method"].upper(), path, content=body, headers=headers)
        said = answer.json()
        expected = step.get("expected_error_type")
        assert answer.is_success or said["error"]["type"] == expected, (step["name"], said)
        made[step["name"]] = said


@pytest.mark.parametrize("type", PROMISED)
def test_the_recipe_makes_its_event(type: str, running: RunningSandbox) -> None:
    recipe = RECIPES / f"{type}.json"
    if not RECIPES.exists():
        pytest.skip("The recipes of Stripe's command line are not beside the project, so they cannot be tried.")
    http = running.http(new_key())
    cook(http, json.loads(recipe.read_text()))
    until(lambda: http.get("/v1/events", params={"type": type}).json()["data"])
