"""The third door: Stripe's events API, read again and again, finds what the first two missed.

Stripe has two lists, of events with their object and of thin ones; each is read by itself, with a cursor of its own. A
sweep reads from the newest event back to where the last one began, and a stretch further, because events may appear
in the list late. It is stored page by page, with the place where it goes on; only a sweep that was read to its end
moves the cursor. All times that decide are Stripe's.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import stripe
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from billing import metrics
from billing.inbox.envelope import STRIPE, check_belongs
from billing.inbox.intake import Arrival, Stored, arrival_of, store
from billing.inbox.models import Door, EventForm, InboxEvent, PollCursor, PollState
from billing.inbox.nudge import mirror_soon
from billing.inbox.refusals import Refused
from billing.stripe_accounts import StripeAccount
from billing.stripe_reading import FAR, Answer, read

log = structlog.get_logger(__name__)

EVENTS = "/v1/events"
THIN_EVENTS = "/v2/core/events"
PAGE = 100  # Stripe's largest page
PAGES = 200  # of a run, unless its time is over before; what is left is for the next one
LEASE = timedelta(minutes=5)  # longer than a run takes; a run that died is over then
BUDGET_SECONDS = 45.0
FIRST_WAIT_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 600.0
EXAMPLES = 10

Clock = Callable[[], datetime]


@dataclass
class Polled:
    """What reading the events API brought."""

    read: int = 0
    new: int = 0  # not in the inbox before
    missed: int = 0  # of these, older than the other doors may be late
    finished: bool = False  # whether it was read to the end
    busy: bool = False  # another process is reading for this account: nothing was done
    error: str = ""
    examples: list[str] = field(default_factory=list)  # ids of new ones

    def add(self, page: "Polled") -> None:
        self.read += page.read
        self.new += page.new
        self.missed += page.missed
        self.examples = (self.examples + page.examples)[:EXAMPLES]


@dataclass(frozen=True)
class Page:
    """A page of events, newest first; `asked_at` is Stripe's time, in Unix seconds. `goes_on` is where the next one
    is: after an event, or at an address of thin events; empty at the end."""

    events: list[dict[str, Any]]
    asked_at: int
    goes_on: str


def poll(
    account: StripeAccount,
    clock: Clock,
    *,
    form: EventForm = EventForm.SNAPSHOT,
    grace_seconds: int | None = None,
    pages: int = PAGES,
) -> Polled:
    """Read on where the account's cursor for events of this form stands, at most so many pages.

    Failures stand on the cursor; none is raised. Events younger than the grace are left to the other doors and to the
    next run.
    """
    grace = settings.STRIPE_POLL_GRACE_SECONDS if grace_seconds is None else grace_seconds
    cursor = take_cursor(account, form, now=clock())
    if cursor is None:
        return Polled(busy=True)
    polled = Polled()
    try:
        polled.finished = sweep(cursor, account, polled, clock, grace=grace, pages=pages)
    except stripe.StripeError as error:
        polled.error = describe(error)
        postpone(cursor, polled.error, now=clock())
    else:
        let_go(cursor, finished=polled.finished, now=clock())
    warn(cursor, polled, now=clock())
    return polled


def take_cursor(account: StripeAccount, form: EventForm, *, now: datetime) -> PollCursor | None:
    """Lease the account's cursor; None when somebody else has it, or when it is not to be used yet."""
    mine = {"owner": account.name, "livemode": account.livemode, "form": form}
    PollCursor.objects.get_or_create(**mine, defaults={"started_at": now})
    free = Q(due_at__isnull=True) | Q(due_at__lte=now)
    if not PollCursor.objects.filter(free, **mine).update(due_at=now + LEASE):
        return None
    return PollCursor.objects.get(**mine)


def sweep(cursor: PollCursor, account: StripeAccount, polled: Polled, clock: Clock, *, grace: int, pages: int) -> bool:
    """Store page after page; return whether the end was reached. Raises stripe.StripeError."""
    end = time.monotonic() + BUDGET_SECONDS
    for _ in range(pages):
        page = next_page(cursor, account, now=clock())
        if not cursor.sweep_after:
            cursor.sweep_from = datetime.fromtimestamp(page.asked_at - grace, tz=UTC)
        polled.add(keep_page(cursor, account, page, now=clock(), grace=grace))
        if not page.goes_on or time.monotonic() >= end:
            return not page.goes_on
    return False


def next_page(cursor: PollCursor, account: StripeAccount, *, now: datetime) -> Page:
    """Ask for the page after the last one of this sweep, or for the first."""
    since = cursor.read_until and cursor.read_until - timedelta(seconds=settings.STRIPE_POLL_OVERLAP_SECONDS)
    try:
        return ask(account, cursor.form, since=since, after=cursor.sweep_after, now=now)
    except stripe.InvalidRequestError:
        if not cursor.sweep_after:
            raise
        cursor.sweep_after = ""  # Stripe has forgotten the event after which it went on: begin anew
        return ask(account, cursor.form, since=since, after="", now=now)


def ask(account: StripeAccount, form: str, *, since: datetime | None, after: str, now: datetime) -> Page:
    answer = ask_thin(account, since, after) if form == EventForm.THIN else ask_snapshots(account, since, after)
    asked_at = int(now.timestamp()) if answer.high == FAR else answer.high
    return Page(answer.data["data"], asked_at, rest_of(answer.data))


def ask_snapshots(account: StripeAccount, since: datetime | None, after: str) -> Answer:
    params: dict[str, Any] = {"limit": PAGE, "starting_after": after or None}
    if since:
        params["created"] = {"gte": int(since.timestamp())}
    return read(EVENTS, params, account=account)


def ask_thin(account: StripeAccount, since: datetime | None, after: str) -> Answer:
    """Stripe docs, API v2 "Pagination": a page tells the address of the next one."""
    if after:
        return read(after, account=account)
    params: dict[str, Any] = {"limit": PAGE}
    if since:
        params["created"] = {"gte": since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    return read(THIN_EVENTS, params, account=account)


def rest_of(page: dict[str, Any]) -> str:
    """Where a list goes on: after its last event, or at an address, whose host is left out: that is known here."""
    if address := page.get("next_page_url"):
        parts = urlsplit(address)
        return f"{parts.path}?{parts.query}"
    return page["data"][-1]["id"] if page.get("has_more") and page["data"] else ""


def keep_page(cursor: PollCursor, account: StripeAccount, page: Page, *, now: datetime, grace: int) -> Polled:
    """Store a page and where the sweep goes on, in one transaction."""
    begun = int(cursor.sweep_from.timestamp()) if cursor.sweep_from else 0
    # Only the youngest are left out: events of test clocks may lie in the future, and none of them comes by again.
    arrivals = [
        each for each in arrivals_of(page.events, account, now=now) if not begun < created(each) <= begun + grace
    ]
    with transaction.atomic():
        outcomes = store(arrivals)
        new = [each for each, stored in zip(arrivals, outcomes, strict=True) if stored is Stored.NEW]
        late_before = page.asked_at - settings.STRIPE_POLL_GRACE_SECONDS
        missed = sum(created(each) <= late_before for each in new) if cursor.read_until else 0
        cursor.missed += missed
        cursor.sweep_after = page.goes_on
        cursor.save(update_fields=["missed", "sweep_from", "sweep_after"])
    metrics.polled_missed.inc(missed)
    if new:
        mirror_soon()
    return Polled(len(page.events), len(new), missed, examples=[each.event.id for each in new[:EXAMPLES]])


def arrivals_of(events: Sequence[dict[str, Any]], account: StripeAccount, *, now: datetime) -> Iterator[Arrival]:
    for event in events:
        try:
            arrival = arrival_of(event, door=Door.POLL, owner=account.name, now=now)
            check_belongs(arrival.event, account)
        except Refused as refusal:
            metrics.refused.labels(door=Door.POLL.value, reason=refusal.reason.value).inc()
            log.warning("poll:refused", reason=refusal.reason.value, account=account.name)
        else:
            yield arrival


def created(arrival: Arrival) -> int:
    return int(arrival.event.occurred_at.timestamp())


def let_go(cursor: PollCursor, *, finished: bool, now: datetime) -> None:
    """Give the cursor back; a finished sweep has moved it."""
    if finished:
        cursor.read_until = cursor.sweep_from
        cursor.sweep_from = None
    cursor.state = PollState.CURRENT if finished else PollState.CATCHING_UP
    cursor.failures, cursor.error, cursor.due_at, cursor.polled_at = 0, "", None, now
    cursor.save()


def postpone(cursor: PollCursor, error: str, *, now: datetime) -> None:
    """Leave the cursor where it is and try again later, and later still while it goes on."""
    wait = min(FIRST_WAIT_SECONDS * 2.0 ** min(cursor.failures, 10), LONGEST_WAIT_SECONDS)
    cursor.failures += 1
    cursor.state, cursor.error, cursor.polled_at = PollState.FAILING, error, now
    cursor.due_at = now + timedelta(seconds=wait * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
    cursor.save()


def warn(cursor: PollCursor, polled: Polled, *, now: datetime) -> None:
    seen = {"account": cursor.owner, "livemode": cursor.livemode, "form": cursor.form}
    if polled.missed:
        log.warning("poll:missed", events=polled.missed, event_ids=polled.examples, **seen)
    if polled.error:
        log.warning("poll:failed", error=polled.error, failures=cursor.failures, **seen)
    if cursor.is_old(now):
        log.error("poll:cursor_old", read_until=str(cursor.read_until), kept_days=cursor.KEPT_BY_STRIPE.days, **seen)


def describe(error: stripe.StripeError) -> str:
    """One line for the console. Stripe's own messages mask keys."""
    return f"{type(error).__name__}: {(str(error).strip() or 'no answer').splitlines()[0]}"[:500]


# --- reading a stretch, whatever the cursor says --------------------------------------------------


def read_since(
    account: StripeAccount, clock: Clock, *, since: datetime | None, dry_run: bool, form: EventForm = EventForm.SNAPSHOT
) -> Polled:
    """Bring all events of this form since then into the inbox (or only count it) and leave the cursor alone.

    `since` None: all that Stripe has kept. Raises stripe.StripeError; what was read until then is stored.
    """
    polled = Polled()
    for page in pages_since(account, form, since, clock):
        arrivals = list(arrivals_of(page.events, account, now=clock()))
        if dry_run:
            known = known_ids([each.event.id for each in arrivals])
            new = [each for each in arrivals if each.event.id not in known]
        else:
            outcomes = store(arrivals)
            new = [each for each, stored in zip(arrivals, outcomes, strict=True) if stored is Stored.NEW]
            if new:
                mirror_soon()
        polled.add(Polled(len(page.events), len(new), examples=[each.event.id for each in new]))
    polled.finished = True
    return polled


def pages_since(account: StripeAccount, form: EventForm, since: datetime | None, clock: Clock) -> Iterator[Page]:
    after = ""
    while True:
        page = ask(account, form, since=since, after=after, now=clock())
        yield page
        if not page.goes_on:
            return
        after = page.goes_on


def known_ids(ids: Sequence[str]) -> set[str]:
    return set(InboxEvent.objects.filter(source=STRIPE, external_id__in=ids).values_list("external_id", flat=True))
