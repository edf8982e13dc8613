"""Credit notes: the routes. What they take back is in billing/crediting.py."""

from typing import Any

from sandbox import objects
from sandbox.billing import crediting
from sandbox.context import Context
from sandbox.documents import merge_metadata
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing, paging
from sandbox.params import Array, Dec, Enum, Hash, Ignored, Int, Metadata, Param, Shape, Str, Timestamp
from sandbox.resources.invoice_lines import page
from sandbox.resources.tax_rates import TAX_RATES
from sandbox.routes import route

CREDIT_NOTE = kind(
    "credit_note",
    prefix="cn",
    label="credit note",
    indexed=("customer", "invoice", "_token"),
    expandable={
        "customer": "customer",
        "customer_balance_transaction": "customer_balance_transaction",
        "discount_amounts.discount": "discount",
        "invoice": "invoice",
        "pretax_credit_amounts.discount": "discount",
        "refunds.refund": "refund",
    },
    pages=("lines",),
)
LINE_ITEM = kind(
    "credit_note_line_item",
    prefix="cnli",
    label="credit note line item",
    without=("created",),
    expandable={"discount_amounts.discount": "discount", "pretax_credit_amounts.discount": "discount"},
)
LINE: Shape = {
    "amount": Int(min=0),
    "description": Str(),
    "invoice_line_item": Str(),
    "metadata": Metadata(),
    "quantity": Int(min=1),
    "tax_amounts": Ignored(),
    "tax_rates": TAX_RATES,
    "type": Enum("custom_line_item", "invoice_line_item", required=True),
    "unit_amount": Int(),
    "unit_amount_decimal": Dec(),
}
CREATE: dict[str, Param] = {
    "amount": Int(min=1),
    "credit_amount": Int(min=0),
    "effective_at": Timestamp(),
    "email_type": Enum("credit_note", "none"),
    "invoice": Str(required=True),
    "lines": Array(Hash(LINE)),
    "memo": Str(),
    "metadata": Metadata(),
    "out_of_band_amount": Int(min=0),
    "reason": Enum("duplicate", "fraudulent", "order_change", "product_unsatisfactory"),
    "refund_amount": Int(min=0),
    "refunds": Array(
        Hash({
            "amount_refunded": Int(min=1, required=True), "payment_record_refund": Ignored(),
            "refund": Str(required=True), "type": Enum("refund", "payment_record_refund"),
        })
    ),
    "shipping_cost": Hash({"shipping_rate": Str(required=True)}),
}  # fmt: skip


@route("POST", "/v1/credit_notes", params=CREATE)
def create_credit_note(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a credit note for a finalized invoice"""
    invoice = objects.load(ctx, "invoice", params["invoice"], param="invoice")
    return crediting.issue(ctx, invoice, crediting.drafted(ctx, invoice, params), params)


@route("GET", "/v1/credit_notes", params=listing(customer=Str(), customer_account=Ignored(), invoice=Str()))
def list_credit_notes(ctx: Context, params: dict[str, Any]) -> Doc:
    """List credit notes"""
    return list_page(ctx, "credit_note", params, {name: params.get(name) for name in ("customer", "invoice")})


@route("GET", "/v1/credit_notes/preview", params=CREATE)
def preview_credit_note(ctx: Context, params: dict[str, Any]) -> Doc:
    """Preview a credit note"""
    invoice = objects.load(ctx, "invoice", params["invoice"], param="invoice")
    return crediting.drafted(ctx, invoice, params)


@route("GET", "/v1/credit_notes/preview/lines", params=paging(**CREATE))
def preview_credit_note_lines(ctx: Context, params: dict[str, Any]) -> Doc:
    """Preview a credit note's lines"""
    found = preview_credit_note(ctx, params)["lines"]["data"]
    return page(found, params, "/v1/credit_notes/preview/lines", "credit note line item")


@route("GET", "/v1/credit_notes/{id}")
def retrieve_credit_note(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a credit note"""
    return objects.load(ctx, "credit_note", id, param="id", in_path=True)


@route("GET", "/v1/credit_notes/{id}/lines", params=paging())
def list_credit_note_lines(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """List a credit note's lines"""
    known = objects.load(ctx, "credit_note", id, param="id", in_path=True)["lines"]["data"]
    return page(known, params, f"/v1/credit_notes/{id}/lines", "credit note line item")


@route("POST", "/v1/credit_notes/{id}", params={"memo": Str(unset=True), "metadata": Metadata()})
def update_credit_note(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a credit note's words"""
    note = objects.load(ctx, "credit_note", id, param="id", in_path=True)
    if "metadata" in params:
        params["metadata"] = merge_metadata(note["metadata"], params["metadata"])
    return objects.update(ctx, note, params, event="credit_note.updated")


@route("POST", "/v1/credit_notes/{id}/void")
def void_credit_note(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Void a credit note"""
    return crediting.void(ctx, objects.load(ctx, "credit_note", id, param="id", in_path=True))
