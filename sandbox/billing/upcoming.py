"""invoice.upcoming: some days before a renewal, the invoice that it will make. Source: Stripe docs, "Using webhooks
with subscriptions" (invoice.upcoming)."""

from sandbox import jobs, objects
from sandbox.billing import preview
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc

TOLD_OF = ("trialing", "active", "past_due")


def is_told(subscription: Doc) -> bool:
    """Whether a renewal will come and its invoice will be collected."""
    held_back = (subscription["pause_collection"] or {}).get("behavior") is not None
    return subscription["status"] in TOLD_OF and not subscription["cancel_at_period_end"] and not held_back


@jobs.job("subscription.upcoming")
def tell(ctx: Context, payload: Doc) -> None:
    subscription = objects.find(ctx, "subscription", payload["subscription"])
    if subscription is None or not is_told(subscription):
        return
    ctx.rehearsing = True
    try:
        invoice = preview.preview(ctx, {"subscription": subscription["id"]})
    except ApiError:
        return
    finally:
        ctx.rehearsing = False
    end = min(item["current_period_end"] for item in subscription["items"]["data"])
    shown = {name: value for name, value in invoice.items() if name != "id"}
    objects.announce(ctx, "invoice.upcoming", shown | {"next_payment_attempt": end + 3600})
