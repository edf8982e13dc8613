"""Random walks: whatever a client does in whatever order, states move legally and the money adds up."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.running import new_key
from tests.sandbox.travel import Travel

CARDS = (
    "pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired", "pm_card_chargeCustomerFail",
    "pm_card_refundFail", "pm_card_pendingRefund", "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
)  # fmt: skip
AMOUNT = 5000
PAID = {"requires_capture", "succeeded"}
LEGAL = {
    "requires_payment_method": {"requires_payment_method", "requires_action", "canceled"} | PAID,
    "requires_action": {"requires_action", "requires_payment_method", "canceled"} | PAID,
    "requires_capture": {"requires_capture", "succeeded", "canceled"},
    "succeeded": {"succeeded"},
    "canceled": {"canceled"},
}
ACTS = st.one_of(
    st.tuples(st.just("confirm"), st.sampled_from(CARDS)),
    st.tuples(st.just("challenge"), st.sampled_from(["complete", "fail"])),
    st.tuples(st.just("capture"), st.integers(min_value=1, max_value=AMOUNT + 1)),
    st.tuples(st.just("refund"), st.integers(min_value=1, max_value=AMOUNT)),
    st.tuples(st.just("cancel"), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([1, 3600])),
)


def act(travel: Travel, intent: Any, name: str, value: Any) -> None:
    """One step; whether it is allowed is the sandbox's business."""
    path = f"/v1/payment_intents/{intent['id']}"
    if name == "confirm":
        travel.ask("POST", f"{path}/confirm", payment_method=value, return_url="http://shop.example/")
    elif name == "challenge":
        where = f"/challenge/{intent['id']}?client_secret={intent['client_secret']}"
        travel.visit("POST", where, answer=value)
    elif name == "capture":
        travel.ask("POST", f"{path}/capture", amount_to_capture=str(value))
    elif name == "refund":
        travel.ask("POST", "/v1/refunds", payment_intent=intent["id"], amount=str(value))
    elif name == "cancel":
        travel.ask("POST", f"{path}/cancel")
    else:
        travel.advance(value)


def check_money(travel: Travel, intent: Any) -> None:
    """Balance, ledger, charges, refunds and the intent tell the same sum."""
    refunds = travel.get("/v1/refunds", payment_intent=intent["id"], limit="100")["data"]
    given_back = sum(refund["amount"] for refund in refunds if refund["status"] != "failed")
    charges = travel.get("/v1/charges", payment_intent=intent["id"], limit="100")["data"]
    assert sum(charge["amount_captured"] for charge in charges) == intent["amount_received"]
    assert sum(charge["status"] == "succeeded" for charge in charges) <= 1
    assert 0 <= given_back <= intent["amount_received"]
    assert travel.get("/v1/balance")["available"][0]["amount"] == intent["amount_received"] - given_back
    lines = travel.get("/v1/balance_transactions", limit="100")["data"]
    assert sum(line["net"] for line in lines) == intent["amount_received"] - given_back


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(ACTS, max_size=10), capture_method=st.sampled_from(["automatic", "manual"]))
def test_an_intent_moves_legally_and_its_money_adds_up(
    travel: Travel, steps: list[tuple[str, Any]], capture_method: str
) -> None:
    travel.key = new_key()
    intent = travel.post("/v1/payment_intents", amount=str(AMOUNT), currency="jpy", capture_method=capture_method)
    for name, value in steps:
        act(travel, intent, name, value)
        after = travel.get(f"/v1/payment_intents/{intent['id']}")
        assert after["status"] in LEGAL[intent["status"]]
        intent = after
        check_money(travel, intent)
    times = [event["created"] for event in travel.get("/v1/events", limit="100")["data"]]
    assert times == sorted(times, reverse=True)
