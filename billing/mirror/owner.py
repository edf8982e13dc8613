"""The Stripe account that a key belongs to: the owner of everything that is mirrored with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import stripe
from django.db import transaction
from django.utils import timezone
from djstripe.models import Account

from billing.mirror import tables
from billing.mirror.columns import rows_of
from billing.mirror.fetch import get
from billing.mirror.kinds import kind_for
from billing.stripe_accounts import StripeAccount

_remembered: dict[StripeAccount, str | None] = {}
_remembering = 0


@contextmanager
def owners_remembered() -> Iterator[None]:
    """While this lasts, an account's row that was there once is taken to be there still: nobody deletes it."""
    global _remembering
    _remembering += 1
    try:
        yield
    finally:
        _remembering -= 1
        if not _remembering:
            _remembered.clear()


def owner_id(account: StripeAccount) -> str | None:
    """Return the id of the account's row, made on first use; None where nobody says: a restricted key may not ask.

    Calls Stripe once for each key and process, unless the settings say the account's id. Raises stripe.StripeError
    when Stripe cannot be asked.
    """
    if account in _remembered:
        return _remembered[account]
    data = {"id": account.account_id, "object": "account"} if account.account_id else account_of(account)
    if data is not None and not Account.objects.filter(id=data["id"]).exists():
        with transaction.atomic():
            tables.write(rows_of(kind_for("account"), data, owner_id=data["id"], now=timezone.now()))
    found = str(data["id"]) if data is not None else None
    if _remembering:
        _remembered[account] = found
    return found


@lru_cache(maxsize=64)
def account_of(account: StripeAccount) -> dict[str, Any] | None:
    """Ask Stripe whose the key is; an account with another key is another value, and asked about anew."""
    try:
        return get("/v1/account", account=account)
    except stripe.PermissionError:
        return None  # Stripe docs: restricted keys have no permission that covers GET /v1/account
    except stripe.InvalidRequestError:
        return None  # a stand-in for Stripe need not know it; events must not wait for that
