"""What happens to a subscription by itself: it becomes active, renews, falls due, ends.

`plan` writes down what comes next as a job; each job plans the one after. Sources: Stripe docs, "How subscriptions
work" (statuses), "Trial periods", "Cancel subscriptions".
"""

from typing import Any

from sandbox import jobs, objects
from sandbox.billing import collection, cutting, invoicing, items, policy, sums, usage_lines
from sandbox.billing.lines import item_line
from sandbox.billing.periods import DAY, Period
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc

INCOMPLETE_FOR = 23 * 3600
"""Seconds that the first payment may take."""
WARN_BEFORE_TRIAL_END = 3 * DAY
STEPPING: list[Any] = []
"""Functions (ctx, subscription) → subscription asked before a planned step: schedules change it first."""
ENDING: list[Any] = []
"""Functions (ctx, subscription) told that it has ended."""
PENDING: list[Any] = []
"""The function (ctx, subscription, invoice) told when the invoice of a change that waits for it has ended."""
LIVE = ("trialing", "active", "past_due", "unpaid")
ENDED = ("canceled", "incomplete_expired")
NOT_CANCELED: Doc = {"comment": None, "feedback": None, "feedback_option": None, "reason": None}


def changed(ctx: Context, subscription: Doc, changes: Doc) -> Doc:
    """Store, without a word to anybody."""
    return objects.update(ctx, subscription, changes)


def updated(ctx: Context, subscription: Doc, changes: Doc) -> Doc:
    """Store, and tell with customer.subscription.updated."""
    return objects.update(ctx, subscription, changes, event="customer.subscription.updated")


def subscription_invoice(ctx: Context, subscription: Doc, customer: Doc, reason: str, lines: list[Doc]) -> Doc:
    """A draft for a subscription, with the items that were waiting placed on it."""
    waiting = collection.take_pending(ctx, subscription)
    extra = [item_line(ctx, item) for item in waiting]
    sent = subscription["collection_method"] == "send_invoice"
    starts = [line["period"]["start"] for line in lines] or [ctx.now]
    invoice = invoicing.draft(
        ctx,
        customer,
        subscription["currency"],
        {
            "auto_advance": True,
            "billing_reason": reason,
            "collection_method": subscription["collection_method"],
            "default_payment_method": None,
            "due_date": ctx.now + subscription["days_until_due"] * DAY if sent else None,
            "parent": {
                "quote_details": None,
                "subscription_details": {
                    "metadata": subscription["metadata"], "subscription": subscription["id"],
                },
                "type": "subscription_details",
            },
            "period_end": ctx.now,
            "period_start": min(starts) if reason == "subscription_create" else _previous_start(subscription, ctx),
            "test_clock": subscription["test_clock"],
            "_subscription": subscription["id"],
        },
        [*extra, *lines],
    )  # fmt: skip
    collection.place(ctx, waiting, invoice)
    if reason != "subscription_create" or sent:
        due, payload = ctx.now + invoicing.DRAFT_FOR, {"invoice": invoice["id"]}
        jobs.schedule(ctx, "invoice.finalize", due_at=due, name=invoice["id"], payload=payload, first=True)
    return invoice


def _previous_start(subscription: Doc, ctx: Context) -> int:
    starts = [item["current_period_start"] for item in subscription["items"]["data"]]
    return min(starts, default=ctx.now)


def plan(ctx: Context, subscription: Doc) -> None:
    """Write down the next thing that will happen to this subscription."""
    name, payload = subscription["id"], {"subscription": subscription["id"]}
    jobs.cancel(ctx, "subscription.step", "subscription.trial_will_end", "subscription.upcoming", name=name)
    if subscription["status"] in (*ENDED, "paused"):
        return
    if subscription["status"] == "incomplete":
        due = subscription["created"] + INCOMPLETE_FOR
    else:
        ends = [item["current_period_end"] for item in subscription["items"]["data"]]
        resumes = (subscription["pause_collection"] or {}).get("resumes_at")
        due = min([*ends, *filter(None, (subscription["cancel_at"], resumes))])
        _plan_upcoming(ctx, subscription, min(ends))
    jobs.schedule(ctx, "subscription.step", due_at=due, name=name, payload=payload, first=True)
    _plan_warning(ctx, subscription)


def _plan_upcoming(ctx: Context, subscription: Doc, renews_at: int) -> None:
    days = policy.of(ctx).upcoming_days
    due, id = renews_at - days * DAY, subscription["id"]
    if days and due > ctx.now:
        jobs.schedule(ctx, "subscription.upcoming", due_at=due, name=id, payload={"subscription": id}, first=True)


def _plan_warning(ctx: Context, subscription: Doc) -> None:
    if subscription["status"] != "trialing" or subscription.get("_warned"):
        return
    due, id = subscription["trial_end"] - WARN_BEFORE_TRIAL_END, subscription["id"]
    if due <= ctx.now:
        warn(ctx, {"subscription": id})
    else:
        jobs.schedule(ctx, "subscription.trial_will_end", due_at=due, name=id, payload={"subscription": id})


@jobs.job("subscription.trial_will_end")
def warn(ctx: Context, payload: Doc) -> None:
    subscription = objects.find(ctx, "subscription", payload["subscription"])
    if subscription and subscription["status"] == "trialing":
        objects.announce(ctx, "customer.subscription.trial_will_end", changed(ctx, subscription, {"_warned": True}))


@jobs.job("subscription.step")
def step(ctx: Context, payload: Doc) -> None:
    """The planned time has come."""
    subscription = objects.find(ctx, "subscription", payload["subscription"])
    if subscription is None or subscription["status"] in ENDED:
        return
    if subscription["status"] == "incomplete":
        expire(ctx, subscription)
        return
    pause = subscription["pause_collection"]
    if pause and pause["resumes_at"] and pause["resumes_at"] <= ctx.now:
        subscription = updated(ctx, subscription, {"pause_collection": None})
        plan(ctx, subscription)
    for before in STEPPING:
        subscription = before(ctx, subscription)
    if subscription["status"] not in ENDED:
        _next(ctx, subscription)


def _next(ctx: Context, subscription: Doc) -> None:
    """The end, or a new period, if it is time for one."""
    if subscription["cancel_at"] and subscription["cancel_at"] <= ctx.now:
        end_as_planned(ctx, subscription)
    elif any(item["current_period_end"] <= ctx.now for item in subscription["items"]["data"]):
        renew(ctx, subscription)


def end_as_planned(ctx: Context, subscription: Doc) -> None:
    """The end, with an invoice for what was used and what still waits. Source: Stripe docs, "Cancel subscriptions"."""
    lines = usage_lines.all_due(ctx, subscription, until=ctx.now)
    ended = end(ctx, subscription, subscription["cancellation_details"])
    if lines or collection.take_pending(ctx, subscription):
        customer = objects.load(ctx, "customer", subscription["customer"])
        invoice = subscription_invoice(ctx, ended, customer, "subscription_cycle", lines)
        changed(ctx, ended, {"latest_invoice": invoice["id"]})


def expire(ctx: Context, subscription: Doc) -> Doc:
    """The first payment never came."""
    changes = {"status": "incomplete_expired", "ended_at": ctx.now}
    expired = updated(ctx, subscription, changes)
    invoice = objects.find(ctx, "invoice", subscription["latest_invoice"])
    if invoice and invoice["status"] == "open":
        collection.cancel_payments(ctx, invoice)
        invoicing.void(ctx, invoice)
    plan(ctx, expired)
    return _told_of_end(ctx, expired)


def renew(ctx: Context, subscription: Doc) -> Doc:
    """A new period for every item whose period is over, and the invoice for it."""
    missing = trial_without_card(ctx, subscription)
    if missing == "cancel":
        return end(ctx, subscription, subscription["cancellation_details"])
    if missing == "pause":
        return pause(ctx, subscription)
    renewed, lines = [], []
    for item in subscription["items"]["data"]:
        if item["current_period_end"] > ctx.now:
            renewed.append(item)
            continue
        period = cutting.until(subscription, items.cycle_in(subscription, item["price"]).holding(ctx.now))
        moved = item | {"current_period_end": period.end, "current_period_start": item["current_period_end"]}
        renewed.append(moved)
        lines += usage_lines.due(ctx, subscription, item, until=item["current_period_end"])
        lines += period_lines(ctx, subscription, moved, free=bool(subscription.get("_free_part")))
    customer = objects.load(ctx, "customer", subscription["customer"])
    invoice = subscription_invoice(ctx, subscription, customer, "subscription_cycle", lines)
    if subscription["pause_collection"]:
        invoice = _hold_back(ctx, invoice, subscription["pause_collection"]["behavior"])
    elif subscription["status"] == "unpaid":
        invoice = _hold_back(ctx, invoice, "keep_as_draft")
    status = "active" if subscription["status"] == "trialing" else subscription["status"]
    changes = items.with_items(subscription, renewed) | {"latest_invoice": invoice["id"], "status": status}
    renewed_subscription = updated(ctx, subscription, changes)
    plan(ctx, renewed_subscription)
    return renewed_subscription


def period_lines(ctx: Context, subscription: Doc, item: Doc, *, free: bool) -> list[Doc]:
    """What an item's period costs: as much of the price as the period is of a whole one, nothing when a part is `free`.
    Source: Stripe docs, "Setting the subscription billing cycle date" (prorated invoice until the anchor)."""
    period = items.period_of(item)
    whole = _whole_period(subscription, item)
    lines = items.lines_for(ctx, subscription, item, period)
    if whole == period:
        return lines
    parts = [0 if free else sums.between(line["amount"], whole, period) for line in lines]
    return [line | {"amount": part, "subtotal": part} for line, part in zip(lines, parts, strict=True)]


def is_part(subscription: Doc, item: Doc) -> bool:
    """Whether an item's period is shorter than a whole one, as it is up to an anchor that was asked for."""
    return _whole_period(subscription, item) != items.period_of(item)


def _whole_period(subscription: Doc, item: Doc) -> Period:
    return items.cycle_in(subscription, item["price"]).holding(items.period_of(item).start)


def _hold_back(ctx: Context, invoice: Doc, behavior: str) -> Doc:
    """Collection is paused: the draft is kept, or finalised and voided or written off. Source: Stripe docs, "Pause
    payment collection"."""
    jobs.cancel(ctx, "invoice.finalize", name=invoice["id"])
    unattended = {"auto_advance": False, "automatically_finalizes_at": None}
    invoice = objects.update(ctx, invoice, unattended, event="invoice.updated")
    if behavior == "keep_as_draft":
        return invoice
    opened = collection.open_up(ctx, invoice)
    if opened["status"] != "open":
        return opened
    if behavior == "mark_uncollectible":
        return invoicing.mark_uncollectible(ctx, opened)
    collection.cancel_payments(ctx, opened)
    return invoicing.void(ctx, opened)


def trial_without_card(ctx: Context, subscription: Doc) -> str | None:
    """What the end of this trial means when there is no card: cancel, pause, create_invoice; None when there is one."""
    if subscription["status"] != "trialing" or collection.payment_method_for(ctx, subscription):
        return None
    return str(subscription["trial_settings"]["end_behavior"]["missing_payment_method"])


def pause(ctx: Context, subscription: Doc) -> Doc:
    """The trial is over and nothing is billed until somebody resumes. Source: Stripe docs, "Use free trials"."""
    paused = updated(ctx, subscription, {"status": "paused", "trial_end": min(subscription["trial_end"], ctx.now)})
    objects.announce(ctx, "customer.subscription.paused", paused)
    plan(ctx, paused)
    return paused


def cancellation(ctx: Context, subscription: Doc, params: dict[str, Any]) -> Doc:
    """The fields that `cancel_at` and `cancel_at_period_end` change."""
    if "cancel_at" in params and params.get("cancel_at_period_end"):
        raise ApiError("You may only specify one of these parameters: cancel_at, cancel_at_period_end.")
    details = subscription["cancellation_details"] | (params.get("cancellation_details") or {})
    if isinstance(params.get("cancel_at"), int) and params["cancel_at"] <= ctx.now:
        raise ApiError("`cancel_at` must be in the future.", param="cancel_at")
    if "cancel_at" in params:
        return _cancel_at(ctx, subscription, details, _cancel_time(subscription, params["cancel_at"]), at_end=False)
    if "cancel_at_period_end" in params and params["cancel_at_period_end"] != subscription["cancel_at_period_end"]:
        at_end = params["cancel_at_period_end"]
        return _cancel_at(ctx, subscription, details, _last_end(subscription) if at_end else None, at_end=at_end)
    return {"cancellation_details": details}


def _cancel_at(ctx: Context, subscription: Doc, details: Doc, at: int | None, *, at_end: bool) -> Doc:
    if at is None:
        return {
            "cancel_at": None, "cancel_at_period_end": False, "canceled_at": None, "cancellation_details": NOT_CANCELED,
        }  # fmt: skip
    return {
        "cancel_at": at,
        "cancel_at_period_end": at_end,
        "canceled_at": ctx.now,
        "cancellation_details": details | {"reason": "cancellation_requested"},
    }


def _cancel_time(subscription: Doc, given: Any) -> int | None:
    ends: list[int] = [item["current_period_end"] for item in subscription["items"]["data"]]
    named: dict[Any, int | None] = {"min_period_end": min(ends), "max_period_end": max(ends)}
    return named.get(given, given)


def _last_end(subscription: Doc) -> int:
    ends: list[int] = [item["current_period_end"] for item in subscription["items"]["data"]]
    return max(ends)


def end(ctx: Context, subscription: Doc, details: Doc) -> Doc:
    """Over, now. Open invoices are left as they are, but nobody tries to collect them any more. What never began
    expires instead, whoever ends it."""
    if subscription["status"] == "incomplete":
        return expire(ctx, changed(ctx, subscription, {"cancellation_details": details}))
    ended = changed(
        ctx,
        subscription,
        {
            "canceled_at": subscription["canceled_at"] or ctx.now,
            "cancellation_details": details,
            "ended_at": ctx.now,
            "status": "canceled",
        },
    )
    for invoice in objects.query(ctx, "invoice", _subscription=subscription["id"], status=["open", "draft"]):
        jobs.cancel(ctx, "invoice.retry", name=invoice["id"])
        jobs.cancel(ctx, "invoice.finalize", name=invoice["id"])
        stopped = {"auto_advance": False, "automatically_finalizes_at": None, "next_payment_attempt": None}
        objects.update(ctx, invoice, stopped, event="invoice.updated")
    objects.announce(ctx, "customer.subscription.deleted", ended)
    plan(ctx, ended)
    return _told_of_end(ctx, ended)


def _told_of_end(ctx: Context, ended: Doc) -> Doc:
    for told in ENDING:
        told(ctx, ended)
    return objects.load(ctx, "subscription", ended["id"])


def _invoice_ended(ctx: Context, invoice: Doc) -> None:
    """Told by invoicing: an invoice was paid, voided or given up."""
    subscription = objects.find(ctx, "subscription", invoicing.subscription_of(invoice))
    if subscription is None or subscription["status"] in ENDED or subscription["latest_invoice"] is None:
        return
    if invoice["id"] == subscription.get("_pending_invoice"):
        for settle in PENDING:
            subscription = settle(ctx, subscription, invoice)
    if invoice["status"] == "void" and subscription["status"] == "incomplete":
        plan(ctx, updated(ctx, subscription, {"status": "incomplete_expired", "ended_at": ctx.now}))
    elif invoice["status"] == "paid" and _is_announced(subscription):
        _revive(ctx, subscription, invoice)


def _is_announced(subscription: Doc) -> bool:
    return bool(subscription.get("_announced"))


def _revive(ctx: Context, subscription: Doc, invoice: Doc) -> None:
    first = subscription["status"] == "incomplete" and invoice["id"] == subscription["latest_invoice"]
    owing = objects.query(ctx, "invoice", _subscription=subscription["id"], status="open")
    late = subscription["status"] in ("past_due", "unpaid") and not owing
    if first or late:
        changes: Doc = {"status": "active"} | _card_to_keep(ctx, subscription, invoice)
        plan(ctx, updated(ctx, subscription, changes))


def _card_to_keep(ctx: Context, subscription: Doc, invoice: Doc) -> Doc:
    """payment_settings[save_default_payment_method]=on_subscription, and subscriptions that came from Checkout."""
    saves = subscription["payment_settings"].get("save_default_payment_method") == "on_subscription"
    if not saves and not subscription.get("_keep_card"):
        return {}
    for payment in objects.query(ctx, "invoice_payment", invoice=invoice["id"], status="paid"):
        intent = objects.load(ctx, "payment_intent", payment["payment"]["payment_intent"])
        return {"default_payment_method": intent["payment_method"]}
    return {}


def _payment_failed(ctx: Context, invoice: Doc, intent: Doc) -> None:
    subscription = objects.find(ctx, "subscription", invoicing.subscription_of(invoice))
    if subscription is None or not _is_announced(subscription):
        return
    if invoice["id"] == subscription.get("_pending_invoice"):
        return
    if subscription["status"] in ("active", "trialing") and invoice["billing_reason"] != "subscription_create":
        subscription = updated(ctx, subscription, {"status": "past_due"})
    if collection.is_given_up(ctx, invoice):
        _give_up(ctx, subscription, policy.of(ctx).after_retries)


def _overdue(ctx: Context, invoice: Doc, *, given_up: bool) -> None:
    """Told by collection: an invoice that was sent was not paid in time, or not in all the time after that."""
    subscription = objects.find(ctx, "subscription", invoicing.subscription_of(invoice))
    if subscription is None:
        return
    if subscription["status"] in ("active", "trialing"):
        subscription = updated(ctx, subscription, {"status": "past_due"})
    if given_up:
        _give_up(ctx, subscription, policy.of(ctx).after_overdue)


def _give_up(ctx: Context, subscription: Doc, ending: policy.Ending) -> None:
    """Nobody asks for the money any more. Source: Stripe docs, "Revenue recovery" (retries)."""
    if subscription["status"] != "past_due":
        return
    if ending is policy.Ending.CANCEL:
        end(ctx, subscription, subscription["cancellation_details"] | {"reason": "payment_failed"})
    elif ending is policy.Ending.UNPAID:
        plan(ctx, updated(ctx, subscription, {"status": "unpaid"}))


invoicing.AFTER.append(_invoice_ended)
collection.FAILED.append(_payment_failed)
collection.OVERDUE.append(_overdue)
