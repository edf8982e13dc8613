"""Effects on what a subscription has: begun once, brought from state to state, looked at. Rows of the portal's own.

What stands at AWS is made by `stacks` and `instances`; these say how it stands, and customers see it at once.
"""

from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec

from billing.mirror.facts import ENDED, SubscriptionStatus
from billing.provisioning import keep
from billing.provisioning.models import Provision
from billing.provisioning.states import State
from ops.effects.outcome import Done, Outcome, Refused
from ops.effects.registry import Call, effect

Subscription = Annotated[str, msgspec.Meta(pattern="^sub_[A-Za-z0-9_]{1,120}$")]
Days = Annotated[float, msgspec.Meta(ge=0, le=3650)]
SERVING = frozenset({SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING})
NONE_BEGUN = {"NoProvision": "Nothing was begun for this subscription."}
LONGEST_REASON = 500


class OfSubscription(msgspec.Struct, forbid_unknown_fields=True):
    """Which subscription."""

    subscription: Subscription


@effect(
    "begin-provision",
    takes=OfSubscription,
    errors={"UnknownSubscription": "The mirror holds no such subscription of an organization here."},
)
def begin_provision(given: OfSubscription, call: Call) -> Outcome:
    """Begin what a subscription has, once: `begun` is true for the one execution that is to build it.

    The result is `begin-provision`'s own `begun` and everything that `look-at-provision` tells.
    """
    try:
        provision, begun = keep.begin(given.subscription, key=call.key, now=call.now)
    except keep.UnknownSubscription:
        return Refused(f"UnknownSubscription: the mirror holds no {given.subscription} of an organization here.")
    return Done({"begun": begun, **told(provision)})


class SetProvision(OfSubscription, kw_only=True):
    """`state` to come into, and what became known; what is left out stays. `refunded` in the minor unit of `currency`.

    `stop_after_days`: it goes on for so long without a payment that is missing; left out, nothing is missing.
    `keep_for_days`: how long one that is `ending` is kept before it is to be deleted. `back`: one that is `ending` is
    `stopped` again, for its subscription has a server again.
    """

    state: Literal["building", "ready", "stopped", "failed", "ending", "deleted"]
    attempt: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    stack: Annotated[str, msgspec.Meta(max_length=255)] | None = None
    instance: Annotated[str, msgspec.Meta(max_length=32)] | None = None
    address: Annotated[str, msgspec.Meta(max_length=255)] | None = None
    reason: str | None = None
    refunded: Annotated[int, msgspec.Meta(ge=0)] | None = None
    currency: Annotated[str, msgspec.Meta(pattern="^[a-z]{3}$")] | None = None
    stop_after_days: Days = 0
    keep_for_days: Days = 0
    back: bool = False


@effect("set-provision", takes=SetProvision, errors=NONE_BEGUN)
def set_provision(given: SetProvision, call: Call) -> Outcome:
    """Say how it stands; the account page shows it at once. One that may not come into a state stays as it is.

    The result is what `look-at-provision` tells: look at its `state` for whether it is what was wanted.
    """
    facts = keep.Facts(
        attempt=given.attempt,
        stack_id=given.stack,
        instance_id=given.instance,
        address=given.address,
        reason=given.reason[:LONGEST_REASON] if given.reason is not None else None,
        refunded=given.refunded,
        currency=given.currency,
    )
    try:
        provision = keep.change(
            given.subscription,
            State(given.state),
            facts,
            now=call.now,
            stop_after=timedelta(days=given.stop_after_days),
            keep_for=timedelta(days=given.keep_for_days),
            back=given.back,
        )
    except Provision.DoesNotExist:
        return none_begun(given.subscription)
    return Done(told(provision))


@effect("look-at-provision", takes=OfSubscription, errors=NONE_BEGUN)
def look_at_provision(given: OfSubscription, call: Call) -> Outcome:
    """Tell how it stands and how it should: `state`, and `wanted` by what the mirror says of its subscription.

    `wanted` is `running`, `stopped` (a payment is missing) or `gone` (it has ended, or its plan has no server);
    `status` is Stripe's word. Besides: `attempt`, `stack`, `instance`, `address`, `stop_at` and `delete_at`
    (RFC 3339, null), `organization`.
    """
    provision = Provision.objects.filter(subscription_id=given.subscription).select_related("organization").first()
    return Done(told(provision)) if provision else none_begun(given.subscription)


def none_begun(subscription: str) -> Refused:
    return Refused(f"NoProvision: nothing was begun for {subscription}.")


def told(provision: Provision) -> dict[str, Any]:
    status = status_of(provision)
    return {
        "state": str(provision.state),
        "wanted": wanted(status, has_server=keep.has_server(provision.subscription_id)),
        "status": status.value,
        "attempt": provision.attempt,
        "stack": provision.stack_id,
        "instance": provision.instance_id,
        "address": provision.address,
        "stop_at": provision.stop_at.isoformat() if provision.stop_at else None,
        "delete_at": provision.delete_at.isoformat() if provision.delete_at else None,
        "organization": provision.organization.public_id,
    }


def status_of(provision: Provision) -> SubscriptionStatus:
    """What the mirror says; of a subscription that it has lost, nothing."""
    try:
        return keep.subscription_of(provision.subscription_id)[0].status
    except keep.UnknownSubscription:
        return SubscriptionStatus.UNKNOWN


def wanted(status: SubscriptionStatus, *, has_server: bool | None) -> str:
    """What should be there. A status that nobody knows here stops nothing and deletes nothing."""
    if status in ENDED or (has_server is False and status is not SubscriptionStatus.UNKNOWN):
        return "gone"
    return "running" if status in SERVING or status is SubscriptionStatus.UNKNOWN else "stopped"
