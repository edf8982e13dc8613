"""Disputes that take enhanced evidence, and payments that are disputed twice."""

from typing import Any

import pytest

from tests.sandbox.test_disputes import AMOUNT, FEE, balance, disputed, pay
from tests.sandbox.travel import Travel

CE3 = "evidence[enhanced_evidence][visa_compelling_evidence_3]"
SAME = {"customer_purchase_ip": "203.0.113.7", "customer_account_id": "alice"}


def told(travel: Travel, *, prior: int = 2, same: dict[str, str] = SAME) -> dict[str, str]:
    """Everything that qualifies a dispute, as form fields."""
    fields = {f"{CE3}[disputed_transaction][{name}]": value for name, value in same.items()}
    fields[f"{CE3}[disputed_transaction][product_description]"] = "A year of Pro"
    fields[f"{CE3}[disputed_transaction][merchandise_or_services]"] = "services"
    for number in range(prior):
        one = f"{CE3}[prior_undisputed_transactions][{number}]"
        fields |= {f"{one}[{name}]": value for name, value in same.items()}
        fields[f"{one}[charge]"] = pay(travel, "pm_card_visa")["id"]
        fields[f"{one}[product_description]"] = "A month of Pro"
    return fields


def state(dispute: Any) -> tuple[str, list[str]]:
    shown = dispute["evidence_details"]["enhanced_eligibility"]["visa_compelling_evidence_3"]
    return shown["status"], shown["required_actions"]


def test_it_says_what_is_missing_until_it_is_qualified(travel: Travel) -> None:
    dispute = disputed(travel, "pm_card_createCe3EligibleDispute")
    assert dispute["enhanced_eligibility_types"] == ["visa_compelling_evidence_3"]
    assert state(dispute)[0] == "requires_action"
    assert "missing_prior_undisputed_transactions" in state(dispute)[1]
    path = f"/v1/disputes/{dispute['id']}"
    assert state(travel.post(path, submit="false", **told(travel, prior=1))) == (
        "requires_action", ["missing_prior_undisputed_transactions"],
    )  # fmt: skip
    staged = travel.post(path, submit="false", **told(travel))
    assert (state(staged), staged["evidence_details"]["has_evidence"]) == (("qualified", []), True)
    assert travel.post(path, submit="true")["status"] == "under_review"


@pytest.mark.parametrize(
    ("same", "missing"),
    [
        ({"customer_purchase_ip": "203.0.113.7", "customer_device_id": "d-1"}, False),  # two main ones
        ({"customer_device_id": "d-1", "customer_email_address": "alice@example.com"}, False),  # one of each
        ({"customer_device_id": "d-1", "customer_device_fingerprint": "f-1"}, True),  # both tell of the device alone
        ({"customer_account_id": "alice", "customer_email_address": "alice@example.com"}, True),  # no main one
        ({"customer_purchase_ip": "203.0.113.7"}, True),  # only one
    ],
)
def test_two_elements_tie_the_transactions_together(travel: Travel, same: dict[str, str], missing: bool) -> None:
    dispute = disputed(travel, "pm_card_createCe3EligibleDispute")
    staged = travel.post(f"/v1/disputes/{dispute['id']}", submit="false", **told(travel, same=same))
    assert ("missing_customer_identifiers" in state(staged)[1]) is missing


def test_a_dispute_of_another_kind_takes_none(travel: Travel) -> None:
    status, said = travel.ask("POST", f"/v1/disputes/{disputed(travel)['id']}", **told(travel))
    assert (status, said["error"]["param"]) == (400, CE3)


def test_a_prior_transaction_must_exist(travel: Travel) -> None:
    dispute = disputed(travel, "pm_card_createCe3EligibleDispute")
    wrong = {f"{CE3}[prior_undisputed_transactions][0][charge]": "ch_none"}
    status, said = travel.ask("POST", f"/v1/disputes/{dispute['id']}", **wrong)
    assert (status, said["error"]["code"]) == (400, "resource_missing")


def test_a_compliance_dispute_wants_its_fee_acknowledged_first(travel: Travel) -> None:
    dispute = disputed(travel, "pm_card_createComplianceDispute")
    path, words = f"/v1/disputes/{dispute['id']}", {"evidence[uncategorized_text]": "winning_evidence"}
    assert dispute["reason"] == "noncompliant"
    status, said = travel.ask("POST", path, **words)
    fee = "evidence[enhanced_evidence][visa_compliance][fee_acknowledged]"
    assert (status, said["error"]["param"]) == (400, fee)
    assert travel.get(path)["evidence_details"]["submission_count"] == 0
    assert travel.post(path, **words, **{fee: "true"})["status"] == "won"


def test_one_payment_is_disputed_twice(travel: Travel) -> None:
    charge = pay(travel, "pm_card_createMultipleDisputes")
    disputes = travel.get("/v1/disputes", charge=charge["id"])["data"]
    assert [dispute["amount"] for dispute in disputes] == [2500, 2500]
    assert balance(travel) == -2 * FEE
    travel.post(f"/v1/disputes/{disputes[0]['id']}", **{"evidence[uncategorized_text]": "winning_evidence"})
    assert balance(travel) == AMOUNT // 2 - FEE
    status, said = travel.ask("POST", "/v1/refunds", charge=charge["id"])
    assert (status, said["error"]["code"]) == (400, "charge_disputed")
