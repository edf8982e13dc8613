"""Drift: where the mirror differs from Stripe. Looked for in samples and in what changed lately, healed, and recorded.

A difference is drift only when nothing explains it: an object that was written while it was compared, or whose event
waits in the inbox or may be on its way, is looked at again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import stripe
import structlog
from django.conf import settings
from django.db import connection, transaction

from billing import metrics
from billing.inbox import own
from billing.inbox.models import InboxEvent, InboxState
from billing.mirror import asking, gates
from billing.mirror.compare import Difference, differences
from billing.mirror.failing import describe
from billing.mirror.fetch import Fetched, fetch_many
from billing.mirror.history import DriftCheck, DriftDifference
from billing.mirror.inside import look_inside
from billing.mirror.kinds import KINDS, RAW, Kind, Ref
from billing.mirror.resync_parts import rows_of
from billing.mirror.write import Change, stored_of
from billing.stripe_accounts import StripeAccount

log = structlog.get_logger(__name__)

LOOKS = 3  # at an object that seems to differ
AT_ONCE = 100  # objects: their states are held in memory
LATELY = timedelta(hours=1)  # how far back "changed lately" goes when there was no check before
MOST_RECENT = 500  # objects that changed lately, a check
MOST_FIELDS = 50  # that are recorded of one object
KEPT = timedelta(days=90)

# The rows that follow some numbers, drawn between the first row's and the last's.
BY_NUMBER = """
    WITH bounds AS (SELECT min(djstripe_id) AS low, max(djstripe_id) AS high FROM {rows}),
    places AS (SELECT low + floor(random() * (high - low + 1))::bigint AS place
               FROM bounds, generate_series(1, %(size)s))
    SELECT DISTINCT found.id FROM places, LATERAL (
        SELECT id FROM {living} AND djstripe_id >= place ORDER BY djstripe_id LIMIT 1) AS found
"""

Clock = Callable[[], datetime]


@dataclass
class Looked:
    """What a closer look found: differences that nothing explains, and objects that could not be asked about."""

    differing: dict[Ref, list[Difference]] = field(default_factory=dict)
    errors: dict[Ref, Exception] = field(default_factory=dict)
    unsettled: set[Ref] = field(default_factory=set)  # changing all the time, or with events waiting: no drift, yet


def check_drift(
    kinds: Sequence[Kind], *, account: StripeAccount, clock: Clock, sample: int, heal: bool = True
) -> DriftCheck:
    """Compare a sample of each kind, and everything that changed since the last check, with Stripe; heal; record."""
    began = clock()
    check = DriftCheck.objects.create(owner=account.name, started_at=began)
    names = {kind.name for kind in kinds}
    refs = [ref for kind in kinds for ref in sampled(kind, sample, account=account)]
    refs += [ref for ref in changed_lately(check, account=account) if ref.kind in names]
    for group in groups(dict.fromkeys(refs), AT_ONCE):
        found = look(group, account=account)
        healed = heal_all(found.differing, account=account, clock=clock) if heal else set()
        healed |= add_inside(found, group, account=account, now=clock(), heal=heal)
        record(check, group, found, healed, now=clock())
        away = [error for error in found.errors.values() if asks_no_more(error)]
        if away:
            break
    finish(check, now=clock())
    return check


def comparable() -> list[Kind]:
    """The kinds that Stripe can be asked about one by one. Events do not change, nor, to speak of, do countries."""
    left_out = {"event", "country_spec"}
    return [kind for kind in (*KINDS.values(), *RAW.values()) if kind.fetchable and kind.name not in left_out]


def sampled(kind: Kind, size: int, *, account: StripeAccount) -> list[Ref]:
    """About `size` living rows of a kind, chosen by chance, without reading the others."""
    rows, params = rows_of(kind, account)
    living = f"{rows} AND NOT stripe_data @> '{{\"deleted\": true}}'"
    with connection.cursor() as cursor:
        cursor.execute(BY_NUMBER.format(rows=rows, living=living), {**params, "size": size})
        return [Ref(kind.name, object_id) for (object_id,) in cursor.fetchall()]


def changed_lately(check: DriftCheck, *, account: StripeAccount) -> list[Ref]:
    """Objects whose events were mirrored since the last check began, the newest first."""
    last = DriftCheck.objects.filter(owner=account.name, pk__lt=check.pk).order_by("-started_at").first()
    since = max(last.started_at, check.started_at - LATELY) if last else check.started_at - LATELY
    events = InboxEvent.objects.filter(
        owner=account.name,
        account="",
        state=InboxState.MIRRORED,
        mirrored_at__gte=since,
        received_at__gte=since - LATELY,
    )
    found = events.order_by("-received_at").values_list("object_kind", "object_id")[: 4 * MOST_RECENT]
    return list(dict.fromkeys(Ref(kind, object_id) for kind, object_id in found))[:MOST_RECENT]


def groups(refs: Iterable[Ref], size: int) -> Iterable[list[Ref]]:
    whole = list(refs)
    return (whole[start : start + size] for start in range(0, len(whole), size))


def look(refs: Sequence[Ref], *, account: StripeAccount, looks: int = LOOKS) -> Looked:
    """Compare these objects with Stripe, those that seem to differ several times."""
    found = Looked()
    pending = list(refs)
    for attempt in range(looks):
        if not pending:
            break
        if attempt:
            time.sleep(settings.DRIFT_PATIENCE_SECONDS)
        found.differing, moved = look_once(pending, found.errors, account=account)
        pending = [*found.differing, *moved]
        if attempt and not moved:
            break
    found.unsettled = {ref for ref in pending if ref not in found.differing} | with_events(found.differing, account)
    for ref in found.unsettled:
        found.differing.pop(ref, None)
    return found


def look_once(
    refs: Sequence[Ref], errors: dict[Ref, Exception], *, account: StripeAccount
) -> tuple[dict[Ref, list[Difference]], set[Ref]]:
    """Return what differs, and what was written while it was compared."""
    before = gates.versions(refs, owner=account.name)
    ours = stored_of(refs, livemode=account.livemode)
    answers = fetch_many(refs, account=account)
    after = gates.versions(refs, owner=account.name)
    differing = {}
    for ref, answer in answers.items():
        if isinstance(answer, Fetched):
            found = differences(ref.kind, living(ours.get(ref)), answer.data)
            if found:
                differing[ref] = found
        else:
            errors[ref] = answer
    moved = {ref for ref in refs if before[ref] != after[ref]}
    return {ref: found for ref, found in differing.items() if ref not in moved}, moved - errors.keys()


def living(data: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if data is None or data.get("deleted") else data


def with_events(refs: Iterable[Ref], account: StripeAccount) -> set[Ref]:
    """Those of the objects whose events wait in the inbox: the mirror knows that it is behind."""
    wanted = list(refs)
    if not wanted:
        return set()
    events = InboxEvent.objects.filter(
        owner=account.name, account="", state=InboxState.RECEIVED, object_id__in=[ref.id for ref in wanted]
    )
    waiting = {Ref(kind, object_id) for kind, object_id in events.values_list("object_kind", "object_id")}
    return waiting & set(wanted)


def heal_all(refs: Iterable[Ref], *, account: StripeAccount, clock: Clock) -> set[Ref]:
    """Bring the mirror to what Stripe says; return the objects where that went well."""
    healed = set()
    for ref in refs:  # one by one: what one of them meets is not the others' trouble
        try:
            change = asking.refresh([ref], account=account, clock=clock)[ref]
        except Exception as error:
            log.warning("drift:not-healed", account=account.name or "primary", object_id=ref.id, error=describe(error))
            continue
        if change not in (Change.REFUSED, Change.STALE):
            healed.add(ref)
    return healed


def add_inside(found: Looked, refs: Sequence[Ref], *, account: StripeAccount, now: datetime, heal: bool) -> set[Ref]:
    """Add the objects that are right while columns or the read model say another thing; return those that were healed.

    What differs from Stripe has been written anew, with all that is made of it.
    """
    right = [ref for ref in refs if ref not in found.differing and ref not in found.errors]
    inside = look_inside(right, account=account, now=now, heal=heal)
    found.differing |= inside
    return set(inside) if heal else set()


def record(check: DriftCheck, refs: Sequence[Ref], found: Looked, healed: set[Ref], *, now: datetime) -> None:
    """Count, and write down each difference, field by field."""
    looked_at = [ref for ref in refs if ref not in found.errors and ref not in found.unsettled]
    for name, counted in (("looked_at", looked_at), ("differing", found.differing), ("healed", healed)):
        for kind, number in Counter(ref.kind for ref in counted).items():
            entry = check.per_kind.setdefault(kind, {"looked_at": 0, "differing": 0, "healed": 0})
            entry[name] += number
            setattr(check, name, getattr(check, name) + number)
    for error in found.errors.values():
        check.error = describe(error)
    check.save()
    DriftDifference.objects.bulk_create(
        DriftDifference(
            check_run=check,
            kind=ref.kind,
            object_id=ref.id,
            path=difference.path,
            ours=difference.ours,
            theirs=difference.theirs,
            healed_at=now if ref in healed else None,
        )
        for ref, listed in found.differing.items()
        for difference in listed[:MOST_FIELDS]
    )


def asks_no_more(error: Exception) -> bool:
    """Whether Stripe is away, or the key refused: the other objects would meet the same."""
    status = getattr(error, "http_status", None) or 0
    return (
        isinstance(error, (stripe.APIConnectionError, stripe.AuthenticationError, stripe.RateLimitError))
        or status >= 500
    )


def finish(check: DriftCheck, *, now: datetime) -> None:
    check.finished_at = now
    with transaction.atomic():
        check.save(update_fields=["finished_at"])
        if check.differing:
            own.publish(own.DRIFT_FOUND, key=str(check.pk), detail=described(check), now=now)
    for kind, numbers in check.per_kind.items():
        metrics.drift.labels(kind=kind).set(numbers["differing"])
    log.info("drift:checked", looked_at=check.looked_at, differing=check.differing, healed=check.healed)
    DriftCheck.objects.filter(started_at__lt=now - KEPT).delete()


def described(check: DriftCheck) -> dict[str, Any]:
    """What an event of our own says of a check: the numbers by kind, and some of the objects."""
    objects = check.differences.order_by("pk").values_list("kind", "object_id").distinct()
    return {
        "check": check.pk,
        "account": check.owner,
        "looked_at": check.looked_at,
        "differing": check.differing,
        "healed": check.healed,
        "per_kind": {kind: counts for kind, counts in check.per_kind.items() if counts["differing"]},
        "examples": [{"kind": kind, "id": object_id} for kind, object_id in dict.fromkeys(objects[:MOST_FIELDS])],
    }
