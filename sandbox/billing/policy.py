"""What an account has decided about payments that do not come: how often to ask again, and what ends it.

At Stripe these are settings of the Dashboard ("Revenue recovery", "Subscriptions and emails"); here of
`/_sandbox/settings`.
"""

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from sandbox import settings
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc

NAME = "billing"


class Ending(StrEnum):
    """What becomes of a subscription when the last attempt has failed."""

    CANCEL = "cancel"
    """It is canceled."""
    UNPAID = "unpaid"
    """It goes on, its invoices stay drafts and nobody asks for money."""
    PAST_DUE = "past_due"
    """It stays as it is, and its next invoice is collected as usual."""


class Numbering(StrEnum):
    """Whose sequence an invoice's number belongs to. Source: Stripe docs, "Invoice numbering"."""

    CUSTOMER = "customer"
    """Each customer has a prefix and counts from one."""
    ACCOUNT = "account"
    """All invoices of the account are counted together."""


@dataclass(frozen=True)
class Policy:
    """Times in days."""

    retry_days: tuple[int, ...] = (3, 5, 7)
    """From one failed attempt to the next."""
    after_retries: Ending = Ending.PAST_DUE
    upcoming_days: int = 7
    """How long before a renewal invoice.upcoming tells of it; 0 for never."""
    due_soon_days: int = 0
    """How long before its due date invoice.will_be_due tells of an invoice that was sent; 0 for never, as at Stripe
    without an automation."""
    overdue_days: int = 30
    """How long after its due date an invoice that was sent is waited for."""
    after_overdue: Ending = Ending.PAST_DUE
    numbering: Numbering = Numbering.CUSTOMER
    vouchers_paid_after: int = 0
    """Seconds until a voucher without a test value is paid by itself, 180 at Stripe; 0 when somebody has to pay it."""


def of(ctx: Context) -> Policy:
    """The account's, or the sandbox's own."""
    return _read(settings.read(ctx.tx, NAME, scope=ctx.scope, default={}))


def change(ctx: Context, given: dict[str, Any]) -> Policy:
    """Keep what is given, the rest as it was. Raises ApiError for what cannot be."""
    known = {field.name for field in fields(Policy)}
    for name in given:
        if name not in known:
            raise ApiError(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
    changed = settings.read(ctx.tx, NAME, scope=ctx.scope, default={}) | given
    policy = _read(changed)
    settings.write(ctx.tx, NAME, shown(policy), scope=ctx.scope)
    return policy


def shown(policy: Policy) -> Doc:
    return asdict(policy) | {"retry_days": list(policy.retry_days)}


def _read(held: dict[str, Any]) -> Policy:
    try:
        return Policy(
            retry_days=_days(held.get("retry_days", Policy.retry_days)),
            after_retries=Ending(held.get("after_retries", Policy.after_retries)),
            upcoming_days=int(held.get("upcoming_days", Policy.upcoming_days)),
            due_soon_days=int(held.get("due_soon_days", Policy.due_soon_days)),
            overdue_days=int(held.get("overdue_days", Policy.overdue_days)),
            after_overdue=Ending(held.get("after_overdue", Policy.after_overdue)),
            numbering=Numbering(held.get("numbering", Policy.numbering)),
            vouchers_paid_after=int(held.get("vouchers_paid_after", Policy.vouchers_paid_after)),
        )
    except (ValueError, TypeError) as error:
        raise ApiError(f"This is no setting for billing: {error}.") from None


def _days(given: Any) -> tuple[int, ...]:
    days = tuple(int(day) for day in given)
    if len(days) > 12 or any(not 0 < day <= 60 for day in days):
        raise ValueError("retry_days are up to 12 numbers of days, each from 1 to 60")
    return days
