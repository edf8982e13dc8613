"""Direct debits: the bank is asked, and answers days later.

    confirm → processing → succeeded · requires_payment_method

Sources: Stripe docs, "Accept a SEPA Direct Debit payment", "Accept an ACH Direct Debit payment", "Mandates".
"""

import datetime
from typing import Any

from sandbox import jobs, objects
from sandbox.context import Context
from sandbox.documents import random_text
from sandbox.kinds import Doc, kind
from sandbox.resources import disputes, payments
from sandbox.resources.charges import charge_otherwise, take
from sandbox.resources.payment_methods import attach
from sandbox.routes import route
from sandbox.testbanks import bank_of, message

MANDATE = kind("mandate", prefix="mandate", without=("created",), expandable={"payment_method": "payment_method"})
DEBITED_AFTER_DAYS = 5
ERROR_CODES = (
    "account_closed", "no_account", "insufficient_funds", "debit_not_authorized", "charge_exceeds_source_limit",
    "charge_exceeds_weekly_limit",
)  # fmt: skip
"""The failures that an intent's error names; of the others it says only that the attempt failed."""
SHARED = {
    "sepa_debit": ("bank_code", "branch_code", "country", "fingerprint", "last4"),
    "us_bank_account": ("account_holder_type", "account_type", "bank_name", "fingerprint", "last4", "routing_number"),
}


def confirm(ctx: Context, intent: Doc, payment_method: Doc) -> Doc:
    """Ask the bank. The charge is pending until it answers."""
    customer = objects.find(ctx, "customer", intent["customer"])
    if intent["setup_future_usage"] and customer and not payment_method["customer"]:
        payment_method = attach(ctx, payment_method, customer)
    if not payment_method["customer"]:
        payment_method = objects.update(ctx, payment_method, {"_detached": True})
    mandate = mandate_of(ctx, payment_method, amount=intent["amount"], currency=intent["currency"])
    charge = charge_otherwise(ctx, intent, payment_method, _details(ctx, payment_method, mandate), "pending")
    intent = payments.process(ctx, intent, charge)
    after = bank_of(payment_method["_account"]).answers_after
    if after is not None:
        jobs.schedule(ctx, "debit.answer", due_at=ctx.now + after, name=intent["id"], payload={"intent": intent["id"]})
    return intent


payments.WAYS |= {"sepa_debit": confirm, "us_bank_account": confirm}


def mandate_of(ctx: Context, payment_method: Doc, *, amount: int | None = None, currency: str | None = None) -> Doc:
    """The customer's permission to debit the account, as given on a page of ours. One that allows several debits is
    used again. Without an amount, which a setup has not, it allows several."""
    if payment_method.get("_mandate"):
        return objects.load(ctx, "mandate", payment_method["_mandate"])
    several = bool(payment_method["customer"]) or amount is None
    type = "multi_use" if several else "single_use"
    details: Doc = {}
    if payment_method["type"] == "sepa_debit":
        reference = random_text(16).upper()
        details = {"reference": reference, "url": f"https://hooks.stripe.com/adapter/sepa_debit/file/{reference}"}
    mandate = objects.create(
        ctx,
        "mandate",
        {
            "customer_acceptance": {
                "accepted_at": ctx.now, "online": {"ip_address": "127.0.0.1", "user_agent": "sandbox"},
                "type": "online",
            },
            "payment_method": payment_method["id"],
            "payment_method_details": {payment_method["type"]: details, "type": payment_method["type"]},
            "status": "active",
            "type": type,
            type: {} if several else {"amount": amount, "currency": currency},
        },
    )  # fmt: skip
    if several:
        objects.update(ctx, payment_method, {"_mandate": mandate["id"]})
    return mandate


def _details(ctx: Context, payment_method: Doc, mandate: Doc) -> Doc:
    day = datetime.datetime.fromtimestamp(ctx.now, datetime.UTC).date() + datetime.timedelta(days=DEBITED_AFTER_DAYS)
    account = payment_method[payment_method["type"]]
    details: Doc = {name: account[name] for name in SHARED[payment_method["type"]]}
    details |= {"expected_debit_date": day.isoformat(), "mandate": mandate["id"]}
    if payment_method["type"] == "us_bank_account":
        details["payment_reference"] = None
    return dict(sorted(details.items()))


@jobs.job("debit.answer")
def answer(ctx: Context, payload: dict[str, Any]) -> None:
    """What the test account is made for."""
    intent = objects.find(ctx, "payment_intent", payload["intent"])
    if intent and intent["status"] == "processing":
        payment_method = objects.load(ctx, "payment_method", intent["payment_method"])
        settle(ctx, intent, failure=bank_of(payment_method["_account"]).failure)


def settle(ctx: Context, intent: Doc, *, failure: str | None) -> Doc:
    """The bank has answered: `failure` is the reason for a no."""
    jobs.cancel(ctx, "debit.answer", name=intent["id"])
    charge = objects.load(ctx, "charge", intent["latest_charge"])
    payment_method = objects.load(ctx, "payment_method", intent["payment_method"])
    if failure:
        return _fail(ctx, intent, payment_method, charge, failure)
    charge = take(ctx, objects.update(ctx, charge, {"paid": True, "status": "succeeded"}), charge["amount"])
    objects.announce(ctx, "charge.succeeded", charge)
    paid = payments.succeed(ctx, intent, charge)
    if bank_of(payment_method["_account"]).disputed:
        disputes.open_dispute(ctx, charge, "debit_not_authorized", inquiry=False)
    return paid


def _fail(ctx: Context, intent: Doc, payment_method: Doc, charge: Doc, failure: str) -> Doc:
    words = message(failure)
    outcome = charge["outcome"] | {
        "network_status": "declined_by_network", "reason": failure, "seller_message": words, "type": "issuer_declined",
    }  # fmt: skip
    changes = {"failure_code": failure, "failure_message": words, "outcome": outcome, "status": "failed"}
    charge = objects.update(ctx, charge, changes)
    objects.announce(ctx, "charge.failed", charge)
    code = failure if failure in ERROR_CODES else "payment_intent_payment_attempt_failed"
    refusal = {"code": code, "message": words, "type": "invalid_request_error"}
    return payments.fail(ctx, intent, payment_method, refusal, charge=charge["id"])


def _forget(ctx: Context, intent: Doc) -> None:
    """A debit that is called off before the bank answered never happens."""
    jobs.cancel(ctx, "debit.answer", name=intent["id"])
    charge = objects.find(ctx, "charge", intent["latest_charge"])
    if charge and charge["status"] == "pending":
        charge = objects.update(ctx, charge, {"failure_code": "charge_canceled", "status": "failed"})
        objects.announce(ctx, "charge.failed", charge)


payments.CLEAR.append(_forget)


@route("GET", "/v1/mandates/{id}")
def retrieve_mandate(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a mandate"""
    return objects.load(ctx, "mandate", id, param="mandate", in_path=True)
