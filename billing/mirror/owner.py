"""The Stripe account that a key belongs to: the owner of everything that is mirrored with it."""

from functools import lru_cache
from typing import Any

import stripe
from djstripe.models import Account

from billing.mirror.fetch import get
from billing.stripe_accounts import StripeAccount


def owner_id(account: StripeAccount) -> str | None:
    """Return the id of the account's row, made on first use; None for a restricted key, which may not ask.

    Calls Stripe once for each key and process, unless the settings say the account's id. Raises stripe.StripeError
    when Stripe cannot be asked.
    """
    data = {"id": account.account_id, "object": "account"} if account.account_id else account_of(account)
    if data is None:
        return None
    if not Account.objects.filter(id=data["id"]).exists():  # asked for each batch: the row itself is not needed
        Account.objects.get_or_create(id=data["id"], defaults={"stripe_data": data, "livemode": account.livemode})
    return str(data["id"])


@lru_cache(maxsize=64)
def account_of(account: StripeAccount) -> dict[str, Any] | None:
    """Ask Stripe whose the key is; an account with another key is another value, and asked about anew."""
    try:
        return get("/v1/account", account=account)
    except stripe.PermissionError:
        return None  # Stripe docs: restricted keys have no permission that covers GET /v1/account
