"""Stripe's billing portal, where a payment method is changed: card numbers never pass through us."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from stripe import StripeClient, StripeError

from accounts.customers import CustomerIsSettling, ensure_customer
from accounts.models import Organization
from billing.stripe_answers import Refused, Unreachable, answer_of


@dataclass(frozen=True)
class PortalPage:
    url: str


def open_portal(
    organization: Organization, *, return_url: str, language: str, stripe: StripeClient, now: datetime
) -> PortalPage | Refused | Unreachable:
    """Open the portal where the payment method is changed; its session lives minutes and moves no money."""
    try:
        customer_id = ensure_customer(organization, stripe, livemode=settings.STRIPE_LIVE_MODE, now=now)
        session = stripe.v1.billing_portal.sessions.create(
            params={
                "customer": customer_id,
                "return_url": return_url,
                "locale": language.split("-")[0],  # type: ignore[typeddict-item]
                "flow_data": {
                    "type": "payment_method_update",
                    "after_completion": {"type": "redirect", "redirect": {"return_url": return_url}},
                },
            }
        )
    except CustomerIsSettling:
        return Unreachable()
    except StripeError as error:
        return answer_of(error)
    return PortalPage(session.url)
