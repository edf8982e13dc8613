"""Whose signature a request carries. Source: Stripe docs, "Verify webhook signatures manually". Pure."""

import hmac
from collections.abc import Iterable, Sequence

from billing.inbox.refusals import Reason, Refused
from billing.stripe_accounts import StripeAccount

MOST_SIGNATURES = 16  # Stripe sends one for each secret that is not rolled out yet: two


def signers(
    body: bytes, header: str, accounts: Sequence[StripeAccount], *, now: float, tolerance: float
) -> list[StripeAccount]:
    """Return the accounts one of whose secrets signed these bytes within `tolerance` seconds of `now` (Unix seconds).

    Several secrets hold while one is being rolled (Stripe docs: "Roll endpoint signing secrets"). Raises Refused when
    there is no such account.
    """
    written, signatures = read_header(header)
    signed = written.encode() + b"." + body
    found = [account for account in accounts if any_signs(account.webhook_secrets, signed, signatures)]
    if not found:
        raise Refused("The signature does not match.", reason=Reason.SIGNATURE)
    if abs(now - int(written)) > tolerance:
        raise Refused("The signature is too old, or a clock is wrong.", reason=Reason.STALE)
    return found


def read_header(header: str) -> tuple[str, list[bytes]]:
    """Return the time as it was signed and the signatures of `t=…,v1=…,v1=…`; other schemes are passed over."""
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t" and value.isascii() and value.isdigit()]
    signatures = [value.encode() for name, _, value in parts if name == "v1" and value]
    if len(times) != 1 or len(times[0]) > 12 or not signatures:
        raise Refused("The request is not signed.", reason=Reason.NO_SIGNATURE)
    return times[0], signatures[:MOST_SIGNATURES]


def any_signs(secrets: Iterable[str], signed: bytes, signatures: list[bytes]) -> bool:
    for secret in secrets:
        right = hmac.digest(secret.encode(), signed, "sha256").hex().encode()
        if any(hmac.compare_digest(right, signature) for signature in signatures):
            return True
    return False
