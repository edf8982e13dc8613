"""Direct debits: the bank answers later, and what is sold by then."""

from typing import Any

import pytest

from sandbox.testbanks import BY_NAME, is_iban
from tests.sandbox.travel import Travel

PAYS, PAYS_LATE, FAILS, DISPUTES = (
    "DE89370400440532013000", "DE08370400440532013003", "DE62370400440532013001", "DE35370400440532013002",
)  # fmt: skip


def account(iban: str) -> dict[str, str]:
    return {
        "type": "sepa_debit", "sepa_debit[iban]": iban, "billing_details[name]": "Alice",
        "billing_details[email]": "alice@example.com",
    }  # fmt: skip


def debit(travel: Travel, iban: str, **more: str) -> Any:
    """An intent that a bank is asked about."""
    method = travel.post("/v1/payment_methods", **account(iban))
    return travel.post(
        "/v1/payment_intents", amount="5000", currency="eur", payment_method=method["id"], confirm="true",
        **{"payment_method_types[]": "sepa_debit"}, **more,
    )  # fmt: skip


def now(travel: Travel, intent: Any) -> Any:
    return travel.get(f"/v1/payment_intents/{intent['id']}")


def types(travel: Travel) -> list[str]:
    return [event["type"] for event in travel.get("/v1/events", limit="100")["data"]][::-1]


def test_the_test_accounts_can_exist() -> None:
    european = [bank.account for name, bank in BY_NAME.items() if name.startswith("pm_sepaDebit_")]
    assert len(european) == len(set(european)) == 8 * 11
    assert all(is_iban(account) for account in european)


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("pm_sepaDebit_success_nl", None),
        ("pm_sepaDebit_failed_at", "generic_could_not_process"),
        ("pm_sepaDebit_insufficientFunds_de", "insufficient_funds"),
        ("pm_sepaDebit_exceedsWeeklyVolumeLimit_be", "charge_exceeds_source_limit"),
        ("pm_sepaDebit_exceedsWeeklyTransactionLimit_fr", "charge_exceeds_weekly_limit"),
    ],
)
def test_a_named_account_does_what_its_name_says(travel: Travel, name: str, failure: str | None) -> None:
    given = {"amount": "5000", "currency": "eur", "payment_method": name, "confirm": "true"}
    intent = travel.post("/v1/payment_intents", **given, **{"payment_method_types[]": "sepa_debit"})
    travel.advance(3)
    charge = travel.get(f"/v1/charges/{intent['latest_charge']}")
    assert (charge["status"], charge["failure_code"]) == ("failed" if failure else "succeeded", failure)


@pytest.mark.parametrize(
    ("iban", "code"),
    [
        ("DE91370400440000055555", "sepa_debit_bank_not_supported"),
        ("FR5020041010050000000066666", "sepa_debit_debits_not_supported"),
    ],
)
def test_an_account_that_cannot_be_debited_is_no_payment_method(travel: Travel, iban: str, code: str) -> None:
    status, said = travel.ask("POST", "/v1/payment_methods", **account(iban))
    assert (status, said["error"]["code"]) == (400, code)


def test_a_setup_keeps_the_mandate_that_later_debits_use(travel: Travel) -> None:
    alice = travel.post("/v1/customers", name="Alice")["id"]
    setup = travel.post(
        "/v1/setup_intents", customer=alice, payment_method="pm_sepaDebit_success_de", confirm="true",
        **{"payment_method_types[]": "sepa_debit"},
    )  # fmt: skip
    assert travel.get(f"/v1/mandates/{setup['mandate']}")["type"] == "multi_use"
    attempt = travel.get("/v1/setup_attempts", setup_intent=setup["id"])["data"][0]
    assert attempt["payment_method_details"]["type"] == "sepa_debit"
    given = {"amount": "5000", "currency": "eur", "customer": alice, "payment_method": setup["payment_method"]}
    intent = travel.post(
        "/v1/payment_intents", **given, confirm="true", off_session="true", **{"payment_method_types[]": "sepa_debit"}
    )
    details = travel.get(f"/v1/charges/{intent['latest_charge']}")["payment_method_details"]
    assert details["sepa_debit"]["mandate"] == setup["mandate"]


@pytest.mark.parametrize(
    ("iban", "after", "status"),
    [
        (PAYS, 3, "succeeded"),
        (PAYS_LATE, 3, "processing"),  # three minutes
        (PAYS_LATE, 180, "succeeded"),
        (FAILS, 3, "requires_payment_method"),
        (DISPUTES, 3, "succeeded"),  # at first
    ],
)
def test_a_bank_answers_in_its_time(travel: Travel, iban: str, after: int, status: str) -> None:
    intent = debit(travel, iban)
    assert intent["status"] == "processing"
    charge = travel.get(f"/v1/charges/{intent['latest_charge']}")
    assert (charge["status"], charge["paid"], charge["captured"]) == ("pending", False, False)
    assert travel.get("/v1/balance")["available"][0]["amount"] == 0
    travel.advance(after)
    assert now(travel, intent)["status"] == status


def test_a_debit_tells_of_its_mandate(travel: Travel) -> None:
    intent = debit(travel, PAYS)
    details = travel.get(f"/v1/charges/{intent['latest_charge']}")["payment_method_details"]["sepa_debit"]
    assert (details["country"], details["last4"]) == ("DE", "3000")
    mandate = travel.get(f"/v1/mandates/{details['mandate']}")
    assert (mandate["type"], mandate["status"]) == ("single_use", "active")


def test_a_debit_that_fails_tells_why(travel: Travel) -> None:
    intent = debit(travel, FAILS)
    travel.advance(3)
    charge = travel.get(f"/v1/charges/{intent['latest_charge']}")
    assert (charge["status"], charge["failure_code"]) == ("failed", "generic_could_not_process")
    assert now(travel, intent)["last_payment_error"]["charge"] == charge["id"]
    assert types(travel)[-3:] == ["payment_intent.processing", "charge.failed", "payment_intent.payment_failed"]


def test_a_debit_is_disputed(travel: Travel) -> None:
    intent = debit(travel, DISPUTES)
    travel.advance(3)
    dispute = travel.get("/v1/disputes", payment_intent=intent["id"])["data"][0]
    assert (dispute["reason"], dispute["status"]) == ("debit_not_authorized", "needs_response")


def test_a_debit_is_refunded_in_days(travel: Travel) -> None:
    intent = debit(travel, PAYS)
    travel.advance(3)
    refund = travel.post("/v1/refunds", payment_intent=intent["id"])
    assert (refund["status"], refund["id"][:4]) == ("pending", "pyr_")
    travel.advance(10)
    assert travel.get(f"/v1/refunds/{refund['id']}")["status"] == "succeeded"


def test_a_debit_called_off_is_never_made(travel: Travel) -> None:
    intent = debit(travel, PAYS)
    assert travel.post(f"/v1/payment_intents/{intent['id']}/cancel")["status"] == "canceled"
    travel.advance(60)
    assert travel.get("/v1/balance")["available"][0]["amount"] == 0
    assert travel.get(f"/v1/charges/{intent['latest_charge']}")["status"] == "failed"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("success", None),
        ("insufficientFunds", "insufficient_funds"),
        ("accountClosed", "account_closed"),
    ],
)
def test_american_accounts_are_debited(travel: Travel, name: str, code: str | None) -> None:
    intent = travel.post(
        "/v1/payment_intents", amount="5000", currency="usd", payment_method=f"pm_usBankAccount_{name}", confirm="true",
        **{"payment_method_types[]": "us_bank_account"},
    )  # fmt: skip
    assert intent["status"] == "processing"
    travel.advance(3)
    assert (now(travel, intent)["last_payment_error"] or {}).get("code") == code


@pytest.mark.parametrize("iban", ["DE00370400440532013000", "not an IBAN", "DE89"])
def test_an_iban_that_cannot_be_is_refused(travel: Travel, iban: str) -> None:
    code, said = travel.ask("POST", "/v1/payment_methods", **account(iban))
    assert (code, said["error"]["code"]) == (400, "invalid_bank_account_iban")


def test_a_bank_answers_on_demand(travel: Travel) -> None:
    intent = debit(travel, PAYS_LATE)
    assert travel.visit("POST", f"/_sandbox/debits/{intent['id']}", outcome="insufficient_funds") == 200
    assert now(travel, intent)["last_payment_error"]["code"] == "insufficient_funds"
    travel.advance(180)
    assert now(travel, intent)["status"] == "requires_payment_method"


def subscriber(travel: Travel, iban: str) -> dict[str, str]:
    """A customer whose account is debited for what they subscribe to, and the price."""
    customer = travel.post("/v1/customers", email="alice@example.com", name="Alice")["id"]
    method = travel.post("/v1/payment_methods", **account(iban))["id"]
    travel.post(f"/v1/payment_methods/{method}/attach", customer=customer)
    travel.post(f"/v1/customers/{customer}", **{"invoice_settings[default_payment_method]": method})
    product = travel.post("/v1/products", name="Pro")["id"]
    price = travel.post(
        "/v1/prices", product=product, currency="eur", unit_amount="5000", **{"recurring[interval]": "month"}
    )
    return {"customer": customer, "items[0][price]": price["id"]}


@pytest.mark.parametrize(
    ("iban", "status", "invoice"),
    [
        (PAYS, "active", "paid"),
        (FAILS, "past_due", "open"),
    ],
)
def test_a_subscription_is_active_while_its_bank_is_asked(travel: Travel, iban: str, status: str, invoice: str) -> None:
    made = travel.post("/v1/subscriptions", **subscriber(travel, iban))
    assert made["status"] == "active"
    assert travel.get(f"/v1/invoices/{made['latest_invoice']}")["status"] == "open"
    travel.advance(3)
    assert travel.get(f"/v1/subscriptions/{made['id']}")["status"] == status
    assert travel.get(f"/v1/invoices/{made['latest_invoice']}")["status"] == invoice


def test_a_renewal_is_debited_from_the_same_account(travel: Travel) -> None:
    made = travel.post("/v1/subscriptions", **subscriber(travel, PAYS))
    travel.advance(3)
    travel.advance(31 * 24 * 3600 + 7200)
    travel.advance(3)
    paid = travel.get("/v1/invoices", subscription=made["id"], status="paid")["data"]
    assert len(paid) == 2
    mandates = {
        charge["payment_method_details"]["sepa_debit"]["mandate"] for charge in travel.get("/v1/charges")["data"]
    }
    assert len(mandates) == 1


def test_a_session_is_complete_before_the_bank_answers(travel: Travel) -> None:
    price = subscriber(travel, PAYS)["items[0][price]"]
    session = travel.post(
        "/v1/checkout/sessions", mode="subscription", success_url="http://shop.example/",
        **{"line_items[0][price]": price, "line_items[0][quantity]": "1", "payment_method_types[]": "sepa_debit"},
    )  # fmt: skip
    form = {"method": "sepa_debit", "name": "Alice", "email": "alice@example.com", "iban": FAILS}
    assert travel.visit("POST", f"/c/pay/{session['id']}", **form) == 303
    done = travel.get(f"/v1/checkout/sessions/{session['id']}")
    assert (done["status"], done["payment_status"]) == ("complete", "unpaid")
    assert travel.get(f"/v1/subscriptions/{done['subscription']}")["status"] == "active"
    travel.advance(3)
    assert travel.get(f"/v1/subscriptions/{done['subscription']}")["status"] == "past_due"
    assert "checkout.session.async_payment_failed" in types(travel)


def test_an_account_is_set_up_for_later(travel: Travel) -> None:
    customer = travel.post("/v1/customers")["id"]
    method = travel.post("/v1/payment_methods", **account(PAYS))["id"]
    setup = travel.post(
        "/v1/setup_intents", customer=customer, payment_method=method, confirm="true",
        **{"payment_method_types[]": "sepa_debit"},
    )  # fmt: skip
    assert setup["status"] == "succeeded"
    assert travel.get(f"/v1/payment_methods/{method}")["customer"] == customer
