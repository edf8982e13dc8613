"""Money that is held: captured as a whole or in parts, raised, or released when its time is over.

Sources: Stripe docs, "Place a hold on a payment method", "Increment an authorization", "Capture a payment multiple
times", "Capture more than the authorized amount on a payment".
"""

from typing import Any

from sandbox import jobs, objects
from sandbox.context import Context
from sandbox.documents import merge_metadata
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.money import in_words
from sandbox.params import Bool, Ignored, Int, Metadata, Param, Str
from sandbox.resources import payments
from sandbox.resources.charges import refusal_of
from sandbox.resources.payment_intents import card_error, loaded, unexpected
from sandbox.resources.payment_methods import card_of
from sandbox.routes import route

CAPTURE: dict[str, Param] = {
    "amount_to_capture": Int(min=0),
    "final_capture": Bool(),
    "metadata": Metadata(),
    "statement_descriptor": Str(max_length=22),
    "statement_descriptor_suffix": Str(max_length=22),
    **dict.fromkeys(
        ("amount_details", "application_fee_amount", "hooks", "payment_details", "transfer_data"), Ignored()
    ),
}
INCREMENT: dict[str, Param] = {
    "amount": Int(min=1, required=True),
    "description": Str(),
    "metadata": Metadata(),
    "statement_descriptor": Str(max_length=22),
    **dict.fromkeys(
        ("amount_details", "application_fee_amount", "hooks", "payment_details", "transfer_data"), Ignored()
    ),
}
MOST_CAPTURES, MOST_INCREMENTS = 50, 10


def _plan_release(ctx: Context, intent: Doc, charge: Doc) -> None:
    due = charge["payment_method_details"]["card"]["capture_before"]
    jobs.schedule(ctx, "hold.release", due_at=due, name=intent["id"], payload={"intent": intent["id"]})


payments.HELD.append(_plan_release)


@jobs.job("hold.release")
def release(ctx: Context, payload: Doc) -> None:
    """Nobody captured it in time. What was captured in parts stays; the rest, or all of it, goes back."""
    intent = objects.find(ctx, "payment_intent", payload["intent"])
    if intent is None or intent["status"] != "requires_capture":
        return
    if intent["amount_received"]:
        payments.capture(ctx, intent, 0)
    else:
        payments.cancel(ctx, intent, "automatic")


@route("POST", "/v1/payment_intents/{id}/capture", params=CAPTURE)
def capture_payment_intent(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Capture a payment intent"""
    intent, charge = _held(ctx, id, "captured")
    amount: int = params["amount_to_capture"] if "amount_to_capture" in params else intent["amount_capturable"]
    final = params.get("final_capture", True)
    _check_amount(intent, charge, amount)
    _check_parts(intent, charge, final=final)
    if not amount and not (final and intent["amount_received"]):
        raise ApiError("The amount to capture must be greater than 0.", param="amount_to_capture")
    known = ("metadata", "statement_descriptor", "statement_descriptor_suffix")
    intent = objects.update(ctx, intent, _said(intent, params, known) | {"_captures": intent.get("_captures", 0) + 1})
    return payments.capture(ctx, intent, amount, final=final)


def _held(ctx: Context, id: str, done: str) -> tuple[Doc, Doc]:
    """The intent whose money is held, and its charge."""
    intent = loaded(ctx, id, {})
    if intent["status"] != "requires_capture":
        raise unexpected(
            intent,
            f"This PaymentIntent could not be {done} because it has a status of {intent['status']}. Only a "
            f"PaymentIntent with one of the following statuses may be {done}: requires_capture.",
        )
    return intent, objects.load(ctx, "charge", intent["latest_charge"])


def _said(intent: Doc, params: dict[str, Any], names: tuple[str, ...]) -> Doc:
    said: Doc = {name: params[name] for name in names if name in params}
    if "metadata" in params:
        said["metadata"] = merge_metadata(intent["metadata"], params["metadata"])
    return said


def _check_amount(intent: Doc, charge: Doc, amount: int) -> None:
    beyond = charge["payment_method_details"]["card"]["overcapture"]["maximum_amount_capturable"] - charge["amount"]
    most = intent["amount_capturable"] + beyond
    if amount > most:
        currency = intent["currency"]
        raise ApiError(
            f"The amount to capture ({in_words(amount, currency)}) must not be greater than the amount capturable "
            f"({in_words(most, currency)}).",
            code="amount_too_large",
            param="amount_to_capture",
        )


def _check_parts(intent: Doc, charge: Doc, *, final: bool) -> None:
    if final:
        return
    if charge["payment_method_details"]["card"]["multicapture"]["status"] != "available":
        raise ApiError("This PaymentIntent does not support multicapture.", param="final_capture")
    if intent.get("_captures", 0) + 1 >= MOST_CAPTURES:
        raise ApiError(f"A PaymentIntent can be captured up to {MOST_CAPTURES} times.", param="final_capture")


@route("POST", "/v1/payment_intents/{id}/increment_authorization", params=INCREMENT)
def increment_authorization(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Hold more money than before"""
    intent, charge = _held(ctx, id, "incremented")
    _check_increment(intent, charge, params["amount"])
    refusal = refusal_of(card_of(objects.load(ctx, "payment_method", intent["payment_method"])))
    if refusal:
        raise card_error(intent, refusal)
    more = params["amount"] - intent["amount"]
    raised = charge["payment_method_details"]
    card = raised["card"] | {"amount_authorized": params["amount"]}
    most = card["overcapture"]["maximum_amount_capturable"] + more
    card["overcapture"] = card["overcapture"] | {"maximum_amount_capturable": most}
    higher = {"amount": params["amount"], "payment_method_details": raised | {"card": card}}
    objects.update(ctx, charge, higher, event="charge.updated")
    changes = _said(intent, params, ("description", "metadata", "statement_descriptor")) | {
        "amount": params["amount"],
        "amount_capturable": intent["amount_capturable"] + more,
        "_increments": intent.get("_increments", 0) + 1,
    }
    return objects.update(ctx, intent, changes, event="payment_intent.amount_capturable_updated")


def _check_increment(intent: Doc, charge: Doc, amount: int) -> None:
    if charge["payment_method_details"]["card"]["incremental_authorization"]["status"] != "available":
        raise ApiError("This PaymentIntent does not support incremental authorization.", param="intent")
    if amount <= intent["amount"]:
        raise ApiError("The new amount must be greater than the amount that is authorized already.", param="amount")
    if intent["amount_received"]:
        raise ApiError("A PaymentIntent of which a part is captured cannot be incremented.", param="intent")
    if intent.get("_increments", 0) >= MOST_INCREMENTS:
        raise ApiError(f"A PaymentIntent can be incremented up to {MOST_INCREMENTS} times.", param="intent")
