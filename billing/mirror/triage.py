"""Which events the mirror takes up, and why it leaves the others as they are: stored, and counted."""

from django.conf import settings
from django.db.models import QuerySet

from billing.inbox.intake import STRIPE
from billing.inbox.models import InboxEvent
from billing.mirror.kinds import KINDS

# Objects that Stripe computes for the event and cannot be asked for.
PREVIEWS = frozenset({"invoice.upcoming"})


def ours() -> QuerySet[InboxEvent]:
    """Stripe's events about our own account in the mode of our key."""
    return InboxEvent.objects.filter(source=STRIPE, account="", livemode=settings.STRIPE_LIVE_MODE)


def why_not(event: InboxEvent) -> str | None:
    """Return None for an event to mirror, else the sentence to keep with it (empty: nothing is wrong)."""
    if event.source != STRIPE:
        return ""
    if event.livemode != settings.STRIPE_LIVE_MODE:
        return f"This is a {mode(event.livemode)} event; the configured key is a {mode(not event.livemode)} key."
    if event.account:
        return f"This event is about the connected account {event.account}; only our own account is mirrored."
    if event.object_kind not in KINDS or not event.object_id or event.type in PREVIEWS:
        return ""
    return None


def mode(livemode: bool) -> str:
    return "live" if livemode else "test"
