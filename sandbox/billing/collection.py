"""How the money of an invoice comes in: which card, the payment intent, what an outcome means.

An open invoice with something due has one payment intent and one `invoice_payment` that ties them. Whatever way the
intent takes (here, by a client with its secret, on the challenge page), `payments` tells `_outcome`.
Source: Stripe docs, "Payment method priority", "Invoice payments".
"""

from typing import Any

from sandbox import jobs, objects
from sandbox.billing import balances, invoicing, lines, policy, usage_lines
from sandbox.billing.periods import DAY
from sandbox.context import Context
from sandbox.currencies import MINIMUM_CHARGE
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.resources import payments
from sandbox.resources.payment_methods import card_of, resolve

WAYS_TO_PAY: list[Any] = [lambda ctx, invoice: {}]
"""A function (ctx, invoice) → the fields of its intent that say how it may be paid."""
OPENED: list[Any] = []
"""Functions (ctx, invoice) told that an invoice waits for its payment from now on."""
FAILED: list[Any] = []
"""Functions (ctx, invoice, intent) told when a payment failed or wants the cardholder."""
OVERDUE: list[Any] = []
"""Functions (ctx, invoice, given_up=…) told when an invoice that was sent was not paid in time."""


def payment_method_for(ctx: Context, subscription: Doc | None, customer: Doc | None = None) -> Doc | None:
    """The subscription's own, else the customer's default, else their default source."""
    if subscription and subscription["default_payment_method"]:
        return objects.find(ctx, "payment_method", subscription["default_payment_method"])
    owner = customer or objects.load(ctx, "customer", subscription["customer"] if subscription else "")
    default = owner["invoice_settings"]["default_payment_method"] or owner["default_source"]
    return objects.find(ctx, "payment_method", default)


def owned_payment_method(ctx: Context, customer: str, id: str, *, param: str = "default_payment_method") -> str:
    """The id, when this customer may pay with it."""
    payment_method = resolve(ctx, id, param=param)
    if payment_method["customer"] != customer:
        raise ApiError(
            f"The customer does not have a payment method with the ID {payment_method['id']}. The payment method must "
            "be attached to the customer.",
            code="resource_missing",
            param=param,
        )
    return str(payment_method["id"])


def take_pending(ctx: Context, subscription: Doc) -> list[Doc]:
    """The invoice items that wait for this subscription's next invoice, oldest first. The caller places them."""
    waiting = objects.query(ctx, "invoiceitem", customer=subscription["customer"], _pending=True)
    return [item for item in reversed(waiting) if _belongs(item, subscription)]


def _belongs(item: Doc, subscription: Doc) -> bool:
    details = (item["parent"] or {}).get("subscription_details") or {}
    own = details.get("subscription") in (None, subscription["id"])
    return own and item["currency"] == subscription["currency"]


def waiting_for_invoice(ctx: Context, customer: str, currency: str, subscription: str | None) -> list[Doc]:
    """What waits for an invoice made by hand, newest first: everything of the customer, or of one subscription."""
    if subscription:
        return take_pending(ctx, objects.load(ctx, "subscription", subscription, param="subscription"))[::-1]
    waiting = objects.query(ctx, "invoiceitem", customer=customer, _pending=True)
    return [item for item in waiting if item["currency"] == currency]


def add_pending(ctx: Context, fields: Doc) -> Doc:
    """An invoice item that waits for the next invoice. `fields` as for lines.new_item_fields."""
    new = lines.new_item_fields(ctx, fields) | {"_pending": True}
    return objects.create(ctx, "invoiceitem", new, event="invoiceitem.created")


def place(ctx: Context, items: list[Doc], invoice: Doc) -> None:
    """The items stand on the invoice from now on."""
    for item in items:
        objects.update(ctx, item, {"invoice": invoice["id"], "_pending": False})


def open_payment(ctx: Context, invoice: Doc) -> Doc:
    """The intent and its invoice payment, for an invoice that has just been finalised. What would pay it is named and
    waits to be confirmed. Source: Stripe docs, "Billing with the Payment Intents API"."""
    ways = WAYS_TO_PAY[0](ctx, invoice)
    payer = _payer(ctx, invoice) if invoice["collection_method"] == "charge_automatically" else None
    named = payer and payer["type"] in ways.get("payment_method_types", ["card"])
    intent = payments.new_intent(
        ctx,
        {
            "amount": invoice["amount_due"],
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "description": _description(invoice),
            "receipt_email": None,
            "setup_future_usage": "off_session" if invoicing.subscription_of(invoice) else None,
            "_invoice": invoice["id"],
            "payment_method": payer["id"] if payer and named else None,
            **ways,
        },
    )
    return new_payment(ctx, invoice, intent, is_default=True)


def new_payment(ctx: Context, invoice: Doc, intent: Doc, *, is_default: bool) -> Doc:
    """The tie between an invoice and an intent; the default one is the invoice's own."""
    return objects.create(
        ctx,
        "invoice_payment",
        {
            "amount_paid": None,
            "amount_requested": intent["amount"],
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": is_default,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        },
    )


def _description(invoice: Doc) -> str | None:
    reasons = {"subscription_create": "Subscription creation", "subscription_update": "Subscription update"}
    if invoice["billing_reason"] == "manual":
        return "Payment for Invoice"
    return reasons.get(invoice["billing_reason"], "Subscription update")


def open_intent(ctx: Context, invoice: Doc) -> Doc | None:
    """The intent that would pay this invoice."""
    for payment in _open_payments(ctx, invoice):
        if payment["is_default"]:
            return objects.find(ctx, "payment_intent", payment["payment"]["payment_intent"])
    return None


def _open_payments(ctx: Context, invoice: Doc) -> list[Doc]:
    return objects.query(ctx, "invoice_payment", invoice=invoice["id"], status="open")


def ask_for_rest(ctx: Context, invoice: Doc) -> None:
    """The payment that waits asks for what is left of the invoice."""
    intent = open_intent(ctx, invoice)
    if intent:
        objects.update(ctx, intent, {"amount": invoice["amount_remaining"]})
    for payment in _open_payments(ctx, invoice):
        if payment["is_default"]:
            objects.update(ctx, payment, {"amount_requested": invoice["amount_remaining"]})


def collect(
    ctx: Context, invoice: Doc, payment_method: Doc | None, *, off_session: bool, return_url: str | None = None
) -> tuple[Doc, Doc]:
    """Ask the bank for what an open invoice asks. The invoice and the intent as they are then; a decline is a state."""
    intent = open_intent(ctx, invoice)
    if intent is None:
        raise ApiError("This invoice has no payment to confirm.", param="invoice")
    if intent["status"] == "processing":
        return invoice, intent
    if payment_method is None:
        _failed(ctx, invoice, intent)
        return objects.load(ctx, "invoice", invoice["id"]), intent
    # An invoice that needs its cardholder waits for them, also when it was charged without them.
    asks = off_session and payments.needs_challenge(card_of(payment_method), payment_method, off_session=True)
    present = not off_session or asks
    intent = payments.confirm(ctx, intent, payment_method, off_session=not present, return_url=return_url)
    return objects.load(ctx, "invoice", invoice["id"]), objects.load(ctx, "payment_intent", intent["id"])


def _action_required(ctx: Context, invoice: Doc, intent: Doc) -> None:
    """Nobody but the cardholder can go on, so no further attempt is planned. A renewal waits as long as retries would
    take. Source: Stripe docs, "Revenue recovery" (payments that require confirmation)."""
    tried = objects.update(ctx, invoice, {"attempted": True, "next_payment_attempt": None}, event="invoice.updated")
    objects.announce(ctx, "invoice.payment_action_required", tried)
    if invoicing.subscription_of(invoice) and invoice["billing_reason"] != "subscription_create":
        due, waiting = ctx.now + sum(policy.of(ctx).retry_days) * DAY, {"invoice": invoice["id"]}
        jobs.schedule(ctx, "invoice.unconfirmed", due_at=due, name=invoice["id"], payload=waiting)
    _tell_failed(ctx, tried, intent)


@jobs.job("invoice.unconfirmed")
def give_up_unconfirmed(ctx: Context, payload: Doc) -> None:
    """The cardholder never came: what the account decided about retries that failed holds here too."""
    invoice = objects.find(ctx, "invoice", payload["invoice"])
    intent = open_intent(ctx, invoice) if invoice and invoice["status"] == "open" else None
    if invoice and intent and intent["status"] == "requires_action" and not payments.is_later(intent):
        _tell_failed(ctx, objects.update(ctx, invoice, {"_given_up": True}), intent)


@payments.on_outcome
def _outcome(ctx: Context, intent: Doc) -> None:
    invoice = objects.find(ctx, "invoice", intent.get("_invoice"))
    if invoice is None or invoice["status"] not in ("open", "uncollectible"):
        return
    if intent["status"] == "succeeded":
        _settle(ctx, invoice, intent)
    elif intent["status"] == "requires_action" and not payments.is_later(intent):
        _action_required(ctx, invoice, intent)
    elif intent["status"] == "requires_payment_method":
        _failed(ctx, invoice, intent)


def _settle(ctx: Context, invoice: Doc, intent: Doc) -> None:
    close_payments(ctx, invoice, paid_with=intent["id"])
    customer = objects.load(ctx, "customer", invoice["customer"])
    objects.update(ctx, customer, {"delinquent": False}, event="customer.updated")
    invoicing.paid(ctx, invoice, amount=invoice["amount_paid"] + intent["amount_received"], attempted=True)


def close_payments(ctx: Context, invoice: Doc, *, paid_with: str | None = None) -> None:
    """Mark the open invoice payments: paid for the intent that paid, canceled for the rest."""
    for payment in _open_payments(ctx, invoice):
        used = payment["payment"]["payment_intent"] == paid_with
        close_payment(ctx, payment, payment["amount_requested"] if used else None)


def close_payment(ctx: Context, payment: Doc, amount: int | None) -> None:
    """Paid with so much (minor unit), or canceled."""
    used = amount is not None
    transition = {"paid_at" if used else "canceled_at": ctx.now}
    changes = {
        "amount_paid": amount,
        "status": "paid" if used else "canceled",
        "status_transitions": payment["status_transitions"] | transition,
    }
    closed = objects.update(ctx, payment, changes)
    if used:
        objects.announce(ctx, "invoice_payment.paid", closed)


def cancel_payments(ctx: Context, invoice: Doc) -> None:
    """Nothing will be taken for this invoice any more."""
    intent = open_intent(ctx, invoice)
    close_payments(ctx, invoice)
    if intent and intent["status"] not in ("succeeded", "canceled"):
        payments.cancel(ctx, intent, "void_invoice")


def _failed(ctx: Context, invoice: Doc, intent: Doc) -> None:
    changes = {"attempt_count": invoice["attempt_count"] + 1, "attempted": True} | _next_attempt(ctx, invoice)
    again = changes["next_payment_attempt"]
    tried = objects.update(ctx, invoice, changes, event="invoice.updated")
    objects.announce(ctx, "invoice.payment_failed", tried)
    if again:
        jobs.schedule(ctx, "invoice.retry", due_at=again, name=invoice["id"], payload={"invoice": invoice["id"]})
    if invoice["billing_reason"] != "subscription_create":
        customer = objects.load(ctx, "customer", invoice["customer"])
        objects.update(ctx, customer, {"delinquent": True}, event="customer.updated")
    _tell_failed(ctx, tried, intent)


def _next_attempt(ctx: Context, invoice: Doc) -> Doc:
    """A first invoice is left to the customer; a manual one without auto_advance too. What the customer tries in
    between changes nothing about when the account tries again."""
    planned = invoice["next_payment_attempt"]
    if planned and planned > ctx.now:
        return {"next_payment_attempt": planned}
    if invoice["billing_reason"] == "subscription_create" or not invoice["auto_advance"]:
        return {"next_payment_attempt": None}
    tries, days = invoice.get("_tries", 0), policy.of(ctx).retry_days
    again = ctx.now + days[tries] * DAY if tries < len(days) else None
    return {"next_payment_attempt": again, "_tries": tries + 1}


def is_given_up(ctx: Context, invoice: Doc) -> bool:
    """The last attempt of the account has failed, or its cardholder never came to confirm."""
    if invoice.get("_given_up"):
        return True
    return not invoice["next_payment_attempt"] and invoice.get("_tries", 0) > len(policy.of(ctx).retry_days)


def _tell_failed(ctx: Context, invoice: Doc, intent: Doc) -> None:
    for tell in FAILED:
        tell(ctx, invoice, intent)


@jobs.job("invoice.finalize")
def finalize_later(ctx: Context, payload: Doc) -> None:
    """A draft's hour is over."""
    invoice = objects.find(ctx, "invoice", payload["invoice"])
    if invoice is None or invoice["status"] != "draft":
        return
    advance(ctx, open_up(ctx, invoice))


def open_up(ctx: Context, invoice: Doc) -> Doc:
    """Finalise, with an intent when something is due."""
    finalized = invoicing.finalize(ctx, usage_lines.counted_again(ctx, invoice))
    if finalized["status"] != "open":
        return finalized
    if finalized["amount_due"] < MINIMUM_CHARGE.get(finalized["currency"], 1):
        return _carry_over(ctx, finalized)
    open_payment(ctx, finalized)
    if finalized["due_date"]:
        later = {"invoice": finalized["id"]}
        jobs.schedule(ctx, "invoice.due", due_at=finalized["due_date"], name=finalized["id"], payload=later)
        _plan_reminder(ctx, finalized)
    for told in OPENED:
        told(ctx, finalized)
    return objects.load(ctx, "invoice", finalized["id"])


def _plan_reminder(ctx: Context, invoice: Doc) -> None:
    days = policy.of(ctx).due_soon_days
    due = invoice["due_date"] - days * DAY
    if days and due > ctx.now:
        payload = {"invoice": invoice["id"]}
        jobs.schedule(ctx, "invoice.will_be_due", due_at=due, name=invoice["id"], payload=payload)


@jobs.job("invoice.will_be_due")
def be_due_soon(ctx: Context, payload: Doc) -> None:
    """Some days before the last one. Source: API reference, "Types of events"."""
    invoice = objects.find(ctx, "invoice", payload["invoice"])
    if invoice and invoice["status"] == "open":
        objects.announce(ctx, "invoice.will_be_due", invoice)


@jobs.job("invoice.due")
def fall_due(ctx: Context, payload: Doc) -> None:
    """The last day to pay an invoice that was sent is over. Source: API reference, "Types of events"."""
    invoice = objects.find(ctx, "invoice", payload["invoice"])
    if invoice is None or invoice["status"] != "open":
        return
    if payload.get("given_up"):
        _tell_overdue(ctx, invoice, given_up=True)
        return
    objects.announce(ctx, "invoice.overdue", invoice)
    _tell_overdue(ctx, invoice, given_up=False)
    due, last = ctx.now + policy.of(ctx).overdue_days * DAY, payload | {"given_up": True}
    jobs.schedule(ctx, "invoice.due", due_at=due, name=invoice["id"], payload=last)


def _tell_overdue(ctx: Context, invoice: Doc, *, given_up: bool) -> None:
    for tell in OVERDUE:
        tell(ctx, invoice, given_up=given_up)


def _carry_over(ctx: Context, invoice: Doc) -> Doc:
    """Too little to charge a card with: the customer owes it on the next invoice, and this one is settled."""
    customer = objects.load(ctx, "customer", invoice["customer"])
    owed = balances.move(ctx, customer, invoice["amount_due"], "invoice_too_small", invoice=invoice["id"])
    nothing = {"amount_due": 0, "amount_remaining": 0, "ending_balance": owed["balance"]}
    return invoicing.paid(ctx, objects.update(ctx, invoice, nothing))


def advance(ctx: Context, invoice: Doc) -> Doc:
    """What Stripe does by itself with a finalised invoice: collect, or send it."""
    if invoice["status"] != "open":
        return invoice
    if invoice["collection_method"] == "send_invoice":
        objects.announce(ctx, "invoice.sent", invoice)
        return invoice
    return collect(ctx, invoice, _payer(ctx, invoice), off_session=True)[0]


def _payer(ctx: Context, invoice: Doc) -> Doc | None:
    """The invoice's own payment method, or its subscription's, or its customer's."""
    default = objects.find(ctx, "payment_method", invoice["default_payment_method"])
    if default:
        return default
    subscription = objects.find(ctx, "subscription", invoicing.subscription_of(invoice))
    return payment_method_for(ctx, subscription, objects.load(ctx, "customer", invoice["customer"]))


@jobs.job("invoice.retry")
def retry(ctx: Context, payload: Doc) -> None:
    """Another attempt at an invoice whose payment failed."""
    invoice = objects.find(ctx, "invoice", payload["invoice"])
    if invoice and invoice["status"] == "open" and invoice["next_payment_attempt"]:
        advance(ctx, invoice)
