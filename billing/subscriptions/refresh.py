"""Having the mirror look at a subscription now, where a page must not wait for the event."""

from datetime import datetime

from stripe import StripeError

from billing.mirror import asking
from billing.mirror.kinds import Ref
from billing.stripe_accounts import primary


def refresh(subscription_id: str, *, now: datetime) -> bool:
    """Bring the subscription into the mirror as Stripe has it; False when Stripe does not answer: its event will."""
    try:
        asking.refresh([Ref("subscription", subscription_id)], account=primary(), clock=lambda: now)
    except StripeError:
        return False
    return True
