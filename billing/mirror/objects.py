"""One object, brought to what Stripe says now, and everything that follows from it, in one transaction.

Never back in time: Stripe is asked and the answer written while the object's lock is held, so of two writers the
later one has the later answer. One answer covers every event of the object that was stored before Stripe was asked.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from djstripe.models import Account, Customer
from djstripe.models.base import StripeModel

from accounts.customers import adopt_customer, organization_of
from billing.inbox.models import InboxEvent, InboxState
from billing.mirror.djstripe import ParentMissing, sync
from billing.mirror.fetch import Data, fetch
from billing.mirror.kinds import KINDS, Ref
from billing.mirror.locks import object_lock
from billing.mirror.owner import owner_account
from billing.mirror.triage import ours
from billing.reactions import after_mirrored

TOMBSTONES = frozenset({"customer", "product", "payment_method"})  # others have columns that nobody could fill
MOST_PARENTS = 50  # more than any object refers to: an end for what would otherwise not end


class Change(Enum):
    """What mirroring did to the object's row."""

    CREATED = "created"  # it was not in the mirror
    UPDATED = "updated"
    UNCHANGED = "unchanged"  # written, or left alone, with the same values
    DELETED = "deleted"  # Stripe has it no more: the row stays, marked
    ABSENT = "absent"  # neither Stripe nor the mirror has it
    REFUSED = "refused"  # dj-stripe's tables have no place for it; only a resync counts this, an event keeps its error
    COVERED = "covered"  # another worker's answer already covered the events


class OtherAccount(Exception):
    """This object belongs to another Stripe account than the configured key: it is left as it is."""


@dataclass(frozen=True)
class Waiting:
    """The events of one object that its next write covers."""

    pks: list[int]
    newest: InboxEvent | None


@dataclass
class Job:
    """One object to be mirrored, and for whose sake."""

    ref: Ref
    only_if_waiting: bool = False
    listed: Data | None = None
    cause: InboxEvent | None = None  # the event of a child that needs this object
    children: tuple[Ref, ...] = ()  # the objects that wait for this one
    absent: set[Ref] = field(default_factory=set)  # references to leave empty
    unfinished: list[Ref] = field(default_factory=list)  # written with one left empty: once more at the end

    def for_parent(self, parent: Ref, cause: InboxEvent | None) -> "Job":
        return Job(parent, cause=cause, children=(*self.children, self.ref), unfinished=self.unfinished)


def mirror_object(ref: Ref, *, now: datetime, only_if_waiting: bool = False, listed: Data | None = None) -> Change:
    """Bring one object, and first the objects it refers to, into the mirror.

    `only_if_waiting` leaves it when no event of it waits any more. `listed` is the object as a list of Stripe's just
    had it: enough for one that the mirror does not know, where nothing newer can be overwritten.
    Raises stripe.StripeError when Stripe does not answer or refuses.
    """
    job = Job(ref, only_if_waiting=only_if_waiting, listed=listed)
    change = mirror_with_parents(job, now=now)
    for other in job.unfinished:
        mirror_with_parents(Job(other), now=now)
    return change


def mirror_with_parents(job: Job, *, now: datetime) -> Change:
    """Try; while a parent is missing, let go of the lock, mirror the parent, try again with a new answer.

    Where an object that waits for this one is also its parent (a customer and its default payment method), this one
    is written without it first, and is `unfinished`.
    """
    for _ in range(MOST_PARENTS):
        try:
            with object_lock(job.ref):
                return write_now(job, now=now)
        except ParentMissing as missing:
            parent, cause = missing.ref, missing.cause
        if parent in job.children:
            job.unfinished.append(job.ref)
            job.absent.add(parent)
            continue
        mirror_with_parents(job.for_parent(parent, cause), now=now)
        if stored(parent) is None and not bury(parent, now=now):
            job.absent.add(parent)
    raise RuntimeError(f"{job.ref} refers to more objects than can be.")


def write_now(job: Job, *, now: datetime) -> Change:
    """Ask Stripe and write the answer. The caller holds the object's lock."""
    ref, waiting = job.ref, waiting_for(job.ref)
    if job.only_if_waiting and not waiting.pks:
        return Change.COVERED
    before = stored(ref)
    owner = owner_account()
    data = job.listed if job.listed is not None and before is None else fetch(ref)
    event = waiting.newest or job.cause
    with transaction.atomic():
        after = mark_gone(ref, owner=owner, now=now) if data is None else write(job, data, event, owner=owner, now=now)
        if after is not None:
            after_mirrored(ref.kind, before, after, event=event, now=now)
        mark_mirrored(waiting.pks, now=now)
    return describe_change(before, after, gone=data is None)


def waiting_for(ref: Ref) -> Waiting:
    events = events_of(ref).filter(state__in=[InboxState.RECEIVED, InboxState.FAILED])
    pks = [event.pk for event in events.only("pk", "occurred_at").order_by("occurred_at", "pk")]
    return Waiting(pks, InboxEvent.objects.get(pk=pks[-1]) if pks else None)


def events_of(ref: Ref) -> QuerySet[InboxEvent]:
    return ours().filter(object_kind=ref.kind, object_id=ref.id)


def stored(ref: Ref) -> Data | None:
    """The object as the mirror has it."""
    data: Data | None = KINDS[ref.kind].model.objects.filter(id=ref.id).values_list("stripe_data", flat=True).first()
    return data


def write(job: Job, data: Data, event: InboxEvent | None, *, owner: Account | None, now: datetime) -> Data:
    try:
        row = sync(job.ref, data, owner=owner, absent=frozenset(job.absent))
    except ParentMissing as missing:
        missing.cause = event
        raise
    if isinstance(row, Customer):
        set_subscriber(row, now=now)
    after: Data = row.stripe_data
    return after


def set_subscriber(customer: Customer, *, now: datetime) -> None:
    """Point the customer to the organization it is linked to: by our own link alone."""
    organization = adopt_customer(customer.stripe_data, now=now) or organization_of(customer.id)
    if customer.subscriber_id != (organization.pk if organization else None):
        customer.subscriber = organization
        customer.save(update_fields=["subscriber"])


def mark_gone(ref: Ref, *, owner: Account | None, now: datetime) -> Data | None:
    """Mark the row of an object that Stripe has no more, and keep what it said; None when there is no row.

    Nothing is deleted: invoices go on pointing to prices, and dj-stripe's own ways (cascades from products, `purge`
    of customers, which sends a DELETE to Stripe) would take them along.
    """
    row = KINDS[ref.kind].model.objects.filter(id=ref.id).first()
    if row is None:
        return None
    refuse_other_account(row, owner)
    after: Data = {**row.stripe_data, **what_gone_means(ref)}
    row.stripe_data = after
    if isinstance(row, Customer):
        row.date_purged = row.date_purged or now
    elif hasattr(row, "active"):
        row.active = False
    row.save()
    return after


def bury(ref: Ref, *, now: datetime) -> bool:
    """Put up a tombstone for an object that was gone before the mirror saw it; return whether its kind can have one.

    Stripe still lists the invoices of deleted customers, and dj-stripe requires their customer's row.
    """
    if ref.kind not in TOMBSTONES:
        return False
    stone: dict[str, Any] = {
        "stripe_data": {"id": ref.id, "object": ref.kind, **what_gone_means(ref)},
        "djstripe_owner_account": owner_account(),
        "livemode": settings.STRIPE_LIVE_MODE,
    }
    if ref.kind == "customer":
        stone["date_purged"] = now
    KINDS[ref.kind].model.objects.get_or_create(id=ref.id, defaults=stone)
    return True


def refuse_other_account(row: StripeModel, owner: Account | None) -> None:
    """A key of another account finds none of our objects: that must not read as if all had been deleted."""
    if owner and row.djstripe_owner_account_id and row.djstripe_owner_account_id != owner.id:
        raise OtherAccount(OtherAccount.__doc__)


def what_gone_means(ref: Ref) -> dict[str, Any]:
    gone: dict[str, Any] = {"deleted": True}
    if ref.kind in ("product", "price"):
        gone["active"] = False
    if ref.kind == "subscription":
        gone["status"] = "canceled"  # Stripe keeps ended subscriptions; one it does not know serves nobody
    return gone


def mark_mirrored(pks: list[int], *, now: datetime) -> None:
    if pks:
        InboxEvent.objects.filter(pk__in=pks).update(
            state=InboxState.MIRRORED, mirrored_at=now, due_at=None, claimed_until=None, error=""
        )


def describe_change(before: Data | None, after: Data | None, *, gone: bool) -> Change:
    if after is None:
        return Change.ABSENT
    if before == after:
        return Change.UNCHANGED
    if gone:
        return Change.DELETED
    return Change.CREATED if before is None else Change.UPDATED
