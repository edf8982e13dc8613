"""Effects on access: let it rest, bring it back. They end inside this database, in one transaction each."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from billing.entitlements import suspend
from billing.entitlements.models import Reason
from billing.entitlements.suspend import CannotSuspend, Order
from ops.effects.outcome import Done, Outcome, Refused
from ops.effects.registry import Call, effect

Id = Annotated[str, msgspec.Meta(max_length=255)]
NO_ORGANIZATION = {"NoOrganization": "The customer belongs to no organization here."}


class SuspendAccess(msgspec.Struct, forbid_unknown_fields=True):
    """`customer`: the event's own if it is not given. `invoice`: access rests while it is not paid, and no longer.

    `subscription`: of that one alone. `cancels_at`: when the plan ends if nothing changes, for the customer to read.
    """

    customer: Id = ""
    subscription: Id = ""
    invoice: Id = ""
    reason: Literal["unpaid", "review"] = "unpaid"
    cancels_at: datetime | None = None


@effect(
    "suspend-access",
    takes=SuspendAccess,
    errors=NO_ORGANIZATION
    | {
        "SubscriptionEnded": "The subscription has ended, or is another customer's: there is nothing to suspend.",
        "NotOwed": "The invoice is paid, void, or another customer's: nothing is to be waited for.",
    },
)
def suspend_access(given: SuspendAccess, call: Call) -> Outcome:
    """Let a customer's access rest. What rests already for the same subscription and invoice goes on resting."""
    order = Order(
        customer_id=given.customer or call.customer_id,
        reason=Reason(given.reason),
        by=call.cause,
        key=call.key[:255],
        subscription_id=given.subscription,
        invoice_id=given.invoice,
        cancels_at=given.cancels_at,
    )
    try:
        row = suspend.suspend(order, now=call.now, depth=call.depth)
    except CannotSuspend as error:
        return Refused(f"{error.name}: {error}")
    return Done({"suspension": row.pk, "since": row.since.isoformat()})


class RestoreAccess(msgspec.Struct, forbid_unknown_fields=True):
    """What was suspended for this subscription or invoice alone, where one is given; else whatever was."""

    customer: Id = ""
    subscription: Id = ""
    invoice: Id = ""


@effect("restore-access", takes=RestoreAccess, errors=NO_ORGANIZATION)
def restore_access(given: RestoreAccess, call: Call) -> Outcome:
    """Bring a customer's access back; nothing happens, and nothing is told, where it does not rest."""
    try:
        restored = suspend.restore(
            given.customer or call.customer_id,
            by=call.cause,
            now=call.now,
            subscription_id=given.subscription,
            invoice_id=given.invoice,
            depth=call.depth,
        )
    except CannotSuspend as error:
        return Refused(f"{error.name}: {error}")
    return Done({"restored": restored})
