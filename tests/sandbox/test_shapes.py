"""Our objects have the fields that Stripe's own examples have."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import sandbox
from tests.sandbox.running import RunningSandbox, new_key
from tests.sandbox.test_payments import BACK

EXAMPLES = Path(__file__).parents[3] / "shared" / "stripe" / "fixtures3.json"
ONLY_WHEN_EXPANDED = {"charge": {"refunds"}}
NEWER = {
    "payment_intent": {"allowed_payment_method_types"},
    "setup_intent": {"allowed_payment_method_types"},
}
"""What 2026-08-26 shows besides: Stripe's changelog. The examples are older."""


@pytest.fixture(scope="module")
def examples() -> Any:
    if not EXAMPLES.exists():
        pytest.skip("Stripe's example objects are not beside the project, so shapes cannot be compared.")
    return json.loads(EXAMPLES.read_text())["resources"]


@pytest.fixture(scope="module")
def ours(running: RunningSandbox) -> dict[str, Any]:
    """One object of each kind that this part makes."""
    http = running.http(new_key())

    def post(path: str, **data: str) -> Any:
        answer = http.post(f"/v1/{path}", data=data)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(path: str) -> Any:
        return http.get(f"/v1/{path}").json()

    customer = post("customers")
    product = post("products", name="Business")
    method = post("payment_methods/pm_card_visa/attach", customer=customer["id"])
    intent = post(
        "payment_intents", amount="5000", currency="jpy", customer=customer["id"], payment_method=method["id"],
        confirm="true", return_url=BACK,
    )  # fmt: skip
    charge = get(f"charges/{intent['latest_charge']}")
    setup = post("setup_intents", payment_method=method["id"], customer=customer["id"], confirm="true")
    endpoint = post("webhook_endpoints", url="http://127.0.0.1:9/", **{"enabled_events[]": "charge.failed"})
    gone = post("customers")
    coupon = post("coupons", percent_off="10")
    return {
        "account": get("account"),
        "balance": get("balance"),
        "balance_transaction": get(f"balance_transactions/{charge['balance_transaction']}"),
        "charge": charge,
        "coupon": coupon,
        "customer": customer,
        "deleted_customer": http.delete(f"/v1/customers/{gone['id']}").json(),
        "deleted_webhook_endpoint": http.delete(f"/v1/webhook_endpoints/{endpoint['id']}").json(),
        "event": get("events")["data"][0],
        "payment_intent": intent,
        "payment_method": method,
        "price": post("prices", product=product["id"], currency="jpy", unit_amount="5000"),
        "product": product,
        "refund": post("refunds", charge=charge["id"]),
        "setup_attempt": get(f"setup_attempts?setup_intent={setup['id']}")["data"][0],
        "setup_intent": setup,
        "webhook_endpoint": {name: value for name, value in endpoint.items() if name != "secret"},
    }


KINDS = (
    "account", "balance", "balance_transaction", "charge", "coupon", "customer", "deleted_customer",
    "deleted_webhook_endpoint", "event", "payment_intent", "payment_method", "price", "product", "refund",
    "setup_attempt", "setup_intent", "webhook_endpoint",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_has_the_fields_of_stripes_example(kind: str, ours: dict[str, Any], examples: dict[str, Any]) -> None:
    shown = set(examples[kind]) - ONLY_WHEN_EXPANDED.get(kind, set())
    assert set(ours[kind]) == shown | NEWER.get(kind, set())


def test_every_event_type_we_tell_of_is_one_of_stripes(running: RunningSandbox) -> None:
    """Types stand in the code as words; each must be one that Stripe knows."""
    known_file = EXAMPLES.parent / "event_types.json"
    if not known_file.exists():
        pytest.skip("Stripe's list of event types is not beside the project, so types cannot be compared.")
    known = set(re.findall(r'"([a-z_.]+\.[a-z_.]+)"', known_file.read_text()))
    source = "\n".join(path.read_text() for path in Path(sandbox.__file__).parent.rglob("*.py"))
    told = set(re.findall(r'(?:event=|announce\(\s*ctx,\s*)"([a-z_.]+)"', source))
    assert told
    assert told <= known
