"""Invoice lines and invoice items as values. Nothing is stored here."""

from typing import Any

from sandbox.billing import sums, wording
from sandbox.billing.periods import Period
from sandbox.context import Context
from sandbox.documents import new_document, render
from sandbox.kinds import Doc


def new_line(ctx: Context, fields: Doc) -> Doc:
    """A line with every field; `amount`, `currency`, `description`, `period` and `parent` are given. It is stored only
    as a part of its invoice."""
    line = new_document(
        ctx,
        "line_item",
        {
            "discount_amounts": [],
            "discountable": True,
            "discounts": [],
            "invoice": None,
            "metadata": {},
            "pretax_credit_amounts": [],
            "pricing": None,
            "quantity": 1,
            "quantity_decimal": str(fields.get("quantity", 1)) if fields.get("quantity", 1) is not None else None,
            "subscription": None,
            "subtotal": fields["amount"],
            "taxes": [],
            **fields,
        },
    )
    return render(line)


def subscription_line(
    ctx: Context, subscription: Doc, item: Doc, price: Doc, product: str, period: Period, *, trial: bool
) -> Doc:
    """One item for one period; during a trial its amount is 0. `price` is the stored document."""
    quantity = item.get("quantity")
    described = wording.trial_line(product) if trial else wording.subscription_line(product, price, quantity)
    pricing = price_pricing(price)
    if trial:
        pricing["unit_amount_decimal"] = "0"
    return new_line(
        ctx,
        {
            "amount": 0 if trial else sums.price_amount(price, quantity),
            "currency": price["currency"],
            "description": described,
            "metadata": subscription["metadata"],
            "parent": _subscription_parent(subscription["id"], item["id"]),
            "period": {"end": period.end, "start": period.start},
            "pricing": pricing,
            "quantity": quantity,
            "subscription": subscription["id"],
        },
    )


def _subscription_parent(subscription: str, item: str) -> Doc:
    return {
        "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": None,
            "proration": False,
            "proration_details": {"credited_items": None},
            "subscription": subscription,
            "subscription_item": item,
        },
        "type": "subscription_item_details",
    }


def item_line(ctx: Context, item: Doc) -> Doc:
    """The line that an invoice item becomes on an invoice."""
    details = (item["parent"] or {}).get("subscription_details") or {}
    subscription = details.get("subscription")
    common = {"proration": item["proration"], "proration_details": {"credited_items": None}}
    if item["proration"] and details.get("subscription_item"):
        parent: Doc = {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": item["id"], "subscription": subscription,
                "subscription_item": details["subscription_item"], **common,
            },
            "type": "subscription_item_details",
        }  # fmt: skip
    else:
        parent = {
            "invoice_item_details": {"invoice_item": item["id"], "subscription": subscription, **common},
            "subscription_item_details": None,
            "type": "invoice_item_details",
        }
    copied = ("amount", "currency", "description", "discountable", "metadata", "period", "pricing", "quantity")
    return new_line(ctx, {name: item[name] for name in copied} | {"parent": parent, "subscription": subscription})


def price_pricing(price: Doc) -> Doc:
    return {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": price["unit_amount_decimal"],
    }


def new_item_fields(ctx: Context, fields: Doc) -> Doc:
    """An invoice item's fields; `amount`, `currency` and `customer` are given."""
    quantity = fields.get("quantity", 1)
    return {
        "customer_account": None,
        "date": ctx.now,
        "description": None,
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "metadata": {},
        "net_amount": fields["amount"],
        "parent": None,
        "period": {"end": ctx.now, "start": ctx.now},
        "pricing": None,
        "proration": False,
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "tax_rates": [],
        "test_clock": None,
        **fields,
    }


def proration_item(
    subscription: Doc, item: Doc, price: Doc, *, amount: int, description: str, period: Period
) -> dict[str, Any]:
    """Fields of an invoice item that credits or charges a part of a period."""
    return {
        "amount": amount,
        "currency": price["currency"],
        "customer": subscription["customer"],
        "description": description,
        "discountable": False,
        "metadata": subscription["metadata"],
        "parent": {
            "subscription_details": {"subscription": subscription["id"], "subscription_item": item["id"]},
            "type": "subscription_details",
        },
        "period": {"end": period.end, "start": period.start},
        "pricing": price_pricing(price) | {"unit_amount_decimal": None},
        "proration": True,
        "quantity": item.get("quantity") or 0,
    }
