"""Payments that were made beside an invoice and are counted for it: part payments, and more than was asked.

What a payment brings beyond what is left becomes the customer's credit. Sources: API reference, "Attach a payment to an
Invoice", "The Invoice Payment object"; Stripe docs, "Partial payments", "Invoice overpayments".
"""

from sandbox import objects
from sandbox.billing import balances, collection, invoicing
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.resources import payments


def attach(ctx: Context, invoice: Doc, intent: Doc) -> Doc:
    """The invoice, with the intent among its payments; one that has succeeded counts at once. Raises ApiError for an
    invoice that is not open and an intent of somebody else, of another currency, canceled, or of an invoice already."""
    _check(ctx, invoice, intent)
    collection.new_payment(ctx, invoice, intent, is_default=False)
    if intent["status"] == "succeeded":
        _count(ctx, intent)
    return objects.load(ctx, "invoice", invoice["id"])


def _check(ctx: Context, invoice: Doc, intent: Doc) -> None:
    if invoice["status"] != "open":
        raise ApiError(
            f"You can only attach payments to open invoices. This invoice is {invoice['status']}.", param="id"
        )
    if intent["customer"] != invoice["customer"]:
        raise ApiError("The PaymentIntent must be of the invoice's customer.", param="payment_intent")
    if intent["currency"] != invoice["currency"]:
        raise ApiError(
            f"The PaymentIntent's currency ({intent['currency']}) must be the invoice's ({invoice['currency']}).",
            param="payment_intent",
        )
    if intent["status"] == "canceled":
        raise ApiError("A canceled PaymentIntent cannot be attached to an invoice.", param="payment_intent")
    if intent.get("_invoice") or _ties(ctx, intent):
        raise ApiError("This PaymentIntent is attached to an invoice already.", param="payment_intent")


def _ties(ctx: Context, intent: Doc) -> list[Doc]:
    return ctx.tx.page(ctx.scope, "invoice_payment", {"payment.payment_intent": intent["id"]})


@payments.on_outcome
def _outcome(ctx: Context, intent: Doc) -> None:
    if intent.get("_invoice"):
        return
    if intent["status"] == "succeeded":
        _count(ctx, intent)
    elif intent["status"] == "canceled":
        for tie in _ties(ctx, intent):
            if tie["status"] == "open":
                collection.close_payment(ctx, tie, None)


def _count(ctx: Context, intent: Doc) -> None:
    """What this payment brought is counted for its invoice, once."""
    for tie in _ties(ctx, intent):
        invoice = objects.find(ctx, "invoice", tie["invoice"])
        if tie["status"] == "open" and invoice and invoice["status"] in ("open", "uncollectible"):
            collection.close_payment(ctx, tie, intent["amount_received"])
            _credit(ctx, invoice, intent["amount_received"])


def _credit(ctx: Context, invoice: Doc, amount: int) -> None:
    counted = min(amount, invoice["amount_remaining"])
    beyond = amount - counted
    changes = {
        "amount_overpaid": invoice["amount_overpaid"] + beyond,
        "amount_paid": invoice["amount_paid"] + counted,
        "amount_remaining": invoice["amount_remaining"] - counted,
    }
    if beyond:
        customer = objects.load(ctx, "customer", invoice["customer"])
        balances.move(ctx, customer, -beyond, "invoice_overpaid", invoice=invoice["id"])
    if changes["amount_remaining"]:
        collection.ask_for_rest(ctx, objects.update(ctx, invoice, changes, event="invoice.updated"))
        return
    collection.cancel_payments(ctx, invoice)
    settled = objects.update(ctx, objects.load(ctx, "invoice", invoice["id"]), changes)
    settled = invoicing.paid(ctx, settled, amount=settled["amount_paid"], out_of_band=True)
    if beyond:
        objects.announce(ctx, "invoice.overpaid", settled)
