"""Events to rows: claim what is due, mirror each object once, and give each failure its own row's error."""

import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import stripe
import structlog

from billing.inbox.claim import claim, release
from billing.inbox.models import InboxEvent, InboxState
from billing.mirror.djstripe import first_line
from billing.mirror.kinds import Ref
from billing.mirror.objects import mirror_object
from billing.mirror.triage import why_not

log = structlog.get_logger(__name__)

BATCH = 50  # events that one worker takes at once: few enough that others find work too
ATTEMPTS = 8  # then a person looks; with the waits below that is after about twenty minutes
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=10)
LONGEST_OUTAGE_WAIT = timedelta(minutes=2)  # Stripe comes back for everybody at once: look often

Clock = Callable[[], datetime]


class StripeAway(Exception):
    """Stripe does not answer, or not to our key. Everything stays due."""


def mirror_due(clock: Clock, *, budget_seconds: float, on_full_batch: Callable[[], object] = lambda: None) -> int:
    """Mirror until nothing is due, Stripe is away, or the budget is used up; return how many events were looked at.

    `on_full_batch` is called when there is more than this worker takes at once. Any number of workers may run.
    """
    end = time.monotonic() + budget_seconds
    looked_at = 0
    while time.monotonic() < end:
        events = claim(limit=BATCH, now=clock())
        if not events:
            break
        if len(events) == BATCH:
            on_full_batch()
        looked_at += len(events)
        if not mirror_batch(events, clock, end=end):
            break
    return looked_at


def mirror_batch(events: list[InboxEvent], clock: Clock, *, end: float) -> bool:
    """Mirror a claimed batch object by object; give back what was not reached. False: stop for now."""
    groups = group_by_object(set_aside(events, now=clock()))
    for ref in list(groups):
        if time.monotonic() >= end:
            release(event for group in groups.values() for event in group)
            return False
        try:
            mirror_group(ref, groups.pop(ref), now=clock())
        except StripeAway:
            release(event for group in groups.values() for event in group)
            return False
    return True


def set_aside(events: list[InboxEvent], *, now: datetime) -> list[InboxEvent]:
    """Mark those that the mirror does not take up as stored, each with its reason; return the others."""
    taken = []
    for event in events:
        reason = why_not(event)
        if reason is None:
            taken.append(event)
            continue
        InboxEvent.objects.filter(pk=event.pk, state=InboxState.RECEIVED).update(
            state=InboxState.STORED, error=reason, due_at=None, claimed_until=None
        )
        log.info("event:stored", event_id=event.external_id, type=event.type, reason=reason or "no table for it")
    return taken


def group_by_object(events: list[InboxEvent]) -> dict[Ref, list[InboxEvent]]:
    groups: dict[Ref, list[InboxEvent]] = {}
    for event in events:
        groups.setdefault(Ref(event.object_kind, event.object_id), []).append(event)
    return groups


def mirror_group(ref: Ref, events: list[InboxEvent], *, now: datetime) -> None:
    """Mirror one object. A failure is written to its events and stays with them; only StripeAway is raised."""
    try:
        change = mirror_object(ref, now=now, only_if_waiting=True)
    except Exception as error:
        away = is_outage(error)
        postpone(events, error, now=now, for_ever=away)
        log.warning("mirror:failed", object_id=ref.id, error=describe(error))
        if away and not isinstance(error, stripe.PermissionError):
            raise StripeAway from error  # a key that may not read one kind may well read the others
    else:
        log.info("mirror:done", object_id=ref.id, change=change.value, events=len(events))


def is_outage(error: Exception) -> bool:
    """Whether the trouble is Stripe's or the key's, so that every other object would meet it too."""
    if isinstance(error, (stripe.APIConnectionError, stripe.RateLimitError)):
        return True
    if isinstance(error, (stripe.AuthenticationError, stripe.PermissionError)):
        return True
    return isinstance(error, stripe.StripeError) and (error.http_status or 0) >= 500


def postpone(events: list[InboxEvent], error: Exception, *, now: datetime, for_ever: bool) -> None:
    """Give each event its error and its next time; after the last attempt it waits for a person or a replay.

    An outage is nobody's fault here: it is tried again for as long as it lasts (`for_ever`).
    """
    for event in events:
        attempts = event.attempts + 1
        failed = attempts >= ATTEMPTS and not for_ever
        InboxEvent.objects.filter(pk=event.pk, state=InboxState.RECEIVED).update(
            state=InboxState.FAILED if failed else InboxState.RECEIVED,
            due_at=None if failed else now + wait_before(attempts + 1, outage=for_ever),
            attempts=attempts,
            error=describe(error),
            claimed_until=None,
        )


def wait_before(attempt: int, *, outage: bool) -> timedelta:
    """Exponential, with jitter: those that failed together do not come back together."""
    longest = LONGEST_OUTAGE_WAIT if outage else LONGEST_WAIT
    wait = min(FIRST_WAIT * 2.0 ** min(attempt - 2, 20), longest)
    return wait * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret


def describe(error: Exception) -> str:
    """One line for the console. Stripe's own messages mask keys."""
    return f"{type(error).__name__}: {first_line(error)}"[:1000]
