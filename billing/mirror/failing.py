"""When mirroring fails: whose trouble it is, when to try again, and when a person should look."""

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import stripe
import structlog
from django.db import DataError, IntegrityError

from billing import metrics
from billing.inbox.claim import Settled, Waiting
from billing.inbox.models import InboxState

log = structlog.get_logger(__name__)

ATTEMPTS = 8  # then a person looks; with the waits below that is after about twenty minutes
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=10)
LONGEST_OUTAGE_WAIT = timedelta(minutes=2)  # Stripe comes back for everybody at once: look often
MOST_QUOTED = 200  # characters of an error of our own: it may hold what the object says
MOST_TOLD = 20  # events that one line of the log names
# What reading or writing an object raises that has another shape than the mirror expects.
UNREADABLE = (
    KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, DataError,
    IntegrityError,
)  # fmt: skip
CANNOT_READ = (
    "The mirror cannot read this object as Stripe sent it ({}). Tell who maintains the portal, and replay its events "
    "when that is mended."
)


class StripeAway(Exception):
    """Stripe does not answer, or not to our key. Everything stays due."""


def is_outage(error: BaseException) -> bool:
    """Whether the trouble is Stripe's or the key's, so that every other object would meet it too."""
    if isinstance(error, (stripe.APIConnectionError, stripe.RateLimitError)):
        return True
    if isinstance(error, (stripe.AuthenticationError, stripe.PermissionError)):
        return True
    return isinstance(error, stripe.StripeError) and (error.http_status or 0) >= 500


def concerns_all(error: BaseException) -> bool:
    """Whether nothing else need be tried now: a key that may not read one kind may well read the others."""
    return is_outage(error) and not isinstance(error, stripe.PermissionError)


def postponed(events: Iterable[Waiting], error: BaseException, *, now: datetime) -> list[Settled]:
    """Give each event its error and its next time; after the last attempt it waits for a person or a replay.

    An outage is nobody's fault here: it is tried again for as long as it lasts.
    """
    outage = is_outage(error)
    settled = []
    for event in events:
        attempts = event.attempts + 1
        failed = attempts >= ATTEMPTS and not outage
        state = InboxState.FAILED if failed else InboxState.RECEIVED
        due_at = None if failed else now + wait_before(attempts + 1, outage=outage)
        settled.append(Settled(event.pk, state, attempts, error=describe(error), due_at=due_at))
    return settled


def tell_failure(object_id: str, events: Sequence[Waiting], *, account: str, error: BaseException) -> None:
    """Log and count that an object was not mirrored, and whose events wait for it."""
    metrics.retries.inc(len(events))
    log.warning(
        "mirror:failed",
        account=account or "primary",
        object_id=object_id,
        event_ids=[event.external_id for event in events[:MOST_TOLD]],
        events=len(events),
        error=describe(error),
    )


def wait_before(attempt: int, *, outage: bool) -> timedelta:
    """Exponential, with jitter: those that failed together do not come back together."""
    longest = LONGEST_OUTAGE_WAIT if outage else LONGEST_WAIT
    wait = min(FIRST_WAIT * 2.0 ** min(attempt - 2, 20), longest)
    return wait * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret


def describe(error: BaseException) -> str:
    """One line for the console. Stripe's own messages mask keys.

    Whatever else Python or PostgreSQL meets in an object is one thing to an operator: it is not as the mirror knows it.
    """
    said = first_line(error)
    if isinstance(error, UNREADABLE):
        said = CANNOT_READ.format(said[:MOST_QUOTED])
    return f"{type(error).__name__}: {said}"[:1000]


def first_line(error: BaseException) -> str:
    """What PostgreSQL says of an error, without the further lines, which quote the row."""
    return (str(error).splitlines() or [""])[0]
