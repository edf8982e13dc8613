"""Phases of a subscription schedule as values: from parameters to what is stored, and from a phase to the parameters
with which a subscription begins or changes. Source: API reference, "The Subscription Schedule object".
"""

from typing import Any

from sandbox import objects
from sandbox.billing import items
from sandbox.billing.discounts import DISCOUNTS
from sandbox.billing.periods import later
from sandbox.context import Context
from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc
from sandbox.params import Array, Bool, Enum, Hash, Ignored, Int, Metadata, OneOf, Param, Shape, Str, Timestamp
from sandbox.resources import tax_rates
from sandbox.resources.prices import new_price
from sandbox.resources.tax_rates import TAX_RATES

ADDED: Shape = {
    "discountable": Bool(),
    "discounts": DISCOUNTS,
    "metadata": Metadata(),
    "period": Ignored(),
    "price": Str(),
    "price_data": Hash(items.ONCE_DATA),
    "quantity": Int(min=0),
    "tax_rates": TAX_RATES,
}
INVOICE_SETTINGS: Shape = {
    "account_tax_ids": Ignored(),
    "custom_fields": Array(Hash({"name": Str(required=True), "value": Str(required=True)}), unset=True),
    "days_until_due": Int(min=0),
    "description": Str(unset=True, max_length=1500),
    "footer": Str(unset=True, max_length=5000),
    "issuer": Ignored(),
}
PHASE: dict[str, Param] = {
    "add_invoice_items": Array(Hash(ADDED)),
    "application_fee_percent": Ignored(),
    "automatic_tax": Ignored(),
    "billing_cycle_anchor": Enum("automatic", "phase_start"),
    "billing_thresholds": items.THRESHOLDS,
    "collection_method": Enum("charge_automatically", "send_invoice"),
    "currency": Str(),
    "default_payment_method": Str(unset=True),
    "default_tax_rates": TAX_RATES,
    "description": Str(unset=True, max_length=500),
    "discounts": DISCOUNTS,
    "duration": Hash(
        {"interval": Enum("day", "month", "week", "year", required=True), "interval_count": Int(min=1)}
    ),
    "end_date": OneOf(Enum("now"), Timestamp()),
    "invoice_settings": Hash(INVOICE_SETTINGS, unset=True),
    "items": Array(Hash(items.ITEM), required=True),
    "iterations": Int(min=1),
    "metadata": Metadata(),
    "on_behalf_of": Ignored(),
    "proration_behavior": Enum("always_invoice", "create_prorations", "none"),
    "start_date": OneOf(Enum("now"), Timestamp()),
    "transfer_data": Ignored(),
    "trial": Bool(),
    "trial_end": OneOf(Enum("now"), Timestamp()),
}  # fmt: skip
CARRIED = ("billing_thresholds", "collection_method", "default_payment_method", "description")
DISCOUNTED_BY = {"coupon": "coupon", "discount": "discount", "promotion_code": "promotion_code"}
EXPANDABLE = {f"discounts.{name}": kind for name, kind in DISCOUNTED_BY.items()}
SENT_FOR = 30
"""Days that a customer has for an invoice that is sent, where nobody says how many."""


def stored(ctx: Context, given: list[dict[str, Any]], start: int, anchor: int | None = None) -> list[Doc]:
    """The phases one after another from `start`; their months are counted from the `anchor` of billing, so that they
    end with billing periods; a trial begins a new cycle at its end. Raises for phases without items and for ends before
    starts."""
    made: list[Doc] = []
    anchor = start if anchor is None else anchor
    for number, phase in enumerate(given):
        begins = made[-1]["end_date"] if made else start
        anchor = begins if phase.get("billing_cycle_anchor") == "phase_start" else anchor
        made.append(_phase(ctx, phase, begins, anchor, f"phases[{number}]"))
        anchor = made[-1]["trial_end"] or anchor
    return made


def _phase(ctx: Context, given: dict[str, Any], start: int, anchor: int, path: str) -> Doc:
    if not given["items"]:
        raise missing(f"{path}[items]")
    prices = [items.price_for(ctx, item, f"{path}[items][{number}]") for number, item in enumerate(given["items"])]
    held = [
        _item(ctx, item, price, f"{path}[items][{number}]")
        for number, (item, price) in enumerate(zip(given["items"], prices, strict=True))
    ]
    end = _end(ctx, given, prices[0], start, anchor, path)
    added = [
        _added(ctx, one, f"{path}[add_invoice_items][{number}]")
        for number, one in enumerate(given.get("add_invoice_items") or [])
    ]
    nothing = dict.fromkeys(
        ("application_fee_percent", "billing_thresholds", "collection_method", "default_payment_method", "description",
         "on_behalf_of", "transfer_data")
    )  # fmt: skip
    return nothing | {name: given[name] for name in CARRIED if name in given} | {
        "billing_thresholds": items.thresholds(given.get("billing_thresholds")),
        "add_invoice_items": added,
        "billing_cycle_anchor": given.get("billing_cycle_anchor"),
        "currency": prices[0]["currency"],
        "default_tax_rates": tax_rates.named(ctx, given.get("default_tax_rates"), f"{path}[default_tax_rates]"),
        "discounts": [_discount(ctx, one, f"{path}[discounts]") for one in given.get("discounts") or []],
        "end_date": end,
        "invoice_settings": settings(given["invoice_settings"]) if given.get("invoice_settings") else None,
        "items": held,
        "metadata": given.get("metadata") or {},
        "proration_behavior": given.get("proration_behavior", "create_prorations"),
        "start_date": start,
        "trial_end": _trial_end(given, start, end, path),
    }  # fmt: skip


def _trial_end(given: dict[str, Any], start: int, end: int, path: str) -> int | None:
    """When the trial of a phase is over: with it, or at a time within it."""
    until = end if given.get("trial") else given.get("trial_end")
    if until in (None, "now"):
        return None
    if given.get("billing_cycle_anchor") == "phase_start":
        raise ApiError(
            "`billing_cycle_anchor` cannot be `phase_start` in a phase with a trial.",
            param=f"{path}[billing_cycle_anchor]",
        )
    if not start < until <= end or (given.get("trial") and given.get("trial_end", end) != end):
        raise ApiError("The phase's `trial_end` must be within the phase.", param=f"{path}[trial_end]")
    return int(until)


def settings(given: dict[str, Any]) -> Doc:
    """The `invoice_settings` of a phase or a schedule."""
    told = {name: given.get(name) for name in ("days_until_due", *items.SAID_ON_INVOICES)}
    return {"account_tax_ids": None, "issuer": {"type": "self"}} | told


def _added(ctx: Context, given: dict[str, Any], path: str) -> Doc:
    """What is invoiced once when the phase begins."""
    if "price_data" in given:
        objects.load(ctx, "product", given["price_data"]["product"], param=f"{path}[price_data][product]")
        price = new_price(ctx, dict(given["price_data"]) | {"active": False})
    elif "price" in given:
        price = objects.load(ctx, "price", given["price"], param=f"{path}[price]")
    else:
        raise missing(f"{path}[price]")
    return {
        "discountable": given.get("discountable"),
        "discounts": [_discount(ctx, one, f"{path}[discounts]") for one in given.get("discounts") or []],
        "metadata": given.get("metadata") or {},
        "period": {
            "end": {"type": "min_item_period_end"},
            "start": {"type": "max_item_period_start"},
        },
        "price": price["id"],
        "quantity": given.get("quantity", 1),
        "tax_rates": tax_rates.named(ctx, given.get("tax_rates"), f"{path}[tax_rates]"),
    }


def _discount(ctx: Context, one: dict[str, str], path: str) -> Doc:
    """A phase keeps the names; they are redeemed when it begins. Raises for what does not exist."""
    for name, kind in DISCOUNTED_BY.items():
        if name in one:
            objects.load(ctx, kind, one[name], param=f"{path}[{name}]")
    return named(one)


def named(one: dict[str, str]) -> Doc:
    return {name: one.get(name) for name in ("coupon", "discount", "promotion_code")}


def _item(ctx: Context, given: dict[str, Any], price: Doc, path: str) -> Doc:
    items.check_threshold(price, given.get("billing_thresholds"), path)
    held: Doc = {
        "billing_thresholds": given.get("billing_thresholds"),
        "discounts": [_discount(ctx, one, f"{path}[discounts]") for one in given.get("discounts") or []],
        "metadata": given.get("metadata") or {},
        "plan": price["id"],
        "price": price["id"],
        "tax_rates": tax_rates.named(ctx, given.get("tax_rates"), f"{path}[tax_rates]"),
    }
    metered = price["recurring"]["usage_type"] == "metered"
    return held if metered else held | {"quantity": given.get("quantity", 1)}


def _end(ctx: Context, given: dict[str, Any], price: Doc, start: int, anchor: int, path: str) -> int:
    """Where a phase says nothing it lasts for one interval of its price."""
    said = [name for name in ("duration", "end_date", "iterations") if name in given]
    if len(said) > 1:
        raise ApiError(f"You may only specify one of these parameters: {', '.join(said)}.", param=f"{path}[{said[1]}]")
    duration = given.get("duration")
    if "end_date" in given:
        end = ctx.now if given["end_date"] == "now" else int(given["end_date"])
    elif duration:
        end = later(start, duration["interval"], duration.get("interval_count", 1), anchor)
    else:
        every = price["recurring"]
        end = later(start, every["interval"], every["interval_count"] * given.get("iterations", 1), anchor)
    if end <= start:
        raise ApiError("The phase's `end_date` must be after its `start_date`.", param=f"{path}[end_date]")
    return end


def of_subscription(subscription: Doc) -> Doc:
    """The phase in which a subscription is, until the end of its period."""
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    starts = [item["current_period_start"] for item in subscription["items"]["data"]]
    nothing = dict.fromkeys(
        ("application_fee_percent", "billing_cycle_anchor", "billing_thresholds", "collection_method",
         "default_payment_method", "description", "invoice_settings", "on_behalf_of", "transfer_data")
    )  # fmt: skip
    held = [
        {"billing_thresholds": item["billing_thresholds"],
         "discounts": [named({"discount": id}) for id in item["discounts"]],
         "metadata": item["metadata"], "plan": item["price"]["id"], "price": item["price"]["id"],
         "tax_rates": item["tax_rates"]} | ({"quantity": item["quantity"]} if "quantity" in item else {})
        for item in subscription["items"]["data"]
    ]  # fmt: skip
    return nothing | {
        "add_invoice_items": [],
        "currency": subscription["currency"],
        "default_tax_rates": subscription["default_tax_rates"],
        "discounts": [named({"discount": id}) for id in subscription["discounts"]],
        "end_date": subscription["cancel_at"] or max(ends),
        "items": held,
        "metadata": {},
        "proration_behavior": "create_prorations",
        "start_date": min(starts),
        "trial_end": subscription["trial_end"] if subscription["status"] == "trialing" else None,
    }


def as_given(phase: Doc) -> dict[str, Any]:
    """The parameters that would make this phase."""
    said = {name: phase[name] for name in (*CARRIED, "trial_end") if phase[name] is not None}
    return said | {
        "default_tax_rates": [rate["id"] for rate in phase["default_tax_rates"]],
        "discounts": _named(phase["discounts"]),
        "end_date": phase["end_date"],
        "items": [_wanted(item) for item in phase["items"]],
        "proration_behavior": phase["proration_behavior"],
        "start_date": phase["start_date"],
    }


def resolved(phase: Doc, defaults: Doc) -> Doc:
    """The phase with what its schedule's `default_settings` say where it says nothing."""
    days = [(held or {}).get("days_until_due") for held in (phase["invoice_settings"], defaults["invoice_settings"])]
    own, general = phase["invoice_settings"] or {}, defaults["invoice_settings"]
    return phase | {name: phase[name] or defaults[name] for name in (*CARRIED, "billing_cycle_anchor")} | {
        "days_until_due": next((one for one in days if one is not None), SENT_FOR),
        "invoice_settings": {name: own.get(name) or general.get(name) for name in items.SAID_ON_INVOICES},
    }  # fmt: skip


def beginning(phase: Doc, customer: str) -> dict[str, Any]:
    """The parameters with which a subscription begins in this phase, which is resolved."""
    return {name: value for name, value in _common(phase).items() if value is not None} | {
        "add_invoice_items": [_once(one) for one in phase["add_invoice_items"]],
        "customer": customer,
        "items": [_wanted(item) for item in phase["items"]],
        **({"trial_end": phase["trial_end"]} if phase["trial_end"] else {}),
    }


def _once(added: Doc) -> dict[str, Any]:
    return {
        "discounts": _named(added["discounts"]), "metadata": added["metadata"], "price": added["price"],
        "quantity": added["quantity"], "tax_rates": [rate["id"] for rate in added["tax_rates"]],
    }  # fmt: skip


def _common(phase: Doc) -> dict[str, Any]:
    sent = {"days_until_due": phase["days_until_due"]} if phase["collection_method"] == "send_invoice" else {}
    return {name: phase[name] for name in CARRIED} | sent | {
        "default_tax_rates": [rate["id"] for rate in phase["default_tax_rates"]],
        "discounts": _named(phase["discounts"]),
        "invoice_settings": {name: said for name, said in phase["invoice_settings"].items() if said},
        "metadata": phase["metadata"],
    }  # fmt: skip


def _named(held: list[Doc]) -> list[dict[str, str]]:
    return [{name: id for name, id in one.items() if id} for one in held]


def _wanted(item: Doc) -> dict[str, Any]:
    return {
        "billing_thresholds": item["billing_thresholds"],
        "discounts": _named(item["discounts"]),
        "metadata": item["metadata"],
        "price": item["price"],
        "tax_rates": [rate["id"] for rate in item["tax_rates"]],
        **({"quantity": item["quantity"]} if "quantity" in item else {}),
    }


def entering(ctx: Context, phase: Doc, subscription: Doc) -> dict[str, Any]:
    """The parameters that change a subscription into this phase, which is resolved: items keep their ids by price,
    then by place."""
    left = list(subscription["items"]["data"])
    changes: list[dict[str, Any]] = []
    rest = []
    for item in phase["items"]:
        same = next((held for held in left if held["price"]["id"] == item["price"]), None)
        if same:
            left.remove(same)
            changes.append({"id": same["id"]} | _changed(item, same))
        else:
            rest.append(item)
    for item in rest:
        changes.append(({"id": left.pop(0)["id"]} if left else {}) | _wanted(item))
    changes += [{"id": held["id"], "deleted": True} for held in left]
    added = {"add_invoice_items": [_once(one) for one in phase["add_invoice_items"]]}
    anchor = {"billing_cycle_anchor": "now"} if phase["billing_cycle_anchor"] == "phase_start" else {}
    trial = {"trial_end": phase["trial_end"]} if phase["trial_end"] and phase["trial_end"] > ctx.now else {}
    how = {"proration_behavior": phase["proration_behavior"], "items": changes}
    return _common(phase) | how | added | anchor | trial


def _changed(item: Doc, held: Doc) -> dict[str, Any]:
    wanted = _wanted(item)
    del wanted["price"]
    return wanted if "quantity" in held else {name: value for name, value in wanted.items() if name != "quantity"}


def at(phases: list[Doc], now: int) -> Doc | None:
    """The phase that runs now."""
    return next((phase for phase in phases if phase["start_date"] <= now < phase["end_date"]), None)


def shown(phase: Doc | None) -> Doc | None:
    return {"end_date": phase["end_date"], "start_date": phase["start_date"]} if phase else None


def check_customer(ctx: Context, id: str | None) -> Doc:
    if id is None:
        raise missing("customer")
    return objects.load(ctx, "customer", id, param="customer")
