"""Changes that wait for their payment (`payment_behavior=pending_if_incomplete`): the subscription stays as it was
until the invoice of the change is paid; unpaid it is voided, and the change forgotten. Source: Stripe docs, "Pending
updates reference".
"""

from typing import Any

from sandbox import jobs, objects
from sandbox.billing import collection, invoicing, lifecycle
from sandbox.context import Context
from sandbox.documents import render
from sandbox.errors import ApiError
from sandbox.events import previous_attributes
from sandbox.kinds import Doc

LASTS = 23 * 3600
SUPPORTED = (
    "payment_behavior", "proration_behavior", "proration_date", "billing_cycle_anchor", "items", "trial_end",
    "trial_from_plan", "add_invoice_items", "off_session",
)  # fmt: skip

REPLACED_BY = {"items", "trial_end", "billing_cycle_anchor"}
"""What makes a change that waits pointless."""


def check(subscription: Doc, params: dict[str, Any]) -> None:
    """Raises for what cannot wait."""
    if params.get("payment_behavior") != "pending_if_incomplete":
        return
    for name in params:
        if name not in SUPPORTED:
            raise ApiError(
                "The following parameters cannot be passed when `payment_behavior` is `pending_if_incomplete`: "
                f"{name}.",
                param=name,
            )
    if subscription["collection_method"] == "send_invoice":
        raise ApiError(
            "`payment_behavior` can only be set to `pending_if_incomplete` when `collection_method` is "
            "`charge_automatically`.",
            param="payment_behavior",
        )


def hold(ctx: Context, before: Doc, after: Doc, changes: Doc) -> Doc:
    """The subscription as it was, with the change and the invoice that it waits for."""
    ends = [item["current_period_end"] for item in before["items"]["data"]]
    expires = min([ctx.now + LASTS, *ends, *filter(None, [_running_trial(before)])])
    back = {name: before.get(name) for name in changes} | {"status": before["status"]}
    held = {
        "billing_cycle_anchor": changes.get("billing_cycle_anchor"),
        "discount": None,
        "discounts": None,
        "expires_at": expires,
        "metadata": None,
        "subscription_items": after["items"]["data"] if "items" in changes else None,
        "trial_end": changes.get("trial_end"),
        "trial_from_plan": None,
    }
    jobs.schedule(
        ctx, "subscription.pending_update", due_at=expires, name=before["id"], payload={"subscription": before["id"]}
    )
    waiting = {"pending_update": held, "_pending": changes, "_pending_invoice": after["latest_invoice"]}
    return lifecycle.changed(ctx, after, back | waiting)


def _running_trial(subscription: Doc) -> int | None:
    return subscription["trial_end"] if subscription["status"] == "trialing" else None


def settle(ctx: Context, subscription: Doc, invoice: Doc) -> Doc:
    """The invoice that a change waited for has ended: carry the change out when it was paid, else forget it."""
    paid = invoice["status"] == "paid"
    nothing = {"pending_update": None, "_pending": None, "_pending_invoice": None}
    jobs.cancel(ctx, "subscription.pending_update", name=subscription["id"])
    changed = lifecycle.changed(ctx, subscription, nothing | (subscription["_pending"] if paid else {}))
    previous = previous_attributes(render(subscription), render(changed))
    objects.announce(ctx, "customer.subscription.updated", changed, previous=previous)
    if paid:
        objects.announce(ctx, "customer.subscription.pending_update_applied", changed)
    lifecycle.plan(ctx, changed)
    return changed


def discard(ctx: Context, subscription: Doc) -> Doc:
    """Another change, or the end, makes the one that waits pointless: its invoice is voided."""
    invoice = objects.find(ctx, "invoice", subscription.get("_pending_invoice"))
    if invoice is None:
        return subscription
    if invoice["status"] in ("open", "draft"):
        collection.cancel_payments(ctx, invoice)
        invoicing.void(ctx, invoice)
    return objects.load(ctx, "subscription", subscription["id"])


@jobs.job("subscription.pending_update")
def expire(ctx: Context, payload: Doc) -> None:
    """Nobody paid in time."""
    subscription = objects.find(ctx, "subscription", payload["subscription"])
    if subscription and subscription.get("_pending_invoice"):
        discarded = discard(ctx, subscription)
        objects.announce(ctx, "customer.subscription.pending_update_expired", discarded)


lifecycle.PENDING.append(settle)
