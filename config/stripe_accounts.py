"""Further Stripe accounts out of the environment: `STRIPE_ACCOUNTS=live,osaka`, then for each its own variables."""

import re
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def read_accounts(env: environ.Env) -> dict[str, dict[str, Any]]:
    """Read STRIPE_ACCOUNT_<NAME>_SECRET_KEY, …_WEBHOOK_SECRET (several, comma-separated) and …_ID of each name.

    Raises ImproperlyConfigured for a name that cannot stand in an address, or one without a key.
    """
    return {name: read_account(env, name) for name in env.list("STRIPE_ACCOUNTS", default=[])}


def read_account(env: environ.Env, name: str) -> dict[str, Any]:
    if not NAME.fullmatch(name):
        raise ImproperlyConfigured(
            f"STRIPE_ACCOUNTS names {name!r}: use small letters, digits and hyphens, 32 at most. "
            "The name stands in the webhook's address and in rows."
        )
    prefix = f"STRIPE_ACCOUNT_{name.upper().replace('-', '_')}"
    return {
        "secret_key": env.str(f"{prefix}_SECRET_KEY"),
        "webhook_secrets": env.list(f"{prefix}_WEBHOOK_SECRET", default=[]),
        "account_id": env.str(f"{prefix}_ID", default=""),
    }
