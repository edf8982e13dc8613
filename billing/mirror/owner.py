"""The Stripe account that our key belongs to: the owner of everything in the mirror."""

from functools import lru_cache
from typing import Any

import stripe
from django.conf import settings
from djstripe.models import Account

from billing.mirror.fetch import get


def owner_account() -> Account | None:
    """Return our account's row, made on first use; None for a restricted key, which may not ask.

    Calls Stripe once for each key and process. Raises stripe.StripeError when Stripe cannot be asked.
    """
    data = account_of(settings.STRIPE_SECRET_KEY)
    if data is None:
        return None
    account, _ = Account.objects.get_or_create(id=data["id"], defaults={"stripe_data": data})
    return account


@lru_cache(maxsize=8)
def account_of(_key: str) -> dict[str, Any] | None:
    """Ask Stripe whose the key in the settings is; `_key` is that key, so that another one is asked about anew."""
    try:
        return get("/v1/account")
    except stripe.PermissionError:
        return None  # Stripe docs: restricted keys have no permission that covers GET /v1/account
