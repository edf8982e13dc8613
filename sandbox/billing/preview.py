"""What the next invoice would be. Nothing is stored: everything is made as if, then taken back.

The change is carried out by the code that would carry it out, and time then goes on (foreseeing.py) until there is an
invoice, in a savepoint that is always rolled back: a preview can never differ from what happens. Source: API reference,
"Create a preview invoice".
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from sandbox import objects
from sandbox.billing import (
    changing,
    discounts,
    foreseeing,
    invoicing,
    items,
    lifecycle,
    pricing,
    resuming,
    scheduling,
    subscribing,
)
from sandbox.billing.billing_modes import BILLING_MODE
from sandbox.billing.discounts import DISCOUNTS
from sandbox.billing.phases import PHASE
from sandbox.billing.redeeming import Purchase
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.params import Array, Bool, Enum, Hash, Ignored, Int, Metadata, OneOf, Param, Shape, Str, Timestamp
from sandbox.resources import invoice_items, schedules
from sandbox.resources.customers import create_customer
from sandbox.resources.tax_rates import TAX_RATES

PRORATION = Enum("always_invoice", "create_prorations", "none")
DETAILS: Shape = {
    "billing_cycle_anchor": OneOf(Enum("now", "unchanged"), Timestamp()),
    "billing_mode": BILLING_MODE,
    "billing_schedules": Ignored(),
    "cancel_at": OneOf(Enum("max_period_end", "min_period_end"), Timestamp(), unset=True),
    "cancel_at_period_end": Bool(),
    "cancel_now": Bool(),
    "default_tax_rates": TAX_RATES,
    "items": Array(Hash(items.CHANGED_ITEM)),
    "metadata": Metadata(),
    "proration_behavior": PRORATION,
    "proration_date": Timestamp(),
    "resume_at": Enum("now"),
    "start_date": Timestamp(),
    "trial_end": Timestamp(words=("now",)),
}
SCHEDULE_DETAILS: Shape = {
    "billing_mode": BILLING_MODE,
    "end_behavior": Enum("cancel", "release"),
    "phases": Array(Hash(PHASE)),
    "proration_behavior": PRORATION,
}
EXTRA: Shape = {name: shape for name, shape in invoice_items.COMMON.items() if name != "pricing"} | {
    "currency": Str(), "invoiceitem": Str(), "price": Str(), "unit_amount": Int(min=-99_999_999),
}  # fmt: skip
"""An item as previews name it: a price without `pricing` around it."""
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
    "schedule": Str(),
    "schedule_details": Hash(SCHEDULE_DETAILS),
    "subscription": Str(),
    "subscription_details": Hash(DETAILS),
}
OF_NEW = ("billing_cycle_anchor", "billing_mode", "cancel_at", "cancel_at_period_end", "default_tax_rates", "items",
          "metadata", "proration_behavior", "trial_end")  # fmt: skip
"""What is said of a subscription that does not exist yet."""


def preview(ctx: Context, params: dict[str, Any]) -> Doc:
    """An invoice document with a temporary id."""
    with ctx.tx.rehearsal():
        _check(params)
        _wait_for(ctx, params)
        made = _with_discounts(ctx, _as_draft(_made(ctx, params)), params)
    id = made["id"].replace("in_", "upcoming_in_", 1)
    shown = [line | {"id": line["id"].replace("il_", "il_tmp_", 1), "invoice": id} for line in made["lines"]["data"]]
    return made | {"id": id, "lines": made["lines"] | {"data": shown, "url": f"/v1/invoices/{id}/lines"}}


def _check(params: dict[str, Any]) -> None:
    of_schedule, others = {"schedule", "schedule_details"} & set(params), {"subscription", "subscription_details"}
    if of_schedule and others & set(params):
        raise ApiError(
            f"You may only specify one of these parameters: {min(of_schedule)}, {min(others & set(params))}."
        )
    details = params.get("subscription_details") or {}
    if "proration_date" in details and details.get("proration_behavior") == "none":
        raise ApiError(
            "You cannot set `subscription_details[proration_date]` when "
            "`subscription_details[proration_behavior]` is `none`.",
            param="subscription_details[proration_date]",
        )


def _wait_for(ctx: Context, params: dict[str, Any]) -> None:
    """Items that shall be on the invoice besides what waits for it."""
    for given in params.get("invoice_items") or []:
        known = given.pop("invoiceitem", None)
        if "price" in given:
            given["pricing"] = {"price": given.pop("price")}
        if "unit_amount" in given:
            given["unit_amount_decimal"] = Decimal(given.pop("unit_amount"))
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
    purchase = Purchase(made["subtotal"], made["currency"])
    held = discounts.put(ctx, params["discounts"], made["customer"], purchase=purchase, invoice=made["id"])
    made |= {"discounts": held}
    return made | pricing.totals(ctx, made, made["starting_balance"])


def _made(ctx: Context, params: dict[str, Any]) -> Doc:
    recurring = params.get("preview_mode") == "recurring"
    if {"schedule", "schedule_details"} & set(params):
        subscription, made = _of_schedule(ctx, params)
    else:
        subscription, made = _of_subscription(ctx, params)
    if recurring and subscription:
        return _recurring(ctx, objects.load(ctx, "subscription", subscription["id"]))
    schedule = params.get("schedule")
    made = made or foreseeing.next_invoice(ctx, subscription, schedule)
    if made is None:
        customer = (subscription or {}).get("customer") or params.get("customer")
        raise _nothing(customer)
    return made


def _nothing(customer: str | None) -> ApiError:
    return ApiError(f"No upcoming invoices for customer: {customer}", status=404, code="invoice_upcoming_none")


def _of_subscription(ctx: Context, params: dict[str, Any]) -> tuple[Doc, Doc | None]:
    """The subscription after the change, and the invoice that the change makes at once, if it does."""
    details = dict(params.get("subscription_details") or {})
    if "subscription" in params:
        known = objects.load(ctx, "subscription", params["subscription"], param="subscription")
        return _changed(ctx, known, details)
    customer = _customer(ctx, params)
    if details.get("items"):
        return _begun(ctx, customer, details)
    for subscription in objects.query(ctx, "subscription", customer=customer["id"], status=["active", "trialing"]):
        return _changed(ctx, subscription, details)
    raise _nothing(customer["id"])


def _customer(ctx: Context, params: dict[str, Any]) -> Doc:
    if "customer" in params:
        return objects.load(ctx, "customer", params["customer"], param="customer")
    if "customer_details" in params:
        made: Doc = create_customer(ctx, {})
        return made
    raise ApiError("You must pass `customer` or `subscription` to preview an invoice.", param="customer")


def _begun(ctx: Context, customer: Doc, details: dict[str, Any]) -> tuple[Doc, Doc | None]:
    wanted = {name: details[name] for name in OF_NEW if name in details and details[name] != "unchanged"}
    if wanted.get("billing_cycle_anchor") == "now":
        del wanted["billing_cycle_anchor"]
    start = details.get("start_date", ctx.now)
    if start < ctx.now:
        wanted["backdate_start_date"] = start
    begun = subscribing.begin(
        replace(ctx, now=max(start, ctx.now)),
        wanted | {"customer": customer["id"], "payment_behavior": "default_incomplete"},
    )
    return begun, objects.find(ctx, "invoice", begun["latest_invoice"])


def _changed(ctx: Context, subscription: Doc, details: dict[str, Any]) -> tuple[Doc, Doc | None]:
    if subscription["status"] in lifecycle.ENDED:
        raise _nothing(subscription["customer"])
    scheduling.check_free(subscription, details)
    changes = {name: value for name, value in details.items() if name in changing.PREVIEWED}
    after = subscription
    if details.get("cancel_now"):
        prorate = details.get("proration_behavior", "create_prorations") != "none"
        after = changing.cancel(ctx, subscription, {"invoice_now": True, "prorate": prorate})
    elif details.get("resume_at"):
        after = resuming.resume(ctx, subscription, {"payment_behavior": "default_incomplete"})
    elif changes:
        after = changing.change(ctx, subscription, changes | {"payment_behavior": "default_incomplete"})
    at_once = after["latest_invoice"] != subscription["latest_invoice"]
    return after, objects.load(ctx, "invoice", after["latest_invoice"]) if at_once else None


def _of_schedule(ctx: Context, params: dict[str, Any]) -> tuple[Doc | None, Doc | None]:
    """The same for a schedule, or a change of one."""
    details = params.get("schedule_details") or {}
    if "schedule" in params:
        known = objects.load(ctx, "subscription_schedule", params["schedule"], param="schedule")
        before = objects.find(ctx, "subscription", known["subscription"])
        given = {name: value for name, value in details.items() if name != "billing_mode"}
        changed = schedules.update_schedule(ctx, given, known["id"]) if given else known
    else:
        before = None
        start = ((details.get("phases") or [{}])[0]).get("start_date", "now")
        wanted = {name: value for name, value in details.items() if name != "proration_behavior"}
        customer = _customer(ctx, params)["id"]
        changed = schedules.create_schedule(ctx, wanted | {"customer": customer, "start_date": start})
        params["schedule"] = changed["id"]
    subscription = objects.find(ctx, "subscription", changed["subscription"])
    latest = before["latest_invoice"] if before else None
    if subscription and subscription["latest_invoice"] != latest:
        return subscription, objects.find(ctx, "invoice", subscription["latest_invoice"])
    return subscription, None


def _recurring(ctx: Context, subscription: Doc) -> Doc:
    """What each whole period costs: without prorations, trials, single items, discounts of one invoice and credit."""
    for id in {*subscription["discounts"], *(id for item in subscription["items"]["data"] for id in item["discounts"])}:
        held = objects.load(ctx, "discount", id)
        if held["_coupon"]["duration"] == "once":
            discounts.end(ctx, held)
    subscription = objects.load(ctx, "subscription", subscription["id"])
    charged = []
    for item in subscription["items"]["data"]:
        period = items.cycle_in(subscription, item["price"]).holding(item["current_period_end"])
        charged += items.lines_for(ctx, subscription, item, period)
    at = min(item["current_period_end"] for item in subscription["items"]["data"])
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    parent = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
    fields = {
        "auto_advance": True, "created": at, "parent": parent, "period_end": at,
        "period_start": min(item["current_period_start"] for item in subscription["items"]["data"]),
        "_subscription": subscription["id"],
    }  # fmt: skip
    customer = objects.load(ctx, "customer", subscription["customer"])
    made = invoicing.draft(ctx, customer, subscription["currency"], fields, charged)
    return made | pricing.totals(ctx, made, 0)


def _as_draft(invoice: Doc) -> Doc:
    """The invoice as it would be before anything is done with it."""
    unset = dict.fromkeys(("ending_balance", "effective_at", "hosted_invoice_url", "invoice_pdf", "number"))
    due = max(invoice["total"] + invoice["starting_balance"], 0)
    return (
        invoice
        | unset
        | {
            "amount_due": due, "amount_paid": 0, "amount_remaining": due, "attempt_count": 0, "attempted": False,
            "auto_advance": True, "billing_reason": "upcoming", "status": "draft",
            "status_transitions": dict.fromkeys(invoice["status_transitions"]),
        }
    )  # fmt: skip
