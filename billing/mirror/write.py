"""States of objects into the mirror's tables, many at once, in one transaction, each through its gate.

Nothing here calls Stripe. Gates are locked first and in one order, so no two workers wait for each other in a circle;
a state that is not surely newer than what the mirror holds is left out, and the caller asks Stripe again.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Any

from django.db import transaction

from billing.mirror import gates, readmodel, signals, silence, tables
from billing.mirror.columns import CHILDREN, TableRow, changed_in, children_of, departed, rows_of, same_inside, without
from billing.mirror.gate import Gate, may_write
from billing.mirror.kinds import Ref, kind_for
from billing.mirror.subscribers import point_to_subscribers
from billing.reactions import Changed, Step, react
from billing.stripe_accounts import StripeAccount

Data = dict[str, Any]

NEVER_WRITTEN = Gate(low=-1, high=-1, version=0)


class Change(Enum):
    """What became of one object's row."""

    CREATED = "created"  # it was not in the mirror
    UPDATED = "updated"
    UNCHANGED = "unchanged"  # the row says the same already
    DELETED = "deleted"  # Stripe has it no more: the row stays, marked
    ABSENT = "absent"  # neither Stripe nor the mirror has it
    STALE = "stale"  # the mirror moved on meanwhile: nothing written, Stripe must be asked again
    REFUSED = "refused"  # the row belongs to another Stripe account, or the tables have no place for the object


@dataclass(frozen=True)
class Snapshot:
    """What Stripe said of one object, and when: at some second between `low` and `high` of Stripe's time."""

    ref: Ref
    data: Data | None  # None: Stripe has it no more
    low: int
    high: int
    expected_version: int | None = None  # of its gate, read before Stripe was asked
    steps: tuple[Step, ...] = ()  # states on the way to this one, in order: they are news, but not written
    at: datetime | None = None  # when an event said so; None when nobody announced it
    # Whether a payload's seconds can be compared with those of answers, and an answer's with those of payloads: in test
    # mode a payload may be of a test clock's time.
    timely: bool = True
    told: bool = False  # whether an event that is settled with it says just this: who waits for a state hears of that


@dataclass(frozen=True)
class Held:
    """Objects whose gates this transaction holds, and what their rows say."""

    gates: Mapping[Ref, Gate | None]
    stored: Mapping[Ref, Data]
    livemode: bool | None = None  # of the account's key
    found: dict[Ref, frozenset[str]] = field(default_factory=dict)  # what `changed` has found out

    def changed(self, ref: Ref, data: Data) -> frozenset[str]:
        """The names under which an object's new state, of which there is one, differs from its row: compared once."""
        if ref not in self.found:
            self.found[ref] = changed_in(self.stored.get(ref, {}), data)
        return self.found[ref]


def write_now(
    snapshots: Sequence[Snapshot], *, account: StripeAccount, owner_id: str | None, now: datetime
) -> dict[Ref, Change]:
    """Write what was listed or fetched; say for each object what that changed.

    What is unchanged costs no write at all, not even of its gate. Their parents must be there.
    """
    stored = stored_of((snapshot.ref for snapshot in snapshots), livemode=account.livemode)
    differing = [snapshot for snapshot in snapshots if differs(snapshot, stored.get(snapshot.ref))]
    changes = {snapshot.ref: Change.UNCHANGED for snapshot in snapshots}
    if differing:
        with transaction.atomic():
            held = hold((snapshot.ref for snapshot in differing), account=account)
            changes |= write_held(held, differing, account=account, owner_id=owner_id, now=now)
    return changes


def differs(snapshot: Snapshot, stored: Data | None) -> bool:
    if snapshot.data is None:
        return stored is None or not stored.get("deleted")
    return snapshot.data != stored


def hold(refs: Iterable[Ref], *, account: StripeAccount) -> Held:
    """Lock the objects' gates until the transaction ends, and read their rows."""
    refs = set(refs)
    mode = account.livemode
    return Held(gates.lock(refs, owner=account.name), stored_of(refs, livemode=mode), mode)


def stored_of(refs: Iterable[Ref], *, livemode: bool | None = None) -> dict[Ref, Data]:
    """What the mirror's rows say: one statement for each kind. Coupons of both modes may have the same id."""
    found: dict[Ref, Data] = {}
    for kind, ids in by_kind(refs).items():
        found |= {
            Ref(kind, object_id): data
            for object_id, data in tables.read(kind_for(kind), ids, livemode=livemode).items()
        }
    return found


def by_kind(refs: Iterable[Ref]) -> dict[str, list[str]]:
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for ref in refs:
        ids[ref.kind].append(ref.id)
    return dict(ids)


def write_held(
    held: Held,
    snapshots: Sequence[Snapshot],
    *,
    account: StripeAccount,
    owner_id: str | None,
    now: datetime,
    absent: frozenset[Ref] = frozenset(),
    rows: Mapping[Ref, list[TableRow]] | None = None,
) -> dict[Ref, Change]:
    """Write through gates that the caller's transaction holds. `absent` are references to leave empty.

    `rows` are those of the caller's snapshots, as far as the caller has made them already.
    """
    passed = [snapshot for snapshot in snapshots if passes(held, snapshot)]
    fresh = {snapshot.ref for snapshot in passed}
    made = rows or {}
    new = {s.ref: s.data for s in passed if s.data is not None and held.changed(s.ref, s.data)}
    make = partial(own_rows, held=held, owner_id=owner_id, livemode=account.livemode, now=now)
    flat = [row for ref, data in new.items() for row in made.get(ref) or make(ref, data)]
    refused = tables.write(without(flat, set(absent)) if absent else flat)
    customers = [data for ref, data in new.items() if ref.kind == "customer"]
    point_to_subscribers(customers, account=account, now=now)
    mark_departed(new, held, owner_id=owner_id, now=now)
    gone = mark_gone([s.ref for s in passed if s.data is None], held, owner_id=owner_id, now=now)
    mark_inside(gone, held, owner_id=owner_id, now=now)
    after = {ref: data for ref, data in (new | gone).items() if ref.id not in refused}
    changes = {s.ref: describe(s, held, after, refused) if s.ref in fresh else Change.STALE for s in snapshots}
    written = [s for s in passed if changes[s.ref] is not Change.REFUSED]
    gates.advance(((s.ref, s.low, s.high, s.data is None) for s in written), owner=account.name)
    follow_up(written, held, after, account=account, now=now)
    return changes


def own_rows(
    ref: Ref, data: Data, *, held: Held | None = None, owner_id: str | None, livemode: bool, now: datetime
) -> list[TableRow]:
    """The rows of an object: its own first, then those of what stands inside it, as far as that has changed."""
    kind, before = kind_for(ref.kind), held.stored.get(ref) if held else None
    stands = held is not None and before is not None and same_inside(kind, held.changed(ref, data))
    return rows_of(kind, data, owner_id=owner_id, livemode=livemode, now=now, before=before, inside_stands=stands)


def passes(held: Held, snapshot: Snapshot) -> bool:
    """Whether nothing was written meanwhile that may be newer: a payload may have waited for its parents, too."""
    gate = held.gates.get(snapshot.ref) or NEVER_WRITTEN
    of_one_time = snapshot.timely or gate.asked == (snapshot.low != snapshot.high)
    return may_write(gate, low=snapshot.low, expected_version=snapshot.expected_version, of_one_time=of_one_time)


def mark_departed(new: Mapping[Ref, Data], held: Held, *, owner_id: str | None, now: datetime) -> None:
    """Mark what stood inside an object and does so no more, a removed item of a subscription for one."""
    left = [
        child
        for ref in new.keys() & held.stored.keys()
        if not same_inside(kind_for(ref.kind), held.changed(ref, new[ref]))
        for child in departed(kind_for(ref.kind), held.stored[ref], new[ref])
    ]
    for kind, ids in by_kind(left).items():
        tables.mark_gone(kind_for(kind), ids, owner_id=owner_id, livemode=held.livemode, now=now)


def mark_gone(refs: Iterable[Ref], held: Held, *, owner_id: str | None, now: datetime) -> dict[Ref, Data]:
    """Mark the rows of objects that Stripe has no more; return what the rows say that are marked by now.

    Nothing is deleted: invoices go on pointing to prices, and whoever reads old rows still finds the names.
    """
    gone: dict[Ref, Data] = {}
    for kind, ids in by_kind(ref for ref in refs if ref in held.stored).items():
        marked = tables.mark_gone(kind_for(kind), ids, owner_id=owner_id, livemode=held.livemode, now=now)
        for ref in (Ref(kind, object_id) for object_id in marked):
            gone[ref] = held.stored[ref] | tables.what_gone_means(kind)
    return gone


def mark_inside(gone: Iterable[Ref], held: Held, *, owner_id: str | None, now: datetime) -> None:
    """What stood in an object that is gone is gone with it, but for what has events of its own."""
    inside = [
        Ref(child.name, data["id"])
        for ref in gone
        if ref.kind in CHILDREN and not CHILDREN[ref.kind].live_alone
        for child, data in children_of(kind_for(ref.kind), held.stored[ref])
    ]
    for kind, ids in by_kind(inside).items():
        tables.mark_gone(kind_for(kind), ids, owner_id=owner_id, livemode=held.livemode, now=now)


def describe(snapshot: Snapshot, held: Held, after: Mapping[Ref, Data], refused: Collection[str]) -> Change:
    ref, before = snapshot.ref, held.stored.get(snapshot.ref)
    if ref in after:
        if snapshot.data is None:
            return Change.DELETED
        return Change.CREATED if before is None else Change.UPDATED
    if ref.id in refused:
        return Change.REFUSED
    if before is None:
        return Change.ABSENT
    if snapshot.data is None and not before.get("deleted"):
        return Change.REFUSED  # a key of another account finds none of our objects: nothing was deleted
    return Change.UNCHANGED


def follow_up(
    written: Sequence[Snapshot], held: Held, after: Mapping[Ref, Data], *, account: StripeAccount, now: datetime
) -> None:
    """What stands in other tables because of these objects: the read model, then orders and news."""
    changed = [snapshot for snapshot in written if snapshot.ref in after]
    for kind, ids in by_kind(s.ref for s in changed if read_anew(s, held)).items():
        readmodel.update(kind, [after[Ref(kind, object_id)] for object_id in ids], now=now)
    silent = [snapshot.ref.id for snapshot in changed if not snapshot.told]
    silence.note(silent, owner=account.name, livemode=account.livemode)
    signals.after_write([(snapshot.ref, snapshot.ref not in held.stored) for snapshot in changed])
    react([Changed(s.ref.kind, held.stored.get(s.ref), after[s.ref], s.steps, s.at) for s in changed], now=now)


def read_anew(snapshot: Snapshot, held: Held) -> bool:
    """Whether what the read model reads of an object differs from what it had read."""
    ref, data = snapshot.ref, snapshot.data
    return data is None or ref not in held.stored or readmodel.reads(ref.kind, held.changed(ref, data))
