"""What must be known before objects can be written: how they stand at Stripe, and what they refer to.

Stripe is asked with no transaction open, generation by generation of parents; what comes along with another answer, or
by one list with others, is not asked for alone.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from billing.mirror import gates, tables
from billing.mirror.columns import Reference, TableRow, references
from billing.mirror.echoes import Echo, unheard
from billing.mirror.fetch import CannotBeAsked, Fetched, as_there, fetch_many
from billing.mirror.gate import Gate, Says
from billing.mirror.kinds import Ref
from billing.mirror.together import fetch_together
from billing.mirror.touched import is_nobodys, leans_on, may_touch, orphaned, touched
from billing.mirror.words import Story
from billing.mirror.write import Snapshot, own_rows, stored_of
from billing.stripe_accounts import StripeAccount

# Stripe keeps a stub of these: what names one that is gone names it in the mirror too, whichever of both came first.
LEAVES_A_STUB = frozenset({"customer"})
GENERATIONS = 12  # of parents: longer than any chain of references between Stripe's objects

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Ask:
    """One object to ask Stripe about, for the sake of its waiting events or (without a story) of a person."""

    ref: Ref
    story: Story | None = None
    snapshot: Snapshot | None = None  # known already: only objects that it refers to are missing
    at: datetime | None = None  # when a person saw that something has happened: makes news of it without an event

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
    spare: dict[Ref, Fetched] = field(default_factory=dict)  # what came along with other answers, and may be needed
    livemode: bool = False  # of the key that was asked with

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

    def leave_out(self, reference: Reference) -> None:
        """What is referred to is gone: it gets a tombstone, or the reference stays empty."""
        buried = reference.required or reference.ref.kind in LEAVES_A_STUB
        (self.bury if buried else self.absent).add(reference.ref)


def find_out(
    asks: Sequence[Ask], *, account: StripeAccount, owner: str | None, clock: Clock, later: Later | None = None
) -> Answers:
    """Fetch the objects, then, generation by generation, what they refer to and the mirror lacks."""
    answers = Answers({entry.ref: entry.snapshot for entry in asks if entry.snapshot}, livemode=account.livemode)
    answers.given = set(answers.snapshots)
    wanted = [entry.ref for entry in asks if entry.snapshot is None]
    stories = {entry.ref: entry.story for entry in asks if entry.story}
    made = {ref: second for ref, story in stories.items() if (second := made_at(story.last_shown)) is not None}
    required: dict[Ref, bool] = {}
    for _ in range(GENERATIONS):
        take_in(fetch_all(wanted, made, answers.spare, account=account), answers, stories, required)
        missing = missing_references(answers, owner=owner, now=clock())
        if later and leave_for_later(missing, answers, later, owner=owner, now=clock()):
            missing = missing_references(answers, owner=owner, now=clock())
        required = {reference.ref: reference.required for reference in missing}
        doubtful = left_alone(answers, account=account, owner=owner, now=clock())
        wanted = list({*required, *doubtful, *untold(answers, stories, livemode=account.livemode)})
        if not wanted:
            break
        made = made_about(wanted, answers, owner=owner, now=clock())
    give_up_on_failed(answers, owner=owner, now=clock())
    return answers


def left_alone(answers: Answers, *, account: StripeAccount, owner: str | None, now: datetime) -> set[Ref]:
    """What an event told, and what refers to an object that is gone: a test clock may have taken both along."""
    if account.livemode:
        return set()
    needs = {
        ref: leans_on(ref, snapshot.data, (each.ref for each in references_of(snapshot, answers, owner, now)))
        for ref, snapshot in answers.snapshots.items()
        if snapshot.told and snapshot.data is not None and ref in answers.given
    }
    gone = {ref for ref, snapshot in answers.snapshots.items() if snapshot.data is None}
    found = orphaned(needs, gone | answers.bury | answers.absent, owner=account.name) if needs else set()
    found |= {ref for ref in needs if is_nobodys(ref, answers.snapshots[ref].data or {})}
    answers.given -= found
    return found


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


def untold(answers: Answers, stories: Mapping[Ref, Story], *, livemode: bool) -> set[Ref]:
    """What the snapshots have changed in silence, which the mirror does not show and Stripe was not asked about."""
    touching = {ref: snapshot for ref, snapshot in answers.snapshots.items() if may_touch(ref, snapshot.data)}
    before = stored_of(touching)
    answers.told = {
        ref: touched(ref, snapshot.data, before.get(ref), shown(ref, stories), livemode=livemode)
        for ref, snapshot in touching.items()
    }
    # A payload that only waits for its parents proves nothing against what another event of the batch says of it.
    others = answers.touched - (answers.known - answers.given)
    states = stored_of(others) | {ref: answers.snapshots[ref].data or {} for ref in answers.given & others}
    wanted = unheard((echo for each in answers.told.values() for echo in each), states) & others
    answers.given -= wanted
    return wanted


def shown(ref: Ref, stories: Mapping[Ref, Story]) -> Mapping[str, Any] | None:
    return stories[ref].last_shown if ref in stories else None


@dataclass(frozen=True)
class Answer:
    fetched: Fetched | Exception
    gate: Gate | None


def fetch_all(
    refs: Sequence[Ref], made: Mapping[Ref, int], spare: dict[Ref, Fetched], *, account: StripeAccount
) -> dict[Ref, Answer]:
    """Ask Stripe; each answer stands beside the gate as it was before the question.

    `made`: about when objects were made, where that is known: many of one time are asked for together. What came along
    with an earlier answer is not asked for; what comes along now is added to `spare`.
    """
    if not refs:
        return {}
    before = gates.read(refs, owner=account.name)
    at_hand = {ref: spare[ref] for ref in refs if ref in spare and ref not in before}  # nor was there a gate when asked
    asked = [ref for ref in refs if ref not in at_hand]
    listed = fetch_together(asked, made, account=account)
    left = [ref for ref in asked if ref not in listed]
    found: dict[Ref, Fetched | Exception] = {**listed, **(fetch_many(left, account=account) if left else {})}
    spare |= {
        ref: Fetched(ref, as_there(data), fetched.low, fetched.high)
        for fetched in found.values()
        if isinstance(fetched, Fetched)
        for ref, data in fetched.inner
    }
    return {ref: Answer(fetched, before.get(ref)) for ref, fetched in (found | at_hand).items()}


def made_at(data: Mapping[str, object] | None) -> int | None:
    second = (data or {}).get("created")
    return second if type(second) is int else None


def made_about(refs: Collection[Ref], answers: Answers, *, owner: str | None, now: datetime) -> dict[Ref, int]:
    """About when these objects were made: with what refers to them, or has changed them in silence."""
    wanted, made = set(refs), dict[Ref, int]()
    for ref, snapshot in answers.snapshots.items():
        second = made_at(snapshot.data)
        if second is not None:
            named = {reference.ref for reference in references_of(snapshot, answers, owner, now)}
            named |= {echo.ref for echo in answers.told.get(ref, ())}
            made |= dict.fromkeys(named & wanted, second)
    return made


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
            answers.leave_out(Reference(ref, required[ref]))
        else:
            snapshot = snapshot_of(fetched, answer.gate, stories.get(ref))
            answers.take(ref, replace(snapshot, timely=answers.livemode))


def take_events_word(ref: Ref, gate: Gate | None, story: Story | None, answers: Answers) -> None:
    """Where Stripe answers no single object of a kind (a discount), the latest event has the last word, in whatever API
    version, and though it shows but the beginning of a list. Of several in one second an end is the latest: the ids of
    such objects are given once.
    """
    if story is None:
        answers.absent.add(ref)
        return
    word, shown = story.told[-1].word, story.last_shown
    if has_ended(word.created, gate, story):
        word = replace(word, says=Says.GONE)
    if (shown is None and word.says is not Says.GONE) or word.created < (gate.low if gate else 0):
        answers.errors[ref] = CannotBeAsked(f"Stripe answers no single {ref.kind}, and its event holds none.")
    else:
        data = None if shown is None or word.says is Says.GONE or shown.get("deleted") else shown
        version = gate.version if gate else 0
        at = story.newest.occurred_at
        told = Snapshot(ref, data, word.created, word.created, expected_version=version, at=at, told=True)
        answers.take(ref, replace(told, timely=word.timely))


def has_ended(second: int, gate: Gate | None, story: Story) -> bool:
    """Whether an event of this second tells of the object's end, be it one that was mirrored before."""
    if gate and gate.gone and gate.low == gate.high == second:
        return True
    return any(word.says is Says.GONE for word in story.words if word.created == second)


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
        answers.leave_out(wanted[ref])
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
        mode = answers.livemode
        answers.rows[snapshot.ref] = own_rows(snapshot.ref, snapshot.data, owner_id=owner, livemode=mode, now=now)
    return references(answers.rows[snapshot.ref])


def needs_of(rows: Mapping[Ref, Sequence[TableRow]]) -> dict[Ref, set[Ref]]:
    """What the rows of each object refer to."""
    return {ref: {reference.ref for reference in references(object_rows)} for ref, object_rows in rows.items()}


def parents_missing(needs: Mapping[Ref, set[Ref]], *, waiting: Collection[Ref] = ()) -> set[Ref]:
    """Which of these objects cannot be written yet because they refer to what the mirror lacks, or to one that must
    wait; with those that must wait. `needs` are from `needs_of`. One statement.
    """
    outside = {ref for refs in needs.values() for ref in refs if ref not in needs}
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
