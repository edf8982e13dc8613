"""Changes to a running subscription: items, prices, quantities, payment method, the end of a trial, cancellation.

A change of items inside a period is prorated to the second: what is left of the old amount is credited, what is left of
the new one is charged, each as an invoice item of its own, which waits for the next invoice (create_prorations), is
invoiced at once (always_invoice) or is not made (none). Source: Stripe docs, "Prorations".
"""

from fractions import Fraction
from typing import Any

from sandbox import objects
from sandbox.billing import (
    collection,
    cutting,
    discounts,
    items,
    lifecycle,
    lines,
    netting,
    pending,
    usage_lines,
    wording,
)
from sandbox.billing.periods import Period
from sandbox.billing.subscribing import NO_PAYMENT_METHOD, add_once, check_sending, first_period
from sandbox.context import Context
from sandbox.documents import merge_metadata, render
from sandbox.errors import ApiError, no_such
from sandbox.events import previous_attributes
from sandbox.kinds import Doc
from sandbox.resources import payment_settings
from sandbox.resources.payment_methods import card_of, declined

PREVIEWED = (
    "billing_cycle_anchor", "cancel_at", "cancel_at_period_end", "default_tax_rates", "discounts", "items", "metadata",
    "proration_behavior", "proration_date", "trial_end",
)  # fmt: skip
"""What a preview may ask of a change; its discounts only the portal's."""
COPIED = ("description", "trial_settings")


def change_words(ctx: Context, subscription: Doc, params: dict[str, Any]) -> Doc:
    """What may be changed even after the end."""
    changes: Doc = {}
    if "metadata" in params:
        changes["metadata"] = merge_metadata(subscription["metadata"], params["metadata"])
    if "cancellation_details" in params:
        changes["cancellation_details"] = subscription["cancellation_details"] | params["cancellation_details"]
    return lifecycle.updated(ctx, subscription, changes)


def change(ctx: Context, subscription: Doc, params: dict[str, Any]) -> Doc:
    """All changes of one request, told in one customer.subscription.updated."""
    behavior = params.get("proration_behavior", "create_prorations")
    pending.check(subscription, params)
    if pending.REPLACED_BY & set(params):
        subscription = pending.discard(ctx, subscription)
    changes = _plain_changes(ctx, subscription, params)
    moved = subscription | changes
    prorations: list[Doc] = []
    restart = _restarts(subscription, params)
    if "items" in params or restart:
        at = _prorated_at(ctx, subscription, params)
        made, prorations = changed_items(ctx, moved, params.get("items") or [], at=at, restart=restart)
        items.check_together(made)
        restart = restart or _interval_changed(subscription, made)
        changes |= items.with_items(subscription, made) | usage_lines.counted_from(ctx, subscription, made)
        if restart:
            changes |= {"billing_cycle_anchor": ctx.now, "billing_cycle_anchor_config": None}
        if behavior == "none":
            prorations = []
    for number, given in enumerate(params.get("add_invoice_items") or []):
        add_once(ctx, subscription, given, f"add_invoice_items[{number}]")
    missing = lifecycle.trial_without_card(ctx, moved) if params.get("trial_end") == "now" else None
    if missing:
        return _end_trial_without_card(ctx, moved, missing)
    if params.get("trial_end") == "now" and subscription["status"] == "trialing":
        changes |= {"status": "active", "trial_end": ctx.now}
    elif isinstance(params.get("trial_end"), int):
        prorations += [] if behavior == "none" else _given_back(ctx, subscription | changes)
        changes |= _new_trial(subscription | changes, params["trial_end"], ctx.now)
    changes |= lifecycle.cancellation(ctx, subscription | changes, params)
    if subscription["cancel_at"] != (subscription | changes)["cancel_at"]:
        ended, moved_ends = cutting.cut(ctx, subscription | changes)
        changes |= items.with_items(subscription, ended)
        prorations += [] if behavior == "none" else moved_ends
    return _carry_out(ctx, subscription, changes, prorations, restart=restart, behavior=behavior, params=params)


def _prorated_at(ctx: Context, subscription: Doc, params: dict[str, Any]) -> int:
    """From when on the change counts. Raises for a day outside the period that runs."""
    periods = [items.period_of(item) for item in subscription["items"]["data"]]
    at: int = params.get("proration_date", ctx.now)
    if "proration_date" in params and not any(period.start <= at <= period.end for period in periods):
        raise ApiError(
            "`proration_date` must be within the current period of the subscription.", param="proration_date"
        )
    return at


def _end_trial_without_card(ctx: Context, subscription: Doc, behavior: str) -> Doc:
    if behavior == "pause":
        return lifecycle.pause(ctx, subscription)
    if behavior == "cancel":
        details = subscription["cancellation_details"] | {"reason": "cancellation_requested"}
        return lifecycle.end(ctx, subscription, details)
    raise ApiError(NO_PAYMENT_METHOD, code="resource_missing")


def _plain_changes(ctx: Context, subscription: Doc, params: dict[str, Any]) -> Doc:
    changes: Doc = {name: params[name] for name in COPIED if name in params} | _sending(subscription, params)
    changes |= items.settled(ctx, subscription, params)
    if "metadata" in params:
        changes["metadata"] = merge_metadata(subscription["metadata"], params["metadata"])
    if "payment_settings" in params:
        changes["payment_settings"] = payment_settings.said(
            subscription["payment_settings"], params["payment_settings"]
        )
    if "default_payment_method" in params:
        id = params["default_payment_method"]
        owner = subscription["customer"]
        changes["default_payment_method"] = collection.owned_payment_method(ctx, owner, id) if id else None
    if "pause_collection" in params:
        pause = params["pause_collection"]
        changes["pause_collection"] = {"resumes_at": None, **pause} if pause else None
    return changes


def _sending(subscription: Doc, params: dict[str, Any]) -> Doc:
    """What is charged has no days to be paid in, whatever it had while it was sent."""
    method = params.get("collection_method") or subscription["collection_method"]
    held = subscription["days_until_due"] if method == "send_invoice" else None
    days = params.get("days_until_due", held)
    check_sending(method, days)
    return {"collection_method": method, "days_until_due": days}


def _restarts(subscription: Doc, params: dict[str, Any]) -> bool:
    """A new cycle begins now."""
    ends_trial = params.get("trial_end") == "now" and subscription["status"] == "trialing"
    return ends_trial or params.get("billing_cycle_anchor") == "now"


def _given_back(ctx: Context, subscription: Doc) -> list[Doc]:
    """A trial in the middle of a period gives back what is left of it. Source: Stripe docs, "Prorations" (what triggers
    prorations)."""
    parts = [
        _prorated(ctx, subscription, item, None, at=ctx.now, restart=False) for item in subscription["items"]["data"]
    ]
    return [part for found in parts for part in found]


def _new_trial(subscription: Doc, until: int, now: int) -> Doc:
    if subscription["status"] == "paused":
        raise ApiError("A paused subscription has no trial to change. Resume it first.", param="trial_end")
    if until <= now:
        raise ApiError("`trial_end` must be in the future.", param="trial_end")
    moved = [
        item | {"current_period_end": until, "current_period_start": now} for item in subscription["items"]["data"]
    ]
    return items.with_items(subscription, moved) | {
        "billing_cycle_anchor": until, "billing_cycle_anchor_config": None, "status": "trialing", "trial_end": until,
        "trial_start": subscription["trial_start"] or now,
    }  # fmt: skip


def _interval_changed(subscription: Doc, made: list[Doc]) -> bool:
    before = {item["id"]: _interval(item) for item in subscription["items"]["data"]}
    return any(item["id"] in before and before[item["id"]] != _interval(item) for item in made)


def _interval(item: Doc) -> tuple[str, int]:
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def changed_items(
    ctx: Context, subscription: Doc, given: list[dict[str, Any]], *, at: int, restart: bool
) -> tuple[list[Doc], list[Doc]]:
    """The items after the change and the fields of the invoice items that prorate it."""
    old = {item["id"]: item for item in subscription["items"]["data"]}
    made, prorations = dict(old), []
    for number, change in enumerate(given):
        before = _named(old, change, number)
        after = _after(ctx, subscription, before, change, number)
        if before:
            del made[before["id"]]
        if after:
            made[after["id"]] = after
    restart = restart or _interval_changed(subscription, list(made.values()))
    for id in [*old, *(id for id in made if id not in old)]:
        before, after = old.get(id), made.get(id)
        if after and restart:
            made[id] = after = _restarted(after, ctx.now)
        prorations += _prorated(ctx, subscription, before, after, at=at, restart=restart)
        if before and not restart and _is_replaced(before, after):
            prorations += usage_lines.removed(ctx, subscription, before)
    _end_discounts(ctx, [old[id] for id in old if id not in made])
    order = [id for id in [*old, *made] if id in made]
    return [made[id] for id in dict.fromkeys(order)], prorations


def _end_discounts(ctx: Context, removed: list[Doc]) -> None:
    """What was taken off items that are no more is over."""
    for id in (id for item in removed for id in item["discounts"]):
        held = objects.find(ctx, "discount", id)
        if held and not held.get("_used"):
            discounts.forget(ctx, held)


def _is_replaced(before: Doc, after: Doc | None) -> bool:
    return after is None or bool(after["price"]["id"] != before["price"]["id"])


def _named(old: dict[str, Doc], change: dict[str, Any], number: int) -> Doc | None:
    """The item a change speaks of; None for a new one."""
    if "id" in change:
        if change["id"] not in old:
            raise no_such("subscription_item", change["id"], param=f"items[{number}][id]")
        return old[change["id"]]
    return None


def _after(ctx: Context, subscription: Doc, before: Doc | None, change: dict[str, Any], number: int) -> Doc | None:
    if change.get("deleted"):
        return None
    if before is None:
        price = items.price_for(ctx, change, f"items[{number}]")
        trial_end = subscription["trial_end"] if subscription["status"] == "trialing" else None
        period = first_period(ctx, subscription, price, trial_end)
        new = items.new_item(ctx, subscription["id"], price, change, period)
        return items.dressed(ctx, new, change, subscription["customer"], f"items[{number}]")
    after = items.dressed(ctx, before, change, subscription["customer"], f"items[{number}]")
    if {"price", "plan", "price_data"} & set(change):
        price = items.price_for(ctx, change, f"items[{number}]")
        after |= {"plan": items.plan_of(price), "price": render(price)}
        if price["recurring"]["usage_type"] != "metered":
            after.setdefault("quantity", 1)
    if "quantity" in change:
        after["quantity"] = change["quantity"]
    if "metadata" in change:
        after["metadata"] = merge_metadata(before["metadata"], change["metadata"])
    return after


def _restarted(item: Doc, now: int) -> Doc:
    period = items.cycle_of(item["price"], now).holding(now)
    return item | {"current_period_end": period.end, "current_period_start": period.start}


def _prorated(
    ctx: Context, subscription: Doc, before: Doc | None, after: Doc | None, *, at: int, restart: bool
) -> list[Doc]:
    """Credit for the rest of what was, charge for the rest of what is. Nothing while a trial runs."""
    if subscription["status"] == "trialing" or subscription["status"] == "incomplete":
        return []
    same = before and after and _charged(before) == _charged(after)
    if same and not restart:
        return []
    made = []
    if before:
        made.append(_part(ctx, subscription, before, items.period_of(before), at=at, sign=-1))
    if after and not restart:
        period = _full_period(subscription, before or after)
        made.append(_part(ctx, subscription, after, period, at=at, sign=1))
    return [part for part in made if part["amount"]]


def _full_period(subscription: Doc, item: Doc) -> Period:
    """The whole period in which a new item starts, of which it pays the rest."""
    return items.cycle_in(subscription, item["price"]).holding(item["current_period_start"])


def _charged(item: Doc) -> tuple[str, int | None]:
    return item["price"]["id"], item.get("quantity")


def _part(ctx: Context, subscription: Doc, item: Doc, period: Period, *, at: int, sign: int) -> Doc:
    price = items.stored_price(ctx, item)
    name, quantity = items.product_name(ctx, price), item.get("quantity")
    left = Fraction(min(max(period.end - at, 0), period.seconds), period.seconds or 1)
    cost = netting.credit(ctx, subscription, item, at) if sign < 0 else netting.charge(ctx, subscription, item, left)
    words = wording.unused_line if sign < 0 else wording.remaining_line
    return lines.proration_item(
        subscription, item, price,
        cost=cost, description=words(name, quantity or 0, at), period=Period(at, period.end),
    )  # fmt: skip


def _carry_out(
    ctx: Context, subscription: Doc, changes: Doc, prorations: list[Doc], *, restart: bool, behavior: str,
    params: dict[str, Any],
) -> Doc:  # fmt: skip
    """Write it down, invoice what is to be invoiced now, tell it once."""
    stored = lifecycle.changed(ctx, subscription, changes)
    for fields in prorations:
        collection.add_pending(ctx, fields)
    # A paused subscription makes no invoice before it is resumed (Stripe docs: "How subscriptions work").
    runs = subscription["status"] != "paused"
    waits = bool(prorations or params.get("add_invoice_items"))
    if runs and (restart or (waits and behavior == "always_invoice")):
        used = usage_lines.all_due(ctx, subscription, until=ctx.now) if restart else []
        stored = invoice_now(ctx, stored, restart=restart, params=params, used=used)
        if params.get("payment_behavior") == "pending_if_incomplete" and _is_unpaid(ctx, subscription, stored):
            stored = pending.hold(ctx, subscription, stored, changes)
    tell(ctx, subscription, stored)
    lifecycle.plan(ctx, stored)
    return stored


def _is_unpaid(ctx: Context, before: Doc, after: Doc) -> bool:
    """Whether the change made an invoice and the bank did not pay it."""
    invoice = objects.find(ctx, "invoice", after["latest_invoice"])
    return bool(invoice and invoice["id"] != before["latest_invoice"] and invoice["status"] == "open")


def invoice_now(
    ctx: Context,
    subscription: Doc,
    *,
    restart: bool,
    params: dict[str, Any],
    used: list[Doc] | None = None,
    final: bool = False,
) -> Doc:
    """Invoice what waits, on a restart the new period too, and what was `used` up to now. An invoice that is to be sent
    stays a draft for its hour, unless it is the `final` one."""
    charged = list(used or [])
    for item in subscription["items"]["data"] if restart else []:
        charged += lifecycle.period_lines(ctx, subscription, item, free=params.get("proration_behavior") == "none")
    if not charged and not collection.take_pending(ctx, subscription):
        return subscription
    customer = objects.load(ctx, "customer", subscription["customer"])
    invoice = lifecycle.subscription_invoice(ctx, subscription, customer, "subscription_update", charged)
    subscription = lifecycle.changed(ctx, subscription, {"latest_invoice": invoice["id"]})
    sent = subscription["collection_method"] == "send_invoice"
    if not sent or final:
        invoice = collection.open_up(ctx, invoice)
    if invoice["status"] == "paid" or sent:
        if final:
            collection.advance(ctx, invoice)
        return objects.load(ctx, "subscription", subscription["id"])
    if params.get("payment_behavior") == "default_incomplete":
        return lifecycle.changed(ctx, subscription, {"status": _owing(subscription)})
    return _pay_now(ctx, subscription, invoice, params)


def _owing(subscription: Doc) -> str:
    """What it is while it is not paid for: one that nobody has resumed yet stays paused, one that has not begun yet
    incomplete."""
    status: str = subscription["status"]
    return status if status in ("paused", "incomplete") else "past_due"


def _pay_now(ctx: Context, subscription: Doc, invoice: Doc, params: dict[str, Any]) -> Doc:
    payment_method = collection.payment_method_for(ctx, subscription)
    silent = lifecycle.changed(ctx, subscription, {"_announced": False})
    invoice, _ = collection.collect(ctx, invoice, payment_method, off_session=params.get("off_session", False))
    if invoice["status"] != "paid" and params.get("payment_behavior") == "error_if_incomplete":
        error = declined(card_of(payment_method)) if payment_method else ApiError("There is no payment method.")
        raise ApiError(error.message, status=402, type="card_error", code=error.code, **error.fields)
    status = silent["status"] if invoice["status"] == "paid" else _owing(silent)
    return lifecycle.changed(
        ctx, objects.load(ctx, "subscription", silent["id"]), {"_announced": True, "status": status}
    )


def tell(ctx: Context, before: Doc, after: Doc) -> None:
    """One customer.subscription.updated for all that is different."""
    previous = previous_attributes(render(before), render(after))
    if previous:
        objects.announce(ctx, "customer.subscription.updated", after, previous=previous)


def cancel(ctx: Context, subscription: Doc, params: dict[str, Any]) -> Doc:
    """End it now, with a credit for the unused time (`prorate`) and a last invoice (`invoice_now`) if asked for."""
    details = subscription["cancellation_details"] | (params.get("cancellation_details") or {})
    details["reason"] = "cancellation_requested"
    if subscription["status"] == "incomplete":
        return lifecycle.expire(ctx, lifecycle.changed(ctx, subscription, {"cancellation_details": details}))
    if params.get("prorate"):
        for item in subscription["items"]["data"]:
            for fields in _prorated(ctx, subscription, item, None, at=ctx.now, restart=False):
                collection.add_pending(ctx, fields)
    if params.get("invoice_now"):
        used = usage_lines.all_due(ctx, subscription, until=ctx.now)
        subscription = invoice_now(ctx, subscription, restart=False, params={}, used=used, final=True)
    elif not params.get("prorate"):
        _drop_prorations(ctx, subscription)
    return lifecycle.end(ctx, subscription, details)


def _drop_prorations(ctx: Context, subscription: Doc) -> None:
    """Prorations that wait are nobody's any more; what else waits is charged some day. Source: API reference, "Cancel a
    subscription"."""
    for item in collection.take_pending(ctx, subscription):
        if item["proration"]:
            objects.delete(ctx, item, event="invoiceitem.deleted")
