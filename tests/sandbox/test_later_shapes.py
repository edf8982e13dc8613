"""Disputes, warnings, reviews and cash have the fields that Stripe's own examples have."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.test_debits import PAYS, debit
from tests.sandbox.test_disputes import disputed, pay
from tests.sandbox.test_transfers import awaiting, customer, send
from tests.sandbox.travel import Travel

EXAMPLES = Path(__file__).parents[3] / "shared" / "stripe" / "fixtures3.json"
WHEN_THERE_IS_ONE = {"payment_intent"}
"""The examples of warnings and reviews are of charges without an intent."""


def dispute(travel: Travel) -> Any:
    return disputed(travel)


def warning(travel: Travel) -> Any:
    pay(travel, "pm_card_createIssuerFraudRecord")
    return travel.get("/v1/radar/early_fraud_warnings")["data"][0]


def review(travel: Travel) -> Any:
    pay(travel, "pm_card_riskLevelElevated")
    return travel.get("/v1/reviews")["data"][0]


def funded(travel: Travel) -> str:
    alice = customer(travel)
    send(travel, alice, 5000, "eur")
    return alice


def cash_balance(travel: Travel) -> Any:
    return travel.get(f"/v1/customers/{funded(travel)}/cash_balance")


def cash_transaction(travel: Travel) -> Any:
    return travel.get(f"/v1/customers/{funded(travel)}/cash_balance_transactions")["data"][0]


def instructions(travel: Travel) -> Any:
    form = {"currency": "jpy", "funding_type": "bank_transfer", "bank_transfer[type]": "jp_bank_transfer"}
    return travel.post(f"/v1/customers/{customer(travel)}/funding_instructions", **form)


def mandate(travel: Travel) -> Any:
    charge = travel.get(f"/v1/charges/{debit(travel, PAYS)['latest_charge']}")
    return travel.get(f"/v1/mandates/{charge['payment_method_details']['sepa_debit']['mandate']}")


def charge(travel: Travel) -> Any:
    alice = customer(travel)
    awaiting(travel, alice)
    send(travel, alice, 5000)
    return travel.get("/v1/charges")["data"][0]


MADE = {
    "dispute": dispute, "radar.early_fraud_warning": warning, "review": review, "cash_balance": cash_balance,
    "customer_cash_balance_transaction": cash_transaction, "funding_instructions": instructions, "mandate": mandate,
    "charge": charge,
}  # fmt: skip


@pytest.mark.parametrize("kind", MADE)
def test_an_object_has_the_fields_of_stripes_example(travel: Travel, kind: str) -> None:
    if not EXAMPLES.exists():
        pytest.skip("Stripe's example objects are not beside the project, so shapes cannot be compared.")
    example = json.loads(EXAMPLES.read_text())["resources"][kind]
    unlike = {"mandate": {"multi_use", "single_use"}, "charge": {"refunds"}}.get(kind, set())
    ours = MADE[kind](travel)
    assert ours["object"] == kind
    assert set(ours) - WHEN_THERE_IS_ONE - unlike == set(example) - WHEN_THERE_IS_ONE - unlike
