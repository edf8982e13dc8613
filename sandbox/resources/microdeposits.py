"""Small deposits that prove an American account, for payments that ask for it (`verification_method=microdeposits`).

    confirm → requires_action → the code, or both amounts, are told → processing

Source: Stripe docs, "Accept an ACH Direct Debit payment" (microdeposit verification, and its test values).
"""

import datetime
import hmac
from enum import StrEnum
from typing import Any

from starlette.responses import Response

from sandbox import jobs, objects
from sandbox.context import Context
from sandbox.errors import ApiError, missing, no_such
from sandbox.kinds import Doc
from sandbox.money import in_words
from sandbox.pages import show
from sandbox.params import Array, Int, Str
from sandbox.resources import bank_debits, payments
from sandbox.resources.payment_intents import loaded, unexpected
from sandbox.routes import PageRequest, page, route

KEPT_FOR = 10 * 24 * 3600
"""Seconds in which the account has to be proved."""
MOST_CODES, MOST_AMOUNTS = 10, 3
"""Attempts that a customer has."""
ACTION = "verify_with_microdeposits"
CODE = "payment_method_microdeposit_verification_"


class Proof(StrEnum):
    GOOD = "good"
    EXCEEDED = "attempts_exceeded"
    LATE = "timeout"
    WRONG = "mismatch"


CODES = {"SM11AA": Proof.GOOD, "SM33CC": Proof.EXCEEDED, "SM44DD": Proof.LATE}
AMOUNTS = {(32, 45): Proof.GOOD, (10, 11): Proof.EXCEEDED, (40, 41): Proof.LATE}
WORDS = {
    Proof.EXCEEDED: "You have exceeded the number of allowed verification attempts.",
    Proof.LATE: "The time to verify this bank account by microdeposits is over.",
}


class NotProved(ApiError):
    """An answer that ends or counts the attempt: the intent's new state stays."""

    keeps_changes = True


def confirm(ctx: Context, intent: Doc, payment_method: Doc) -> Doc:
    """Wait for the proof where it is asked for, unless the account was proved before."""
    options = intent["payment_method_options"].get("us_bank_account") or {}
    by_itself = not intent.get("_checkout") and not intent.get("_invoice")
    asked = options.get("verification_method") == "microdeposits" and by_itself
    if not asked or payment_method.get("_proved"):
        return bank_debits.confirm(ctx, intent, payment_method)
    later = {"intent": intent["id"]}
    jobs.schedule(ctx, "microdeposits.expire", due_at=ctx.now + KEPT_FOR, name=intent["id"], payload=later)
    action = {
        "type": ACTION,
        ACTION: {
            "arrival_date": _arrival(ctx.now),
            "hosted_verification_url": (
                f"{ctx.base_url}/microdeposits/{intent['id']}?client_secret={intent['client_secret']}"
            ),
            "microdeposit_type": "descriptor_code",
        },
    }
    return payments.wait(ctx, intent, action, _proofs=0)


payments.WAYS["us_bank_account"] = confirm


def _arrival(now: int) -> int:
    """The start of the next working day."""
    day = datetime.datetime.fromtimestamp(now, datetime.UTC).date() + datetime.timedelta(days=1)
    day += datetime.timedelta(days=max(0, 7 - day.weekday()) % 7 if day.weekday() >= 5 else 0)
    return int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())


@route("POST", "/v1/payment_intents/{id}/verify_microdeposits", publishable=True, params={
    "amounts": Array(Int()), "client_secret": Str(), "descriptor_code": Str(),
})  # fmt: skip
def verify_microdeposits(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Prove the bank account of a payment intent by what was deposited in it"""
    intent = loaded(ctx, id, params)
    if "amounts" in params and "descriptor_code" in params:
        raise ApiError("You may only specify one of these parameters: amounts, descriptor_code.")
    if not {"amounts", "descriptor_code"} & set(params):
        raise missing("descriptor_code")
    if not _waits(intent):
        raise unexpected(intent, f"This PaymentIntent waits for no microdeposits: its status is {intent['status']}.")
    if "amounts" in params:
        return _prove(ctx, intent, _of_amounts(params["amounts"]), "amounts", MOST_AMOUNTS)
    proof = CODES.get(params["descriptor_code"].upper(), Proof.WRONG)
    return _prove(ctx, intent, proof, "descriptor_code", MOST_CODES)


def _waits(intent: Doc) -> bool:
    return bool(intent["status"] == "requires_action" and intent["next_action"]["type"] == ACTION)


def _of_amounts(given: list[int]) -> Proof:
    if len(given) != 2 or min(given) < 1:
        raise ApiError(
            "You must provide two positive amounts in cents.", code=f"{CODE}amounts_invalid", param="amounts"
        )
    return AMOUNTS.get((min(given), max(given)), Proof.WRONG)


def _prove(ctx: Context, intent: Doc, proof: Proof, by: str, most: int) -> Doc:
    payment_method = objects.load(ctx, "payment_method", intent["payment_method"])
    if proof is Proof.GOOD:
        jobs.cancel(ctx, "microdeposits.expire", name=intent["id"])
        return bank_debits.confirm(ctx, intent, objects.update(ctx, payment_method, {"_proved": True}))
    tried = intent["_proofs"] + 1
    if proof is Proof.WRONG and tried < most:
        objects.update(ctx, intent, {"_proofs": tried})
        message = f"The {by.replace('_', ' ')} provided does not match what was sent to the bank account."
        raise NotProved(message, code=f"{CODE}{by}_mismatch", param=by)
    ended = Proof.LATE if proof is Proof.LATE else Proof.EXCEEDED
    _give_up(ctx, intent, ended)
    raise NotProved(WORDS[ended], code=f"{CODE}{ended}")


def _give_up(ctx: Context, intent: Doc, why: Proof) -> None:
    jobs.cancel(ctx, "microdeposits.expire", name=intent["id"])
    payment_method = objects.load(ctx, "payment_method", intent["payment_method"])
    refusal = {"code": f"{CODE}{why}", "message": WORDS[why], "type": "invalid_request_error"}
    payments.fail(ctx, intent, payment_method, refusal, charge=None)


@jobs.job("microdeposits.expire")
def expire(ctx: Context, payload: dict[str, Any]) -> None:
    """Nobody told what was deposited."""
    intent = objects.find(ctx, "payment_intent", payload["intent"])
    if intent and _waits(intent):
        _give_up(ctx, intent, Proof.LATE)


def _forget(ctx: Context, intent: Doc) -> None:
    """The intent is confirmed anew, or canceled."""
    jobs.cancel(ctx, "microdeposits.expire", name=intent["id"])


payments.CLEAR.append(_forget)


@page("GET", "/microdeposits/{id}")
def show_microdeposits(ctx: Context, request: PageRequest, id: str) -> Response:
    """Ask for the code"""
    return _shown(_named(ctx, request, id))


@page("POST", "/microdeposits/{id}")
def answer_microdeposits(ctx: Context, request: PageRequest, id: str) -> Response:
    """Take the code; a second click changes nothing"""
    intent, error = _named(ctx, request, id), ""
    if _waits(intent):
        try:
            verify_microdeposits(ctx, {"descriptor_code": str(request.form.get("code", "")).strip()}, id)
        except ApiError as refused:
            error = refused.message
    return _shown(objects.load(ctx, "payment_intent", id), error)


def _named(ctx: Context, request: PageRequest, id: str) -> Doc:
    scope = ctx.tx.locate("payment_intent", id)
    if scope is None:
        raise no_such("payment_intent", id, in_path=True)
    ctx.enter(scope)
    intent = objects.load(ctx, "payment_intent", id, in_path=True)
    if not hmac.compare_digest(intent["client_secret"].encode(), str(request.query.get("client_secret", "")).encode()):
        raise no_such("payment_intent", id, in_path=True)
    return intent


def _shown(intent: Doc, error: str = "") -> Response:
    amount = in_words(intent["amount"], intent["currency"])
    return show("microdeposits.html", intent=intent, amount=amount, error=error, waits=_waits(intent))
