"""A subscription that a trial without a card paused is billed again.

It stays paused until the invoice for that is paid or given up; unpaid it is voided, and all is as before. Sources: API
reference, "Resume a subscription"; Stripe docs, "Pause subscriptions".
"""

from typing import Any

from sandbox import jobs, objects
from sandbox.billing import collection, invoicing, items, lifecycle
from sandbox.billing.changing import invoice_now, tell
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc

LASTS = 23 * 3600
"""Seconds that the payment may take."""


def resume(ctx: Context, subscription: Doc, params: dict[str, Any]) -> Doc:
    """Bill a paused subscription again. It stays paused when its card is refused."""
    if subscription["status"] != "paused":
        raise ApiError("You can only resume a subscription if it is `paused`.")
    if subscription["collection_method"] != "charge_automatically":
        raise ApiError("You can only resume a subscription whose `collection_method` is `charge_automatically`.")
    _forget(ctx, subscription)
    keeps = params.get("billing_cycle_anchor") == "unchanged"
    anchor = subscription["billing_cycle_anchor"] if keeps else ctx.now
    held = [_from_now(item, anchor, ctx.now) for item in subscription["items"]["data"]]
    changes = items.with_items(subscription, held) | {"billing_cycle_anchor": anchor, "_announced": False}
    resumed = invoice_now(ctx, lifecycle.changed(ctx, subscription, changes), restart=True, params=params)
    waits = _waits(ctx, subscription, resumed)
    done = {"_announced": True, "_resuming": resumed["latest_invoice"] if waits else None}
    resumed = lifecycle.changed(ctx, resumed, done | {"status": "paused" if waits else "active"})
    tell(ctx, subscription, resumed)
    if waits:
        later = {"invoice": resumed["latest_invoice"]}
        jobs.schedule(ctx, "subscription.resumption", due_at=ctx.now + LASTS, name=subscription["id"], payload=later)
    else:
        objects.announce(ctx, "customer.subscription.resumed", resumed)
    lifecycle.plan(ctx, resumed)
    return resumed


def _forget(ctx: Context, subscription: Doc) -> None:
    """An earlier try that nobody paid."""
    waiting = objects.find(ctx, "invoice", subscription.get("_resuming"))
    if waiting and waiting["status"] == "open":
        collection.cancel_payments(ctx, waiting)
        invoicing.void(ctx, waiting)


def _from_now(item: Doc, anchor: int, now: int) -> Doc:
    end = items.cycle_of(item["price"], anchor).holding(now).end
    return item | {"current_period_end": end, "current_period_start": now}


def _waits(ctx: Context, before: Doc, resumed: Doc) -> bool:
    """The invoice for resuming is there and was not paid."""
    if resumed["latest_invoice"] == before["latest_invoice"]:
        return False
    return bool(objects.load(ctx, "invoice", resumed["latest_invoice"])["status"] == "open")


@jobs.job("subscription.resumption")
def expire(ctx: Context, payload: Doc) -> None:
    """Nobody paid in time: it stays paused."""
    invoice = objects.find(ctx, "invoice", payload["invoice"])
    if invoice and invoice["status"] == "open":
        collection.cancel_payments(ctx, invoice)
        invoicing.void(ctx, invoice)


def _settled(ctx: Context, invoice: Doc) -> None:
    """Told by invoicing: an invoice was paid, voided or given up."""
    subscription = objects.find(ctx, "subscription", invoicing.subscription_of(invoice))
    if subscription is None or subscription["status"] != "paused" or subscription.get("_resuming") != invoice["id"]:
        return
    jobs.cancel(ctx, "subscription.resumption", name=subscription["id"])
    if invoice["status"] in ("paid", "uncollectible"):
        resumed = lifecycle.updated(ctx, subscription, {"status": "active", "_resuming": None})
        objects.announce(ctx, "customer.subscription.resumed", resumed)
        lifecycle.plan(ctx, resumed)


invoicing.AFTER.append(_settled)
