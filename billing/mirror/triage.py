"""Which events the mirror takes up, and why it leaves the others as they are: stored, and counted."""

from billing.inbox.claim import Waiting
from billing.inbox.envelope import STRIPE
from billing.stripe_accounts import StripeAccount

# Objects that Stripe computes for the event and cannot be asked for.
PREVIEWS = frozenset({"invoice.upcoming"})


def why_not(event: Waiting, account: StripeAccount | None) -> str | None:
    """Return None for an event to mirror, else the sentence to keep with it (empty: nothing is wrong)."""
    if event.source != STRIPE:
        return ""
    if account is None:
        return f"This event belongs to the Stripe account “{event.owner}”, which is configured no more."
    if event.livemode != account.livemode:
        return f"This is a {mode(event.livemode)} event; the configured key is a {mode(account.livemode)} key."
    if event.account not in ("", account.account_id):
        return f"This event is about the connected account {event.account}; only our own account is mirrored."
    if not event.object_kind or not event.object_id or event.type in PREVIEWS:
        return ""
    return None


def mode(livemode: bool) -> str:
    return "live" if livemode else "test"
