"""How an invoice looks and what its delivery costs: `rendering`, `shipping_cost`, `shipping_details`.

Shipping stands beside the lines: it is in the total and not in the subtotal, and no discount takes anything off it.
It is taxed by Stripe Tax alone, never by tax rates. Sources: API reference "The Invoice object"; Stripe docs,
"Charge for shipping" (invoices), "Invoice rendering templates".
"""

from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.params import ADDRESS, Enum, Hash, Int, Param, Shape, Str
from sandbox.resources import shipping_rates
from sandbox.resources.customers import SHIPPING

RENDERING: Shape = {
    "amount_tax_display": Enum("exclude_tax", "include_inclusive_tax", unset=True),
    "pdf": Hash({"page_size": Enum("a4", "auto", "letter")}),
    "template": Str(),
    "template_version": Int(min=1, unset=True),
}
SHIPPING_COST: Shape = {"shipping_rate": Str(), "shipping_rate_data": Hash(shipping_rates.DATA)}
PARAMS: dict[str, Param] = {
    "rendering": Hash(RENDERING),
    "shipping_cost": Hash(SHIPPING_COST, unset=True),
    "shipping_details": Hash(SHIPPING, unset=True),
}
FREE: Doc = {"amount_shipping": 0, "shipping_cost": None}


def presented(ctx: Context, invoice: Doc, params: dict[str, Any]) -> Doc:
    """The fields that these parameters change on a draft of a known currency."""
    changes: Doc = {}
    if "rendering" in params:
        changes["rendering"] = _rendering(invoice.get("rendering") or {}, params["rendering"])
    if "shipping_details" in params:
        changes["shipping_details"] = params["shipping_details"] and _details(params["shipping_details"])
    if "shipping_cost" in params:
        changes |= shipped(ctx, invoice["currency"], params["shipping_cost"]) if params["shipping_cost"] else FREE
    return changes


def _rendering(held: Doc, given: dict[str, Any]) -> Doc:
    if "template" in given:
        raise ApiError(f"No such invoice rendering template: '{given['template']}'", param="rendering[template]",
                       code="resource_missing")  # fmt: skip
    asked = given.get("amount_tax_display")
    return {
        "amount_tax_display": asked if "amount_tax_display" in given else held.get("amount_tax_display"),
        "pdf": given.get("pdf") or held.get("pdf") or {"page_size": "auto"},
        "template": None,
        "template_version": None,
    }


def _details(given: dict[str, Any]) -> Doc:
    address = {name: (given.get("address") or {}).get(name) for name in ADDRESS}
    return {"address": address, "name": given["name"], "phone": given.get("phone")}


def shipped(ctx: Context, currency: str, given: dict[str, Any]) -> Doc:
    """What shipping at a rate costs; one that is only described is made."""
    if len(given) != 1:
        raise ApiError(
            "You must specify exactly one of `shipping_rate` or `shipping_rate_data`.", param="shipping_cost"
        )
    if "shipping_rate" in given:
        rate = objects.load(ctx, "shipping_rate", given["shipping_rate"], param="shipping_cost[shipping_rate]")
    else:
        rate = shipping_rates.create_shipping_rate(ctx, given["shipping_rate_data"])
    if not rate["active"]:
        raise ApiError(f"The shipping rate {rate['id']} is archived.", param="shipping_cost[shipping_rate]")
    amount = shipping_rates.amount_in(rate, currency, "shipping_cost[shipping_rate]")
    cost = {"amount_subtotal": amount, "amount_tax": 0, "amount_total": amount, "shipping_rate": rate["id"]}
    return {"amount_shipping": amount, "shipping_cost": cost}
