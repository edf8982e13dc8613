"""The one place that hands out Stripe's client; the API version is pinned beside it (settings)."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import stripe
from django.conf import settings

from billing.stripe_accounts import StripeAccount, primary

_calls_refused: ContextVar[bool] = ContextVar("stripe_calls_refused", default=False)


class CallInsideTransaction(RuntimeError):
    """Stripe was about to be called while a transaction was open: it would have waited for the network."""


@contextmanager
def no_calls() -> Iterator[None]:
    """Refuse every call to Stripe inside this block, ours and dj-stripe's own."""
    token = _calls_refused.set(True)
    try:
        yield
    finally:
        _calls_refused.reset(token)


class StripeHTTP(stripe.HTTPXClient):
    """stripe's HTTP client, which stays silent where `no_calls` holds."""

    def request(self, *args: Any, **kwargs: Any) -> Any:
        if _calls_refused.get():
            raise CallInsideTransaction(CallInsideTransaction.__doc__)
        return super().request(*args, **kwargs)


@lru_cache(maxsize=32)
def stripe_client(account: StripeAccount | None = None) -> stripe.StripeClient:
    """Return the client of an account (the primary one where none is given): pinned version, time-outs, two retries.

    Retries reuse the call's idempotency key (Stripe docs: "Idempotent requests"), so they never repeat an effect.
    """
    return stripe.StripeClient(
        (account or primary()).secret_key,
        stripe_version=settings.STRIPE_API_VERSION,
        base_addresses={"api": settings.STRIPE_API_BASE} if settings.STRIPE_API_BASE else {},
        http_client=new_http(),
        max_network_retries=2,
    )


def set_up_stripe_library() -> None:
    """Give stripe's module-level calls, which dj-stripe makes, the same version, address and time-outs."""
    stripe.api_key = settings.STRIPE_SECRET_KEY
    stripe.api_version = settings.STRIPE_API_VERSION
    stripe.max_network_retries = 2
    stripe.default_http_client = new_http()
    if settings.STRIPE_API_BASE:
        stripe.api_base = settings.STRIPE_API_BASE


def new_http() -> StripeHTTP:
    return StripeHTTP(timeout=settings.STRIPE_TIMEOUT_SECONDS, allow_sync_methods=True)
