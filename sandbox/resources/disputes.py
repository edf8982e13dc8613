"""Disputes: a bank takes a payment back for its cardholder, or asks about it first (an inquiry).

    needs_response → under_review → won · lost              a chargeback: the money leaves at once, with a fee
    warning_needs_response → warning_under_review → warning_closed, or a chargeback after all      an inquiry

Sources: Stripe docs, "How disputes work", "Respond to disputes", "Testing" (evidence that wins and loses).
"""

from typing import Any

from sandbox import jobs, ledger, objects, testcards
from sandbox.context import Context
from sandbox.currencies import decimals
from sandbox.documents import merge_metadata, render
from sandbox.errors import ApiError
from sandbox.kinds import Doc, kind
from sandbox.ledger import BALANCE, FEES, Entry
from sandbox.pagination import list_page, listing
from sandbox.params import Bool, Hash, Metadata, Param, Str
from sandbox.resources import charges, enhanced_evidence
from sandbox.resources.charges import balance_transaction
from sandbox.routes import route

DISPUTE = kind(
    "dispute",
    prefix="du",
    indexed=("charge", "payment_intent", "status"),
    expandable={"charge": "charge", "payment_intent": "payment_intent"},
)
DAY = 24 * 3600
ANSWER_WITHIN = 9 * DAY
INQUIRY_OPEN_FOR = 120 * DAY
FEE = {"jpy": 1300, "usd": 1500, "eur": 2000, "gbp": 2000}
"""What Stripe takes for a chargeback. Source: Stripe's price lists; 15.00 where we know none."""
EVIDENCE = (
    "access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure",
    "cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name",
    "customer_purchase_ip", "customer_signature", "duplicate_charge_documentation", "duplicate_charge_explanation",
    "duplicate_charge_id", "product_description", "receipt", "refund_policy", "refund_policy_disclosure",
    "refund_refusal_explanation", "service_date", "service_documentation", "shipping_address", "shipping_carrier",
    "shipping_date", "shipping_documentation", "shipping_tracking_number", "uncategorized_file",
    "uncategorized_text",
)  # fmt: skip
LONGEST_EVIDENCE, LONGEST_IN_ALL = 20_000, 150_000
REASON_CODES = {
    "noncompliant": "C",
    "fraudulent": "10.4",
    "product_not_received": "13.1",
    "general": "10.4",
    "duplicate": "12.6.1",
}
WAITS = ("needs_response", "warning_needs_response")
OPEN = (*WAITS, "under_review", "warning_under_review")
TAKEN_BACK = ("needs_response", "under_review", "lost")
"""While a chargeback is in one of these the bank has the money."""
UPDATE: dict[str, Param] = {
    "evidence": Hash(
        {name: Str(unset=True, max_length=LONGEST_EVIDENCE) for name in EVIDENCE}
        | {"enhanced_evidence": Hash(enhanced_evidence.SHAPE, unset=True)}
    ),
    "metadata": Metadata(),
    "submit": Bool(),
}


def _after_charge(ctx: Context, charge: Doc) -> None:
    """A test card that disputes does so as soon as it has paid."""
    card = testcards.by_number(charge["_number"]) if charge.get("_number") else None
    if not card or not card.dispute or charge["status"] != "succeeded" or not charge["captured"]:
        return
    inquiry, whole = card.dispute == "warning", disputable(charge)
    reason = "general" if inquiry else card.dispute
    for part in equal_parts(whole, card.disputes) if whole else ():
        charge = objects.load(ctx, "charge", charge["id"])
        open_dispute(ctx, charge, reason, inquiry=inquiry, amount=part, enhanced=card.enhanced)


def equal_parts(whole: int, count: int) -> list[int]:
    """Parts that sum up to the whole; the first ones are larger by the smallest unit when it does not divide."""
    return [whole // count + (number < whole % count) for number in range(count)]


charges.MADE.append(_after_charge)


def disputable(charge: Doc) -> int:
    """What a bank can still take back of a charge, in the minor unit."""
    return 0 if charge["disputed"] else int(charge["amount_captured"] - charge["amount_refunded"])


def open_dispute(
    ctx: Context, charge: Doc, reason: str, *, inquiry: bool, amount: int | None = None, enhanced: str | None = None
) -> Doc:
    """For `amount`, or for what was not yet given back of a charge. `enhanced` is the kind of enhanced evidence that it
    takes, by what its card says."""
    dispute = objects.create(
        ctx,
        "dispute",
        {
            "amount": disputable(charge) if amount is None else amount,
            "balance_transactions": [],
            "charge": charge["id"],
            "currency": charge["currency"],
            "enhanced_eligibility_types": [enhanced] if enhanced else [],
            "evidence": dict.fromkeys(EVIDENCE) | {"enhanced_evidence": {}},
            "evidence_details": {
                "due_by": answer_by(ctx.now), "enhanced_eligibility": enhanced_evidence.eligibility(enhanced, {}),
                "has_evidence": False, "past_due": False, "submission_count": 0,
            },
            "is_charge_refundable": inquiry,
            "metadata": {},
            "payment_intent": charge["payment_intent"],
            "reason": reason,
            "status": "warning_needs_response" if inquiry else "needs_response",
            **_details(charge, reason, inquiry=inquiry),
        },
    )  # fmt: skip
    charge = objects.update(ctx, charge, {"disputed": True})
    objects.announce(ctx, "charge.dispute.created", dispute)
    for listener in OPENED:
        listener(ctx, charge)
    return _wait_for_answer(ctx, dispute) if inquiry else _withdraw(ctx, dispute)


def answer_by(now: int) -> int:
    """The last second (Unix) in which a dispute that begins now can be answered: days end at midnight, UTC."""
    return (now + ANSWER_WITHIN) // DAY * DAY + DAY - 1


OPENED: list[Any] = []
"""Functions (ctx, charge) told of a charge that is disputed."""


def _details(charge: Doc, reason: str, *, inquiry: bool) -> Doc:
    """`payment_method_details`, which only a card's dispute has."""
    card = charge["payment_method_details"].get("card")
    if card is None:
        return {}
    details = {
        "brand": card["brand"],
        "case_type": "inquiry" if inquiry else "chargeback",
        "network": card["network"],
        "network_reason_code": REASON_CODES.get(reason, "10.4"),
    }
    return {"payment_method_details": {"card": details, "type": "card"}}


def _wait_for_answer(ctx: Context, dispute: Doc) -> Doc:
    """What becomes of it when nobody answers is planned."""
    inquiry = dispute["status"].startswith("warning")
    due = dispute["created"] + INQUIRY_OPEN_FOR if inquiry else dispute["evidence_details"]["due_by"] + 1
    jobs.schedule(ctx, "dispute.due", due_at=due, name=dispute["id"], payload={"dispute": dispute["id"]})
    return dispute


def _withdraw(ctx: Context, dispute: Doc) -> Doc:
    """The bank takes the money, Stripe its fee."""
    fee = fee_for(dispute["currency"])
    dispute = _moved(ctx, dispute, -dispute["amount"], fee, "dispute", f"Chargeback withdrawal for {dispute['charge']}")
    _record(ctx, Entry.DISPUTE, dispute)
    _record_fee(ctx, Entry.FEE, BALANCE, FEES, fee, dispute)
    objects.announce(ctx, "charge.dispute.funds_withdrawn", dispute)
    return _wait_for_answer(ctx, dispute)


def fee_for(currency: str) -> int:
    return FEE.get(currency, 15 * int(10 ** decimals(currency)))


def _moved(ctx: Context, dispute: Doc, amount: int, fee: int, category: str, description: str) -> Doc:
    part = {"amount": fee, "application": None, "currency": dispute["currency"], "description": "Dispute fee",
            "type": "stripe_fee"}  # fmt: skip
    line = balance_transaction(
        ctx, "adjustment", dispute["id"], amount, dispute["currency"], description, category=category, fees=[part]
    )
    return objects.update(ctx, dispute, {"balance_transactions": [*dispute["balance_transactions"], render(line)]})


def _record(ctx: Context, entry: Entry, dispute: Doc) -> None:
    ledger.record(
        ctx, entry, amount=dispute["amount"], currency=dispute["currency"], customer=_customer(ctx, dispute),
        cause=dispute["id"],
    )  # fmt: skip


def _record_fee(ctx: Context, entry: Entry, debit: str, credit: str, fee: int, dispute: Doc) -> None:
    ledger.move(
        ctx, entry, debit, credit, amount=fee, currency=dispute["currency"], customer=_customer(ctx, dispute),
        cause=dispute["id"],
    )  # fmt: skip


def _customer(ctx: Context, dispute: Doc) -> str | None:
    customer: str | None = objects.load(ctx, "charge", dispute["charge"])["customer"]
    return customer


@jobs.job("dispute.due")
def fall_due(ctx: Context, payload: Doc) -> None:
    """Nobody answered in time: a chargeback is lost, an inquiry is forgotten."""
    dispute = objects.find(ctx, "dispute", payload["dispute"])
    if dispute and dispute["status"] in ("needs_response", "warning_needs_response", "warning_under_review"):
        close(ctx, dispute, won=False)


def close(ctx: Context, dispute: Doc, *, won: bool) -> Doc:
    """The bank has decided. An inquiry just ends, whoever is right."""
    jobs.cancel(ctx, "dispute.due", name=dispute["id"])
    if dispute["status"].startswith("warning"):
        return _closed(ctx, dispute, "warning_closed")
    if not won:
        return _closed(ctx, dispute, "lost")
    fee = fee_for(dispute["currency"])
    dispute = _moved(
        ctx, dispute, dispute["amount"], -fee, "dispute_reversal", f"Chargeback reversal for {dispute['charge']}"
    )
    _record(ctx, Entry.DISPUTE_REVERSAL, dispute)
    _record_fee(ctx, Entry.FEE_REFUND, FEES, BALANCE, fee, dispute)
    dispute = _closed(ctx, dispute, "won")
    objects.announce(ctx, "charge.dispute.funds_reinstated", dispute)
    return dispute


def _closed(ctx: Context, dispute: Doc, status: str) -> Doc:
    closed = objects.update(ctx, dispute, {"is_charge_refundable": status != "lost", "status": status})
    objects.announce(ctx, "charge.dispute.closed", closed)
    return closed


def escalate(ctx: Context, dispute: Doc) -> Doc:
    """An inquiry becomes a chargeback, of what was not given back since; it is answered anew, and has its own time for
    that."""
    jobs.cancel(ctx, "dispute.due", name=dispute["id"])
    charge = objects.load(ctx, "charge", dispute["charge"])
    left = min(dispute["amount"], charge["amount_captured"] - charge["amount_refunded"])
    details = dispute["evidence_details"] | {"due_by": answer_by(ctx.now), "past_due": False}
    changes: Doc = {
        "amount": left, "evidence_details": details, "is_charge_refundable": False, "status": "needs_response",
    }  # fmt: skip
    if paid_with := dispute.get("payment_method_details"):
        card = paid_with["card"] | {"case_type": "chargeback"}
        changes["payment_method_details"] = paid_with | {"card": card}
    return _withdraw(ctx, objects.update(ctx, dispute, changes, event="charge.dispute.updated"))


def refunded(ctx: Context, charge: Doc) -> None:
    """A charge was given back: an inquiry about it has lost its object."""
    for dispute in objects.query(ctx, "dispute", charge=charge["id"]):
        if dispute["status"].startswith("warning_") and dispute["status"] in OPEN and charge["refunded"]:
            close(ctx, dispute, won=False)


def is_taken_back(ctx: Context, charge: Doc) -> bool:
    """The bank has the money, so that it cannot be refunded."""
    if not charge["disputed"]:
        return False
    return any(dispute["status"] in TAKEN_BACK for dispute in objects.query(ctx, "dispute", charge=charge["id"]))


@route("GET", "/v1/disputes", params=listing(charge=Str(), payment_intent=Str()))
def list_disputes(ctx: Context, params: dict[str, Any]) -> Doc:
    """List disputes"""
    return list_page(ctx, "dispute", params, {name: params.get(name) for name in ("charge", "payment_intent")})


@route("GET", "/v1/disputes/{id}")
def retrieve_dispute(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a dispute"""
    return objects.load(ctx, "dispute", id, param="dispute", in_path=True)


@route("POST", "/v1/disputes/{id}", params=UPDATE)
def update_dispute(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Stage evidence, or submit it, which is the default"""
    dispute = objects.load(ctx, "dispute", id, param="dispute", in_path=True)
    changes: Doc = {}
    if "metadata" in params:
        changes["metadata"] = merge_metadata(dispute["metadata"], params["metadata"])
    if "evidence" in params:
        changes |= _staged(ctx, dispute, params["evidence"])
    sent = params.get("submit", True) and ("evidence" in params or "submit" in params)
    if sent:
        changes |= _submitted(ctx, dispute, dispute | changes)
    updated = objects.update(ctx, dispute, changes, event="charge.dispute.updated")
    return _heard(ctx, updated) if sent else updated


def _staged(ctx: Context, dispute: Doc, given: dict[str, Any]) -> Doc:
    _check_open(dispute)
    evidence = dispute["evidence"] | {name: value for name, value in given.items() if name in EVIDENCE}
    details = dispute["evidence_details"]
    if "enhanced_evidence" in given:
        enhanced = enhanced_evidence.staged(ctx, dispute, given["enhanced_evidence"] or {})
        types = dispute["enhanced_eligibility_types"]
        evidence["enhanced_evidence"] = enhanced
        details |= {"enhanced_eligibility": enhanced_evidence.eligibility(types[0] if types else None, enhanced)}
    if sum(len(evidence[name] or "") for name in EVIDENCE) > LONGEST_IN_ALL:
        message = f"The combined character count of all evidence is limited to {LONGEST_IN_ALL:,}."
        raise ApiError(message, param="evidence")
    has_evidence = any(evidence[name] for name in (*EVIDENCE, "enhanced_evidence"))
    return {"evidence": evidence, "evidence_details": details | {"has_evidence": has_evidence}}


def _check_open(dispute: Doc) -> None:
    if dispute["status"] not in WAITS:
        raise ApiError(
            f"This dispute has a status of {dispute['status']}, so its evidence can no longer be changed. Evidence is "
            f"taken while a dispute has one of the following statuses: {', '.join(WAITS)}.",
            param="dispute",
        )


def _submitted(ctx: Context, dispute: Doc, staged: Doc) -> Doc:
    _check_open(dispute)
    details = staged["evidence_details"]
    enhanced_evidence.check_acknowledged(staged)
    answered = {
        "past_due": ctx.now > details["due_by"],
        "submission_count": details["submission_count"] + 1,
    }
    status = "warning_under_review" if dispute["status"].startswith("warning") else "under_review"
    return {"evidence_details": details | answered, "status": status}


def _heard(ctx: Context, dispute: Doc) -> Doc:
    """What the bank makes of it: in test mode, certain words decide."""
    if dispute["status"] == "under_review":
        jobs.cancel(ctx, "dispute.due", name=dispute["id"])
    words = dispute["evidence"]["uncategorized_text"]
    if words in ("winning_evidence", "losing_evidence"):
        return close(ctx, dispute, won=words == "winning_evidence")
    if words == "escalate_inquiry_evidence" and dispute["status"].startswith("warning"):
        return escalate(ctx, dispute)
    return dispute


@route("POST", "/v1/disputes/{id}/close")
def close_dispute(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Accept a dispute as lost"""
    dispute = objects.load(ctx, "dispute", id, param="dispute", in_path=True)
    if dispute["status"] not in OPEN:
        raise ApiError(f"This dispute is already closed: it has a status of {dispute['status']}.", param="dispute")
    return close(ctx, dispute, won=False)
