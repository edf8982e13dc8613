"""Objects that Stripe must be asked about: fetched with the objects they refer to, then written through their gates.

No transaction is open while Stripe is asked. An answer is written only if the object's gate is as it was before the
question; if something else was written meanwhile, Stripe is asked again.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import stripe
import structlog
from django.db import InterfaceError, OperationalError, transaction

from billing import metrics
from billing.inbox import claim
from billing.mirror import gates, tables
from billing.mirror.columns import Reference, TableRow, references
from billing.mirror.echoes import ECHOES, Echo, echoes, unheard
from billing.mirror.failing import StripeAway, concerns_all, postponed, tell_failure
from billing.mirror.fetch import CannotBeAsked, Fetched, fetch_many
from billing.mirror.gate import Gate, Says
from billing.mirror.kinds import Ref
from billing.mirror.owner import owner_id
from billing.mirror.words import Story
from billing.mirror.write import Change, Held, Snapshot, hold, own_rows, passes, stored_of, write_held
from billing.stripe_accounts import StripeAccount

log = structlog.get_logger(__name__)

ROUNDS = 5  # questions about one object that changes all the time, before its events wait for their next turn
GENERATIONS = 12  # of parents: longer than any chain of references between Stripe's objects

Clock = Callable[[], datetime]
# What else belongs into the transaction that writes: given the stories whose objects it settles, and all changes.
How = Callable[[Sequence[Story], Mapping[Ref, Change]], None]


def nothing(_told: Sequence[Story], _changes: Mapping[Ref, Change]) -> None:
    """Nobody waits for these objects."""


@dataclass(frozen=True)
class Ask:
    """One object to ask Stripe about, for the sake of its waiting events or (without a story) of a person."""

    ref: Ref
    story: Story | None = None
    snapshot: Snapshot | None = None  # known already: only objects that it refers to are missing

    @property
    def pks(self) -> list[int]:
        return self.story.pks if self.story else []


@dataclass
class Later:
    """Objects of these kinds are on their way: what refers to one that is missing is left for later."""

    kinds: frozenset[str] = frozenset()
    awaited: set[str] = field(default_factory=set)  # those of the kinds that something was left for


@dataclass
class Answers:
    """What was found out for some asks: states to write, references to leave empty, errors."""

    snapshots: dict[Ref, Snapshot] = field(default_factory=dict)
    rows: dict[Ref, list[TableRow]] = field(default_factory=dict)  # of the states: made once, to look and to write
    absent: set[Ref] = field(default_factory=set)
    bury: set[Ref] = field(default_factory=set)
    errors: dict[Ref, Exception] = field(default_factory=dict)
    told: dict[Ref, list[Echo]] = field(default_factory=dict)  # what each has changed in silence
    given: set[Ref] = field(default_factory=set)  # states that were known before anything was asked

    @property
    def known(self) -> set[Ref]:
        """What need not be asked about any more."""
        return {*self.snapshots, *self.absent, *self.bury, *self.errors}

    @property
    def touched(self) -> set[Ref]:
        return {echo.ref for each in self.told.values() for echo in each}

    def take(self, ref: Ref, snapshot: Snapshot) -> None:
        """Take a state in, for whatever state was there before."""
        self.snapshots[ref] = snapshot
        self.rows.pop(ref, None)


def refresh(refs: Iterable[Ref], *, account: StripeAccount, clock: Clock, how: How = nothing) -> dict[Ref, Change]:
    """Bring these objects, and the objects they refer to, to what Stripe says now.

    Raises stripe.StripeError when Stripe does not answer or refuses.
    """
    changes, errors = ask_rounds([Ask(ref) for ref in refs], account=account, clock=clock, how=how)
    for error in errors.values():
        raise error
    return changes


def write_with_parents(
    snapshots: Sequence[Snapshot],
    *,
    account: StripeAccount,
    clock: Clock,
    later: Later | None = None,
    how: How = nothing,
) -> dict[Ref, Change]:
    """Write what was listed, and first the objects it refers to that the mirror lacks.

    STALE for an object that the mirror knows newer, REFUSED for one that the tables have no place for; no word on one
    that was left for later. Raises stripe.StripeError when Stripe does not answer about a parent.
    """
    asks = [Ask(snapshot.ref, snapshot=snapshot) for snapshot in snapshots]
    try:
        changes, errors = ask_once(asks, account=account, clock=clock, how=how, later=later)
    except (stripe.StripeError, OperationalError, InterfaceError):
        raise
    except Exception as error:
        if len(snapshots) == 1:
            refused = snapshots[0].ref
            log.warning("mirror:refused", account=account.name or "primary", object_id=refused.id, error=str(error))
            return {refused: Change.REFUSED}
        half = len(snapshots) // 2
        parts = (snapshots[:half], snapshots[half:])
        return {
            ref: change
            for part in parts
            for ref, change in write_with_parents(part, account=account, clock=clock, later=later, how=how).items()
        }
    for trouble in errors.values():
        raise trouble
    return changes


def ask(asks: Sequence[Ask], *, account: StripeAccount, clock: Clock, how: How) -> None:
    """Ask about objects with waiting events, and settle these. Raises StripeAway when nothing else need be tried."""
    try:
        _, errors = ask_rounds(asks, account=account, clock=clock, how=how)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if len(asks) == 1:
            fail(asks, {asks[0].ref: error}, clock)
            return
        half = len(asks) // 2
        for part in (asks[:half], asks[half:]):
            ask(part, account=account, clock=clock, how=how)
        return
    fail(asks, errors, clock)
    if any(concerns_all(error) for error in errors.values()):
        raise StripeAway


def fail(asks: Sequence[Ask], errors: Mapping[Ref, Exception], clock: Clock) -> None:
    """Write each object's error to its events."""
    for entry in asks:
        error = errors.get(entry.ref)
        if error is not None and entry.story:
            events = [told.event for told in entry.story.told]
            tell_failure(entry.ref.id, events, account=events[0].owner, error=error)
            metrics.mirror_failed.labels(kind=entry.ref.kind).inc()
            claim.settle_waiting(postponed(events, error, now=clock()))


def ask_rounds(
    asks: Sequence[Ask], *, account: StripeAccount, clock: Clock, how: How = nothing
) -> tuple[dict[Ref, Change], dict[Ref, Exception]]:
    """Ask and write; ask again about what was written by somebody else meanwhile."""
    changes: dict[Ref, Change] = {}
    errors: dict[Ref, Exception] = {}
    pending = list(asks)
    for _ in range(ROUNDS):
        done, failed = ask_once(pending, account=account, clock=clock, how=how)
        changes |= done
        errors |= failed
        pending = [replace(entry, snapshot=None) for entry in pending if done.get(entry.ref) is Change.STALE]
        if not pending:
            break
    claim.release(pk for entry in pending for pk in entry.pks)
    return changes, errors


def ask_once(
    asks: Sequence[Ask], *, account: StripeAccount, clock: Clock, how: How = nothing, later: Later | None = None
) -> tuple[dict[Ref, Change], dict[Ref, Exception]]:
    """Ask once, and write all answers in one transaction in which `how` settles the events of what was written."""
    owner = owner_id(account)
    answers = find_out(asks, account=account, owner=owner, clock=clock, later=later)
    ready = [entry for entry in asks if entry.ref not in answers.errors]
    with transaction.atomic():
        still = claim.still_waiting(pk for entry in ready for pk in entry.pks)
        held = hold({*answers.snapshots, *answers.bury, *answers.touched}, account=account)
        waiting = deaf(answers, held, owner=owner, now=clock())
        tables.bury(answers.bury - held.stored.keys(), owner_id=owner, livemode=account.livemode, now=clock())
        changes = write_held(
            held,
            [told_by(snapshot, asks, held) for ref, snapshot in answers.snapshots.items() if ref not in waiting],
            account=account,
            owner_id=owner,
            now=clock(),
            absent=frozenset(answers.absent),
            rows={ref: rows for ref, rows in answers.rows.items() if ref not in held.stored},
        ) | dict.fromkeys(waiting, Change.STALE)
        how([e.story for e in ready if e.story and settles(e, changes, still)], changes)
    return changes, answers.errors


def settles(entry: Ask, changes: Mapping[Ref, Change], still: Collection[int]) -> bool:
    return changes.get(entry.ref) is not Change.STALE and all(pk in still for pk in entry.pks)


def told_by(snapshot: Snapshot, asks: Sequence[Ask], held: Held) -> Snapshot:
    """Give a fetched state the events that led to it; parents are told of by the events of their children."""
    at = max((entry.story.newest.occurred_at for entry in asks if entry.story), default=None)
    return snapshot if snapshot.at else replace(snapshot, at=at)


def find_out(
    asks: Sequence[Ask], *, account: StripeAccount, owner: str | None, clock: Clock, later: Later | None = None
) -> Answers:
    """Fetch the objects, then, generation by generation, what they refer to and the mirror lacks."""
    answers = Answers({entry.ref: entry.snapshot for entry in asks if entry.snapshot})
    answers.given = set(answers.snapshots)
    wanted = [entry.ref for entry in asks if entry.snapshot is None]
    stories = {entry.ref: entry.story for entry in asks if entry.story}
    required: dict[Ref, bool] = {}
    for _ in range(GENERATIONS):
        take_in(fetch_all(wanted, account=account), answers, stories, required)
        missing = missing_references(answers, owner=owner, now=clock())
        if later and leave_for_later(missing, answers, later, owner=owner, now=clock()):
            missing = missing_references(answers, owner=owner, now=clock())
        required = {reference.ref: reference.required for reference in missing}
        wanted = list({*required, *untold(answers, stories)})
        if not wanted:
            break
    give_up_on_failed(answers, owner=owner, now=clock())
    return answers


def leave_for_later(
    missing: Sequence[Reference], answers: Answers, later: Later, *, owner: str | None, now: datetime
) -> bool:
    """Take out what refers, over whatever corners, to a missing object that is on its way; say whether anything did."""
    lacking = {reference.ref for reference in missing if reference.ref.kind in later.kinds}
    later.awaited |= {ref.kind for ref in lacking}
    left = bool(lacking)
    while lacking:
        waiting = {
            ref
            for ref, snapshot in answers.snapshots.items()
            if any(reference.ref in lacking for reference in references_of(snapshot, answers, owner, now))
        }
        for ref in waiting:
            del answers.snapshots[ref]
        lacking = waiting
    return left


def untold(answers: Answers, stories: Mapping[Ref, Story]) -> set[Ref]:
    """What the snapshots have changed in silence, which the mirror does not show and Stripe was not asked about."""
    touching = {ref: snapshot for ref, snapshot in answers.snapshots.items() if ref.kind in ECHOES}
    before = stored_of(touching)
    answers.told = {
        ref: echoes(ref, snapshot.data, before.get(ref), stories[ref].last_shown if ref in stories else None)
        for ref, snapshot in touching.items()
    }
    # A payload that only waits for its parents proves nothing against what another event of the batch says of it.
    others = answers.touched - (answers.known - answers.given)
    states = stored_of(others) | {ref: answers.snapshots[ref].data or {} for ref in answers.given & others}
    wanted = unheard((echo for each in answers.told.values() for echo in each), states) & others
    answers.given -= wanted
    return wanted


def deaf(answers: Answers, held: Held, *, owner: str | None, now: datetime) -> set[Ref]:
    """Those of the objects whose silent changes cannot be written now, because somebody else wrote there meanwhile;
    with the objects that cannot be written without them.
    """
    late = {ref for ref, snapshot in answers.snapshots.items() if not passes(held, snapshot)}
    found = {
        ref
        for ref, each in answers.told.items()
        if late.intersection(echo.ref for echo in each) or unheard(each, held.stored) - answers.known
    }
    while lacking := found - held.stored.keys():
        more = {
            ref
            for ref, snapshot in answers.snapshots.items()
            if ref not in found and any(other.ref in lacking for other in references_of(snapshot, answers, owner, now))
        }
        if not more:
            break
        found |= more
    return found


@dataclass(frozen=True)
class Answer:
    fetched: Fetched | Exception
    gate: Gate | None


def fetch_all(refs: Sequence[Ref], *, account: StripeAccount) -> dict[Ref, Answer]:
    """Ask Stripe; each answer stands beside the gate as it was before the question."""
    if not refs:
        return {}
    before = gates.read(refs, owner=account.name)
    return {ref: Answer(fetched, before.get(ref)) for ref, fetched in fetch_many(refs, account=account).items()}


def take_in(
    found: Mapping[Ref, Answer], answers: Answers, stories: Mapping[Ref, Story], required: Mapping[Ref, bool]
) -> None:
    for ref, answer in found.items():
        fetched = answer.fetched
        if isinstance(fetched, CannotBeAsked):
            take_events_word(ref, answer.gate, stories.get(ref), answers)
        elif isinstance(fetched, Exception):
            answers.errors[ref] = fetched
        elif fetched.data is None and ref in required:
            (answers.bury if required[ref] else answers.absent).add(ref)
        else:
            answers.take(ref, snapshot_of(fetched, answer.gate, stories.get(ref)))


def take_events_word(ref: Ref, gate: Gate | None, story: Story | None, answers: Answers) -> None:
    """Where Stripe answers no single object of a kind (a discount), the latest event has the last word."""
    word = story.told[-1].word if story else None
    if story is None or word is None:
        answers.absent.add(ref)
    elif word.says is Says.NOTHING or word.created < (gate.low if gate else 0):
        answers.errors[ref] = CannotBeAsked(f"Stripe answers no single {ref.kind}, and its event holds none.")
    else:
        data = None if word.data is None else dict(word.data)
        version = gate.version if gate else 0
        at = story.newest.occurred_at
        answers.take(ref, Snapshot(ref, data, word.created, word.created, expected_version=version, at=at, told=True))


def snapshot_of(fetched: Fetched, gate: Gate | None, story: Story | None) -> Snapshot:
    return Snapshot(
        fetched.ref,
        fetched.data,
        fetched.low,
        fetched.high,
        expected_version=gate.version if gate else 0,
        steps=story.steps(gate, until=fetched.high + 1) if story else (),
        at=story.newest.occurred_at if story else None,
        told=story.says(fetched.data) if story else False,
    )


def missing_references(answers: Answers, *, owner: str | None, now: datetime) -> list[Reference]:
    """What the snapshots refer to that is neither mirrored, nor among them, nor known to be gone or out of reach."""
    wanted = references_lacking(answers, owner=owner, now=now)
    gone = {ref for ref, snapshot in answers.snapshots.items() if snapshot.data is None}
    for ref in wanted.keys() & gone:
        (answers.bury if wanted[ref].required else answers.absent).add(ref)
    return [reference for ref, reference in wanted.items() if ref not in gone]


def references_lacking(answers: Answers, *, owner: str | None, now: datetime) -> dict[Ref, Reference]:
    living = {ref for ref, snapshot in answers.snapshots.items() if snapshot.data is not None}
    known = (answers.known - answers.snapshots.keys()) | living
    wanted: dict[Ref, Reference] = {}
    for snapshot in answers.snapshots.values():
        for reference in references_of(snapshot, answers, owner, now):
            if reference.ref not in known and (reference.required or reference.ref not in wanted):
                wanted[reference.ref] = reference
    there = tables.existing(wanted)
    return {ref: reference for ref, reference in wanted.items() if ref not in there}


def references_of(snapshot: Snapshot, answers: Answers, owner: str | None, now: datetime) -> Collection[Reference]:
    if snapshot.data is None:
        return ()
    if snapshot.ref not in answers.rows:
        answers.rows[snapshot.ref] = own_rows(snapshot.ref, snapshot.data, None, owner, now)
    return references(answers.rows[snapshot.ref])


def parents_missing(rows: Mapping[Ref, Sequence[TableRow]], *, waiting: Collection[Ref] = ()) -> set[Ref]:
    """Which of these objects cannot be written yet because they refer to what the mirror lacks, or to one that must
    wait; with those that must wait. One statement.
    """
    needs = {ref: {reference.ref for reference in references(object_rows)} for ref, object_rows in rows.items()}
    outside = {ref for refs in needs.values() for ref in refs if ref not in rows}
    lacking = (outside - tables.existing(outside)) | set(waiting)
    while more := {ref for ref, refs in needs.items() if ref not in lacking and refs & lacking}:
        lacking |= more  # what refers to one that must wait must wait with it
    return lacking & {*needs, *waiting}


def give_up_on_failed(answers: Answers, *, owner: str | None, now: datetime) -> None:
    """What refers to an object that Stripe would not tell of, or has changed it in silence, fails with it."""
    while answers.errors:
        for ref, snapshot in list(answers.snapshots.items()):
            named = {reference.ref for reference in references_of(snapshot, answers, owner, now)}
            named |= {echo.ref for echo in answers.told.get(ref, ())}
            failed = next((other for other in named if other in answers.errors), None)
            if failed:
                answers.errors[ref] = answers.errors[failed]
                del answers.snapshots[ref]
                answers.told.pop(ref, None)
                break
        else:
            return
