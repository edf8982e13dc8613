"""Whether the mirror says what Stripe says. Run as `python -m tests.crashes.truth` it prints what does not."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import django

if __name__ == "__main__":
    django.setup()

import stripe as stripe_library
from django.conf import settings
from django.db import connection
from django.utils import timezone

from billing.activity.models import Activity
from billing.inbox.envelope import STRIPE
from billing.inbox.models import InboxEvent, InboxState
from billing.mirror import readmodel
from billing.mirror.compare import differences
from billing.mirror.drift import comparable, look
from billing.mirror.kinds import KINDS, Kind, Ref
from billing.mirror.owner import owner_id
from billing.mirror.raw import RawObject
from billing.mirror.resync_parts import rows_of as rows_of_account
from billing.mirror.write import stored_of
from billing.stripe_accounts import StripeAccount, configured
from billing.stripe_client import stripe_client


def announced(stripe: stripe_library.StripeClient) -> list[dict[str, Any]]:
    """All the account's events, newest first."""
    return [json.loads(str(event)) for event in stripe.v1.events.list({"limit": 100}).auto_paging_iter()]


def untruths() -> list[str]:
    """Everything in which inbox, mirror, read model and news are not what Stripe announced and has, of any account."""
    of_accounts = [
        f"{account.name or 'primary'}: {said}"
        for account in configured()
        for said in (*about_events(account), *about_objects(account))
    ]
    return [*of_accounts, *about_all()]


def about_events(account: StripeAccount) -> Iterator[str]:
    events = InboxEvent.objects.filter(owner=account.name)
    stored = set(events.values_list("external_id", flat=True))
    there = {event["id"] for event in announced(stripe_client(account))}
    yield from (f"{event_id} is not in the inbox" for event_id in there - stored)
    yield from (f"{event_id} is none of Stripe's" for event_id in stored - there)
    left = events.exclude(state__in=[InboxState.MIRRORED, InboxState.STORED])
    yield from (f"{kind} is {state}: {error}" for kind, state, error in left.values_list("type", "state", "error"))
    put_by = events.filter(state=InboxState.STORED).exclude(error="")
    yield from (f"{kind} is put by: {error}" for kind, error in put_by.values_list("type", "error"))


def about_objects(account: StripeAccount) -> Iterator[str]:
    """Every object that an event named and every row that is there."""
    found = look(sorted(named(account) | rows(account), key=str), account=account)
    yield from (f"{ref} could not be asked about: {error}" for ref, error in found.errors.items())
    yield from (f"{ref} is unsettled" for ref in found.unsettled)
    for ref, differing in found.differing.items():
        yield from (f"{ref} {one.path}: {one.ours} | {one.theirs}" for one in differing)


def named(account: StripeAccount) -> set[Ref]:
    """The objects that events named and that Stripe can be asked about."""
    askable = {kind.name for kind in comparable()}
    events = InboxEvent.objects.filter(source=STRIPE, owner=account.name).exclude(object_id="")
    found = events.values_list("object_kind", "object_id").distinct()
    return {Ref(kind, object_id) for kind, object_id in found if kind in askable}


def rows(account: StripeAccount) -> set[Ref]:
    """The account's objects that have a row, of the kinds that Stripe can be asked about."""
    found: set[Ref] = set()
    with connection.cursor() as cursor:
        for kind in comparable():
            where, params = rows_of_account(kind, account)
            cursor.execute(f"SELECT id FROM {where}", params)
            found |= {Ref(kind.name, object_id) for (object_id,) in cursor.fetchall()}
    whose = owner_id(account)
    whole = RawObject.objects.filter(kind__in=[kind.name for kind in comparable()])
    whole = whole.filter(djstripe_owner_account_id=whose).exclude(livemode=not account.livemode)
    return found | {Ref(kind, object_id) for kind, object_id in whole.values_list("kind", "id")}


def about_all() -> Iterator[str]:
    """What stands inside objects, and what follows from them."""
    yield from about_inner("subscription", "subscription_item", "items")
    yield from about_inner("invoice", "line_item", "lines")
    yield from about_what_follows()


def rows_of(kind: Kind) -> Any:
    model: Any = kind.model
    return model.objects


def about_inner(outer: str, inner: str, name: str) -> Iterator[str]:
    """What stands inside an object has a row that says the same, and what does so no more is marked."""
    whole = stored_of(Ref(outer, object_id) for object_id in rows_of(KINDS[outer]).values_list("id", flat=True))
    inside = {
        one["id"]: one
        for data in whole.values()
        if not data.get("deleted")
        for one in (data.get(name) or {}).get("data", ())
    }
    kept = stored_of(Ref(inner, object_id) for object_id in rows_of(KINDS[inner]).values_list("id", flat=True))
    living = {ref.id: data for ref, data in kept.items() if not data.get("deleted")}
    yield from (f"{object_id} has no living row" for object_id in inside.keys() - living.keys())
    yield from (f"{object_id} is in no {outer}" for object_id in living.keys() - inside.keys())
    for object_id in inside.keys() & living.keys():
        # A copy of a price changes without an event, and an item may have been asked for by itself: see `compare`.
        if differences(inner, living[object_id], living[object_id] | inside[object_id]):
            yield f"{object_id} has a row that says something else than its {outer}"


def about_what_follows() -> Iterator[str]:
    for kind in readmodel.TABLES:
        written = sum(written for _, written in readmodel.rebuild(kind, now=timezone.now()))
        if written:
            yield f"{written} rows of the read model's {kind} table were not as they should be"
    keys = list(Activity.objects.values_list("dedup_key", flat=True))
    if len(keys) != len(set(keys)):
        yield "something is told twice"


if __name__ == "__main__":
    settings.DRIFT_PATIENCE_SECONDS = 0.1
    sys.stdout.write(json.dumps(untruths()))
