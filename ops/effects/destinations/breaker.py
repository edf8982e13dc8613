"""The circuit breaker of a destination: a row that all workers share.

After some failures in a row nobody calls for a while; then one call goes as a trial, and its answer decides. A row and
not a library's Redis key, as Redis may be emptied at any time, as one trial at a time needs a compare-and-set, and as
operators look at it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import F, Q

from ops.effects.destinations.models import BreakerState, Destination, DestinationHealth
from ops.effects.outcome import Retry

log = structlog.get_logger(__name__)

FIRST_PAUSE = timedelta(seconds=30)  # doubled with each trial that fails
LONGEST_PAUSE = timedelta(minutes=10)
TRIAL_LEASE = timedelta(seconds=30)  # the worker on trial may die; after so long another may try
SUCCESS_GRAIN = timedelta(seconds=10)  # how exactly the last success is known: it is not worth a write each


@dataclass(frozen=True)
class Admitted:
    """A call may go."""

    on_trial: bool


def health_of(destination: Destination) -> DestinationHealth:
    return DestinationHealth.objects.get_or_create(destination=destination)[0]


def is_open(destination: Destination, *, now: datetime) -> Retry | None:
    """Whether nobody may call now: a Retry says when. Takes nothing; `admit` does."""
    health = health_of(destination)
    return left_alone(destination, health, now) if health.state(now) == BreakerState.OPEN else None


def admit(destination: Destination, *, now: datetime) -> Admitted | Retry:
    """Let a call go, or say when to come again. Of those that come when a trial is due, one goes."""
    health = health_of(destination)
    if health.state(now) == BreakerState.CLOSED:
        return Admitted(on_trial=False)
    due = Q(probe_at=None) | Q(probe_at__lte=now)
    mine = DestinationHealth.objects.filter(due, pk=health.pk, opened_at__isnull=False)
    if mine.update(probe_at=now + TRIAL_LEASE):
        return Admitted(on_trial=True)
    health.refresh_from_db()
    return Admitted(on_trial=False) if health.opened_at is None else left_alone(destination, health, now)


def left_alone(destination: Destination, health: DestinationHealth, now: datetime) -> Retry:
    wait = max((health.probe_at or now) - now, timedelta(seconds=1))
    said = f"{destination.name} failed {health.failures} times in a row and is left alone for a while."
    return Retry(f"DestinationAway: {said}", wait, tried=False)


def succeeded(destination: Destination, *, now: datetime) -> None:
    """Close the breaker, and note that it answered. Mostly nothing is to be written."""
    stale = Q(failures__gt=0) | Q(opened_at__isnull=False)
    stale |= Q(last_success_at=None) | Q(last_success_at__lt=now - SUCCESS_GRAIN)
    was_open = DestinationHealth.objects.filter(pk=destination.pk, opened_at__isnull=False).exists()
    DestinationHealth.objects.filter(stale, pk=destination.pk).update(
        failures=0, opened_at=None, openings=0, probe_at=None, last_success_at=now
    )
    if was_open:
        log.info("destination:back", destination=destination.name)


def failed(destination: Destination, error: str, *, on_trial: bool, now: datetime) -> None:
    """Count a failure; open the breaker with the last that is tolerated, or for longer after a trial that failed."""
    mine = DestinationHealth.objects.filter(pk=destination.pk)
    mine.update(failures=F("failures") + 1, last_failure_at=now, last_error=error)
    if on_trial:
        openings = mine.values_list("openings", flat=True).get()
        pause = min(FIRST_PAUSE * 2 ** min(openings, 10), LONGEST_PAUSE)
        mine.filter(opened_at__isnull=False).update(openings=F("openings") + 1, probe_at=now + pause)
    elif mine.filter(opened_at=None, failures__gte=settings.DESTINATIONS_FAILURES).update(
        opened_at=now, openings=1, probe_at=now + FIRST_PAUSE
    ):
        log.warning("destination:away", destination=destination.name, error=error)
