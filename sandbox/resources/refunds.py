"""Refunds: of a charge, by the way it was paid, or of what a customer has in the cash balance.

    card            succeeded (test cards: pending, or failed afterwards)
    customer_balance   succeeded at once, into the customer's cash balance
    direct debits   pending, then succeeded
    konbini, cash balance   requires_action until the customer has told a bank account, then pending, then succeeded

Sources: Stripe docs, "Refund and cancel payments", "Refund bank transfers", "Konbini payments" (refunds).
"""

from collections.abc import Callable
from typing import Any

from sandbox import jobs, ledger, objects
from sandbox.context import Context
from sandbox.documents import merge_metadata, new_id
from sandbox.errors import ApiError, no_such
from sandbox.kinds import Doc, kind
from sandbox.ledger import Entry
from sandbox.money import in_words
from sandbox.pagination import list_page, listing
from sandbox.params import Bool, Enum, Int, Metadata, Param, Str
from sandbox.resources import disputes, radar
from sandbox.resources.charges import balance_transaction
from sandbox.routes import route
from sandbox.testcards import by_number

REFUND = kind(
    "refund",
    prefix="re",
    without=("livemode",),
    indexed=("charge", "payment_intent"),
    expandable={
        "balance_transaction": "balance_transaction",
        "charge": "charge",
        "customer": "customer",
        "failure_balance_transaction": "balance_transaction",
        "payment_intent": "payment_intent",
        "payment_method": "payment_method",
        "source_transfer_reversal": "*",
        "transfer_reversal": "*",
    },
)
SETTLES_AFTER = 10
"""Seconds until a test card's pending refund succeeds or its succeeded one fails."""
ANSWER_WITHIN = 45 * 24 * 3600
"""Seconds that a customer has to tell a bank account."""
SETTLING = {"customer_balance": "succeeded", "konbini": "requires_action"}
"""The first status of a refund by the charge's type; pending for others."""
TO_BANKS = {"konbini": "jp_bank_transfer", "sepa_debit": "eu_bank_transfer", "us_bank_account": "us_bank_transfer"}
BANKS = ("jp_bank_transfer", "eu_bank_transfer", "gb_bank_transfer", "us_bank_transfer")
RETURNING = ("1111113", "1111116", "2222227", "3333335", "4444440")
"""The test account numbers from which a refund comes back. Source: Stripe docs, "Konbini payments" (testing
refunds)."""
INTO_CASH: list[Callable[[Context, Doc], None]] = []
RETURN_CASH: list[Callable[[Context, dict[str, Any], dict[str, Any]], Doc]] = []
CASH_BACK: list[Callable[[Context, Doc], None]] = []
"""What cash_balances.py does: money arrives from a refund, is sent to a bank, comes back from there."""
CREATE: dict[str, Param] = {
    "amount": Int(min=1),
    "charge": Str(),
    "currency": Str(),
    "customer": Str(),
    "instructions_email": Str(),
    "metadata": Metadata(),
    "origin": Enum("customer_balance"),
    "payment_intent": Str(),
    "reason": Enum("duplicate", "fraudulent", "requested_by_customer"),
    "refund_application_fee": Bool(),
    "reverse_transfer": Bool(),
}


@route("POST", "/v1/refunds", params=CREATE)
def create_refund(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a refund"""
    told: dict[str, Any] = {"email": params.get("instructions_email"), "metadata": params.get("metadata") or {}}
    if params.get("origin") == "customer_balance":
        return RETURN_CASH[0](ctx, params, told)
    charge = _charge_to_refund(ctx, params)
    if disputes.is_taken_back(ctx, charge):
        raise ApiError(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    return refund(ctx, charge, params.get("amount"), reason=params.get("reason"), **told)


def _charge_to_refund(ctx: Context, params: dict[str, Any]) -> Doc:
    if "charge" in params:
        return objects.load(ctx, "charge", params["charge"], param="charge")
    if "payment_intent" not in params:
        raise ApiError(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing",
        )
    intent = objects.load(ctx, "payment_intent", params["payment_intent"], param="payment_intent")
    charge = objects.find(ctx, "charge", intent["latest_charge"])
    if charge is None or charge["status"] != "succeeded" or not charge["captured"]:
        raise ApiError(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
            param="payment_intent",
        )
    return charge


def refund(
    ctx: Context, charge: Doc, amount: int | None, *, reason: str | None, metadata: Doc, email: str | None = None
) -> Doc:
    """Give back `amount` (minor unit), or all that is left when it is None. Raises when there is less left."""
    amount = _checked_amount(charge, amount)
    type = charge["payment_method_details"]["type"]
    behaviour = by_number(charge["_number"]).refund if charge.get("_number") else SETTLING.get(type, "pending")
    fields = new_fields(amount, charge["currency"], charge["customer"], metadata) | {
        "id": new_id(ctx, "refund").replace("re_", "re_" if type == "card" else "pyr_", 1),
        "charge": charge["id"],
        "destination_details": _destination(type),
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": reason,
        "status": "succeeded" if behaviour == "failed" else behaviour,
    }
    if behaviour == "requires_action":
        fields |= asked(ctx, email or charge["billing_details"]["email"])
    made = _move_money(ctx, objects.create(ctx, "refund", fields))
    for arrive in INTO_CASH if type == "customer_balance" else ():
        arrive(ctx, made)
    objects.announce(ctx, "refund.created", made)
    _mark_charge(ctx, charge, amount)
    _after(ctx, objects.load(ctx, "charge", charge["id"]), reason)
    plan(ctx, made, behaviour)
    return made


def new_fields(amount: int, currency: str, customer: str | None, metadata: Doc) -> Doc:
    """A refund of which nothing is known yet but its sum."""
    nothing = dict.fromkeys(
        ("balance_transaction", "charge", "customer_account", "payment_intent", "payment_method", "reason",
         "receipt_number", "source_transfer_reversal", "transfer_reversal")
    )  # fmt: skip
    given = merge_metadata({}, metadata)
    return nothing | {"amount": amount, "currency": currency, "customer": customer, "metadata": given}


def asked(ctx: Context, email: str | None) -> Doc:
    """The customer was asked by mail for a bank account."""
    if not email:
        raise ApiError(
            "This refund needs an email address to which instructions can be sent.",
            code="parameter_missing",
            param="instructions_email",
        )
    sent = {"email_sent_at": ctx.now, "email_sent_to": email}
    details = {"email_sent": sent, "expires_at": ctx.now + ANSWER_WITHIN}
    return {
        "instructions_email": email,
        "next_action": {"display_details": details, "type": "display_details"},
        "status": "requires_action",
    }


def plan(ctx: Context, made: Doc, behaviour: str) -> None:
    """Write down what will become of it by itself."""
    if behaviour in ("pending", "failed"):
        jobs.schedule(ctx, "refund.settle", due_at=ctx.now + SETTLES_AFTER, name=made["id"], payload={"id": made["id"]})
    elif behaviour == "requires_action":
        due, payload = ctx.now + ANSWER_WITHIN, {"id": made["id"]}
        jobs.schedule(ctx, "refund.settle", due_at=due, name=made["id"], payload=payload)


def provide_account(ctx: Context, made: Doc, account: str = "0001234") -> Doc:
    """The customer has told where the money shall go: by an account number, of which some send it back."""
    changes = {"status": "pending", "_returned": account in RETURNING}
    sent = objects.update(ctx, made, changes, event="refund.updated", without=("next_action",))
    objects.announce(ctx, "charge.refund.updated", sent, previous={"status": "requires_action"})
    plan(ctx, sent, "pending")
    return sent


def _after(ctx: Context, charge: Doc, reason: str | None) -> None:
    """What else ends with a refund: reviews, warnings, inquiries."""
    radar.settled(ctx, charge, "refunded_as_fraud" if reason == "fraudulent" else "refunded")
    disputes.refunded(ctx, charge)


def _checked_amount(charge: Doc, amount: int | None) -> int:
    left, currency = charge["amount"] - charge["amount_refunded"], charge["currency"]
    if charge["status"] != "succeeded" or not charge["captured"]:
        raise ApiError(f"Charge {charge['id']} cannot be refunded: it has not been captured.", param="charge")
    if left == 0:
        raise ApiError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount is not None and amount > left:
        whole = charge["amount_refunded"] == 0
        limit = "charge amount" if whole else "unrefunded amount on charge"
        raise ApiError(
            f"Refund amount ({in_words(amount, currency)}) is greater than {limit} ({in_words(left, currency)})",
            param="amount",
        )
    return left if amount is None else amount


def _destination(type: str) -> Doc:
    if type == "card":
        card = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
        return {"card": card, "type": "card"}
    if type == "customer_balance":
        return {"customer_cash_balance": {}, "type": "customer_cash_balance"}
    name = TO_BANKS[type]
    return {name: {"reference": None, "reference_status": "pending"}, "type": name}


def _move_money(ctx: Context, made: Doc) -> Doc:
    type, reference = ("refund", "CHARGE") if made["id"].startswith("re_") else ("payment_refund", "PAYMENT")
    transaction = balance_transaction(
        ctx, type, made["id"], -made["amount"], made["currency"], f"REFUND FOR {reference}", category="refund"
    )
    _record(ctx, Entry.REFUND, made)
    return objects.update(ctx, made, {"balance_transaction": transaction["id"]})


def _record(ctx: Context, entry: Entry, made: Doc) -> None:
    if made["destination_details"]["type"] == "customer_cash_balance":
        there = ledger.cash(made["customer"])
    else:
        there = ledger.outside(made["customer"])
    debit, credit = (ledger.BALANCE, there) if entry == Entry.REFUND else (there, ledger.BALANCE)
    ledger.move(
        ctx, entry, debit, credit, amount=made["amount"], currency=made["currency"], customer=made["customer"],
        cause=made["id"],
    )  # fmt: skip


def _mark_charge(ctx: Context, charge: Doc, amount: int) -> None:
    refunded = charge["amount_refunded"] + amount
    objects.update(
        ctx,
        charge,
        {"amount_refunded": refunded, "refunded": refunded >= charge["amount"]},
        event="charge.refunded" if amount > 0 else "charge.updated",
    )


@jobs.job("refund.settle")
def settle(ctx: Context, payload: Doc) -> None:
    """A refund comes to its end."""
    made = objects.load(ctx, "refund", payload["id"])
    if made["status"] == "pending" and made.get("_returned"):
        _ask_again(ctx, made)
    elif made["status"] == "pending":
        settled = objects.update(ctx, made, {"status": "succeeded", **_arrived(made)}, event="refund.updated")
        objects.announce(ctx, "charge.refund.updated", settled, previous={"status": "pending"})
    elif made["status"] == "requires_action":
        come_back(ctx, made, "failed", "unknown")
    else:
        come_back(ctx, made, "failed", "expired_or_canceled_card")


def _ask_again(ctx: Context, made: Doc) -> None:
    """The customer's bank sent it back: perhaps the account number has a slip."""
    changes = asked(ctx, made["instructions_email"])
    again = objects.update(ctx, made, changes | {"_returned": False}, event="refund.updated")
    objects.announce(ctx, "charge.refund.updated", again, previous={"status": "pending"})
    plan(ctx, again, "requires_action")


def _arrived(made: Doc) -> Doc:
    """The bank's reference of what was sent to an account, which is known once it has arrived."""
    type = made["destination_details"]["type"]
    if type not in BANKS:
        return {}
    reference = {"reference": made["id"].split("_")[-1][-12:].upper(), "reference_status": "available"}
    return {"destination_details": {type: reference, "type": type}}


def come_back(ctx: Context, made: Doc, status: str, reason: str | None) -> Doc:
    """It failed or was canceled, and the money is where it was."""
    changes: Doc = {"failure_reason": reason, "status": status} if reason else {"status": status}
    if made["charge"]:
        changes["failure_balance_transaction"] = _back(ctx, made)["id"]
    else:
        CASH_BACK[0](ctx, made)
    failed = objects.update(ctx, made, changes, event="refund.updated", without=("next_action",))
    if status == "failed":
        objects.announce(ctx, "refund.failed", failed)
    objects.announce(ctx, "charge.refund.updated", failed, previous={"status": made["status"]})
    if made["charge"]:
        _mark_charge(ctx, objects.load(ctx, "charge", made["charge"]), -made["amount"])
    return failed


def _back(ctx: Context, made: Doc) -> Doc:
    type = "refund_failure" if made["id"].startswith("re_") else "payment_refund"
    line = balance_transaction(
        ctx, type, made["id"], made["amount"], made["currency"], "REFUND FAILURE", category="refund_failure"
    )
    _record(ctx, Entry.REFUND_FAILURE, made)
    return line


@route("GET", "/v1/refunds", params=listing(charge=Str(), payment_intent=Str()))
def list_refunds(ctx: Context, params: dict[str, Any]) -> Doc:
    """List refunds"""
    filters = {name: params.get(name) for name in ("charge", "payment_intent")}
    return list_page(ctx, "refund", params, filters)


OF_CHARGE = {name: param for name, param in CREATE.items() if name not in ("charge", "payment_intent")}


@route("POST", "/v1/charges/{charge}/refunds", params=OF_CHARGE)
def create_charge_refund(ctx: Context, params: dict[str, Any], charge: str) -> Doc:
    """Refund a charge, by the older address"""
    objects.load(ctx, "charge", charge, in_path=True)
    made: Doc = create_refund(ctx, params | {"charge": charge})
    return made


@route("GET", "/v1/charges/{charge}/refunds/{id}")
def retrieve_charge_refund(ctx: Context, params: dict[str, Any], charge: str, id: str) -> Doc:
    """Retrieve one of a charge's refunds"""
    made = objects.load(ctx, "refund", id, in_path=True)
    if made["charge"] != charge:
        raise no_such("refund", id, in_path=True)
    return made


@route("GET", "/v1/charges/{charge}/refunds", params=listing())
def list_charge_refunds(ctx: Context, params: dict[str, Any], charge: str) -> Doc:
    """List a charge's refunds"""
    objects.load(ctx, "charge", charge, in_path=True)
    return list_page(ctx, "refund", params, {"charge": charge}, url=f"/v1/charges/{charge}/refunds")


@route("GET", "/v1/refunds/{id}")
def retrieve_refund(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a refund"""
    return objects.load(ctx, "refund", id, in_path=True)


@route("POST", "/v1/refunds/{id}", params={"metadata": Metadata()})
def update_refund(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a refund's metadata"""
    made = objects.load(ctx, "refund", id, in_path=True)
    if "metadata" not in params:
        return made
    merged = merge_metadata(made["metadata"], params["metadata"])
    changed = objects.update(ctx, made, {"metadata": merged}, event="refund.updated")
    if changed["metadata"] != made["metadata"]:
        objects.announce(ctx, "charge.refund.updated", changed, previous={"metadata": made["metadata"]})
    return changed


@route("POST", "/v1/test_helpers/refunds/{id}/expire")
def expire_refund(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Let a refund fail that waits for its customer, as if the time for an answer were over"""
    made = objects.load(ctx, "refund", id, in_path=True)
    if made["status"] != "requires_action":
        raise ApiError(
            f"Refund {id} cannot be expired because it has a status of {made['status']}. Only refunds with a status "
            "of requires_action can be expired.",
            param="refund",
        )
    jobs.cancel(ctx, "refund.settle", name=id)
    return come_back(ctx, made, "failed", "unknown")


@route("POST", "/v1/refunds/{id}/cancel")
def cancel_refund(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Cancel a refund that still waits for its customer"""
    made = objects.load(ctx, "refund", id, in_path=True)
    if made["status"] != "requires_action":
        raise ApiError(
            f"Refund {id} cannot be canceled because it has a status of {made['status']}. Only refunds with a status "
            "of requires_action can be canceled.",
            param="refund",
        )
    jobs.cancel(ctx, "refund.settle", name=id)
    return come_back(ctx, made, "canceled", None)
