"""What the next invoice would be. Nothing is stored: everything is made as if, then taken back.

The change is carried out by the code that would carry it out, in a savepoint that is always rolled back, so that a
preview can never differ from what happens. Source: API reference, "Create a preview invoice".
"""

from typing import Any

from sandbox import objects
from sandbox.billing import changing, collection, discounts, invoicing, items, lines, pricing, usage_lines
from sandbox.billing.discounts import DISCOUNTS
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.params import Array, Bool, Enum, Hash, Ignored, Metadata, OneOf, Param, Shape, Str, Timestamp
from sandbox.resources import invoice_items
from sandbox.resources.tax_rates import TAX_RATES

DETAILS: Shape = {
    "billing_cycle_anchor": Enum("now", "unchanged"),
    "billing_mode": Ignored(),
    "billing_schedules": Ignored(),
    "cancel_at": OneOf(Enum("max_period_end", "min_period_end"), Timestamp(), unset=True),
    "cancel_at_period_end": Bool(),
    "cancel_now": Bool(),
    "default_tax_rates": TAX_RATES,
    "items": Array(Hash(items.CHANGED_ITEM)),
    "metadata": Metadata(),
    "proration_behavior": Enum("always_invoice", "create_prorations", "none"),
    "proration_date": Timestamp(),
    "resume_at": Ignored(),
    "start_date": Ignored(),
    "trial_end": Timestamp(words=("now",)),
}
EXTRA: Shape = invoice_items.COMMON | {"currency": Str(), "invoiceitem": Str()}
PARAMS: dict[str, Param] = {
    "automatic_tax": Ignored(),
    "currency": Str(),
    "customer": Str(),
    "customer_account": Ignored(),
    "customer_details": Ignored(),
    "discounts": DISCOUNTS,
    "invoice_items": Array(Hash(EXTRA)),
    "issuer": Ignored(),
    "on_behalf_of": Ignored(),
    "preview_mode": Enum("next", "recurring"),
    "schedule": Ignored(),
    "schedule_details": Ignored(),
    "subscription": Str(),
    "subscription_details": Hash(DETAILS),
}


def preview(ctx: Context, params: dict[str, Any]) -> Doc:
    """An invoice document with a temporary id."""
    ctx.tx.sql("SAVEPOINT preview")
    try:
        _wait_for(ctx, params)
        made = _with_discounts(ctx, _made(ctx, params), params)
    finally:
        ctx.tx.sql("ROLLBACK TO preview")
    id = made["id"].replace("in_", "upcoming_in_", 1)
    shown = [line | {"id": line["id"].replace("il_", "il_tmp_", 1), "invoice": id} for line in made["lines"]["data"]]
    return made | {"id": id, "lines": made["lines"] | {"data": shown, "url": f"/v1/invoices/{id}/lines"}}


def _wait_for(ctx: Context, params: dict[str, Any]) -> None:
    """Items that shall be on the invoice besides what waits for it."""
    for given in params.get("invoice_items") or []:
        known = given.pop("invoiceitem", None)
        if known:
            given.pop("currency", None)
            invoice_items.update_invoice_item(ctx, given, known)
        else:
            held = {name: params[name] for name in ("customer", "subscription") if name in params}
            if "subscription" in held:
                held["customer"] = objects.load(ctx, "subscription", held["subscription"])["customer"]
            invoice_items.create_invoice_item(ctx, held | given)


def _with_discounts(ctx: Context, made: Doc, params: dict[str, Any]) -> Doc:
    """Discounts that are asked for replace those that the invoice would have."""
    if "discounts" not in params:
        return made
    made |= {"discounts": discounts.put(ctx, params["discounts"], made["customer"], invoice=made["id"])}
    return made | pricing.totals(ctx, made, made["starting_balance"])


def _made(ctx: Context, params: dict[str, Any]) -> Doc:
    details = dict(params.get("subscription_details") or {})
    if "subscription" in params:
        return _for_subscription(
            ctx, objects.load(ctx, "subscription", params["subscription"], param="subscription"), details
        )
    if "customer" not in params:
        raise ApiError("You must pass `customer` or `subscription` to preview an invoice.", param="customer")
    customer = objects.load(ctx, "customer", params["customer"], param="customer")
    if details.get("items"):
        return _for_new(ctx, customer, details)
    for subscription in objects.query(ctx, "subscription", customer=customer["id"], status=["active", "trialing"]):
        return _for_subscription(ctx, subscription, details)
    raise ApiError(f"No upcoming invoices for customer: {customer['id']}", status=404, code="invoice_upcoming_none")


def _for_new(ctx: Context, customer: Doc, details: dict[str, Any]) -> Doc:
    from sandbox.billing import subscribing

    wanted = {"customer": customer["id"], "items": details["items"], "payment_behavior": "default_incomplete"}
    if "trial_end" in details:
        wanted["trial_end"] = details["trial_end"]
    begun = subscribing.begin(ctx, wanted)
    if begun["latest_invoice"] is None:
        return _next(ctx, begun)
    return _as_draft(objects.load(ctx, "invoice", begun["latest_invoice"]))


def _as_draft(invoice: Doc) -> Doc:
    unset = dict.fromkeys(("hosted_invoice_url", "invoice_pdf", "number", "effective_at"))
    transitions = dict.fromkeys(invoice["status_transitions"])
    return (
        invoice
        | unset
        | {"ending_balance": None, "billing_reason": "upcoming", "status": "draft", "status_transitions": transitions}
    )


def _for_subscription(ctx: Context, subscription: Doc, details: dict[str, Any]) -> Doc:
    """The invoice that a change would make at once, else the one at the next renewal."""
    changes = {name: value for name, value in details.items() if name not in ("cancel_now", "billing_mode")}
    changed = subscription
    if changes:
        at_once = details.get("proration_behavior") == "always_invoice"
        changed = changing.change(ctx, subscription, changes | {"payment_behavior": "default_incomplete"})
        if changed["latest_invoice"] != subscription["latest_invoice"] and (
            at_once or _restarted(subscription, changed)
        ):
            return _as_draft(objects.load(ctx, "invoice", changed["latest_invoice"]))
    return _next(ctx, changed)


def _restarted(before: Doc, after: Doc) -> bool:
    return bool(before["billing_cycle_anchor"] != after["billing_cycle_anchor"])


def _next(ctx: Context, subscription: Doc) -> Doc:
    if subscription["cancel_at_period_end"]:
        raise ApiError(
            f"No upcoming invoices for customer: {subscription['customer']}", status=404, code="invoice_upcoming_none"
        )
    customer = objects.load(ctx, "customer", subscription["customer"])
    charged = []
    for item in subscription["items"]["data"]:
        period = items.cycle_in(subscription, item["price"]).holding(item["current_period_end"])
        charged += usage_lines.due(ctx, subscription, item, until=item["current_period_end"])
        charged += items.lines_for(ctx, subscription, item, period)
    waiting = [lines.item_line(ctx, item) for item in collection.take_pending(ctx, subscription)]
    at = min(item["current_period_end"] for item in subscription["items"]["data"])
    start = min(item["current_period_start"] for item in subscription["items"]["data"])
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    parent = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
    fields = {
        "auto_advance": True, "billing_reason": "upcoming", "created": at, "parent": parent, "period_end": at,
        "period_start": start, "_subscription": subscription["id"],
    }  # fmt: skip
    return invoicing.draft(ctx, customer, subscription["currency"], fields, [*waiting, *charged])
