"""What customers and banks do days after a payment was begun, on demand: `/_sandbox/vouchers`, `transfers`, …"""

from sandbox import banking, objects
from sandbox.context import Context
from sandbox.documents import render
from sandbox.errors import ApiError, missing, no_such
from sandbox.kinds import Doc
from sandbox.resources import bank_debits, bank_transfers, konbini, refunds
from sandbox.resources.prices import checked_currency
from sandbox.routes import PageRequest, page


@page("POST", "/_sandbox/vouchers/{id}/pay")
def pay_voucher(ctx: Context, request: PageRequest, id: str) -> Doc:
    """A payment intent's voucher is paid in a shop: {"store"?: "lawson"}"""
    intent = _with_voucher(ctx, id)
    store = str(request.form.get("store") or konbini.STORES[0])
    if store not in konbini.STORES:
        raise ApiError(f"Invalid store: must be one of {', '.join(konbini.STORES)}.", param="store")
    return render(konbini.pay(ctx, intent, store))


@page("POST", "/_sandbox/vouchers/{id}/expire")
def expire_voucher(ctx: Context, request: PageRequest, id: str) -> Doc:
    """A payment intent's voucher runs out at once"""
    return render(konbini.expire(ctx, _with_voucher(ctx, id)))


def _with_voucher(ctx: Context, id: str) -> Doc:
    intent = locate(ctx, "payment_intent", id)
    if not konbini.is_open(intent):
        raise ApiError(f"There is no voucher to pay: {id} has a status of {intent['status']}.", param="id")
    return intent


@page("POST", "/_sandbox/transfers")
def send_transfer(ctx: Context, request: PageRequest) -> Doc:
    """A customer sends money by bank transfer: {"customer", "amount", "currency"?: "jpy", "reference"?}, or
    {"payment_intent", "amount"} with that payment's customer, currency and reference"""
    given = dict(request.form)
    if given.get("payment_intent"):
        given = _for_payment(locate(ctx, "payment_intent", str(given["payment_intent"]))) | given
    for name in ("customer", "amount"):
        if not given.get(name):
            raise missing(name)
    if not str(given["amount"]).isdecimal() or int(given["amount"]) < 1:
        raise ApiError(f"Invalid integer: {given['amount']}", code="parameter_invalid_integer", param="amount")
    customer = locate(ctx, "customer", str(given["customer"]))
    currency = checked_currency(str(given.get("currency") or "jpy"))
    if currency not in banking.TYPES:
        raise ApiError(f"The currency `{currency}` cannot be sent by bank transfer.", param="currency")
    reference = given.get("reference")
    return render(bank_transfers.receive(ctx, customer, int(given["amount"]), currency, reference))


def _for_payment(intent: Doc) -> Doc:
    shared = {name: intent[name] for name in ("customer", "currency")}
    return shared | {"reference": bank_transfers.reference_of(intent)}


@page("POST", "/_sandbox/debits/{id}")
def answer_debit(ctx: Context, request: PageRequest, id: str) -> Doc:
    """A bank answers to a payment intent that is processing: {"outcome": "succeeded"}, or a failure code"""
    intent = locate(ctx, "payment_intent", id)
    if intent["status"] != "processing":
        raise ApiError(f"No bank is asked: {id} has a status of {intent['status']}.", param="id")
    outcome = str(request.form.get("outcome") or "succeeded")
    return render(bank_debits.settle(ctx, intent, failure=None if outcome == "succeeded" else outcome))


@page("POST", "/_sandbox/refunds/{id}/bank_account")
def claim_refund(ctx: Context, request: PageRequest, id: str) -> Doc:
    """The customer tells where a refund shall go that has no card to go to: {"account"?: "1111113"}"""
    made = locate(ctx, "refund", id)
    if made["status"] != "requires_action":
        raise ApiError(f"Refund {id} has a status of {made['status']} and asks for no bank account.", param="id")
    return render(refunds.provide_account(ctx, made, str(request.form.get("account") or "0001234")))


def locate(ctx: Context, kind: str, id: str) -> Doc:
    """The object, in whatever account it is; the context enters it. Raises the API's 404."""
    scope = ctx.tx.locate(kind, id)
    if scope is None:
        raise no_such(kind, id, in_path=True)
    ctx.enter(scope)
    return objects.load(ctx, kind, id, in_path=True)
