"""Bank transfers: the customer is told an account, sends money to it, and payments are funded from what arrives.

    confirm → requires_action (display_bank_transfer_instructions), partly funded perhaps → succeeded

Sources: Stripe docs, "Accept a bank transfer", "Reconciliation", "Customer balance".
"""

from typing import Any

from sandbox import banking, ledger, objects
from sandbox.context import Context
from sandbox.documents import render
from sandbox.errors import ApiError, no_such
from sandbox.kinds import Doc
from sandbox.ledger import Entry
from sandbox.money import in_words
from sandbox.params import Int, Str
from sandbox.reconciling import Waiting, share
from sandbox.resources import payments
from sandbox.resources.cash_balances import available, change, is_automatic, tell_if_left
from sandbox.resources.charges import charge_otherwise
from sandbox.resources.payment_methods import from_data
from sandbox.resources.prices import checked_currency
from sandbox.routes import route

INSTRUCTIONS = "display_bank_transfer_instructions"
SENDERS: dict[str, Doc] = {
    "jp_bank_transfer": {"sender_bank": "サンドボックス銀行", "sender_branch": "本店", "sender_name": "ヤマダ タロウ"},
    "us_bank_transfer": {"network": "ach", "sender_name": "Jenny Rosen"},
    "eu_bank_transfer": {"bic": "SANDBXDEXXX", "iban_last4": "3000", "sender_name": "Jenny Rosen"},
    "gb_bank_transfer": {"account_number_last4": "6789", "sender_name": "Jenny Rosen", "sort_code": "200000"},
}


def confirm(ctx: Context, intent: Doc, payment_method: Doc) -> Doc:
    """Take what the customer has in cash, and ask for the rest. Raises ApiError without a customer."""
    if not intent["customer"]:
        raise ApiError(
            "A customer must be set on the PaymentIntent in order to pay with the customer balance.",
            code="parameter_missing",
            param="customer",
        )
    automatic = is_automatic(ctx, intent["customer"])
    here = available(ctx, intent["customer"], intent["currency"]) if automatic else 0
    part = min(here, _missing(intent))
    if part == _missing(intent):
        return _apply(ctx, intent, part)
    intent = payments.wait(ctx, intent, _next_action(ctx, intent, _missing(intent)))
    return _apply(ctx, intent, part) if part else intent


payments.WAYS["customer_balance"] = confirm


def _missing(intent: Doc) -> int:
    return int(intent["amount"]) - int(intent.get("_funded") or 0)


def _next_action(ctx: Context, intent: Doc, missing: int) -> Doc:
    said = (intent["payment_method_options"].get("customer_balance") or {}).get("bank_transfer") or {}
    type = said.get("type") or banking.TYPES[intent["currency"]]
    country = (said.get("eu_bank_transfer") or {}).get("country")
    funding = banking.funding(intent["customer"], intent["currency"], type, country)
    details = {
        "amount_remaining": missing,
        "currency": intent["currency"],
        "financial_addresses": funding["financial_addresses"],
        "hosted_instructions_url": f"{ctx.base_url}/transfers/{intent['id']}?client_secret={intent['client_secret']}",
        "reference": reference_of(intent),
        "type": type,
    }
    return {INSTRUCTIONS: details, "type": INSTRUCTIONS}


def restated(ctx: Context, intent: Doc) -> Doc:
    """With what is still to be sent, after the amount has changed. One that is whole by now is paid."""
    if not is_open(intent) or intent["next_action"][INSTRUCTIONS]["amount_remaining"] == _missing(intent):
        return intent
    if not _missing(intent):
        return _paid(ctx, intent)
    return objects.update(ctx, intent, {"next_action": _next_action(ctx, intent, _missing(intent))})


def reference_of(intent: Doc) -> str:
    """What a sender can write on the transfer."""
    return str(intent["id"])[-8:].upper()


def is_open(intent: Doc) -> bool:
    """It waits for a transfer."""
    return bool(intent["status"] == "requires_action" and intent["next_action"]["type"] == INSTRUCTIONS)


def _apply(ctx: Context, intent: Doc, amount: int) -> Doc:
    """Set cash aside for this payment; when it is whole, it is paid."""
    customer, currency = intent["customer"], intent["currency"]
    _set_aside(ctx, Entry.APPLIED, intent, amount)
    change(ctx, customer, currency, -amount, "applied_to_payment", {"payment_intent": intent["id"]})
    intent = objects.update(ctx, intent, {"_funded": (intent.get("_funded") or 0) + amount})
    if _missing(intent):
        intent = objects.update(ctx, intent, {"next_action": _next_action(ctx, intent, _missing(intent))})
        objects.announce(ctx, "payment_intent.partially_funded", intent)
        return intent
    return _paid(ctx, intent)


def _paid(ctx: Context, intent: Doc) -> Doc:
    """All that it asks for is set aside."""
    payment_method = objects.load(ctx, "payment_method", intent["payment_method"])
    payment_method = objects.update(ctx, payment_method, {"_detached": True})
    source = ledger.set_aside(intent["id"])
    charge = charge_otherwise(ctx, intent, payment_method, {}, "succeeded", source=source)
    return payments.succeed(ctx, intent, charge)


def _set_aside(ctx: Context, entry: Entry, intent: Doc, amount: int) -> None:
    here, there = ledger.cash(intent["customer"]), ledger.set_aside(intent["id"])
    debit, credit = (here, there) if entry == Entry.APPLIED else (there, here)
    ledger.move(
        ctx, entry, debit, credit, amount=amount, currency=intent["currency"], customer=intent["customer"],
        cause=intent["id"],
    )  # fmt: skip


def _give_back(ctx: Context, intent: Doc) -> None:
    """An intent is given up, or paid in another way: what was set aside is the customer's again."""
    funded = intent.get("_funded")
    if funded and intent["status"] != "succeeded":
        _set_aside(ctx, Entry.UNAPPLIED, intent, funded)
        details = {"payment_intent": intent["id"]}
        change(ctx, intent["customer"], intent["currency"], funded, "unapplied_from_payment", details)
        objects.update(ctx, objects.load(ctx, "payment_intent", intent["id"]), {"_funded": 0})


payments.CLEAR.append(_give_back)


def receive(ctx: Context, customer: Doc, amount: int, currency: str, reference: str | None) -> Doc:
    """A transfer has arrived in the customer's account; it funds what waits for it."""
    type = banking.TYPES[currency]
    transfer = {"reference": reference, "type": type, type: SENDERS[type]}
    there, here = ledger.outside(customer["id"]), ledger.cash(customer["id"])
    arrived = change(ctx, customer["id"], currency, amount, "funded", {"bank_transfer": transfer})
    ledger.move(
        ctx, Entry.FUNDING, there, here, amount=amount, currency=currency, customer=customer["id"],
        cause=arrived["id"],
    )  # fmt: skip
    if is_automatic(ctx, customer["id"]):
        reconcile(ctx, customer["id"], currency, reference)
    tell_if_left(ctx, customer["id"], currency)
    return arrived


def reconcile(ctx: Context, customer: str, currency: str, reference: str | None = None) -> None:
    """Fund what waits with what is there."""
    waiting = _waiting(ctx, customer, currency)
    for id, part in share(available(ctx, customer, currency), waiting, currency, reference):
        fund(ctx, objects.load(ctx, "payment_intent", id), part)


def _waiting(ctx: Context, customer: str, currency: str) -> list[Waiting]:
    states = ["requires_action", "requires_payment_method"]
    intents = objects.query(ctx, "payment_intent", customer=customer, status=states)
    found = []
    for intent in intents:
        invoice = objects.find(ctx, "invoice", intent.get("_invoice"))
        if intent["currency"] == currency and _takes_cash(intent, invoice):
            names = (
                intent["id"],
                reference_of(intent),
                *([invoice["number"]] if invoice and invoice["number"] else []),
            )
            found.append(Waiting(intent["id"], _missing(intent), intent["created"], invoice is not None, names))
    return found


def _takes_cash(intent: Doc, invoice: Doc | None) -> bool:
    """It waits for a transfer already, or is for an open invoice that may be paid by one."""
    if is_open(intent):
        return True
    waits = intent["status"] == "requires_payment_method" and "customer_balance" in intent["payment_method_types"]
    return bool(waits and invoice and invoice["status"] == "open")


def fund(ctx: Context, intent: Doc, amount: int) -> Doc:
    """Give this much cash to this payment, which begins to be paid by transfer if it was not."""
    if not is_open(intent):
        payment_method = from_data(ctx, {"type": "customer_balance"})
        changes = {
            "last_payment_error": None,
            "next_action": _next_action(ctx, intent, _missing(intent)),
            "payment_method": payment_method["id"],
            "status": "requires_action",
        }
        intent = objects.update(ctx, intent, changes)
    return _apply(ctx, intent, amount)


FUND = {"amount": Int(min=1, required=True), "currency": Str(required=True), "reference": Str()}


@route("POST", "/v1/test_helpers/customers/{customer}/fund_cash_balance", params=FUND)
def fund_cash_balance(ctx: Context, params: dict[str, Any], customer: str) -> Doc:
    """A test transfer arrives"""
    found = objects.load(ctx, "customer", customer, param="customer", in_path=True)
    currency = checked_currency(params["currency"])
    if currency not in banking.TYPES:
        raise ApiError(f"The currency `{currency}` cannot be sent by bank transfer.", param="currency")
    return receive(ctx, found, params["amount"], currency, params.get("reference"))


APPLY = {"amount": Int(min=1), "client_secret": Str(), "currency": Str()}


@route("POST", "/v1/payment_intents/{id}/apply_customer_balance", params=APPLY)
def apply_customer_balance(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Fund a payment from the customer's cash balance by hand"""
    intent = objects.load(ctx, "payment_intent", id, param="intent", in_path=True)
    if "client_secret" in params and params["client_secret"] != intent["client_secret"]:
        raise no_such("payment_intent", id, param="intent", in_path=True)
    if not _takes_cash(intent, objects.find(ctx, "invoice", intent.get("_invoice"))):
        raise ApiError(
            f"This PaymentIntent has a status of {intent['status']} and does not wait for a bank transfer.",
            code="payment_intent_unexpected_state",
            payment_intent=render(intent),
        )
    here = available(ctx, intent["customer"], intent["currency"])
    amount = params.get("amount") or min(here, _missing(intent))
    if (params.get("currency") or intent["currency"]).lower() != intent["currency"]:
        raise ApiError(f"This PaymentIntent is in {intent['currency']}.", param="currency")
    if not 0 < amount <= min(here, _missing(intent)):
        raise ApiError(
            f"The customer's cash balance has {in_words(here, intent['currency'])} and this PaymentIntent needs "
            f"{in_words(_missing(intent), intent['currency'])}.",
            code="insufficient_funds" if amount > here or not amount else "amount_too_large",
            param="amount",
        )
    return fund(ctx, intent, amount)
