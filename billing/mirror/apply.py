"""Events to rows: take what is due, write what payloads prove, ask Stripe about the rest, settle every event.

One transaction looks at a few hundred events and writes all objects whose newest payload is surely newer than the
mirror. What needs Stripe's word is leased, asked for with no transaction open, and written in a second transaction.
Where a batch fails it is halved until the object that spoils it stands alone: its error stays with its own events.
"""

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from itertools import groupby

import stripe
import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from billing import metrics
from billing.inbox import claim
from billing.inbox.claim import Settled, Waiting
from billing.inbox.envelope import STRIPE
from billing.inbox.models import InboxState
from billing.mirror import asking, signals
from billing.mirror.echoes import ECHOES, echoes, unheard
from billing.mirror.failing import StripeAway, postponed, tell_failure
from billing.mirror.gate import Says, Verdict, Word, judge
from billing.mirror.inquiry import Ask, needs_of, parents_missing
from billing.mirror.kinds import Ref, kind_for
from billing.mirror.owner import owner_id
from billing.mirror.touched import CLOCK, is_nobodys, leans_on, may_touch, orphaned, touched
from billing.mirror.triage import why_not
from billing.mirror.words import Story, Told, stories
from billing.mirror.write import Change, Held, Snapshot, hold, own_rows, stored_of, write_held
from billing.stripe_accounts import StripeAccount, configured

log = structlog.get_logger(__name__)

BATCH = 500  # events that one worker takes at once
ASKED_AT_ONCE = 100  # objects that are asked for between two looks at the time

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Look:
    """What came of the first look at a batch."""

    events: int
    asks: tuple[tuple[StripeAccount, Ask], ...]


def mirror_due(clock: Clock, *, budget_seconds: float, on_full_batch: Callable[[], object] = lambda: None) -> int:
    """Mirror until nothing is due, Stripe is away, or the budget is used up; return how many events were looked at.

    `on_full_batch` is called when there is more than this worker takes at once. Then a second thread helps: while
    PostgreSQL writes one batch, Python reads another. Any number of workers may run.
    """
    end = time.monotonic() + budget_seconds
    helping: list[Future[int]] = []
    with ThreadPoolExecutor(1) as helper:

        def full() -> None:
            on_full_batch()
            alone = all(done.done() for done in helping)
            if alone and not connection.in_atomic_block:  # what a transaction has not committed only it can see
                helping.append(helper.submit(copy_context().run, help_mirror, clock, end))

        looked_at = mirror_in_turn(clock, end=end, on_full_batch=full)
    return looked_at + sum(done.result() for done in helping)


def help_mirror(clock: Clock, end: float) -> int:
    """The second thread, with a connection of its own."""
    try:
        return mirror_in_turn(clock, end=end)
    finally:
        connection.close()


def mirror_in_turn(clock: Clock, *, end: float, on_full_batch: Callable[[], object] = lambda: None) -> int:
    """Batch after batch, until nothing is due, Stripe is away, or the time has come (of `time.monotonic`)."""
    looked_at = 0
    while time.monotonic() < end:
        with no_collecting():
            look = first_look(partial(claim.take, limit=BATCH, now=clock()), clock)
        looked_at += look.events
        if look.events == BATCH:
            on_full_batch()
        if not look.events or not second_look(look.asks, clock, end=end):
            break
    return looked_at


@contextmanager
def no_collecting() -> Iterator[None]:
    """Leave Python's cycle collector alone for a batch: it walks all the JSON that is in hand, a third of the time."""
    keep_what_is_loaded()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@cache
def keep_what_is_loaded() -> None:
    """Once a process: its modules are no garbage, and need not be walked each time (Python docs: `gc.freeze`)."""
    gc.freeze()


@dataclass(frozen=True)
class Owner:
    """A configured account, and whose its key is; or why Stripe would not say."""

    account: StripeAccount
    id: str | None = None
    error: stripe.StripeError | None = None


def owners() -> dict[str, Owner]:
    """Every configured account by its name. Asks Stripe once a process; one account's trouble is its own."""
    found = {}
    for account in configured():
        try:
            found[account.name] = Owner(account, owner_id(account))
        except stripe.StripeError as error:
            found[account.name] = Owner(account, error=error)
    return found


def first_look(take: Callable[[], list[Waiting]], clock: Clock) -> Look:
    """Take events, write what payloads prove, settle what is settled, and lease what Stripe must be asked about."""
    known = owners()
    events: list[Waiting] = []
    try:
        with transaction.atomic():
            events = take()
            asks = tuple(look_at(events, known, now=clock()))
            claim.lease((pk for _, ask in asks for pk in ask.pks), now=clock())
    except (OperationalError, InterfaceError):
        raise  # the database's trouble, and no event's
    except Exception as error:
        return apart(events, error, clock)
    return Look(len(events), asks)


def apart(events: list[Waiting], error: Exception, clock: Clock) -> Look:
    """Look again at halves of a batch that failed; give the error to the events of one object that fails alone."""
    objects = sorted({(event.object_kind, event.object_id) for event in events})
    if len(objects) < 2:
        if events:
            tell_failure(objects[0][1], events, account=events[0].owner, error=error)
            metrics.mirror_failed.labels(kind=objects[0][0]).inc()
        claim.settle_waiting(postponed(events, error, now=clock()))
        return Look(len(events), ())
    first = set(objects[: len(objects) // 2])
    halves = ([e for e in events if ((e.object_kind, e.object_id) in first) is mine] for mine in (True, False))
    looks = [first_look(partial(claim.take_again, [e.pk for e in half], now=clock()), clock) for half in halves]
    return Look(len(events), tuple(ask for look in looks for ask in look.asks))


def look_at(
    events: Sequence[Waiting], known: Mapping[str, Owner], *, now: datetime
) -> Iterable[tuple[StripeAccount, Ask]]:
    """Settle these events as far as their payloads allow, in the caller's transaction; yield what must be asked."""
    taken = set_aside(events, known)
    for name, group in groupby(sorted(taken, key=lambda event: event.owner), key=lambda event: event.owner):
        owner, of_account = known[name], list(group)
        if owner.error is not None:
            claim.settle(postponed(of_account, owner.error, now=now))
            continue
        told = stories(of_account, api_version=settings.STRIPE_API_VERSION)
        for ask in write_proven(told, account=owner.account, owner_id=owner.id, now=now):
            yield owner.account, ask


def set_aside(events: Sequence[Waiting], known: Mapping[str, Owner]) -> list[Waiting]:
    """Settle those that the mirror does not take up as stored, each with its reason; return the others."""
    reasons = {event.pk: why_not(event, account_of(event, known)) for event in events}
    claim.settle(
        [
            Settled(event.pk, InboxState.STORED, event.attempts, error=reason)
            for event in events
            if (reason := reasons[event.pk]) is not None
        ]
    )
    for event in events:
        if reasons[event.pk] == "" and event.source == STRIPE and event.owner in known:
            signals.after_events([event], owner_id=known[event.owner].id)
    return [event for event in events if reasons[event.pk] is None]


def account_of(event: Waiting, known: Mapping[str, Owner]) -> StripeAccount | None:
    owner = known.get(event.owner)
    return owner.account if owner else None


def write_proven(
    told: Mapping[Ref, Story], *, account: StripeAccount, owner_id: str | None, now: datetime
) -> list[Ask]:
    """Write the objects whose newest payload is surely their newest state; return what Stripe must be asked about."""
    held = hold(with_touched(told), account=account)
    proven: dict[Ref, Snapshot] = {}
    covered: list[Story] = []
    asks: list[Ask] = []
    for ref, story in told.items():
        verdict, word = judge(held.gates[ref], story.words, stored=held.stored.get(ref))
        if verdict is Verdict.COVERED and not ends_clock(story.told[-1]):
            covered.append(story)
        elif verdict is not Verdict.WRITE or word is None:
            asks.append(Ask(ref, story))
        else:
            proven[ref] = snapshot_of(story, word, held)
    rows = {
        ref: own_rows(ref, snapshot.data, held=held, owner_id=owner_id, livemode=account.livemode, now=now)
        for ref, snapshot in proven.items()
        if snapshot.data is not None and held.changed(ref, snapshot.data)
    }
    needs = needs_of(rows)
    doubtful = set() if account.livemode else doubted(needs, proven, account)
    waiting = untold(proven, told, held, livemode=account.livemode) | doubtful
    lacking = parents_missing(needs, waiting=waiting)
    asks += [Ask(ref, told[ref], None if ref in doubtful else proven[ref]) for ref in lacking]
    ready = [snapshot for ref, snapshot in proven.items() if ref not in lacking]
    changes = write_held(held, ready, account=account, owner_id=owner_id, now=now, rows=rows)
    settle = partial(settle_stories, account=account, owner_id=owner_id, now=now)
    settle(covered, {}, how="covered")
    settle([told[snapshot.ref] for snapshot in ready], changes, how="payload")
    return asks


def with_touched(told: Mapping[Ref, Story]) -> set[Ref]:
    """These objects and those that their newest words change in silence: their gates are held together."""
    touching = {ref: story.last_shown for ref, story in told.items() if ref.kind in ECHOES}
    return {*told, *(echo.ref for ref, data in touching.items() for echo in echoes(ref, data))}


def doubted(needs: Mapping[Ref, set[Ref]], proven: Mapping[Ref, Snapshot], account: StripeAccount) -> set[Ref]:
    """Those of the objects that a test clock may have taken along with what they refer to."""
    leaning = {ref: leans_on(ref, proven[ref].data or {}, references) for ref, references in needs.items()}
    gone = {ref for ref, snapshot in proven.items() if snapshot.data is None}
    return orphaned(leaning, gone, owner=account.name) | {
        ref for ref in needs if is_nobodys(ref, proven[ref].data or {})
    }


def untold(proven: Mapping[Ref, Snapshot], stories: Mapping[Ref, Story], held: Held, *, livemode: bool) -> set[Ref]:
    """Those of the objects that have changed others in silence, which the mirror does not show yet."""
    told = {
        ref: touched(ref, snapshot.data, held.stored.get(ref), stories[ref].last_shown, livemode=livemode)
        for ref, snapshot in proven.items()
        if may_touch(ref, snapshot.data)
    }
    others = {echo.ref for each in told.values() for echo in each} - held.gates.keys()
    known = {**held.stored, **stored_of(others), **{ref: proven[ref].data or {} for ref in proven}}
    return {ref for ref, each in told.items() if unheard(each, known)}


def snapshot_of(story: Story, word: Word, held: Held) -> Snapshot:
    gate = held.gates[story.ref]
    data = None if word.data is None else dict(word.data)
    steps = story.steps(gate, until=word.created)
    at, timely = story.newest.occurred_at, word.timely
    return Snapshot(story.ref, data, word.created, word.created, steps=steps, at=at, timely=timely, told=True)


def second_look(asks: Sequence[tuple[StripeAccount, Ask]], clock: Clock, *, end: float) -> bool:
    """Ask Stripe about what the payloads left open; give back what there is no time for. False: stop for now."""
    parts = list(in_parts(asks))
    for number, (account, part) in enumerate(parts):
        try:
            if time.monotonic() >= end:
                raise StripeAway
            how = partial(settle_asked, account=account, clock=clock)
            asking.ask(part, account=account, clock=clock, how=how)
        except StripeAway:
            claim.release(pk for _, rest in parts[number:] for entry in rest for pk in entry.pks)
            return False
    return True


def in_parts(asks: Sequence[tuple[StripeAccount, Ask]]) -> Iterator[tuple[StripeAccount, list[Ask]]]:
    for _, entries in groupby(sorted(asks, key=lambda entry: entry[0].name), key=lambda entry: entry[0].name):
        of_account = list(entries)
        for start in range(0, len(of_account), ASKED_AT_ONCE):
            part = of_account[start : start + ASKED_AT_ONCE]
            yield part[0][0], [entry for _, entry in part]


def settle_asked(told: Sequence[Story], changes: Mapping[Ref, Change], *, account: StripeAccount, clock: Clock) -> None:
    """Settle the events of objects that Stripe was asked about, in the transaction that writes them."""
    owner = owner_id(account)  # known by now: nobody is asked
    settle_stories(told, changes, account=account, owner_id=owner, now=clock(), how="fetched")


def settle_stories(
    told: Sequence[Story],
    changes: Mapping[Ref, Change],
    *,
    account: StripeAccount,
    owner_id: str | None,
    now: datetime,
    how: str,
) -> None:
    """Settle the events of these objects, which this transaction has locked; refused ones keep theirs, with why."""
    refused = [story for story in told if changes.get(story.ref) is Change.REFUSED]
    done = [story for story in told if changes.get(story.ref) is not Change.REFUSED]
    outcomes = [settled_or_again(entry, now) for story in done for entry in story.told]
    claim.settle(outcomes)
    again = {outcome.id for outcome in outcomes if outcome.state is InboxState.RECEIVED}
    for story in refused:
        claim.settle(postponed([entry.event for entry in story.told], OtherAccount(), now=now))
    healed = [(story.ref.kind, story.ref.id, story.newest.occurred_at) for story in done]
    claim.heal(healed, owner=account.name, now=now)
    ended = [entry.event for story in done for entry in story.told if entry.event.pk not in again]
    signals.after_events(ended, owner_id=owner_id)
    count(done, now=now, how=how)
    tell_done(done, account=account.name, how=how)


class OtherAccount(Exception):
    """The mirror's row of this object belongs to another Stripe account, or to the other mode: it is left as it is."""

    def __str__(self) -> str:
        return str(self.__doc__)


# Shown while the event waits, and how it is known that it was looked at before.
ONCE_MORE = (
    "Nothing is wrong: what this test clock took along was looked for, and is once more in a minute and a half, "
    "because another worker may have been writing some of it."
)


def settled_or_again(entry: Told, now: datetime) -> Settled:
    """The end of a test clock is looked at twice: another worker may just now write what the clock has taken along."""
    event = entry.event
    if ends_clock(entry) and event.error != ONCE_MORE:
        return Settled(event.pk, InboxState.RECEIVED, event.attempts, error=ONCE_MORE, due_at=now + claim.LEASE)
    return mirrored(event, now)


def ends_clock(entry: Told) -> bool:
    return entry.event.object_kind == CLOCK and entry.word.says is Says.GONE


def mirrored(event: Waiting, now: datetime) -> Settled:
    state = InboxState.MIRRORED if kind_for(event.object_kind).model else InboxState.STORED
    return Settled(event.pk, state, event.attempts, mirrored_at=now)


def count(done: Sequence[Story], *, now: datetime, how: str) -> None:
    events = Counter[str]()
    for story in done:
        events[story.ref.kind] += len(story.told)
        for entry in story.told:
            metrics.mirror_lag.observe(max(0.0, (now - entry.event.occurred_at).total_seconds()))
    for kind, amount in events.items():
        metrics.mirrored.labels(kind=kind, how=how).inc(amount)


def tell_done(done: Sequence[Story], *, account: str, how: str) -> None:
    """One line for a batch: a line for each event would cost more than mirroring it."""
    if done:
        event_ids = [entry.event.external_id for story in done for entry in story.told]
        object_ids = [story.ref.id for story in done]
        log.info("mirror:done", account=account or "primary", how=how, event_ids=event_ids, object_ids=object_ids)
