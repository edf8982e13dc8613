"""The one place that hands out Stripe's client; the API version is pinned beside it (settings)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import stripe
from django.conf import settings
from django.db import connection

from billing import stripe_budget, stripe_patience
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
    """stripe's HTTP client, which stays silent where `no_calls` holds, keeps to the budget of calls, and gives up when
    whoever waits for the page has waited long enough.
    """

    def request(self, method: str, url: str, headers: Mapping[str, str] | None, *args: Any, **kwargs: Any) -> Any:
        refuse_calls()
        if stripe_patience.is_over():
            raise stripe.APIConnectionError(
                "The page has waited long enough: Stripe was not asked.", should_retry=False
            )
        let_go_of_database()
        headers = headers or {}
        secret_key = headers.get("Authorization", "").removeprefix("Bearer ")
        stripe_budget.take_for_page(secret_key)
        body, status, answered = super().request(method, url, headers, *args, **kwargs)
        if status == stripe_budget.TOO_MANY and not stripe_budget.concerns_one_object(answered):
            stripe_budget.rest(secret_key, retry_after=stripe_budget.seconds_asked(answered))
        return body, status, answered

    def _get_request_args_kwargs(self, *args: Any, **kwargs: Any) -> Any:
        words, options = super()._get_request_args_kwargs(*args, **kwargs)
        return words, {**options, "timeout": stripe_patience.seconds_for_a_call(settings.STRIPE_TIMEOUT_SECONDS)}

    def _should_retry(self, *args: Any, **kwargs: Any) -> bool:
        return bool(super()._should_retry(*args, **kwargs)) and not stripe_patience.is_over()


def let_go_of_database() -> None:
    """Give a page's connection back while it waits: or pages that only read would soon wait for Stripe too."""
    if stripe_patience.somebody_waits() and not connection.in_atomic_block:
        connection.close()


def refuse_calls() -> None:
    """Raises CallInsideTransaction where calls are refused (`no_calls`)."""
    if _calls_refused.get():
        raise CallInsideTransaction(CallInsideTransaction.__doc__)


@lru_cache(maxsize=32)
def stripe_http(account: StripeAccount) -> StripeHTTP:
    """One set of connections for each account, shared by all threads of the process."""
    return new_http()


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
