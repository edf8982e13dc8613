"""Answers for clients that speak an older version of the API: the fields they know, beside those of today.

Nothing is taken away, since a client reads over what it does not know. Source: Stripe docs, "Changelog", the pages of
the versions named in versions.py.
"""

from collections.abc import Callable
from typing import Any

from sandbox import objects, versions
from sandbox.billing import items
from sandbox.context import Context
from sandbox.documents import render
from sandbox.kinds import Doc
from sandbox.versions import BASIL, CLOVER, DAHLIA, LATEST_CHARGE

EXPANDABLE = {
    "invoice": {
        "charge": "charge",
        "payment_intent": "payment_intent",
        "subscription": "subscription",
        "total_tax_amounts.tax_rate": "tax_rate",
    },
    "line_item": {"tax_amounts.tax_rate": "tax_rate"},
    "payment_intent": {"invoice": "invoice"},
    "charge": {"invoice": "invoice"},
}
"""What could be expanded before BASIL and is gone since."""


def expandable(ctx: Context, kind: str) -> dict[str, str]:
    return EXPANDABLE.get(kind, {}) if versions.is_before(ctx.api_version, BASIL) else {}


def dressed(ctx: Context, shown: Any) -> Any:
    """A rendered answer, and every object inside it, as the caller's version has it; a copy when there is a
    difference."""
    if not versions.is_before(ctx.api_version, DAHLIA):
        return shown
    if isinstance(shown, list):
        return [dressed(ctx, one) for one in shown]
    if not isinstance(shown, dict):
        return shown
    node = {name: dressed(ctx, value) for name, value in shown.items()}
    for change, add in ADDITIONS.get(str(node.get("object")), ()):
        if versions.is_before(ctx.api_version, change):
            add(ctx, node)
    return node


def _session(ctx: Context, session: Doc) -> None:
    older = {new: old for old, new in versions.UI_MODES.items()}
    session["ui_mode"] = older.get(session["ui_mode"], session["ui_mode"])


def _discount(ctx: Context, discount: Doc) -> None:
    coupon = (discount.get("source") or {}).get("coupon")
    discount["coupon"] = _full(ctx, "coupon", coupon)


def _promotion_code(ctx: Context, code: Doc) -> None:
    code["coupon"] = _full(ctx, "coupon", code["promotion"]["coupon"])


def _full(ctx: Context, kind: str, held: Any) -> Any:
    """The object for an id; an object as it is."""
    found = objects.find(ctx, kind, held) if isinstance(held, str) else None
    return render(found) if found else held


def _subscription(ctx: Context, subscription: Doc) -> None:
    held = subscription["items"]["data"]
    only = held[0] if len(held) == 1 else {}
    subscription |= {
        "current_period_end": min((item["current_period_end"] for item in held), default=None),
        "current_period_start": max((item["current_period_start"] for item in held), default=None),
        "discount": _first_discount(ctx, subscription),
        "plan": only.get("plan"),
        "quantity": only.get("quantity"),
    }


def _first_discount(ctx: Context, holder: Doc) -> Doc | None:
    for held in holder["discounts"]:
        found = _full(ctx, "discount", held)
        return dressed(ctx, found) if isinstance(found, dict) else None
    return None


def _invoice(ctx: Context, invoice: Doc) -> None:
    parent = (invoice["parent"] or {}).get("subscription_details") or {}
    intent = _intent_of(ctx, invoice.get("id"))
    invoice |= {
        "application_fee_amount": None,
        "charge": intent.get("latest_charge"),
        "discount": _first_discount(ctx, invoice),
        "paid": invoice["status"] == "paid",
        "paid_out_of_band": invoice["status"] == "paid" and bool(invoice["amount_due"]) and not intent,
        "payment_intent": intent.get("id"),
        "quote": None,
        "subscription": parent.get("subscription"),
        "subscription_details": {"metadata": parent.get("metadata")} if parent else None,
        "tax": sum(tax["amount"] for tax in invoice["total_taxes"]) if invoice["total_taxes"] else None,
        "total_tax_amounts": [_tax_amount(tax) for tax in invoice["total_taxes"] or ()],
        "transfer_data": None,
    }


def _intent_of(ctx: Context, invoice: str | None) -> Doc:
    """The payment intent of an invoice, as long as there could be only one; none of one that is only foreseen."""
    for payment in objects.query(ctx, "invoice_payment", invoice=invoice) if invoice else ():
        id = payment["payment"].get("payment_intent")
        if id and payment["status"] != "canceled":
            return objects.find(ctx, "payment_intent", id) or {}
    return {}


def _tax_amount(tax: Doc) -> Doc:
    return {
        "amount": tax["amount"],
        "inclusive": tax["tax_behavior"] == "inclusive",
        "tax_rate": (tax["tax_rate_details"] or {}).get("tax_rate"),
        "taxability_reason": tax["taxability_reason"],
        "taxable_amount": tax["taxable_amount"],
    }


def _line(ctx: Context, line: Doc) -> None:
    parent = line["parent"] or {}
    item = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    taxes = line["taxes"] or []
    priced = _price_and_plan(ctx, line)
    line |= priced | {
        "amount_excluding_tax": line["amount"] - sum(t["amount"] for t in taxes if t["tax_behavior"] == "inclusive"),
        "invoice_item": item.get("invoice_item"),
        "proration": bool(item.get("proration")),
        "proration_details": item.get("proration_details") or {"credited_items": None},
        "subscription_item": item.get("subscription_item"),
        "tax_amounts": [_tax_amount(tax) for tax in taxes],
        "tax_rates": [_full(ctx, "tax_rate", (tax["tax_rate_details"] or {}).get("tax_rate")) for tax in taxes],
        "type": "subscription" if _is_of_subscription(line, priced["price"]) else "invoiceitem",
        "unit_amount_excluding_tax": (line["pricing"] or {}).get("unit_amount_decimal"),
    }


def _is_of_subscription(line: Doc, price: Doc | None) -> bool:
    """Whether a line is for a whole period; parts of periods came by way of invoice items."""
    details = (line["parent"] or {}).get("subscription_item_details")
    if not details or details["invoice_item"]:
        return False
    return (
        price is None
        or items.cycle_of(price, line["period"]["start"]).holding(line["period"]["start"]).end
        <= (line["period"]["end"])
    )


def _price_and_plan(ctx: Context, priced: Doc) -> Doc:
    details = (priced["pricing"] or {}).get("price_details") or {}
    price = _full(ctx, "price", details.get("price"))
    price = price if isinstance(price, dict) else None
    return {"plan": items.plan_of(price) if price and price["recurring"] else None, "price": price}


def _invoice_item(ctx: Context, item: Doc) -> None:
    parent = (item["parent"] or {}).get("subscription_details") or {}
    decimal = (item["pricing"] or {}).get("unit_amount_decimal")
    item |= _price_and_plan(ctx, item) | {
        "subscription": parent.get("subscription"),
        "subscription_item": parent.get("subscription_item"),
        "unit_amount": int(decimal) if decimal and decimal.isdigit() else None,
        "unit_amount_decimal": decimal,
    }


def _payment_intent(ctx: Context, intent: Doc) -> None:
    intent["invoice"] = _invoice_of(ctx, intent["id"])


def _charge(ctx: Context, charge: Doc) -> None:
    intent = charge["payment_intent"]
    charge["invoice"] = _invoice_of(ctx, intent if isinstance(intent, str) else (intent or {}).get("id"))


def _invoice_of(ctx: Context, intent: str | None) -> str | None:
    filters = {"payment.payment_intent": intent}
    paid = ctx.tx.page(ctx.scope, "invoice_payment", filters) if intent else []
    return paid[0]["invoice"] if paid else None


def _charges(ctx: Context, intent: Doc) -> None:
    """The charges that a payment intent embedded, newest first."""
    found = [dressed(ctx, render(charge)) for charge in objects.query(ctx, "charge", payment_intent=intent["id"])]
    address = f"/v1/charges?payment_intent={intent['id']}"
    intent["charges"] = {
        "object": "list", "data": found, "has_more": False, "total_count": len(found), "url": address,
    }  # fmt: skip


ADDITIONS: dict[str, list[tuple[str, Callable[[Context, Doc], None]]]] = {
    "charge": [(BASIL, _charge)],
    "checkout.session": [(DAHLIA, _session)],
    "discount": [(CLOVER, _discount)],
    "invoice": [(BASIL, _invoice)],
    "invoiceitem": [(BASIL, _invoice_item)],
    "line_item": [(BASIL, _line)],
    "payment_intent": [(BASIL, _payment_intent), (LATEST_CHARGE, _charges)],
    "promotion_code": [(CLOVER, _promotion_code)],
    "subscription": [(BASIL, _subscription)],
}
