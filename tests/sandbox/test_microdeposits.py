"""Small deposits prove an American account before it is debited."""

from typing import Any

import pytest

from tests.sandbox.travel import Travel

DAY = 24 * 3600


def waiting(travel: Travel, **more: str) -> Any:
    given = {
        "amount": "5000", "currency": "usd", "confirm": "true", "payment_method_types[]": "us_bank_account",
        "payment_method": "pm_usBankAccount_success",
        "payment_method_options[us_bank_account][verification_method]": "microdeposits",
    }  # fmt: skip
    return travel.post("/v1/payment_intents", **given | more)


def told(travel: Travel, intent: Any, **given: str) -> tuple[int, Any]:
    return travel.ask("POST", f"/v1/payment_intents/{intent['id']}/verify_microdeposits", **given)


def now(travel: Travel, intent: Any) -> Any:
    return travel.get(f"/v1/payment_intents/{intent['id']}")


@pytest.mark.parametrize("given", [{"descriptor_code": "SM11AA"}, {"amounts[0]": "45", "amounts[1]": "32"}])
def test_a_proved_account_is_debited_and_needs_no_proof_again(travel: Travel, given: dict[str, str]) -> None:
    customer = travel.post("/v1/customers")["id"]
    intent = waiting(travel, customer=customer, setup_future_usage="off_session")
    action = intent["next_action"]["verify_with_microdeposits"]
    assert (intent["status"], action["microdeposit_type"]) == ("requires_action", "descriptor_code")
    assert DAY // 24 < action["arrival_date"] - travel.now <= 3 * DAY
    assert told(travel, intent, **given)[1]["status"] == "processing"
    travel.advance(5)
    paid = now(travel, intent)
    assert paid["status"] == "succeeded"
    again = waiting(travel, customer=customer, payment_method=paid["payment_method"])
    assert again["status"] == "processing"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"descriptor_code": "SM33CC"}, "attempts_exceeded"),
        ({"descriptor_code": "SM44DD"}, "timeout"),
        ({"amounts[0]": "10", "amounts[1]": "11"}, "attempts_exceeded"),
        ({"amounts[0]": "40", "amounts[1]": "41"}, "timeout"),
    ],
)
def test_a_proof_that_fails_for_good_wants_another_account(travel: Travel, given: dict[str, str], code: str) -> None:
    intent = waiting(travel)
    status, said = told(travel, intent, **given)
    whole = f"payment_method_microdeposit_verification_{code}"
    assert (status, said["error"]["code"]) == (400, whole)
    failed = now(travel, intent)
    assert (failed["status"], failed["last_payment_error"]["code"]) == ("requires_payment_method", whole)
    assert told(travel, intent, descriptor_code="SM11AA")[1]["error"]["code"] == "payment_intent_unexpected_state"


@pytest.mark.parametrize(
    ("given", "most", "code"),
    [({"descriptor_code": "SM99ZZ"}, 10, "descriptor_code"), ({"amounts[0]": "1", "amounts[1]": "2"}, 3, "amounts")],
)
def test_attempts_are_counted(travel: Travel, given: dict[str, str], most: int, code: str) -> None:
    intent = waiting(travel)
    codes = [told(travel, intent, **given)[1]["error"]["code"] for _ in range(most)]
    head = "payment_method_microdeposit_verification_"
    assert codes == [f"{head}{code}_mismatch"] * (most - 1) + [f"{head}attempts_exceeded"]
    assert now(travel, intent)["status"] == "requires_payment_method"


def test_after_ten_days_it_is_too_late(travel: Travel) -> None:
    intent = waiting(travel)
    travel.advance(10 * DAY - 1)
    assert now(travel, intent)["status"] == "requires_action"
    travel.advance(1)
    assert now(travel, intent)["last_payment_error"]["code"] == "payment_method_microdeposit_verification_timeout"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "parameter_missing"),
        ({"descriptor_code": "SM11AA", "amounts[0]": "32", "amounts[1]": "45"}, None),
        ({"amounts[0]": "32"}, "payment_method_microdeposit_verification_amounts_invalid"),
        ({"amounts[0]": "0", "amounts[1]": "45"}, "payment_method_microdeposit_verification_amounts_invalid"),
    ],
)
def test_what_is_no_proof_is_no_attempt(travel: Travel, given: dict[str, str], code: str) -> None:
    intent = waiting(travel)
    status, said = told(travel, intent, **given)
    assert (status, said["error"].get("code")) == (400, code)
    assert told(travel, intent, descriptor_code="SM11AA")[1]["status"] == "processing"


def test_the_page_takes_the_code(travel: Travel) -> None:
    intent = waiting(travel)
    address = intent["next_action"]["verify_with_microdeposits"]["hosted_verification_url"]
    path = address.removeprefix("http://sandbox.example")
    assert travel.visit("GET", path) == 200
    assert travel.visit("GET", path.partition("?")[0]) == 404
    travel.visit("POST", path, code="SM00XX")
    assert now(travel, intent)["status"] == "requires_action"
    travel.visit("POST", path, code=" SM11AA ")
    assert now(travel, intent)["status"] == "processing"


def test_a_canceled_payment_waits_no_more(travel: Travel) -> None:
    intent = waiting(travel)
    travel.post(f"/v1/payment_intents/{intent['id']}/cancel")
    travel.advance(11 * DAY)
    assert now(travel, intent)["last_payment_error"] is None
