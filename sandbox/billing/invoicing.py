"""The life of an invoice: draft, open, paid, void, uncollectible. What is called here is checked by the callers.

    invoice = draft(ctx, customer, currency, {...}, lines)     # invoice.created
    invoice = finalize(ctx, invoice)                           # invoice.finalized; paid at once when nothing is due
    invoice = collection.collect(ctx, invoice, …)              # asks the bank

Sources: Stripe docs, "How invoicing works", "Invoice statuses", "Customer credit balance".
"""

from collections.abc import Callable
from typing import Any

from sandbox import jobs, objects, settings
from sandbox.billing import balances, discounts, policy
from sandbox.billing.pricing import totals
from sandbox.context import Context
from sandbox.documents import new_document, random_text
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.pagination import list_object
from sandbox.resources import payment_settings

DRAFT_FOR = 3601
"""Seconds that an invoice stays a draft before it is finalised by itself; Stripe shows a second more than the hour."""
ATTEMPT_AFTER = 3600
"""Seconds until the first attempt at payment, as a draft announces it."""
SEQUENCE = "invoice.sequence"
"""The setting that keeps the account's next number."""
RENDERING: Doc = {
    "amount_tax_display": None, "pdf": {"page_size": "auto"}, "template": None, "template_version": None,
}  # fmt: skip
AFTER: list[Callable[[Context, Doc], None]] = []
"""Who wants to know that an invoice was paid, voided or given up, or that a payment failed: subscriptions."""


def draft(ctx: Context, customer: Doc, currency: str, fields: Doc, lines: list[Doc]) -> Doc:
    """A stored draft. Pins the customer to the currency, as Stripe does."""
    customer = _pin_currency(ctx, customer, currency)
    doc = new_document(ctx, "invoice", _new_fields(ctx, customer, currency) | fields)
    doc |= _taken_over(ctx, doc, fields)
    placed = [line | {"invoice": doc["id"]} for line in lines]
    doc["lines"] = list_object(placed, url=f"/v1/invoices/{doc['id']}/lines")
    doc |= totals(ctx, doc, customer["balance"])
    doc |= schedule_of(doc, doc.get("created", ctx.now))
    made = objects.create(ctx, "invoice", doc, event="invoice.created")
    discounts.use_up(ctx, made)
    return made


def _taken_over(ctx: Context, doc: Doc, fields: Doc) -> Doc:
    """What an invoice has from its subscription and its customer unless it is told otherwise."""
    subscription = objects.find(ctx, "subscription", doc.get("_subscription"))
    customer = objects.load(ctx, "customer", doc["customer"])["invoice_settings"]
    settings = (subscription or {}).get("invoice_settings") or {}
    held: Doc = {
        name: settings.get(name) or customer.get(name)
        for name in ("custom_fields", "description", "footer")
        if name not in fields
    }
    if subscription and subscription["description"] and "description" not in fields:
        held["description"] = subscription["description"]
    if "discounts" not in fields:
        held["discounts"] = discounts.inherited(ctx, doc)
    if subscription and "default_tax_rates" not in fields:
        held["default_tax_rates"] = subscription["default_tax_rates"]
    if subscription and "payment_settings" not in fields:
        held["payment_settings"] = payment_settings.taken_over(subscription)
    return held


def schedule_of(invoice: Doc, created: int) -> Doc:
    """When a draft is finalised and first collected, if that happens by itself."""
    automatic = invoice["auto_advance"] and invoice["collection_method"] == "charge_automatically"
    return {
        "automatically_finalizes_at": created + DRAFT_FOR if invoice["auto_advance"] else None,
        "next_payment_attempt": created + ATTEMPT_AFTER if automatic else None,
    }


def _pin_currency(ctx: Context, customer: Doc, currency: str) -> Doc:
    if customer["currency"] == currency:
        return customer
    if customer["currency"] and objects.query(ctx, "subscription", customer=customer["id"], status=list(LIVE)):
        raise ApiError(
            "You cannot combine currencies on a single customer. This customer has an active subscription, "
            f"subscription schedule, discount, quote, or invoice item with currency {customer['currency']}."
        )
    return objects.update(ctx, customer, {"currency": currency}, event="customer.updated")


LIVE = ("incomplete", "trialing", "active", "past_due", "unpaid", "paused")


def _new_fields(ctx: Context, customer: Doc, currency: str) -> Doc:
    nothing = dict.fromkeys(
        ("account_name", "account_tax_ids", "application", "automatically_finalizes_at", "custom_fields",
         "customer_account", "default_payment_method", "default_source", "description", "due_date", "effective_at",
         "ending_balance", "footer", "from_invoice", "hosted_invoice_url", "invoice_pdf", "last_finalization_error",
         "latest_revision", "next_payment_attempt", "number", "on_behalf_of", "parent", "receipt_number",
         "shipping_cost", "shipping_details", "statement_descriptor", "test_clock", "webhooks_delivered_at")
    )  # fmt: skip
    return nothing | {
        "account_country": "US",
        "account_name": "Sandbox",
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": {
            "disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None,
        },
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "currency": currency,
        "customer": customer["id"],
        "default_tax_rates": [],
        "discounts": [],
        "issuer": {"type": "self"},
        "metadata": {},
        "payment_settings": {"default_mandate": None, **payment_settings.NOTHING},
        "period_end": ctx.now,
        "period_start": ctx.now,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "rendering": RENDERING,
        "starting_balance": 0,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None,
        },
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": ctx.now,
        **_customer_fields(ctx, customer),
    }  # fmt: skip


def _customer_fields(ctx: Context, customer: Doc) -> Doc:
    """What an invoice says of its customer; it is fixed when the invoice is finalised."""
    return {
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [
            {"type": tax_id["type"], "value": tax_id["value"]}
            for tax_id in ctx.tx.listed(ctx.scope, "tax_id", customer=customer["id"])
        ],
    }


def with_lines(ctx: Context, invoice: Doc, lines: list[Doc]) -> Doc:
    """A draft with other lines and the sums that follow."""
    placed = [line | {"invoice": invoice["id"]} for line in lines]
    changes: Doc = {"lines": invoice["lines"] | {"data": placed}}
    balance = objects.load(ctx, "customer", invoice["customer"])["balance"]
    changes |= totals(ctx, invoice | changes, balance)
    changed = objects.update(ctx, invoice, changes, event="invoice.updated")
    discounts.use_up(ctx, changed)
    return changed


def recounted(ctx: Context, invoice: Doc) -> Doc:
    """A draft with its sums made anew, after its discounts, rates or customer have changed."""
    return with_lines(ctx, invoice, invoice["lines"]["data"])


def finalize(ctx: Context, invoice: Doc) -> Doc:
    """From draft to open; to paid when nothing is due."""
    customer = objects.load(ctx, "customer", invoice["customer"], param="customer")
    number, customer = _take_number(ctx, customer)
    counted = totals(ctx, invoice | _customer_fields(ctx, customer), customer["balance"])
    ending = min(counted["total"] + customer["balance"], 0)
    token = invoice.get("_token") or f"{'live' if ctx.livemode else 'test'}_{random_text(48)}"
    address = f"{ctx.base_url}/i/{ctx.account}/{token}"
    changes = counted | _customer_fields(ctx, customer) | {
        "automatically_finalizes_at": None,
        "effective_at": invoice["effective_at"] or ctx.now,
        "next_payment_attempt": None,
        "ending_balance": ending,
        "hosted_invoice_url": address,
        "invoice_pdf": f"{address}/pdf",
        "number": invoice["number"] or number,
        "rendering": _as_printed(invoice["rendering"]),
        "status": "open",
        "status_transitions": invoice["status_transitions"] | {"finalized_at": ctx.now},
        "_token": token,
    }  # fmt: skip
    jobs.cancel(ctx, "invoice.finalize", name=invoice["id"])
    balances.move(ctx, customer, ending - customer["balance"], "applied_to_invoice", invoice=invoice["id"])
    finalized = objects.update(ctx, invoice, changes)
    discounts.use_up(ctx, finalized)
    objects.announce(ctx, "invoice.finalized", finalized)
    return finalized if finalized["amount_due"] else paid(ctx, finalized)


def _as_printed(rendering: Doc | None) -> Doc:
    """A size of paper that was left open is that of our PDF."""
    chosen = RENDERING | (rendering or {})
    open_size = chosen["pdf"]["page_size"] == "auto"
    return chosen | ({"pdf": {"page_size": "a4"}} if open_size else {})


def _take_number(ctx: Context, customer: Doc) -> tuple[str, Doc]:
    """The next number of the customer or of the account, and the customer."""
    if policy.of(ctx).numbering is policy.Numbering.ACCOUNT:
        sequence = settings.read(ctx.tx, SEQUENCE, scope=ctx.scope, default=1)
        settings.write(ctx.tx, SEQUENCE, sequence + 1, scope=ctx.scope)
        return f"{ctx.account[-8:].upper()}-{sequence:04d}", customer
    sequence = customer["next_invoice_sequence"]
    changed = objects.update(ctx, customer, {"next_invoice_sequence": sequence + 1})
    return f"{customer['invoice_prefix']}-{sequence:04d}", changed


def paid(
    ctx: Context, invoice: Doc, *, amount: int | None = None, attempted: bool = False, out_of_band: bool = False
) -> Doc:
    """Nothing is owed any more. `attempted` counts the payment that did it; one made elsewhere is no attempt."""
    changes = {
        "amount_paid": invoice["amount_due"] if amount is None else amount,
        "amount_remaining": 0,
        "attempt_count": invoice["attempt_count"] + (1 if attempted else 0),
        "attempted": invoice["attempted"] if out_of_band else True,
        "auto_advance": False,
        "next_payment_attempt": None,
        "status": "paid",
        "status_transitions": invoice["status_transitions"] | {"paid_at": ctx.now},
    }
    _forget_plans(ctx, invoice)
    settled = objects.update(ctx, invoice, changes, event="invoice.updated")
    objects.announce(ctx, "invoice.paid", settled)
    objects.announce(ctx, "invoice.payment_succeeded", settled)
    return _tell(ctx, settled)


def _forget_plans(ctx: Context, invoice: Doc) -> None:
    jobs.cancel(ctx, "invoice.retry", "invoice.unconfirmed", "invoice.will_be_due", name=invoice["id"])


def void(ctx: Context, invoice: Doc) -> Doc:
    """Nothing was ever owed: credit that was applied goes back to the customer's balance."""
    customer = objects.find(ctx, "customer", invoice["customer"])
    applied = (invoice["ending_balance"] or 0) - invoice["starting_balance"]
    if customer:
        balances.move(ctx, customer, -applied, "unapplied_from_invoice", invoice=invoice["id"])
    return _end(ctx, invoice, "void", "voided_at", "invoice.voided")


def mark_uncollectible(ctx: Context, invoice: Doc) -> Doc:
    return _end(ctx, invoice, "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible")


def _end(ctx: Context, invoice: Doc, status: str, transition: str, event: str) -> Doc:
    changes: Doc = {
        "auto_advance": False,
        "next_payment_attempt": None,
        "status": status,
        "status_transitions": invoice["status_transitions"] | {transition: ctx.now},
    }
    _forget_plans(ctx, invoice)
    ended = objects.update(ctx, invoice, changes, event="invoice.updated")
    objects.announce(ctx, event, ended)
    return _tell(ctx, ended)


def _tell(ctx: Context, invoice: Doc) -> Doc:
    for after in AFTER:
        after(ctx, invoice)
    return objects.load(ctx, "invoice", invoice["id"])


def subscription_of(invoice: Doc) -> str | None:
    """The id of the subscription that an invoice is for."""
    details: dict[str, Any] = (invoice["parent"] or {}).get("subscription_details") or {}
    return details.get("subscription")
