"""One listed page into the mirror: compared with its rows in one statement; only what differs is looked at again."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from billing.mirror import asking, tables
from billing.mirror.columns import children_of, layout_for
from billing.mirror.compare import Difference, differences
from billing.mirror.drift import living, look
from billing.mirror.fetch import Listed, as_fetched, as_there, complete, short_lists
from billing.mirror.history import ListedParent
from billing.mirror.inquiry import Later
from billing.mirror.kinds import Kind, Ref, kind_for
from billing.mirror.listing import ALONG, NESTED, NESTED_KINDS, OPEN_ONLY, PARTIAL
from billing.mirror.resync_parts import BRINGERS, parent_column, rows_of, summaries_of
from billing.mirror.touched import points_to
from billing.mirror.write import Change, Snapshot, differs, stored_of
from billing.stripe_accounts import StripeAccount
from billing.stripe_reading import Answer

MOST_COMPARED = 5000  # objects that are kept in memory, about five kilobytes each

Clock = Callable[[], datetime]
Data = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """What of the mirror a page should have listed: `created` after one second and until another (Unix seconds, the
    latter included), or the children of some parents, or what a customer has, or a test clock."""

    after: int | None = None
    until: int | None = None
    parents: tuple[str, ...] = ()
    customer: str = ""
    clock: str = ""


@dataclass(frozen=True)
class Heard:
    """What a parent's own list brought: the children's ids in order, and the second of Stripe's time (Unix) as of which
    that was so."""

    children: tuple[str, ...]
    at: int


@dataclass(frozen=True)
class Page:
    """Objects as they were listed, nested lists complete; and what the mirror should not have beside them."""

    kind: Kind
    objects: tuple[Answer, ...]
    window: Window | None
    carried: frozenset[str] = frozenset()  # listed on the page before, and of the window's last second
    heard: Mapping[str, Heard] = field(default_factory=dict)  # of each parent, where it is listed parent by parent


@dataclass
class Settled:
    """What became of a page's objects, and (when only checking) in what they differ."""

    changes: dict[Ref, Change] = field(default_factory=dict)
    differing: dict[Ref, list[Difference]] = field(default_factory=dict)
    rest: list[Snapshot] = field(default_factory=list)  # still to be written: the page's own, and what they brought
    own: frozenset[Ref] = frozenset()  # those of the rest that are the page's own
    along: frozenset[Ref] = frozenset()  # what came along with the page's objects, whole
    heard: Mapping[str, Heard] = field(default_factory=dict)


def settle(
    page: Page, *, compared: dict[Ref, Data], check: bool, account: StripeAccount, clock: Clock, how: asking.How
) -> Settled:
    """Find what differs, to be written by `write_rest`; what was not listed is asked about at once.

    `compared` is what came along before and was as the mirror has it: many payments are made with one card. `how` is
    called in each transaction that writes. With `check` nothing is written, and all is said.
    """
    own = [Ref(page.kind.name, answer.data["id"]) for answer in page.objects]
    different, along = differing_in(page, compared)
    unlisted = unlisted_rows(page, account=account)
    if check:
        return checked(page, own, different, unlisted, account=account, how=how)
    same = {ref: Change.UNCHANGED for ref in own if ref not in different}
    ended = [snapshot for ref in unlisted if (snapshot := end_of(ref, page))]
    asked = [ref for ref in unlisted if can_be_asked(ref)]
    gone = refreshed(asked, account=account, clock=clock, how=how)
    own_rest = frozenset(own).intersection(different) | {snapshot.ref for snapshot in ended}
    changes = {**same, **{ref: gone[ref] for ref in asked if ref.kind == page.kind.name}}
    return Settled(changes, rest=[*different.values(), *ended], own=own_rest, along=along, heard=page.heard)


def can_be_asked(ref: Ref) -> bool:
    return kind_for(ref.kind).fetchable


def end_of(ref: Ref, page: Page) -> Snapshot | None:
    """What an object is that was not listed and that Stripe answers nowhere else (a product's feature): gone."""
    if can_be_asked(ref) or not page.heard:
        return None
    at = min(heard.at for heard in page.heard.values())
    return Snapshot(ref, None, at, at)


def differing_in(page: Page, compared: dict[Ref, Data]) -> tuple[dict[Ref, Snapshot], frozenset[Ref]]:
    """What of the page, and of what its objects brought along, differs from the mirror; and all that they brought.

    Nearly always nothing does: so the mirror's rows are first compared with what was listed as it is, and only objects
    that differ are taken apart.
    """
    plain = [parted(page.kind, answer.data) for answer in page.objects]
    own = [Ref(page.kind.name, data["id"]) for data, _ in plain]
    along = {ref: data for _, brought in plain for ref, data in brought.items()}
    fresh = {ref: data for ref, data in along.items() if compared.get(ref) != data}
    stored = stored_of({*own, *fresh})
    differing = {ref for ref, data in fresh.items() if stored.get(ref) != data}
    note_compared(fresh, compared, but=differing)
    suspects = [
        answer
        for answer, ref, (data, brought) in zip(page.objects, own, plain, strict=True)
        if data != stored.get(ref) or not differing.isdisjoint(brought)
    ]
    if not suspects:
        return {}, frozenset(along)
    snapshots = {snapshot.ref: snapshot for snapshot in snapshots_of(page.kind, suspects)}
    stored |= stored_of(snapshots.keys() - stored.keys())
    different = {ref: snapshot for ref, snapshot in snapshots.items() if differs(snapshot, stored.get(ref))}
    return different, frozenset(along)


def note_compared(fresh: Mapping[Ref, Data], compared: dict[Ref, Data], *, but: Collection[Ref]) -> None:
    """Remember what may come along again: payment methods, while each balance transaction has one charge."""
    if len(compared) > MOST_COMPARED:
        compared.clear()
    compared |= {ref: data for ref, data in fresh.items() if ref.kind in BRINGERS and ref not in but}


def parted(kind: Kind, data: Data) -> tuple[Data, dict[Ref, Data]]:
    """The object without what was asked for beside it, and that: quickly, from where it must be."""
    plain, brought = without_nested(kind, data), dict(nested_in(kind, data))
    for path in asked_along(kind):
        above, _, name = path.rpartition(".")
        holder = plain.get(above) if above else plain
        value = holder.get(name) if holder else None
        if isinstance(value, dict):
            brought[Ref(value["object"], value["id"])] = value
            shut = {**(holder or {}), name: value["id"]}
            plain = {**plain, above: shut} if above else shut
    return plain, brought


def asked_along(kind: Kind) -> tuple[str, ...]:
    """The paths of the references that a list of this kind brings along whole."""
    return (*kind.spares, *ALONG.get(kind.name, ()))


def nested_in(kind: Kind, data: Data) -> Iterator[tuple[Ref, Data]]:
    """What stands in lists that were asked for to spare calls (a customer's tax ids)."""
    for name in NESTED.get(kind.name, ()):
        for child in (data.get(name) or {}).get("data", ()):
            yield Ref(child["object"], child["id"]), child


def without_nested(kind: Kind, data: Data) -> Data:
    nested = NESTED.get(kind.name)
    return {key: value for key, value in data.items() if key not in nested} if nested else data


def taken(kind: Kind, page: Listed, objects: Sequence[Data], *, account: StripeAccount) -> tuple[Answer, ...]:
    """The objects of a page, with whatever nested lists left out: Stripe is asked for it."""
    return tuple(complete_in(kind, Answer(data, page.low, page.high), account=account) for data in objects)


def complete_in(kind: Kind, answer: Answer, *, account: StripeAccount) -> Answer:
    answer = complete(kind, answer, account=account)
    for path in asked_along(kind):
        value = answer.data.get(path)  # what is brought along from deeper inside (payment methods) has no lists
        if isinstance(value, dict) and short_lists(value):
            whole = complete(kind_for(value["object"]), Answer(value, answer.low, answer.high), account=account)
            answer = Answer({**answer.data, path: whole.data}, whole.low, whole.high)
    return answer


def snapshots_of(kind: Kind, answers: Sequence[Answer]) -> Iterator[Snapshot]:
    """The objects and what they brought along; where both have an object, its own place in the list counts."""
    own = []
    for answer in answers:
        fetched = as_fetched(kind, replace(answer, data=without_nested(kind, answer.data)))
        own.append(Snapshot(fetched.ref, fetched.data, fetched.low, fetched.high))
        for ref, data in (*fetched.inner, *nested_in(kind, answer.data)):
            yield Snapshot(ref, as_there(data), answer.low, answer.high)
    yield from own


def write_rest(settled: Settled, *, account: StripeAccount, clock: Clock, later: Later, how: asking.How) -> None:
    """Write what differs, but for what must wait. Events that come meanwhile win: Stripe is asked again."""
    changes = written(settled.rest, account=account, clock=clock, later=later, how=how)
    settled.changes |= {ref: change for ref, change in changes.items() if ref in settled.own}
    settled.rest = [snapshot for snapshot in settled.rest if snapshot.ref not in changes]


def written(
    different: Sequence[Snapshot], *, account: StripeAccount, clock: Clock, later: Later, how: asking.How
) -> dict[Ref, Change]:
    changes = asking.write_with_parents(different, account=account, clock=clock, later=later, how=how)
    passed_by = [snapshot for snapshot in different if changes.get(snapshot.ref) is Change.STALE]
    if not passed_by:
        return changes
    stored = stored_of(snapshot.ref for snapshot in passed_by)  # often another list has brought the very same along
    changes |= {snapshot.ref: Change.UNCHANGED for snapshot in passed_by}
    differing = [snapshot.ref for snapshot in passed_by if differs(snapshot, stored.get(snapshot.ref))]
    stale = [ref for ref in differing if can_be_asked(ref)]  # of others the next list tells
    return changes | (asking.refresh(stale, account=account, clock=clock, how=how) if stale else {})


def refreshed(unlisted: Sequence[Ref], *, account: StripeAccount, clock: Clock, how: asking.How) -> dict[Ref, Change]:
    """Ask about rows that were not listed; what Stripe has all the same, and as we have it, costs no write."""
    changes = dict.fromkeys(unlisted, Change.UNCHANGED)
    if unlisted:
        found = look(unlisted, account=account, looks=1)
        for error in found.errors.values():
            raise error
        changed = [*found.differing, *found.unsettled]
        changes |= asking.refresh(changed, account=account, clock=clock, how=how) if changed else {}
    return changes


def checked(
    page: Page,
    own: Collection[Ref],
    different: Mapping[Ref, Snapshot],
    unlisted: Sequence[Ref],
    *,
    account: StripeAccount,
    how: asking.How,
) -> Settled:
    """Look closer at what seems to differ: it may have changed meanwhile, or its event may be on its way.

    What stands inside the page's objects is counted for its own kind, as it is when it is written.
    """
    suspects = [*set(different).intersection(own), *unlisted]
    found = look([ref for ref in suspects if can_be_asked(ref)], account=account)
    for error in found.errors.values():
        raise error
    found.differing |= differing_lists([ref for ref in suspects if not can_be_asked(ref)], different, account)
    changes = {ref: change_of(found.differing.get(ref)) for ref in own}
    changes |= {ref: change_of(found.differing[ref]) for ref in unlisted if ref in found.differing}
    inside = {ref: change for ref, change in changes.items() if ref.kind != page.kind.name}
    how([], inside)
    return Settled({ref: changes[ref] for ref in changes.keys() - inside.keys()}, differing=found.differing)


def differing_lists(
    refs: Sequence[Ref], listed: Mapping[Ref, Snapshot], account: StripeAccount
) -> dict[Ref, list[Difference]]:
    """In what objects differ that Stripe answers in lists alone."""
    stored = stored_of(refs, livemode=account.livemode) if refs else {}
    found = {}
    for ref in refs:
        theirs = listed[ref].data if ref in listed else None
        found[ref] = differences(ref.kind, living(stored.get(ref)), theirs)
    return {ref: each for ref, each in found.items() if each}


def change_of(found: Sequence[Difference] | None) -> Change:
    """What a resync would do about it."""
    if not found:
        return Change.UNCHANGED
    if found[0].path == "":
        return Change.CREATED if found[0].ours is None else Change.DELETED
    return Change.UPDATED


def unlisted_rows(page: Page, *, account: StripeAccount) -> list[Ref]:
    """Objects of the mirror that the page should have listed and did not: perhaps Stripe has them no more."""
    return [*unlisted_themselves(page, account=account), *unlisted_inside(page, account=account)]


def unlisted_inside(page: Page, *, account: StripeAccount) -> list[Ref]:
    """Those that should have stood in the lists inside the page's objects (a customer's tax ids)."""
    owners = tuple(answer.data["id"] for answer in page.objects)
    inside = [Answer(data, 0, 0) for answer in page.objects for _, data in nested_in(page.kind, answer.data)]
    return [
        ref
        for name in (NESTED_KINDS[key] for key in NESTED.get(page.kind.name, ()))
        for ref in unlisted_themselves(Page(kind_for(name), tuple(inside), Window(parents=owners)), account=account)
    ]


def unlisted_themselves(page: Page, *, account: StripeAccount) -> list[Ref]:
    if page.window is None or page.kind.name in PARTIAL:
        return []
    condition, params = rows_in(page.kind, page.window)
    if not condition:
        return unlisted_heard(page, page.window, account=account)
    rows, more = rows_of(page.kind, account)
    listed = [*(answer.data["id"] for answer in page.objects), *page.carried]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {rows} AND {condition} AND NOT id = ANY(%(listed)s)",  # noqa: S608
            {**params, **more, "listed": listed},
        )
        ids = [object_id for (object_id,) in cursor.fetchall()]
    held = tables.read(page.kind, ids, livemode=account.livemode) if ids else {}
    clocked = customers_by_clock(held.values(), account)
    return [Ref(page.kind.name, object_id) for object_id, data in held.items() if listed_here(data, page, clocked)]


def unlisted_heard(page: Page, window: Window, *, account: StripeAccount) -> list[Ref]:
    """Of a kind whose rows do not say whose they are (an entitlement): what the parents' lists had brought before, or
    what the parents' own summaries show.
    """
    before = ListedParent.objects.filter(owner=account.name, kind=page.kind.name, parent__in=window.parents)
    known = {child for children in before.values_list("children", flat=True) for child in children}
    for kind in summaries_of(page.kind):
        for data in tables.read(kind, window.parents, livemode=account.livemode).values():
            known |= {one["id"] for _, one in children_of(kind, data)}
    lacking = known - {answer.data["id"] for answer in page.objects}
    held = tables.read(page.kind, sorted(lacking), livemode=account.livemode) if lacking else {}
    return [Ref(page.kind.name, object_id) for object_id, data in held.items() if not data.get("deleted")]


def rows_in(kind: Kind, window: Window) -> tuple[str, dict[str, Any]]:
    """The window as an SQL condition; empty where the table cannot tell."""
    columns = {column.name: column for column in layout_for(kind).columns}
    owners = list(window.parents) or [window.customer] * bool(window.customer)
    conditions, params = [], dict[str, Any]()
    if owners:
        parent = parent_column(kind)
        if parent is None:
            return "", {}
        conditions.append(points_to(parent, "owners"))
        params["owners"] = owners
    if window.clock:
        conditions.append("stripe_data ->> 'test_clock' = %(clock)s")
        params["clock"] = window.clock
    if not window.parents:
        if "created" not in columns:
            return "", {}
        conditions.append("created IS NOT NULL")
    for name, sign, second in (("after", ">", window.after), ("until", "<=", window.until)):
        if second is not None:
            conditions.append(f"created {sign} %({name})s")
            params[name] = datetime.fromtimestamp(second, UTC)
    return " AND ".join(conditions), params


def listed_here(data: Data, page: Page, clocked: set[str]) -> bool:
    """Whether Stripe would list this row there: not what is gone, nor what lives by a test clock, unless by that."""
    if data.get("deleted") or (page.kind.name in OPEN_ONLY and not data.get("open")):
        return False
    if page.window and (page.window.customer or page.window.parents or page.window.clock):
        return True
    return not data.get("test_clock") and data.get("customer") not in clocked


def customers_by_clock(rows: Iterable[Data], account: StripeAccount) -> set[str]:
    """Which of the customers of these rows live by a test clock."""
    if account.livemode:
        return set()
    customers = {row["customer"] for row in rows if isinstance(row.get("customer"), str)}
    held = tables.read(kind_for("customer"), customers) if customers else {}
    return {customer for customer, data in held.items() if data.get("test_clock")}
