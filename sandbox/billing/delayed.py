"""Payments that are told of another day: vouchers, transfers, direct debits, as far as invoices are concerned.

A subscription is active while its first payment is being processed, and past due when that fails in the end. Source:
Stripe docs, "Set up a subscription with SEPA Direct Debit", "Pay an invoice by bank transfer".
"""

from sandbox import objects
from sandbox.billing import collection, invoicing, lifecycle
from sandbox.context import Context
from sandbox.kinds import Doc
from sandbox.resources import (
    bank_transfers,
    cash_balances,
    konbini,
    method_options,
    payment_settings,
    payments,
)  # fmt: skip

SENT = ("card", "konbini", "customer_balance")
"""What an invoice that is sent offers when nothing else was said, as far as its currency allows."""


def ways_to_pay(ctx: Context, invoice: Doc) -> Doc:
    """The intent's `payment_method_types` and options: what the invoice says, else its subscription."""
    subscription = objects.find(ctx, "subscription", invoicing.subscription_of(invoice))
    for owner in filter(None, (invoice, subscription)):
        types = (owner["payment_settings"] or {}).get("payment_method_types")
        if types:
            return _with_options([name for name in types if name != "link"] or ["card"], owner)
    sent = invoice["collection_method"] == "send_invoice"
    possible = method_options.for_currency(invoice["currency"])
    if not konbini.LEAST <= invoice["amount_due"] <= konbini.MOST:
        possible = [name for name in possible if name != "konbini"]
    return _with_options([name for name in SENT if name in possible] if sent else ["card"], invoice)


def _with_options(types: list[str], owner: Doc) -> Doc:
    told = {name: one for name, one in payment_settings.options_of(owner).items() if name in types}
    options = method_options.said(method_options.defaults(types), told)
    return {"payment_method_options": options, "payment_method_types": types}


def use_cash(ctx: Context, invoice: Doc) -> None:
    """An invoice was finalised: what its customer has in cash may pay for it."""
    customer, currency = invoice["customer"], invoice["currency"]
    if cash_balances.available(ctx, customer, currency) and cash_balances.is_automatic(ctx, customer):
        bank_transfers.reconcile(ctx, customer, currency)


@payments.on_outcome
def _outcome(ctx: Context, intent: Doc) -> None:
    if intent["status"] not in ("processing", "requires_payment_method"):
        return
    invoice = objects.find(ctx, "invoice", intent.get("_invoice"))
    subscription = objects.find(ctx, "subscription", invoicing.subscription_of(invoice)) if invoice else None
    if invoice is None or subscription is None or invoice["billing_reason"] != "subscription_create":
        return
    if intent["status"] == "processing" and subscription["status"] == "incomplete" and subscription.get("_announced"):
        lifecycle.plan(ctx, lifecycle.updated(ctx, subscription, {"status": "active"}))
    elif intent["status"] == "requires_payment_method" and subscription["status"] == "active":
        lifecycle.updated(ctx, subscription, {"status": "past_due"})


collection.WAYS_TO_PAY[0] = ways_to_pay
collection.OPENED.append(use_cash)
