"""Invoices: the routes. Their life is in billing/invoicing.py, their money in billing/collection.py."""

from typing import Any

from sandbox import jobs, objects
from sandbox.billing import attaching, collection, discounts, invoicing, lines, presenting, preview, pricing
from sandbox.billing.discounts import DISCOUNTS
from sandbox.billing.periods import DAY
from sandbox.billing.redeeming import Purchase
from sandbox.context import Context
from sandbox.documents import merge_metadata, new_id, render
from sandbox.errors import ApiError, CardError, missing
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_object, list_page, listing
from sandbox.params import Array, Bool, Enum, Hash, Ignored, Int, Metadata, Param, Str, Timestamp
from sandbox.resources import payment_settings, tax_rates
from sandbox.resources.payment_methods import resolve
from sandbox.resources.prices import checked_currency
from sandbox.resources.tax_rates import TAX_RATES
from sandbox.routes import route


def _payments(ctx: Context, invoice: Doc) -> Doc:
    docs = objects.query(ctx, "invoice_payment", invoice=invoice["id"])
    return list_object([render(doc) for doc in docs], url="/v1/invoice_payments")


def _confirmation_secret(ctx: Context, invoice: Doc) -> Doc | None:
    intent = collection.open_intent(ctx, invoice)
    return {"client_secret": intent["client_secret"], "type": "payment_intent"} if intent else None


INVOICE = kind(
    "invoice",
    prefix="in",
    indexed=("customer", "status", "collection_method", "test_clock", "_subscription", "_token"),
    expandable={
        "account_tax_ids": "*",
        "application": "*",
        "customer": "customer",
        "default_payment_method": "payment_method",
        "default_source": "*",
        "discounts": "discount",
        "from_invoice.invoice": "invoice",
        "issuer.account": "*",
        "latest_revision": "invoice",
        "on_behalf_of": "*",
        "parent.subscription_details.subscription": "subscription",
        "test_clock": "test_helpers.test_clock",
        "total_discount_amounts.discount": "discount",
        "total_pretax_credit_amounts.discount": "discount",
    },
    includable={"confirmation_secret": _confirmation_secret, "payments": _payments},
    pages=("lines",),
)
LINE_ITEM = kind(
    "line_item",
    prefix="il",
    label="line item",
    without=("created",),
    expandable={
        "discount_amounts.discount": "discount",
        "discounts": "discount",
        "pretax_credit_amounts.discount": "discount",
        "pricing.price_details.price": "price",
        "subscription": "subscription",
    },
)
COMMON: dict[str, Param] = {
    "account_tax_ids": Ignored(),
    "application_fee_amount": Ignored(),
    "auto_advance": Bool(),
    "automatic_tax": Ignored(),
    "automatically_finalizes_at": Timestamp(),
    "collection_method": Enum("charge_automatically", "send_invoice"),
    "custom_fields": Array(Hash({"name": Str(required=True), "value": Str(required=True)}), unset=True),
    "days_until_due": Int(min=0),
    "default_payment_method": Str(unset=True),
    "default_source": Ignored(),
    "default_tax_rates": TAX_RATES,
    "description": Str(unset=True),
    "discounts": DISCOUNTS,
    "due_date": Timestamp(),
    "effective_at": Timestamp(unset=True),
    "footer": Str(unset=True),
    "issuer": Ignored(),
    "metadata": Metadata(),
    "number": Str(unset=True, max_length=26),
    "on_behalf_of": Ignored(),
    "payment_settings": Hash(payment_settings.OF_INVOICE),
    "statement_descriptor": Str(max_length=22),
    "transfer_data": Ignored(),
    **presenting.PARAMS,
}
CREATE = COMMON | {
    "currency": Str(),
    "customer": Str(),
    "customer_account": Ignored(),
    "from_invoice": Ignored(),
    "pending_invoice_items_behavior": Enum("exclude", "include"),
    "subscription": Str(),
}
COPIED = (
    "auto_advance", "automatically_finalizes_at", "collection_method", "custom_fields", "default_payment_method",
    "description", "due_date", "effective_at", "footer", "number", "statement_descriptor",
)  # fmt: skip
AFTER_FINALIZED = {"auto_advance", "default_payment_method", "metadata"}
NOT_OPEN = "You can only pass in open invoices. This invoice isn't open."


@route("POST", "/v1/invoices", params=CREATE)
def create_invoice(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a draft invoice"""
    if "customer" not in params:
        raise missing("customer")
    customer = objects.load(ctx, "customer", params["customer"], param="customer")
    currency = checked_currency(params.get("currency") or customer["currency"] or "usd")
    fields = _fields(ctx, customer["id"], {}, params)
    fields["id"] = new_id(ctx, "invoice")
    waiting = []
    if params.get("pending_invoice_items_behavior", "exclude") == "include" or "subscription" in params:
        waiting = collection.waiting_for_invoice(ctx, customer["id"], currency, params.get("subscription"))
    shell = {"currency": currency, "discounts": [], "subtotal": sum(item["amount"] for item in waiting)}
    fields |= _priced(ctx, shell | {"customer": customer["id"]} | fields, params)
    if "subscription" in params:
        fields |= _of_subscription(ctx, params["subscription"], customer)
    made = invoicing.draft(ctx, customer, currency, fields, [lines.item_line(ctx, item) for item in waiting])
    collection.place(ctx, waiting, made)
    if made["auto_advance"]:
        _finalize_later(ctx, made)
    return made


def _fields(ctx: Context, customer: str, invoice: Doc, params: dict[str, Any]) -> Doc:
    """The fields that parameters set on a draft."""
    fields = {name: params[name] for name in COPIED if name in params}
    method = params.get("collection_method") or invoice.get("collection_method", "charge_automatically")
    if method == "send_invoice" and not invoice and not {"days_until_due", "due_date"} & set(params):
        raise ApiError(
            "If invoice collection method is 'send_invoice', you must specify 'due_date' or 'days_until_due'."
        )
    if "days_until_due" in params:
        if method != "send_invoice":
            raise ApiError(
                "You can only specify 'due_date' or 'days_until_due' if invoice collection method is 'send_invoice'."
            )
        fields["due_date"] = ctx.now + params["days_until_due"] * DAY
    if params.get("default_payment_method"):
        id = params["default_payment_method"]
        fields["default_payment_method"] = collection.owned_payment_method(ctx, customer, id)
    if "payment_settings" in params:
        shown = invoice.get("payment_settings") or {"default_mandate": None, **payment_settings.NOTHING}
        fields["payment_settings"] = payment_settings.said(shown, params["payment_settings"])
    if "metadata" in params:
        fields["metadata"] = merge_metadata(invoice.get("metadata", {}), params["metadata"])
    return fields


def _purchase(invoice: Doc) -> Purchase | None:
    """What stands on a draft so far; a new one is empty."""
    return Purchase(invoice["subtotal"], invoice["currency"]) if invoice.get("subtotal") else None


def _priced(ctx: Context, invoice: Doc, params: dict[str, Any]) -> Doc:
    """The fields by which the sums change, discounts, tax rates and shipping, and how it all looks."""
    changes = presenting.presented(ctx, invoice, params)
    if "discounts" in params:
        changes["discounts"] = discounts.put(
            ctx, params["discounts"], invoice["customer"], purchase=_purchase(invoice), invoice=invoice["id"]
        )
    if "default_tax_rates" in params:
        changes["default_tax_rates"] = tax_rates.named(ctx, params["default_tax_rates"], "default_tax_rates")
    return changes


def _of_subscription(ctx: Context, id: str, customer: Doc) -> Doc:
    subscription = objects.load(ctx, "subscription", id, param="subscription")
    if subscription["customer"] != customer["id"]:
        raise ApiError("The subscription does not belong to the customer.", param="subscription")
    details = {"metadata": subscription["metadata"], "subscription": id}
    return {
        "parent": {"quote_details": None, "subscription_details": details, "type": "subscription_details"},
        "_subscription": id,
    }


def _finalize_later(ctx: Context, invoice: Doc) -> None:
    due = invoice["automatically_finalizes_at"] or ctx.now + invoicing.DRAFT_FOR
    jobs.schedule(ctx, "invoice.finalize", due_at=due, name=invoice["id"], payload={"invoice": invoice["id"]})


@route("GET", "/v1/invoices", params=listing(
    collection_method=Enum("charge_automatically", "send_invoice"), customer=Str(), customer_account=Ignored(),
    due_date=Ignored(), status=Enum("draft", "open", "void", "paid", "uncollectible"), subscription=Str(),
))  # fmt: skip
def list_invoices(ctx: Context, params: dict[str, Any]) -> Doc:
    """List invoices"""
    filters = {
        "_subscription": params.get("subscription"),
        "customer": params.get("customer"),
        "status": params.get("status"),
        "collection_method": params.get("collection_method"),
    }
    return list_page(ctx, "invoice", params, filters)


@route("POST", "/v1/invoices/create_preview", params=preview.PARAMS)
def create_preview(ctx: Context, params: dict[str, Any]) -> Doc:
    """Preview the next invoice of a customer or subscription"""
    return preview.preview(ctx, params)


@route("GET", "/v1/invoices/{id}")
def retrieve_invoice(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve an invoice"""
    return _load(ctx, id, deleted=True)


def _load(ctx: Context, id: str, *, param: str = "invoice", deleted: bool = False) -> Doc:
    """The acts by POST call the parameter `id`, except for send; everything else calls it `invoice`."""
    return objects.load(ctx, "invoice", id, param=param, in_path=True, deleted=deleted)


@route("POST", "/v1/invoices/{id}", params=COMMON)
def update_invoice(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update an invoice; most of it only while it is a draft"""
    invoice = _load(ctx, id, param="id")
    late = sorted(set(params) - AFTER_FINALIZED)
    if invoice["status"] != "draft" and late:
        raise ApiError("Finalized invoices can't be updated in this way", code="invoice_not_editable", param=late[0])
    fields = _fields(ctx, invoice["customer"], invoice, params)
    if "auto_advance" in fields and invoice["status"] == "draft":
        fields = invoicing.schedule_of(invoice | fields, invoice["created"]) | fields
    priced = _priced(ctx, invoice, params)
    if priced:
        sums = pricing.totals(ctx, invoice | priced, invoice["starting_balance"])
        fields = priced | sums | fields
    changed = objects.update(ctx, invoice, fields, event="invoice.updated")
    if params.get("auto_advance") and invoice["status"] == "draft":
        _finalize_later(ctx, changed)
    elif params.get("auto_advance") is False:
        jobs.cancel(ctx, "invoice.finalize", name=id)
    return changed


@route("DELETE", "/v1/invoices/{id}")
def delete_invoice(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Delete a draft; its items are gone with it"""
    invoice = _load(ctx, id)
    if invoice["status"] != "draft":
        raise ApiError("You can only delete draft invoices.")
    if invoicing.subscription_of(invoice) and invoice["billing_reason"] != "manual":
        raise ApiError("You can only delete invoices that are not attached to a subscription.")
    jobs.cancel(ctx, "invoice.finalize", name=id)
    return objects.delete(ctx, invoice, event="invoice.deleted")


@route("POST", "/v1/invoices/{id}/finalize", params={"auto_advance": Bool()})
def finalize_invoice(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Finalize a draft"""
    invoice = _load(ctx, id, param="id")
    if invoice["status"] != "draft":
        raise ApiError("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    if "auto_advance" in params:
        invoice = objects.update(ctx, invoice, {"auto_advance": params["auto_advance"]})
    opened = collection.open_up(ctx, invoice)
    return collection.advance(ctx, opened) if params.get("auto_advance") else opened


@route("POST", "/v1/invoices/{id}/pay", params={
    "forgive": Bool(), "mandate": Ignored(), "off_session": Bool(), "paid_out_of_band": Bool(),
    "payment_method": Str(), "source": Ignored(),
})  # fmt: skip
def pay_invoice(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Pay an invoice"""
    invoice = _load(ctx, id, param="id")
    if invoice["status"] == "paid":
        raise ApiError("Invoice is already paid")
    if invoice["status"] == "void":
        raise ApiError("This invoice can no longer be paid.")
    if invoice["status"] == "draft":
        invoice = collection.open_up(ctx, invoice)
    if invoice["status"] == "paid":
        return invoice
    if params.get("paid_out_of_band"):
        collection.cancel_payments(ctx, invoice)
        return invoicing.paid(ctx, objects.load(ctx, "invoice", id), out_of_band=True)
    return _pay(ctx, invoice, params)


def _pay(ctx: Context, invoice: Doc, params: dict[str, Any]) -> Doc:
    """Raises CardError with the bank's refusal; what was tried stays."""
    payment_method = _payment_method(ctx, invoice, params.get("payment_method"))
    invoice, intent = collection.collect(ctx, invoice, payment_method, off_session=params.get("off_session", True))
    if invoice["status"] == "paid":
        return invoice
    error = intent["last_payment_error"] or {
        "code": "invoice_payment_intent_requires_action",
        "message": "This payment requires additional user action before it can be completed successfully. Payment can "
        "be completed using the PaymentIntent associated with the invoice.",
    }
    told = ("advice_code", "charge", "decline_code", "network_decline_code", "payment_method")
    more = {name: error[name] for name in told if error.get(name)}
    raise CardError(error["message"], code=error["code"], payment_intent=render(intent), **more)


def _payment_method(ctx: Context, invoice: Doc, id: str | None) -> Doc:
    if id:
        owned = collection.owned_payment_method(ctx, invoice["customer"], id, param="payment_method")
        return resolve(ctx, owned)
    subscription = objects.find(ctx, "subscription", invoicing.subscription_of(invoice))
    customer = objects.load(ctx, "customer", invoice["customer"])
    default = objects.find(ctx, "payment_method", invoice["default_payment_method"])
    found = default or collection.payment_method_for(ctx, subscription, customer)
    if found is None:
        raise ApiError(
            "There is no `default_payment_method` set on this Customer or Invoice. Please set a "
            "`default_payment_method` or provide a `payment_method` to pay this Invoice.",
            code="resource_missing",
        )
    return found


@route("POST", "/v1/invoices/{id}/attach_payment", params={"payment_intent": Str(), "payment_record": Ignored()})
def attach_payment(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Count a payment that was made elsewhere for an open invoice"""
    invoice = _load(ctx, id, param="id")
    if "payment_intent" not in params:
        raise missing("payment_intent")
    intent = objects.load(ctx, "payment_intent", params["payment_intent"], param="payment_intent")
    return attaching.attach(ctx, invoice, intent)


@route("POST", "/v1/invoices/{id}/void")
def void_invoice(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Void an open invoice, or one that was written off"""
    invoice = _load(ctx, id, param="id")
    if invoice["status"] == "paid":
        raise ApiError("Invoices with `paid` payments cannot be voided.")
    if invoice["status"] not in ("open", "uncollectible"):
        raise ApiError(NOT_OPEN)
    collection.cancel_payments(ctx, invoice)
    return invoicing.void(ctx, objects.load(ctx, "invoice", id))


@route("POST", "/v1/invoices/{id}/mark_uncollectible")
def mark_uncollectible(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Write an open invoice off"""
    invoice = _load(ctx, id, param="id")
    if invoice["status"] == "uncollectible":
        raise ApiError("This invoice has already been marked uncollectible.")
    if invoice["status"] != "open":
        raise ApiError(NOT_OPEN)
    return invoicing.mark_uncollectible(ctx, invoice)


@route("POST", "/v1/invoices/{id}/send")
def send_invoice(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Send an invoice to its customer"""
    invoice = _load(ctx, id)
    if invoice["collection_method"] != "send_invoice":
        raise ApiError(
            "You can only manually send an invoice if its collection method is 'send_invoice'.", param="invoice"
        )
    if invoice["status"] not in ("draft", "open"):
        raise ApiError(
            "This invoice cannot be sent right now. Please contact us via https://support.stripe.com/contact with "
            "details, so we can help."
        )
    if invoice["status"] == "draft":
        invoice = collection.open_up(ctx, invoice)
    objects.announce(ctx, "invoice.sent", invoice)
    return invoice
