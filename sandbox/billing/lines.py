"""Invoice lines and invoice items as values. Nothing is stored here."""

from typing import Any

from sandbox.billing import tiers, wording
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


def subscription_lines(
    ctx: Context,
    subscription: Doc,
    item: str,
    price: Doc,
    product: str,
    period: Period,
    *,
    quantity: tiers.Quantity,
    trial: bool = False,
) -> list[Doc]:
    """An item (its id) for one period: one line, or with tiers one for each part of the amount. During a trial one
    line of 0. `price` is the stored document; `quantity` what was ordered or used."""
    parts = tiers.parts(price, quantity)[:1] if trial else tiers.parts(price, quantity)
    return [
        new_line(
            ctx,
            {
                "amount": 0 if trial else part.amount,
                "currency": price["currency"],
                "description": _described(price, product, part, trial=trial),
                "metadata": subscription["metadata"],
                "parent": _subscription_parent(subscription["id"], item),
                "period": {"end": period.end, "start": period.start},
                "pricing": price_pricing(price) | {"unit_amount_decimal": "0" if trial else wording.count(part.at)},
                "quantity": int(quantity if trial else part.units),
                "quantity_decimal": wording.count(quantity if trial else part.units),
                "subscription": subscription["id"],
            },
        )
        for part in parts
    ]


def _described(price: Doc, product: str, part: tiers.Part, *, trial: bool) -> str:
    if trial:
        return wording.trial_line(product)
    if part.tier is None:
        return wording.subscription_line(product, price, part.units)
    return wording.tier_line(product, None if part.is_flat else part.units, part.at, part.tier, price)


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
    credited = (item.get("proration_details") or {}).get("credited_items") or {}
    told = {"credited_items": credited.get("invoice_line_item_details")}
    common = {"proration": item["proration"], "proration_details": told}
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
    subscription: Doc, item: Doc, price: Doc, *, cost: Doc, description: str, period: Period
) -> dict[str, Any]:
    """Fields of an invoice item that credits or charges a part of a period. `cost` as netting.share gives it."""
    return cost | {
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
