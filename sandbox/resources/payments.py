"""How a payment intent moves. No routes here: payment_intents.py, invoices and checkout use these functions.

intent = create_and_confirm_payment_intent(ctx, amount=…, currency=…, customer=…, payment_method=…, off_session=True)
intent["status"]  # succeeded · requires_action (see `challenge_url`) · requires_payment_method (declined: see
                  # intent["last_payment_error"]) · requires_capture; a decline is a state here, never an exception

@on_outcome
def settle_invoice(ctx, intent): ...   # told when an intent succeeds, fails, is canceled or asks for its owner
"""

from collections.abc import Callable
from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.documents import new_id, random_text, render
from sandbox.errors import DOC_URL
from sandbox.kinds import Doc, kind
from sandbox.resources.charges import charge_card, is_held, refusal_of, settled, take
from sandbox.resources.method_options import defaults
from sandbox.resources.payment_methods import attach, card_of
from sandbox.testcards import ADVICE, Authentication, TestCard

PAYMENT_INTENT = kind(
    "payment_intent",
    prefix="pi",
    indexed=("customer", "status"),
    expandable={
        "application": "*",
        "customer": "customer",
        "last_payment_error.payment_method.customer": "customer",
        "latest_charge": "charge",
        "on_behalf_of": "*",
        "payment_method": "payment_method",
        "review": "review",
        "source": "*",
        "transfer_data.destination": "*",
    },
)
AUTHENTICATION_REFUSED: Doc = {
    "code": "authentication_required",
    "decline_code": "authentication_required",
    "message": "Your card was declined. This transaction requires authentication.",
}
AUTHENTICATION_FAILED: Doc = {
    "code": "payment_intent_authentication_failure",
    "message": "We are unable to authenticate your payment method. Please choose a different payment method and try "
    "again.",
    "type": "invalid_request_error",
}
METHOD_OPTIONS: Doc = defaults(["card"])
WAYS: dict[str, Callable[[Context, Doc, Doc], Doc]] = {}
"""How to pay otherwise than by card: (ctx, intent, payment method) → the intent, by the payment method's type."""
VOUCHER = "konbini_display_details"
LATER = (VOUCHER, "display_bank_transfer_instructions", "verify_with_microdeposits")
"""The next actions that people take elsewhere, days later perhaps."""
CLEAR: list[Callable[[Context, Doc], None]] = []
"""What is cleared away before an intent is canceled or tried another way: vouchers, money that was set aside."""
HELD: list[Callable[[Context, Doc, Doc], None]] = []
"""Functions (ctx, intent, charge) told that money is held from now on."""
Listener = Callable[[Context, Doc], None]
LISTENERS: list[Listener] = []


def on_outcome(listener: Listener) -> Listener:
    """Register what to do when an intent has succeeded, failed, been canceled, or waits for its cardholder."""
    LISTENERS.append(listener)
    return listener


def create_and_confirm_payment_intent(
    ctx: Context,
    *,
    amount: int,
    currency: str,
    customer: str | None,
    payment_method: str,
    off_session: bool,
    **more: Any,
) -> Doc:
    """A new intent, tried at once. `more` are further fields of the intent (description, metadata, setup_future_usage,
    …) and may have `return_url`. Listeners are told before this returns."""
    return_url = more.pop("return_url", None)
    intent = new_intent(ctx, {"amount": amount, "currency": currency, "customer": customer, **more})
    return confirm(
        ctx,
        intent,
        objects.load(ctx, "payment_method", payment_method, param="payment_method"),
        off_session=off_session,
        return_url=return_url,
    )


def new_intent(ctx: Context, fields: Doc) -> Doc:
    """A stored intent, not yet confirmed; `payment_intent.created` is emitted."""
    nothing = dict.fromkeys(
        ("allowed_payment_method_types", "application", "application_fee_amount", "automatic_payment_methods",
         "canceled_at", "cancellation_reason",
         "customer", "customer_account", "description", "excluded_payment_method_types", "last_payment_error",
         "latest_charge", "next_action", "on_behalf_of", "payment_method", "payment_method_configuration_details",
         "processing", "receipt_email", "review", "setup_future_usage", "shipping", "source",
         "statement_descriptor", "statement_descriptor_suffix", "transfer_data", "transfer_group")
    )  # fmt: skip
    defaults = {
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic",
        "confirmation_method": "automatic",
        "managed_payments": {"enabled": False},
        "metadata": {},
        "payment_method_options": METHOD_OPTIONS,
        "payment_method_types": ["card"],
        "status": "requires_confirmation" if fields.get("payment_method") else "requires_payment_method",
    }
    id = new_id(ctx, "payment_intent")
    secret = {"id": id, "client_secret": f"{id}_secret_{random_text(25)}"}
    intent = objects.create(ctx, "payment_intent", nothing | defaults | fields | secret)
    objects.announce(ctx, "payment_intent.created", intent)
    return intent


def confirm(ctx: Context, intent: Doc, payment_method: Doc, *, off_session: bool, return_url: str | None = None) -> Doc:
    """Try to pay with this payment method; the intent in its new state."""
    type, types = payment_method["type"], intent["payment_method_types"]
    if intent["status"] == "requires_action" or intent.get("_funded"):
        intent = _cleared(ctx, intent)
    changes = {"payment_method": payment_method["id"], "last_payment_error": None, "_return_url": return_url}
    intent = objects.update(ctx, intent, changes | ({} if type in types else {"payment_method_types": [*types, type]}))
    if payment_method["type"] in WAYS:
        return WAYS[payment_method["type"]](ctx, intent, payment_method)
    card = card_of(payment_method)
    wanted = needs_challenge(card, payment_method, off_session=off_session) or (
        card.authentication == Authentication.ON_REQUEST
        and _card_options(intent).get("request_three_d_secure") in ("any", "challenge")
    )
    if wanted and off_session:
        return _refuse(ctx, intent, payment_method, AUTHENTICATION_REFUSED, challenged=False)
    if wanted:
        return _ask_for_challenge(ctx, intent)
    return _charge(ctx, intent, payment_method, challenged=False)


def _cleared(ctx: Context, intent: Doc) -> Doc:
    for clear in CLEAR:
        clear(ctx, intent)
    return objects.load(ctx, "payment_intent", intent["id"])


def _card_options(intent: Doc) -> Doc:
    options: Doc = intent["payment_method_options"].get("card") or {}
    return options


def needs_challenge(card: TestCard, payment_method: Doc, *, off_session: bool) -> bool:
    if card.authentication == Authentication.UNLESS_SET_UP:
        return not payment_method["_set_up"]
    if card.authentication == Authentication.ON_SESSION:
        return not off_session
    return card.authentication == Authentication.ALWAYS


def _ask_for_challenge(ctx: Context, intent: Doc) -> Doc:
    return wait(ctx, intent, next_action(ctx, intent))


def wait(ctx: Context, intent: Doc, action: Doc, **more: Any) -> Doc:
    """Somebody has to do something first."""
    waiting = objects.update(ctx, intent, {"status": "requires_action", "next_action": action, **more})
    objects.announce(ctx, "payment_intent.requires_action", waiting)
    _tell(ctx, waiting)
    return waiting


def is_later(intent: Doc) -> bool:
    """It waits for somebody who pays elsewhere, or for a bank: whether it is paid is told another day."""
    if intent["status"] == "processing":
        return True
    return intent["status"] == "requires_action" and intent["next_action"]["type"] in LATER


def is_voucher(intent: Doc) -> bool:
    """There is a voucher that can be paid."""
    return bool(intent["status"] == "requires_action" and intent["next_action"]["type"] == VOUCHER)


def called_off(ctx: Context, intent: Doc) -> Doc:
    """What it waited for is worth nothing any more; it can be confirmed anew. Source: Stripe docs, "Konbini payments"
    (a change of the intent cancels the voucher)."""
    cleared = _cleared(ctx, intent)
    return objects.update(ctx, cleared, {"next_action": None, "status": "requires_confirmation"})


def process(ctx: Context, intent: Doc, charge: Doc) -> Doc:
    """The bank has been asked and will answer in days."""
    changes = {"latest_charge": charge["id"], "next_action": None, "status": "processing"}
    processing = objects.update(ctx, intent, changes)
    objects.announce(ctx, "payment_intent.processing", processing)
    _tell(ctx, processing)
    return processing


def next_action(ctx: Context, intent: Doc) -> Doc:
    """Where the cardholder proves who they are. Without a return_url Stripe leaves it to its script; there is none
    here, so the address stands in what the script would be given."""
    url = challenge_url(ctx, intent)
    if intent.get("_return_url"):
        return {"redirect_to_url": {"return_url": intent["_return_url"], "url": url}, "type": "redirect_to_url"}
    return {
        "type": "use_stripe_sdk",
        "use_stripe_sdk": {"stripe_js": url, "type": "three_d_secure_redirect"},
    }


def challenge_url(ctx: Context, intent: Doc) -> str:
    """The sandbox's page on which the challenge is passed or failed."""
    return f"{ctx.base_url}/challenge/{intent['id']}?client_secret={intent['client_secret']}"


def finish_challenge(ctx: Context, intent: Doc, *, passed: bool) -> Doc:
    """The cardholder has answered."""
    payment_method = objects.load(ctx, "payment_method", intent["payment_method"])
    intent = objects.update(ctx, intent, {"next_action": None})
    if passed:
        return _charge(ctx, intent, payment_method, challenged=True)
    return fail(ctx, intent, payment_method, AUTHENTICATION_FAILED, charge=None)


def _charge(ctx: Context, intent: Doc, payment_method: Doc, *, challenged: bool) -> Doc:
    refusal = _answer(ctx, payment_method)
    if refusal:
        return _refuse(ctx, intent, payment_method, refusal, challenged=challenged)
    payment_method = _keep_for_later(ctx, intent, payment_method, challenged=challenged)
    charge = charge_card(ctx, intent, payment_method, None, challenged=challenged)
    if is_held(intent):
        return _hold(ctx, intent, charge)
    return succeed(ctx, intent, charge)


def _answer(ctx: Context, payment_method: Doc) -> Doc | None:
    """What the bank says. A card that was told to fail so many times (`_fails`) does so before it acts as it is."""
    left = payment_method.get("_fails", 0)
    if not left:
        return refusal_of(card_of(payment_method))
    objects.update(ctx, payment_method, {"_fails": left - 1})
    declined = {"code": "card_declined", "decline_code": "generic_decline", "message": "Your card was declined."}
    return declined | ADVICE["generic_decline"]


def _keep_for_later(ctx: Context, intent: Doc, payment_method: Doc, *, challenged: bool) -> Doc:
    """`setup_future_usage` binds the card to the customer; a passed challenge frees later off-session payments."""
    customer = objects.find(ctx, "customer", intent["customer"])
    usage = _card_options(intent).get("setup_future_usage") or intent["setup_future_usage"]
    if usage in ("on_session", "off_session") and customer and not payment_method["customer"]:
        payment_method = attach(ctx, payment_method, customer)
    if usage == "off_session" and challenged:
        payment_method = objects.update(ctx, payment_method, {"_set_up": True})
    if not payment_method["customer"]:
        payment_method = objects.update(ctx, payment_method, {"_detached": True})
    return payment_method


def _hold(ctx: Context, intent: Doc, charge: Doc) -> Doc:
    held = objects.update(
        ctx,
        intent,
        {"status": "requires_capture", "amount_capturable": intent["amount"], "latest_charge": charge["id"]},
    )
    objects.announce(ctx, "payment_intent.amount_capturable_updated", held)
    for told in HELD:
        told(ctx, held, charge)
    _tell(ctx, held)
    settled(ctx, charge)
    return objects.load(ctx, "payment_intent", intent["id"])


def capture(ctx: Context, intent: Doc, amount: int, *, final: bool = True) -> Doc:
    """Take what is held, or a part of it; what is not taken then is released, unless more is to follow."""
    charge = take(ctx, objects.load(ctx, "charge", intent["latest_charge"]), amount, final=final)
    if amount:
        objects.announce(ctx, "charge.captured", charge)
    if final:
        whole = max(intent["amount"], charge["amount_captured"])
        return succeed(ctx, objects.update(ctx, intent, {"amount": whole}), charge)
    changes = {
        "amount_capturable": intent["amount_capturable"] - amount, "amount_received": charge["amount_captured"],
    }  # fmt: skip
    return objects.update(ctx, intent, changes, event="payment_intent.amount_capturable_updated")


def succeed(ctx: Context, intent: Doc, charge: Doc) -> Doc:
    """Paid by this charge, which has been taken."""
    paid = objects.update(
        ctx,
        intent,
        {
            "amount_capturable": 0,
            "amount_received": charge["amount_captured"],
            "latest_charge": charge["id"],
            "next_action": None,
            "status": "succeeded",
        },
    )
    objects.announce(ctx, "payment_intent.succeeded", paid)
    _tell(ctx, paid)
    settled(ctx, objects.load(ctx, "charge", charge["id"]))
    return objects.load(ctx, "payment_intent", intent["id"])


def _refuse(ctx: Context, intent: Doc, payment_method: Doc, refusal: Doc, *, challenged: bool) -> Doc:
    charge = charge_card(ctx, intent, payment_method, refusal, challenged=challenged)
    return fail(ctx, intent, payment_method, refusal, charge=charge["id"])


def fail(ctx: Context, intent: Doc, payment_method: Doc, refusal: Doc, *, charge: str | None) -> Doc:
    """Not paid. `refusal` has code, message and what else the error shows."""
    error = {
        "type": "card_error",
        **refusal,
        "doc_url": DOC_URL + refusal["code"].replace("_", "-"),
        "payment_method": render(payment_method),
    }
    if charge:
        error["charge"] = charge
    failed = objects.update(
        ctx,
        intent,
        {
            "last_payment_error": dict(sorted(error.items())),
            "latest_charge": charge or intent["latest_charge"],
            "next_action": None,
            "payment_method": None,
            "status": "requires_payment_method",
        },
    )
    objects.announce(ctx, "payment_intent.payment_failed", failed)
    _tell(ctx, failed)
    return failed


def cancel(ctx: Context, intent: Doc, reason: str | None) -> Doc:
    """Give it up; what was held is released."""
    if intent["status"] == "requires_capture":
        held = objects.load(ctx, "charge", intent["latest_charge"])
        release(ctx, held, "charge.expired" if reason == "automatic" else "charge.refunded")
    canceled = objects.update(
        ctx,
        _cleared(ctx, intent),
        {
            "amount_capturable": 0,
            "canceled_at": ctx.now,
            "cancellation_reason": reason,
            "next_action": None,
            "status": "canceled",
        },
    )
    objects.announce(ctx, "payment_intent.canceled", canceled)
    _tell(ctx, canceled)
    return canceled


def release(ctx: Context, charge: Doc, event: str) -> None:
    """What was held for a charge is not held any more."""
    charge = objects.update(ctx, charge, {"amount_refunded": charge["amount"], "refunded": True})
    objects.announce(ctx, event, charge, previous={"amount_refunded": 0, "refunded": False})


def _tell(ctx: Context, intent: Doc) -> None:
    for listener in LISTENERS:
        listener(ctx, intent)
