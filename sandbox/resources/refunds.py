"""Refunds."""

from typing import Any

from sandbox import jobs, ledger, objects
from sandbox.context import Context
from sandbox.documents import merge_metadata, random_text
from sandbox.errors import ApiError, no_such
from sandbox.kinds import Doc, kind
from sandbox.ledger import Entry
from sandbox.money import in_words
from sandbox.pagination import list_page, listing
from sandbox.params import Bool, Enum, Ignored, Int, Metadata, Param, Str
from sandbox.resources.charges import balance_transaction
from sandbox.resources.payment_methods import card_of
from sandbox.routes import route

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
    },
)
SETTLES_AFTER = 10
"""Seconds until a test card's pending refund succeeds or its succeeded one fails."""
CREATE: dict[str, Param] = {
    "amount": Int(min=1),
    "charge": Str(),
    "currency": Ignored(),
    "customer": Ignored(),
    "instructions_email": Ignored(),
    "metadata": Metadata(),
    "origin": Ignored(),
    "payment_intent": Str(),
    "reason": Enum("duplicate", "fraudulent", "requested_by_customer"),
    "refund_application_fee": Bool(),
    "reverse_transfer": Bool(),
}


@route("POST", "/v1/refunds", params=CREATE)
def create_refund(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a refund"""
    charge = _charge_to_refund(ctx, params)
    return refund(ctx, charge, params.get("amount"), reason=params.get("reason"), metadata=params.get("metadata") or {})


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


def refund(ctx: Context, charge: Doc, amount: int | None, *, reason: str | None, metadata: Doc) -> Doc:
    """Give back `amount` (minor unit), or all that is left when it is None. Raises when there is less left."""
    amount = _checked_amount(charge, amount)
    payment_method = objects.find(ctx, "payment_method", charge["payment_method"])
    behaviour = card_of(payment_method).refund if payment_method else "succeeded"
    made = objects.create(
        ctx,
        "refund",
        {
            "amount": amount,
            "balance_transaction": None,
            "charge": charge["id"],
            "currency": charge["currency"],
            "customer": charge["customer"],
            "customer_account": None,
            "destination_details": {"card": _destination(), "type": "card"},
            "metadata": merge_metadata({}, metadata),
            "payment_intent": charge["payment_intent"],
            "payment_method": charge["payment_method"],
            "reason": reason,
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": "pending" if behaviour == "pending" else "succeeded",
            "transfer_reversal": None,
        },
    )
    made = _move_money(ctx, made)
    objects.announce(ctx, "refund.created", made)
    _mark_charge(ctx, charge, amount)
    if behaviour != "succeeded":
        jobs.schedule(ctx, "refund.settle", due_at=ctx.now + SETTLES_AFTER, name=made["id"], payload={"id": made["id"]})
    return made


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


def _destination() -> Doc:
    return {"reference": random_text(16), "reference_status": "available", "type": "refund"}


def _move_money(ctx: Context, made: Doc) -> Doc:
    transaction = balance_transaction(ctx, "refund", made["id"], -made["amount"], made["currency"], "REFUND FOR CHARGE")
    _record(ctx, Entry.REFUND, made)
    return objects.update(ctx, made, {"balance_transaction": transaction["id"]})


def _record(ctx: Context, entry: Entry, made: Doc) -> None:
    ledger.record(
        ctx,
        entry,
        amount=made["amount"],
        currency=made["currency"],
        customer=made["customer"],
        cause=made["id"],
    )


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
    """A test card's refund comes to its end."""
    made = objects.load(ctx, "refund", payload["id"])
    if made["status"] == "pending":
        settled = objects.update(ctx, made, {"status": "succeeded"}, event="refund.updated")
        objects.announce(ctx, "charge.refund.updated", settled, previous={"status": "pending"})
    else:
        _come_back(ctx, made)


def _come_back(ctx: Context, made: Doc) -> None:
    """The bank sent the refund back: it failed, and the money is ours again."""
    back = balance_transaction(ctx, "refund_failure", made["id"], made["amount"], made["currency"], "REFUND FAILURE")
    _record(ctx, Entry.REFUND_FAILURE, made)
    failed = objects.update(
        ctx,
        made,
        {
            "failure_balance_transaction": back["id"],
            "failure_reason": "expired_or_canceled_card",
            "status": "failed",
        },
        event="refund.updated",
    )
    objects.announce(ctx, "refund.failed", failed)
    objects.announce(ctx, "charge.refund.updated", failed, previous={"status": "succeeded"})
    _mark_charge(ctx, objects.load(ctx, "charge", made["charge"]), -made["amount"])


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


@route("POST", "/v1/refunds/{id}/cancel")
def cancel_refund(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Cancel a refund: only those that wait for the customer can be, and cards' never do"""
    made = objects.load(ctx, "refund", id, in_path=True)
    raise ApiError(
        f"Refund {id} cannot be canceled because it has a status of {made['status']}. Only refunds with a status of "
        "requires_action can be canceled.",
        param="refund",
    )
