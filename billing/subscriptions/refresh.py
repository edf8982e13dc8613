"""Having the mirror look at a subscription now, where a page must not wait for the event."""

from datetime import datetime

from stripe import StripeError

from billing.mirror.kinds import Ref
from billing.mirror.objects import mirror_object


def refresh(subscription_id: str, *, now: datetime) -> bool:
    """Bring the subscription into the mirror as Stripe has it; False when Stripe does not answer: its event will."""
    try:
        mirror_object(Ref("subscription", subscription_id), now=now)
    except StripeError:
        return False
    return True
