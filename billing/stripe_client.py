"""The one place that hands out Stripe's client; the API version is pinned beside it (settings)."""

from functools import lru_cache

import stripe
from django.conf import settings


@lru_cache(maxsize=4)
def stripe_client() -> stripe.StripeClient:
    """Return the client of the account whose key the settings hold: pinned version, time-outs, two retries.

    Retries reuse the call's idempotency key (Stripe docs: "Idempotent requests"), so they never repeat an effect.
    """
    return stripe.StripeClient(
        settings.STRIPE_SECRET_KEY,
        stripe_version=settings.STRIPE_API_VERSION,
        base_addresses={"api": settings.STRIPE_API_BASE} if settings.STRIPE_API_BASE else {},
        http_client=stripe.HTTPXClient(timeout=settings.STRIPE_TIMEOUT_SECONDS, allow_sync_methods=True),
        max_network_retries=2,
    )


def set_up_stripe_library() -> None:
    """Give stripe's module-level calls, which dj-stripe makes, the same version, address and time-outs."""
    stripe.api_key = settings.STRIPE_SECRET_KEY
    stripe.api_version = settings.STRIPE_API_VERSION
    stripe.max_network_retries = 2
    stripe.default_http_client = stripe.HTTPXClient(timeout=settings.STRIPE_TIMEOUT_SECONDS, allow_sync_methods=True)
    if settings.STRIPE_API_BASE:
        stripe.api_base = settings.STRIPE_API_BASE
