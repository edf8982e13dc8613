"""Disputes, early fraud warnings, reviews: what cardholders, banks and networks do after a payment."""

from typing import Any

import pytest

from tests.sandbox.travel import Travel

DAY = 24 * 3600
AMOUNT, FEE = 5000, 1300
"""In yen."""


def pay(travel: Travel, card: str, **more: str) -> Any:
    """The charge of a payment with a test card."""
    intent = travel.post(
        "/v1/payment_intents", amount=str(AMOUNT), currency="jpy", payment_method=card, confirm="true",
        **{"payment_method_types[]": "card"}, **more,
    )  # fmt: skip
    return travel.get(f"/v1/charges/{intent['latest_charge']}")


def disputed(travel: Travel, card: str = "pm_card_createDispute") -> Any:
    """The dispute that such a card opens as soon as it paid."""
    charge = pay(travel, card)
    return travel.get("/v1/disputes", charge=charge["id"])["data"][0]


def events(travel: Travel) -> list[str]:
    return [event["type"] for event in travel.get("/v1/events", limit="100")["data"]][::-1]


def balance(travel: Travel) -> int:
    return int(travel.get("/v1/balance")["available"][0]["amount"])


@pytest.mark.parametrize(
    ("card", "reason", "status", "left"),
    [
        ("pm_card_createDispute", "fraudulent", "needs_response", -FEE),
        ("pm_card_createDisputeProductNotReceived", "product_not_received", "needs_response", -FEE),
        ("pm_card_createDisputeInquiry", "general", "warning_needs_response", AMOUNT),  # nothing is taken yet
    ],
)
def test_a_dispute_card_pays_and_disputes(travel: Travel, card: str, reason: str, status: str, left: int) -> None:
    dispute = disputed(travel, card)
    assert (dispute["reason"], dispute["status"], dispute["amount"]) == (reason, status, AMOUNT)
    assert travel.get(f"/v1/charges/{dispute['charge']}")["disputed"] is True
    assert balance(travel) == left
    assert ("charge.dispute.funds_withdrawn" in events(travel)) is (left < 0)


@pytest.mark.parametrize(
    ("words", "status", "left", "told"),
    [
        ("winning_evidence", "won", AMOUNT, ["charge.dispute.closed", "charge.dispute.funds_reinstated"]),
        ("losing_evidence", "lost", -FEE, ["charge.dispute.closed"]),
        ("We sent it on Monday.", "under_review", -FEE, []),  # the bank thinks
    ],
)
def test_evidence_is_submitted_and_judged(travel: Travel, words: str, status: str, left: int, told: list[str]) -> None:
    dispute = disputed(travel)
    after = travel.post(f"/v1/disputes/{dispute['id']}", **{"evidence[uncategorized_text]": words})
    assert after["status"] == status
    assert after["evidence_details"]["submission_count"] == 1
    assert balance(travel) == left
    assert events(travel)[-1 - len(told) :] == ["charge.dispute.updated", *told]


def test_evidence_can_be_staged_before_it_is_submitted(travel: Travel) -> None:
    dispute = disputed(travel)
    path = f"/v1/disputes/{dispute['id']}"
    staged = travel.post(path, submit="false", **{"evidence[product_description]": "A book"})
    assert (staged["status"], staged["evidence_details"]["has_evidence"]) == ("needs_response", True)
    assert travel.post(path, submit="true")["status"] == "under_review"
    status, said = travel.ask("POST", path, **{"evidence[product_description]": "Two books"})
    assert (status, said["error"]["param"]) == (400, "dispute")


def test_a_dispute_that_nobody_answers_is_lost_on_its_day(travel: Travel) -> None:
    dispute = disputed(travel)
    travel.advance(dispute["evidence_details"]["due_by"] - travel.now)
    assert travel.get(f"/v1/disputes/{dispute['id']}")["status"] == "needs_response"
    travel.advance(1)
    assert travel.get(f"/v1/disputes/{dispute['id']}")["status"] == "lost"


def test_a_dispute_can_be_accepted_once(travel: Travel) -> None:
    dispute = disputed(travel)
    assert travel.post(f"/v1/disputes/{dispute['id']}/close")["status"] == "lost"
    assert travel.ask("POST", f"/v1/disputes/{dispute['id']}/close")[0] == 400


def test_an_inquiry_is_escalated_to_a_chargeback(travel: Travel) -> None:
    dispute = disputed(travel, "pm_card_createDisputeInquiry")
    words = {"evidence[uncategorized_text]": "escalate_inquiry_evidence"}
    after = travel.post(f"/v1/disputes/{dispute['id']}", **words)
    assert (after["status"], len(after["balance_transactions"])) == ("needs_response", 1)
    assert balance(travel) == -FEE


def test_an_escalated_inquiry_takes_only_what_was_not_refunded_since(travel: Travel) -> None:
    dispute = disputed(travel, "pm_card_createDisputeInquiry")
    travel.post("/v1/refunds", charge=dispute["charge"], amount="4000")
    words = {"evidence[uncategorized_text]": "escalate_inquiry_evidence"}
    assert travel.post(f"/v1/disputes/{dispute['id']}", **words)["amount"] == 1000
    assert balance(travel) == -FEE


def test_an_inquiry_that_is_escalated_late_has_its_own_time_to_be_answered(travel: Travel) -> None:
    dispute = disputed(travel, "pm_card_createDisputeInquiry")
    travel.advance(50 * DAY)
    words = {"evidence[uncategorized_text]": "escalate_inquiry_evidence"}
    details = travel.post(f"/v1/disputes/{dispute['id']}", **words)["evidence_details"]
    assert 9 * DAY <= details["due_by"] - travel.now < 10 * DAY and not details["past_due"]
    travel.advance(9 * DAY)
    assert travel.get(f"/v1/disputes/{dispute['id']}")["status"] == "needs_response"
    travel.advance(DAY)
    assert travel.get(f"/v1/disputes/{dispute['id']}")["status"] == "lost"


def test_an_inquiry_is_forgotten_after_120_days(travel: Travel) -> None:
    dispute = disputed(travel, "pm_card_createDisputeInquiry")
    travel.advance(120 * DAY)
    assert travel.get(f"/v1/disputes/{dispute['id']}")["status"] == "warning_closed"


def test_an_inquiry_ends_with_a_refund(travel: Travel) -> None:
    dispute = disputed(travel, "pm_card_createDisputeInquiry")
    travel.post("/v1/refunds", charge=dispute["charge"])
    assert travel.get(f"/v1/disputes/{dispute['id']}")["status"] == "warning_closed"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("", "charge_disputed"),  # the bank has the money
        ("losing_evidence", "charge_disputed"),
        ("winning_evidence", None),  # it came back, and may be given
    ],
)
def test_money_that_the_bank_took_back_is_not_refunded(travel: Travel, words: str, code: str | None) -> None:
    dispute = disputed(travel)
    if words:
        travel.post(f"/v1/disputes/{dispute['id']}", **{"evidence[uncategorized_text]": words})
    said = travel.ask("POST", "/v1/refunds", charge=dispute["charge"])[1]
    assert said.get("error", {}).get("code") == code


def test_a_dispute_takes_only_what_was_not_refunded(travel: Travel) -> None:
    charge = pay(travel, "pm_card_visa")
    travel.post("/v1/refunds", charge=charge["id"], amount="2000")
    travel.visit("POST", "/_sandbox/disputes", charge=charge["id"])
    dispute = travel.get("/v1/disputes", charge=charge["id"])["data"][0]
    assert dispute["amount"] == 3000
    assert balance(travel) == -FEE


def test_any_payment_can_be_disputed_on_demand_and_decided(travel: Travel) -> None:
    charge = pay(travel, "pm_card_visa")
    assert travel.visit("POST", "/_sandbox/disputes", charge=charge["id"], reason="duplicate") == 200
    dispute = travel.get("/v1/disputes", charge=charge["id"])["data"][0]
    assert dispute["reason"] == "duplicate"
    assert travel.visit("POST", f"/_sandbox/disputes/{dispute['id']}/decide", outcome="won") == 200
    assert balance(travel) == AMOUNT


def test_an_early_fraud_warning_asks_for_a_refund_until_there_is_one(travel: Travel) -> None:
    charge = pay(travel, "pm_card_createIssuerFraudRecord")
    warning = travel.get("/v1/radar/early_fraud_warnings", charge=charge["id"])["data"][0]
    assert warning["actionable"] is True
    travel.post("/v1/refunds", charge=charge["id"], reason="fraudulent")
    assert travel.get(f"/v1/radar/early_fraud_warnings/{warning['id']}")["actionable"] is False
    told = [type for type in events(travel) if "fraud" in type]
    assert told == ["radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"]


def test_elevated_risk_is_reviewed_and_approved(travel: Travel) -> None:
    charge = pay(travel, "pm_card_riskLevelElevated")
    review = travel.get(f"/v1/reviews/{charge['review']}")
    assert travel.get(f"/v1/payment_intents/{charge['payment_intent']}")["review"] == review["id"]
    assert (review["open"], review["reason"], review["payment_intent"]) == (True, "rule", charge["payment_intent"])
    approved = travel.post(f"/v1/reviews/{review['id']}/approve")
    assert (approved["open"], approved["closed_reason"]) == (False, "approved")
    assert travel.get(f"/v1/payment_intents/{charge['payment_intent']}")["review"] is None
    assert [type for type in events(travel) if "review" in type] == ["review.opened", "review.closed"]
    assert travel.ask("POST", f"/v1/reviews/{review['id']}/approve")[0] == 400


@pytest.mark.parametrize(("reason", "closed"), [("fraudulent", "refunded_as_fraud"), ("duplicate", "refunded")])
def test_a_refund_closes_the_review(travel: Travel, reason: str, closed: str) -> None:
    charge = pay(travel, "pm_card_riskLevelElevated")
    travel.post("/v1/refunds", charge=charge["id"], reason=reason)
    assert travel.get(f"/v1/reviews/{charge['review']}")["closed_reason"] == closed


@pytest.mark.parametrize("card", ["pm_card_riskLevelHighest", "pm_card_radarBlock"])
def test_the_highest_risk_is_blocked(travel: Travel, card: str) -> None:
    status, said = travel.ask(
        "POST", "/v1/payment_intents", amount="5000", currency="jpy", payment_method=card, confirm="true",
        **{"payment_method_types[]": "card"},
    )  # fmt: skip
    assert (status, said["error"]["code"]) == (402, "card_declined")
    outcome = travel.get(f"/v1/charges/{said['error']['charge']}")["outcome"]
    assert (outcome["type"], outcome["reason"]) == ("blocked", "highest_risk_level")
