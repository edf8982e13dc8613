"""The lines of an invoice: paged, and on a draft added, changed and taken away.

Behind a line stands an invoice item, which is changed with it, or an item of a subscription, which is not. Source: API
reference, "Invoice Line Item", "Bulk add invoice line items", "Bulk update …", "Bulk remove …".
"""

from typing import Any

from sandbox import objects
from sandbox.billing import collection, invoicing, lines
from sandbox.context import Context
from sandbox.documents import merge_metadata
from sandbox.errors import ApiError, no_such
from sandbox.kinds import Doc
from sandbox.pagination import list_object, paging
from sandbox.params import Array, Enum, Hash, Ignored, Metadata, Param, Shape, Str
from sandbox.resources import invoice_items
from sandbox.resources.products import create_product
from sandbox.routes import route

PRODUCT_DATA: Shape = {
    "description": Str(unset=True),
    "images": Array(Str()),
    "metadata": Metadata(),
    "name": Str(required=True),
    "tax_code": Str(),
    "unit_label": Str(max_length=12),
}
PRICE_DATA: Shape = {**invoice_items.PRICE_DATA, "product": Str(), "product_data": Hash(PRODUCT_DATA)}
NOT_OF_LINES = ("tax_behavior", "tax_code", "unit_amount_decimal")
LINE: dict[str, Param] = {
    **{name: param for name, param in invoice_items.COMMON.items() if name not in NOT_OF_LINES},
    "price_data": Hash(PRICE_DATA),
    "tax_amounts": Ignored(),
}
MOST = 250
"""Lines in one call."""
OF_LINE = ("amount", "description", "discountable", "metadata", "period", "quantity")
"""What can be changed on a line that no invoice item stands behind."""


@route("GET", "/v1/invoices/{id}/lines", params=paging())
def list_invoice_lines(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """List an invoice's lines"""
    known = _invoice(ctx, id, param="invoice")["lines"]["data"]
    return page(known, params, f"/v1/invoices/{id}/lines", "line item")


def _invoice(ctx: Context, id: str, *, param: str = "id") -> Doc:
    return objects.load(ctx, "invoice", id, param=param, in_path=True)


def page(known: list[Doc], params: dict[str, Any], url: str, label: str) -> Doc:
    """A page of lines that are kept inside another object, in their order. Raises for an unknown cursor."""
    ids, limit = [line["id"] for line in known], params.get("limit", 10)
    for name in ("starting_after", "ending_before"):
        if name in params and params[name] not in ids:
            raise no_such(label, params[name], param=name)
    if "ending_before" in params:
        before = known[: ids.index(params["ending_before"])]
        return list_object(before[-limit:], url=url, has_more=len(before) > limit)
    rest = known[ids.index(params["starting_after"]) + 1 :] if "starting_after" in params else known
    return list_object(rest[:limit], url=url, has_more=len(rest) > limit)


@route("POST", "/v1/invoices/{invoice}/lines/{line}", params=LINE)
def update_invoice_line(ctx: Context, params: dict[str, Any], invoice: str, line: str) -> Doc:
    """Update a line of a draft, and the invoice item behind it"""
    changed = _update(ctx, _draft(ctx, invoice, param="invoice"), line, params, in_path=True)
    return _find(changed, line)


def _draft(ctx: Context, id: str, *, param: str = "id") -> Doc:
    invoice = _invoice(ctx, id, param=param)
    if invoice["status"] != "draft":
        raise ApiError("Finalized invoices can't be updated in this way", code="invoice_not_editable")
    return invoice


def _find(invoice: Doc, id: str, *, param: str = "line_item_id", in_path: bool = False) -> Doc:
    for line in invoice["lines"]["data"]:
        if line["id"] == id:
            found: Doc = line
            return found
    raise no_such("line item", id, param=param, in_path=in_path)


def _update(
    ctx: Context, invoice: Doc, id: str, given: dict[str, Any], *, param: str = "line_item_id", in_path: bool = False
) -> Doc:
    """The invoice with one line changed."""
    line = _find(invoice, id, param=param, in_path=in_path)
    item = invoice_items.item_of(line)
    if item:
        invoice_items.update_invoice_item(ctx, _priced(ctx, given), item)
        return _reload(ctx, invoice)
    beyond = sorted(set(given) - {*OF_LINE, "tax_amounts"})
    if beyond:
        raise ApiError(f"The {beyond[0]} of a subscription's line cannot be changed.", param=beyond[0])
    changes: Doc = {name: given[name] for name in OF_LINE if name in given}
    if "metadata" in given:
        changes["metadata"] = merge_metadata(line["metadata"], given["metadata"])
    if "amount" in given:
        changes["subtotal"] = given["amount"]
    redrawn = [known | changes if known["id"] == id else known for known in invoice["lines"]["data"]]
    return invoicing.with_lines(ctx, invoice, redrawn)


def _reload(ctx: Context, invoice: Doc) -> Doc:
    return objects.load(ctx, "invoice", invoice["id"])


def _priced(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
    """A product that is only described is made."""
    data = given.get("price_data") or {}
    if "product_data" not in data:
        return given
    made = create_product(ctx, data["product_data"])
    rest = {name: value for name, value in data.items() if name != "product_data"}
    return given | {"price_data": rest | {"product": made["id"]}}


def _several(**more: Param) -> dict[str, Param]:
    return {"invoice_metadata": Metadata(), "lines": Array(Hash(more), required=True)}


def _begin(ctx: Context, id: str, params: dict[str, Any]) -> Doc:
    """The draft, with its metadata."""
    invoice = _draft(ctx, id)
    if len(params["lines"]) > MOST:
        raise ApiError(f"You can pass up to {MOST} lines at once.", param="lines")
    if "invoice_metadata" not in params:
        return invoice
    merged = merge_metadata(invoice["metadata"], params["invoice_metadata"])
    return objects.update(ctx, invoice, {"metadata": merged})


@route("POST", "/v1/invoices/{id}/add_lines", params=_several(**LINE, invoice_item=Str()))
def add_lines(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Add lines to a draft"""
    invoice = _begin(ctx, id, params)
    for number, given in enumerate(params["lines"]):
        if "invoice_item" in given:
            invoice = _assign(ctx, invoice, given["invoice_item"], f"lines[{number}][invoice_item]")
        else:
            new = _priced(ctx, given) | {"currency": invoice["currency"], "invoice": id}
            invoice_items.create_invoice_item(ctx, new)
            invoice = _reload(ctx, invoice)
    return invoice


def _assign(ctx: Context, invoice: Doc, id: str, param: str) -> Doc:
    item = objects.load(ctx, "invoiceitem", id, param=param)
    if item["customer"] != invoice["customer"] or item["currency"] != invoice["currency"]:
        raise ApiError("The invoice item must be of the invoice's customer and currency.", param=param)
    if item["invoice"]:
        raise ApiError(f"The invoice item {id} is on the invoice {item['invoice']} already.", param=param)
    collection.place(ctx, [item], invoice)
    return invoicing.with_lines(ctx, invoice, [lines.item_line(ctx, item), *invoice["lines"]["data"]])


@route("POST", "/v1/invoices/{id}/update_lines", params=_several(**LINE, id=Str(required=True)))
def update_lines(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update lines of a draft"""
    invoice = _begin(ctx, id, params)
    for number, given in enumerate(params["lines"]):
        changes = {name: value for name, value in given.items() if name != "id"}
        invoice = _update(ctx, invoice, given["id"], changes, param=f"lines[{number}][id]")
    return invoice


@route("POST", "/v1/invoices/{id}/remove_lines", params=_several(
    behavior=Enum("delete", "unassign", required=True), id=Str(required=True),
))  # fmt: skip
def remove_lines(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Remove lines from a draft"""
    invoice = _begin(ctx, id, params)
    for number, given in enumerate(params["lines"]):
        line = _find(invoice, given["id"], param=f"lines[{number}][id]")
        invoice = _remove(ctx, invoice, line, keep=given["behavior"] == "unassign", param=f"lines[{number}][behavior]")
    return invoice


def _remove(ctx: Context, invoice: Doc, line: Doc, *, keep: bool, param: str) -> Doc:
    """`keep` leaves the invoice item waiting for another invoice."""
    item = objects.find(ctx, "invoiceitem", invoice_items.item_of(line))
    if item is None and keep:
        raise ApiError("A line without an invoice item can only be deleted.", param=param)
    left = [known for known in invoice["lines"]["data"] if known["id"] != line["id"]]
    changed = invoicing.with_lines(ctx, invoice, left)
    if item and keep:
        objects.update(ctx, item, {"invoice": None, "_pending": True})
    elif item:
        objects.delete(ctx, item, event="invoiceitem.deleted")
    return changed
