"""The Stripe accounts that this portal serves: the primary one and, beside it, others by name. They never mix."""

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

PRIMARY = ""  # the name of the account whose key is STRIPE_SECRET_KEY


class UnknownAccount(LookupError):
    """No Stripe account is configured under this name."""


@dataclass(frozen=True)
class StripeAccount:
    """One mode of one Stripe account: an account in live and in test mode is two of these."""

    name: str
    secret_key: str = field(repr=False)
    livemode: bool
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    account_id: str = ""  # acct_…; empty where the settings do not say it


def configured() -> tuple[StripeAccount, ...]:
    """Every account that the settings name, the primary one first."""
    further = (account_of(name, values) for name, values in settings.STRIPE_ACCOUNTS.items())
    return (primary(), *further)


def primary() -> StripeAccount:
    return StripeAccount(
        name=PRIMARY,
        secret_key=settings.STRIPE_SECRET_KEY,
        livemode=settings.STRIPE_LIVE_MODE,
        webhook_secrets=tuple(settings.STRIPE_WEBHOOK_SECRETS),
        account_id=settings.STRIPE_ACCOUNT_ID,
    )


def account_of(name: str, values: dict[str, Any]) -> StripeAccount:
    return StripeAccount(
        name=name,
        secret_key=values["secret_key"],
        livemode="_live_" in values["secret_key"],
        webhook_secrets=tuple(values.get("webhook_secrets", ())),
        account_id=values.get("account_id", ""),
    )


def by_name(name: str) -> StripeAccount:
    """Return the account of this name; the empty name is the primary one's. Raises UnknownAccount."""
    for account in configured():
        if account.name == name:
            return account
    raise UnknownAccount(f"No Stripe account is configured under the name {name!r} (STRIPE_ACCOUNTS).")
