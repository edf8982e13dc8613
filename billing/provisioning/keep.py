"""Provisions begin and change: the row and its news in one transaction, so that pages turn by themselves."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from djstripe import models as mirror

from accounts.customers import organization_of
from accounts.models import Organization
from billing.activity import verbs
from billing.activity.publish import publish
from billing.mirror.facts import SubscriptionFacts, subscription_facts
from billing.provisioning.models import Provision
from billing.provisioning.states import State, may_become

VERBS = {
    State.BUILDING: verbs.PROVISION_BUILDING,
    State.READY: verbs.PROVISION_READY,
    State.STOPPED: verbs.PROVISION_STOPPED,
    State.FAILED: verbs.PROVISION_FAILED,
    State.ENDING: verbs.PROVISION_ENDING,
    State.DELETED: verbs.PROVISION_DELETED,
}


# A price's metadata, as the playbook's rules read it.
PAYS_FOR, STACK = "kessai_provision", "stack"


class UnknownSubscription(LookupError):
    """The mirror holds no such subscription of a customer who belongs to an organization here."""


def subscription_of(subscription_id: str) -> tuple[SubscriptionFacts, Organization]:
    """Return a mirrored subscription and whose it is. Raises UnknownSubscription."""
    data = mirror.Subscription.objects.filter(id=subscription_id).values_list("stripe_data", flat=True).first()
    facts = subscription_facts(data) if data else None
    organization = organization_of(facts.customer_id) if facts else None
    if facts is None or organization is None:
        raise UnknownSubscription(subscription_id)
    return facts, organization


def has_server(subscription_id: str) -> bool | None:
    """Whether the subscription's plan has a server, by its prices' metadata; None where the mirror does not know it."""
    data = mirror.Subscription.objects.filter(id=subscription_id).values_list("stripe_data", flat=True).first()
    if data is None:
        return None
    items = (data.get("items") or {}).get("data") or []
    return any(((item.get("price") or {}).get("metadata") or {}).get(PAYS_FOR) == STACK for item in items)


def begin(subscription_id: str, *, key: str, now: datetime) -> tuple[Provision, bool]:
    """Begin the provision of a subscription, once; return it, and whether it is the call of this key that began it.

    Raises UnknownSubscription.
    """
    _, organization = subscription_of(subscription_id)
    fresh = {"organization": organization, "state": State.BUILDING, "since": now, "begun_by": key}
    with transaction.atomic():
        rows = Provision.objects.select_for_update(of=("self",)).select_related("organization")
        provision, made = rows.get_or_create(subscription_id=subscription_id, defaults=fresh)
        again = not made and provision.state == State.DELETED and provision.begun_by != key
        if again:
            begin_again(provision, key=key, now=now)
        if made or again:
            tell(provision, was=None, now=now)
    return provision, provision.begun_by == key


def begin_again(provision: Provision, *, key: str, now: datetime) -> None:
    """What was deleted is built anew, for the subscription has a server again; nothing of the old one is known."""
    provision.state, provision.since, provision.begun_by = State.BUILDING, now, key
    provision.changes += 1
    provision.attempt, provision.stop_at, provision.delete_at, provision.refunded = 1, None, None, None
    provision.stack_id = provision.instance_id = provision.address = provision.reason = provision.currency = ""
    provision.save()


@dataclass(frozen=True)
class Facts:
    """What is known besides the state; None leaves what the row says."""

    attempt: int | None = None
    stack_id: str | None = None
    instance_id: str | None = None
    address: str | None = None
    reason: str | None = None
    refunded: int | None = None
    currency: str | None = None


def change(
    subscription_id: str,
    wanted: State,
    facts: Facts,
    *,
    now: datetime,
    stop_after: timedelta | None = None,
    keep_for: timedelta | None = None,
    back: bool = False,
    held: bool = False,
) -> Provision:
    """Bring a provision into a state, if it may come into it; return it as it is then.

    `stop_after` is how long it goes on without the payment that is missing; None: nothing is missing. `keep_for` is how
    long one that ends is kept; one that was never ready has nothing to be kept. `back`: one that ends stands still
    again, as its subscription has a server again. `held`: an operator stops it. Raises Provision.DoesNotExist.
    """
    with transaction.atomic():
        provision = (
            Provision.objects.select_for_update().select_related("organization").get(subscription_id=subscription_id)
        )
        was = State(provision.state)
        if not may_become(was, wanted, back=back):
            return provision
        stop_at = now + stop_after if stop_after else None
        news = learn(provision, facts) or provision.stop_at != stop_at
        provision.stop_at = stop_at
        if wanted is not was:
            provision.state, provision.since, provision.held = wanted, now, held
            provision.changes += 1
            if wanted is State.ENDING:
                provision.delete_at = now + keep_for if keep_for and was is not State.BUILDING else now
            elif was is State.ENDING and wanted is State.STOPPED:
                provision.delete_at = None
        provision.save()
        if wanted is not was or news:
            tell(provision, was=was, now=now)
    return provision


def learn(provision: Provision, facts: Facts) -> bool:
    """Take over what is known; say whether it is news to the customer."""
    before = provision.attempt, provision.refunded
    for name, value in vars(facts).items():
        if value is not None:
            setattr(provision, name, value)
    return before != (provision.attempt, provision.refunded)


def tell(provision: Provision, *, was: State | None, now: datetime) -> None:
    """Publish how a provision stands, once for each change."""
    verb = verb_of(State(provision.state), was, stops=provision.stop_at is not None)
    publish(
        provision.organization,
        verb,
        subject_id=provision.subscription_id,
        data={
            "attempt": provision.attempt,
            "refunded": provision.refunded,
            "currency": provision.currency,
            "stop_at": seconds(provision.stop_at),
            "delete_at": seconds(provision.delete_at),
            "held": provision.held,
        },
        dedup_key=":".join(map(str, (verb, provision.subscription_id, provision.changes, *what_is_new(provision)))),
        now=now,
    )


def verb_of(state: State, was: State | None, *, stops: bool) -> str:
    if state is State.READY:
        if was is State.STOPPED:
            return verbs.PROVISION_STARTED
        if was is State.READY:
            return verbs.PROVISION_TO_BE_STOPPED if stops else verbs.PROVISION_KEPT
    if state is State.STOPPED and was is State.ENDING:
        return verbs.PROVISION_TAKEN_BACK
    return VERBS[state]


def what_is_new(provision: Provision) -> tuple[object, ...]:
    """What may be news while the state stays as it is."""
    return provision.attempt, provision.refunded, seconds(provision.stop_at)


def seconds(at: datetime | None) -> int | None:
    return int(at.timestamp()) if at else None
