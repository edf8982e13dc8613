"""Invoice payments: what ties an invoice to the payment intents that pay it."""

from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing
from sandbox.params import Enum, Hash, Str
from sandbox.routes import route

INVOICE_PAYMENT = kind(
    "invoice_payment",
    prefix="inpay",
    indexed=("invoice", "status", "payment.payment_intent", "payment.type"),
    expandable={
        "invoice": "invoice",
        "payment.charge": "charge",
        "payment.payment_intent": "payment_intent",
    },
)
PAYMENT = {
    "type": Enum("charge", "payment_intent", "payment_record", required=True),
    "payment_intent": Str(),
    "payment_record": Str(),
}


@route("GET", "/v1/invoice_payments", params=listing(
    invoice=Str(), payment=Hash(PAYMENT), status=Enum("canceled", "open", "paid"),
))  # fmt: skip
def list_invoice_payments(ctx: Context, params: dict[str, Any]) -> Doc:
    """List invoice payments"""
    payment = params.get("payment") or {}
    filters = {
        "invoice": params.get("invoice"),
        "payment.payment_intent": payment.get("payment_intent"),
        "payment.type": payment.get("type"),
        "status": params.get("status"),
    }
    return list_page(ctx, "invoice_payment", params, filters)


@route("GET", "/v1/invoice_payments/{id}")
def retrieve_invoice_payment(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve an invoice payment"""
    return objects.load(ctx, "invoice_payment", id, param="invoice_payment", in_path=True)
