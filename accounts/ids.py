"""Public ids: what stands in addresses and in Stripe's metadata, so that row numbers stay ours."""

import secrets

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no i, l, o, u, which people misread


def new_public_id(prefix: str) -> str:
    """Return `prefix_` and 16 characters (80 bits): unguessable, and short enough to read aloud."""
    return f"{prefix}_" + "".join(secrets.choice(ALPHABET) for _ in range(16))


def new_organization_id() -> str:
    return new_public_id("org")
