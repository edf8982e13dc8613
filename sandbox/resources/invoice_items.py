"""Invoice items: what will stand on a draft, or on the next invoice."""

from decimal import Decimal
from typing import Any

from sandbox import objects
from sandbox.billing import collection, discounts, invoicing, items, lines, sums, tiers
from sandbox.billing.discounts import DISCOUNTS
from sandbox.billing.redeeming import Purchase
from sandbox.context import Context
from sandbox.documents import merge_metadata, new_id
from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing
from sandbox.params import Bool, Dec, Enum, Hash, Ignored, Int, Metadata, Param, Shape, Str, Timestamp
from sandbox.resources import tax_rates
from sandbox.resources.prices import checked_currency, new_price
from sandbox.resources.tax_rates import TAX_RATES
from sandbox.routes import route

INVOICE_ITEM = kind(
    "invoiceitem",
    prefix="ii",
    label="Invoice Item",
    without=("created",),
    indexed=("customer", "invoice", "_pending"),
    expandable={
        "customer": "customer",
        "discounts": "discount",
        "invoice": "invoice",
        "pricing.price_details.price": "price",
        "test_clock": "test_helpers.test_clock",
    },
)
PRICE_DATA: Shape = {
    "currency": Str(required=True),
    "product": Str(required=True),
    "tax_behavior": Enum("exclusive", "inclusive", "unspecified"),
    "unit_amount": Int(min=0),
    "unit_amount_decimal": Dec(),
}
COMMON: dict[str, Param] = {
    "amount": Int(min=-99_999_999),
    "description": Str(unset=True),
    "discountable": Bool(),
    "discounts": DISCOUNTS,
    "metadata": Metadata(),
    "period": Hash({"end": Timestamp(required=True), "start": Timestamp(required=True)}),
    "price_data": Hash(PRICE_DATA),
    "pricing": Hash({"price": Str()}),
    "quantity": Int(min=0),
    "quantity_decimal": Ignored(),
    "tax_behavior": Ignored(),
    "tax_code": Ignored(),
    "tax_rates": TAX_RATES,
    "unit_amount_decimal": Dec(),
}
CREATE = COMMON | {
    "currency": Str(),
    "customer": Str(),
    "customer_account": Ignored(),
    "invoice": Str(),
    "subscription": Str(),
}


@route("POST", "/v1/invoiceitems", params=CREATE)
def create_invoice_item(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create an invoice item"""
    invoice = _draft(ctx, params["invoice"]) if "invoice" in params else None
    customer_id = params.get("customer") or (invoice or {}).get("customer")
    if customer_id is None:
        raise missing("customer")
    customer = objects.load(ctx, "customer", customer_id, param="customer")
    fields = _charged(ctx, customer, params)
    fields |= {name: params[name] for name in ("discountable", "period", "description") if name in params}
    fields |= {"customer": customer["id"], "metadata": merge_metadata({}, params.get("metadata"))}
    if "subscription" in params:
        subscription = objects.load(ctx, "subscription", params["subscription"], param="subscription")
        details = {"subscription_details": {"subscription": subscription["id"]}, "type": "subscription_details"}
        fields["parent"] = details
    fields = {"id": new_id(ctx, "invoiceitem"), "discountable": fields["amount"] >= 0} | fields
    item = collection.add_pending(ctx, fields | _priced(ctx, fields | {"discounts": []}, params))
    return _put_on(ctx, item, invoice) if invoice else item


def _priced(ctx: Context, item: Doc, params: dict[str, Any]) -> Doc:
    changes: Doc = {}
    if "discounts" in params:
        changes["discounts"] = discounts.replaced(
            ctx, item["discounts"], params["discounts"], item["customer"],
            purchase=Purchase(item["amount"], item["currency"]), invoice_item=item["id"],
        )  # fmt: skip
    if "tax_rates" in params:
        changes["tax_rates"] = tax_rates.named(ctx, params["tax_rates"], "tax_rates")
    return changes


def _draft(ctx: Context, id: str) -> Doc:
    invoice = objects.load(ctx, "invoice", id, param="invoice")
    if invoice["status"] != "draft":
        raise ApiError(
            "The invoice is not a draft; items can only be added to draft invoices.",
            code="invoice_not_editable",
            param="invoice",
        )
    return invoice


def _charged(ctx: Context, customer: Doc, params: dict[str, Any]) -> Doc:
    """Amount, currency and price, from whichever form was given."""
    quantity = params.get("quantity", 1)
    if "price_data" in params or "pricing" in params:
        price = _price(ctx, params)
        return {
            "amount": sums.price_amount(price, quantity),
            "currency": price["currency"],
            "description": items.product_name(ctx, price),
            "pricing": lines.price_pricing(price),
            "quantity": quantity,
        }
    if "amount" not in params and "unit_amount_decimal" not in params:
        raise missing("amount")
    unit = params.get("unit_amount_decimal")
    amount = params["amount"] if unit is None else tiers.rounded(Decimal(unit) * quantity)
    each = format((unit if unit is not None else Decimal(amount)).normalize(), "f")
    return {
        "amount": amount,
        "currency": checked_currency(params.get("currency") or customer["currency"] or "usd"),
        "pricing": {"type": "price_details", "unit_amount_decimal": each},
        "quantity": quantity if unit is not None else 1,
    }


def _price(ctx: Context, params: dict[str, Any]) -> Doc:
    if "price_data" in params:
        objects.load(ctx, "product", params["price_data"]["product"], param="price_data[product]")
        return new_price(ctx, dict(params["price_data"]) | {"active": False})
    price = objects.load(ctx, "price", params["pricing"].get("price", ""), param="pricing[price]")
    if price["type"] != "one_time":
        raise ApiError(
            "The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`.",
            param="pricing[price]",
        )
    return price


def _put_on(ctx: Context, item: Doc, invoice: Doc) -> Doc:
    if invoice["currency"] != item["currency"]:
        raise ApiError(
            f"The currency of the invoice item, {item['currency']}, must be the invoice's, {invoice['currency']}.",
            param="currency",
        )
    collection.place(ctx, [item], invoice)
    invoicing.with_lines(ctx, invoice, [lines.item_line(ctx, item), *invoice["lines"]["data"]])
    return objects.load(ctx, "invoiceitem", item["id"])


@route("GET", "/v1/invoiceitems", params=listing(
    customer=Str(), customer_account=Ignored(), invoice=Str(), pending=Bool(),
))  # fmt: skip
def list_invoice_items(ctx: Context, params: dict[str, Any]) -> Doc:
    """List invoice items"""
    filters = {
        "customer": params.get("customer"), "invoice": params.get("invoice"), "_pending": params.get("pending"),
    }  # fmt: skip
    return list_page(ctx, "invoiceitem", params, filters)


@route("GET", "/v1/invoiceitems/{id}")
def retrieve_invoice_item(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve an invoice item"""
    return objects.load(ctx, "invoiceitem", id, param="invoiceitem", in_path=True)


@route("POST", "/v1/invoiceitems/{id}", params=COMMON)
def update_invoice_item(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update an invoice item that is not on a finalized invoice"""
    item = objects.load(ctx, "invoiceitem", id, param="invoiceitem", in_path=True)
    invoice = _of_item(ctx, item)
    changes: Doc = {name: params[name] for name in ("description", "discountable", "period") if name in params}
    changes |= _priced(ctx, item, params)
    if {"amount", "price_data", "pricing", "unit_amount_decimal", "quantity"} & set(params):
        customer = objects.load(ctx, "customer", item["customer"])
        changes = _charged(ctx, customer, {"amount": item["amount"], "currency": item["currency"]} | params) | changes
        changes["net_amount"] = changes["amount"]
    if "metadata" in params:
        changes["metadata"] = merge_metadata(item["metadata"], params["metadata"])
    changed = objects.update(ctx, item, changes)
    if invoice:
        _redraw(ctx, invoice, changed)
    return changed


def _of_item(ctx: Context, item: Doc) -> Doc | None:
    """The draft that an item stands on. Raises when it stands on something else, or on a draft that was deleted."""
    if item["invoice"] is None:
        return None
    if objects.find(ctx, "invoice", item["invoice"]) is None:
        raise ApiError("This invoice item has been deleted.")
    return _draft(ctx, item["invoice"])


def _redraw(ctx: Context, invoice: Doc, item: Doc) -> None:
    redrawn = [
        lines.item_line(ctx, item) | {"id": line["id"]} if item_of(line) == item["id"] else line
        for line in invoice["lines"]["data"]
    ]
    invoicing.with_lines(ctx, invoice, redrawn)


def item_of(line: Doc) -> str | None:
    """The id of the invoice item behind a line."""
    parent: Doc = line["parent"] or {}
    details = parent.get("invoice_item_details") or parent.get("subscription_item_details") or {}
    return details.get("invoice_item")


@route("DELETE", "/v1/invoiceitems/{id}")
def delete_invoice_item(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Delete an invoice item that is not on a finalized invoice"""
    item = objects.load(ctx, "invoiceitem", id, param="invoiceitem", in_path=True)
    invoice = _of_item(ctx, item)
    if invoice:
        left = [line for line in invoice["lines"]["data"] if item_of(line) != id]
        invoicing.with_lines(ctx, invoice, left)
    return objects.delete(ctx, item, event="invoiceitem.deleted")
