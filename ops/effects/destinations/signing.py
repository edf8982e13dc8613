"""Signing what we send (Standard Webhooks), and rolling the secret without a moment in which nothing is valid."""

import base64
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from standardwebhooks.webhooks import Webhook

from ops.effects.destinations.models import Destination
from ops.effects.sealing import seal, unseal

PREFIX = "whsec_"
BOTH_VALID = timedelta(days=1)  # after a roll, so that receivers can take the new secret


def new_secret() -> str:
    """Return a secret as the standard writes it: 24 to 64 random bytes in base64, after its prefix."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def valid_secrets(destination: Destination, *, now: datetime) -> list[str]:
    """Return the secrets that a receiver may verify with now, newest first. Raises `sealing.Unreadable`."""
    found = [unseal(destination.sealed_signing_secret)]
    if destination.old_signing_secret_until and destination.old_signing_secret_until > now:
        found.append(unseal(destination.sealed_old_signing_secret))
    return [secret for secret in found if secret]


def signature_headers(keys: Sequence[str], *, message_id: str, body: str, now: datetime) -> list[tuple[str, str]]:
    """Return the standard's three headers, with a signature for each of the keys."""
    at = now.astimezone(UTC)  # the library takes any time for UTC
    signatures = " ".join(Webhook(key).sign(message_id, at, body) for key in keys)
    return [
        ("webhook-id", message_id),
        ("webhook-timestamp", str(int(at.timestamp()))),
        ("webhook-signature", signatures),
    ]


def roll(destination: Destination, *, now: datetime) -> str:
    """Give the destination a new secret and return it, to be shown once. The old one is valid for a day more.

    A second roll within that day lets the oldest go at once: two are valid, never three.
    """
    secret = new_secret()
    changes = {"sealed_signing_secret": seal(secret), "signing_secret_set_at": now}
    if destination.sealed_signing_secret:
        changes["sealed_old_signing_secret"] = destination.sealed_signing_secret
        changes["old_signing_secret_until"] = now + BOTH_VALID
    for name, value in changes.items():
        setattr(destination, name, value)
    destination.save(update_fields=list(changes))
    return secret
