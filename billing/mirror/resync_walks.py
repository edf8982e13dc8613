"""Who does what in a resync: walks along parts, shared out page by page to threads that ask Stripe, and the pages that
they bring, shared out to threads that write. Whoever finds nothing to ask cuts a part that is being walked.

Everything goes on at once: a page may be there before what it refers to has been written, and then waits for it.
"""

import threading
from collections import Counter, deque
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from django.db import transaction

from billing.mirror.fetch import PAGE
from billing.mirror.history import PartState, ResyncPart
from billing.mirror.kinds import kind_for
from billing.mirror.listing import ancestors_of, by_created, stage_of
from billing.mirror.resync_pages import Page, Settled
from billing.mirror.resync_parts import ROWS_IN_A_PART

PAGES_AHEAD = 32  # that are listed and not written stay in memory; as many again may wait for others
FIRST_CUT = 2  # pages left to whoever is walking when a list of unknown length is cut; doubled with each cut
LONGEST_CUT = 64
FREE_CUTS = 2  # of each kind, however short its list: the calls that they may cost for nothing buy a quick start

Name = tuple[str, str]  # the account's, the kind's


class Cutter(Protocol):
    def __call__(self, part: ResyncPart, *, since: int | None, at: int) -> ResyncPart: ...


@dataclass(eq=False)
class Walk:
    """A part that is walked, newest first: how far, and how dense the objects lie there."""

    part: ResyncPart
    since: int | None
    reached: int | None
    density: float = 0.0  # objects a second, on the last page
    parents: int | None = None  # that are still to be asked for, where a kind is listed parent by parent
    ended: bool = False  # its last page is listed, if not yet written
    steps: "Generator[Listing | None, None, None] | None" = None  # a call of Stripe each; not every call fills a page
    brought: "deque[Listing]" = field(default_factory=deque)  # pages whose place is not kept yet, in their order
    keeping: threading.Lock = field(default_factory=threading.Lock)  # of the part's row

    @property
    def name(self) -> Name:
        return self.part.owner, self.part.kind

    def left(self) -> float | None:
        """About how many objects are still to come; None where nothing tells."""
        if self.ended:
            return 0
        if self.parents is not None:
            return self.parents  # to most customers about one payment method
        if self.since is None:
            return None
        if self.steps is None:
            return ROWS_IN_A_PART[0]
        return self.density * max(0, self.reached - self.since) if self.reached is not None and self.density else None


@dataclass(eq=False)
class Listing:
    """One page on its way to a writer: what was listed, and where its part stands when it has been written."""

    walk: Walk
    page: Page | None
    cursor: str
    reached: int | None
    last: bool
    unavailable: str = ""
    settled: Settled | None = None  # None: nobody has looked at it
    awaits: frozenset[Name] = frozenset()
    done: bool = False


class Walks:
    """All that is walked and written in one resync."""

    def __init__(self, parts: Iterable[ResyncPart] = (), *, cut: Cutter | None = None) -> None:
        self._divide = cut or cut_in_database
        lock = threading.Lock()
        self._to_ask, self._to_write, self._ends = (threading.Condition(lock) for _ in range(3))  # who waits for what
        self._lanes: dict[Name, deque[Walk]] = {}  # walks of which nobody asks the next page just now
        self._asking: set[Walk] = set()
        self._listings: deque[Listing] = deque()  # that nobody writes just now
        self._unwritten = 0  # listings that were brought and are not done
        self._parts: Counter[Name] = Counter()  # that are not done
        self._to_come: Counter[Name] = Counter()  # stages that will bring parts of a kind
        self._pages: Counter[Name] = Counter()
        self._cuts: Counter[Name] = Counter()
        self._stopped = False
        self.add(parts)

    def expect(self, stages: Mapping[int, Collection[Name]]) -> None:
        """Say of which kinds parts will be added: until then they are not finished."""
        with self._ends:
            for names in stages.values():
                self._to_come.update(names)

    def add(self, parts: Iterable[ResyncPart], *, expected: Collection[Name] = ()) -> None:
        with self._ends:
            for part in parts:
                self._give(Walk(part, part.since, part.reached))
            self._to_come.subtract(expected)
            self._wake_all()

    def wait_until_finished(self, names: Collection[Name], *, seconds: float) -> bool:
        """Wait for so long at most; return whether all parts of these kinds are done, or all is to stop."""
        with self._ends:
            return self._ends.wait_for(lambda: self._stopped or not any(map(self._unfinished, names)), seconds)

    def wait_for_the_end(self, *, seconds: float) -> bool:
        """Wait for so long at most; return whether nothing is left to ask or to write, or all is to stop."""
        with self._ends:
            return self._ends.wait_for(lambda: self._stopped or self._is_over(), seconds)

    def take(self) -> Walk | None:
        """A walk whose next page is to be asked for; None when there is nothing left to do."""
        with self._to_ask:
            while not self._stopped and not self._is_over():
                walk = self._next() or self._cut()
                if walk is not None:
                    self._asking.add(walk)
                    return walk
                self._to_ask.wait()
            return None

    def advance(
        self, walk: Walk, objects: Sequence[dict[str, Any]], *, has_more: bool
    ) -> tuple[list[dict[str, Any]], bool]:
        """Note that this page was listed. Return what of it belongs to the part, and whether it was the part's last."""
        with self._to_ask:
            since = walk.since
            mine = [data for data in objects if since is None or data.get("created", since) >= since]
            if mine and "created" in mine[-1]:
                span = mine[0]["created"] - mine[-1]["created"]
                walk.density = len(mine) / max(span, 1)
                walk.reached = mine[-1]["created"]
            walk.ended = not (has_more and mine and len(mine) == len(objects))
            self._pages[walk.name] += 1
            return mine, walk.ended

    def bring(self, walk: Walk, listing: Listing | None) -> None:
        """Hand over what a call has brought, and give the walk back."""
        with self._to_ask:
            self._asking.discard(walk)
            if listing is not None:
                walk.brought.append(listing)
                self._listings.append(listing)
                self._unwritten += 1
                self._to_write.notify()
            if listing is None or not listing.last:
                self._lanes[walk.name].append(walk)
            else:
                walk.ended = True
            self._to_ask.notify()

    def next_listing(self) -> Listing | None:
        """A page to write, the first that waits for nothing; None when there is nothing left to do."""
        with self._to_write:
            while not self._stopped and not self._is_over():
                for listing in self._listings:
                    if not any(map(self._unfinished, listing.awaits)):
                        self._listings.remove(listing)
                        return listing
                self._to_write.wait()
            return None

    def put_off(self, listing: Listing, awaits: Collection[Name]) -> None:
        """Not all of this page could be written: it refers to objects of these kinds, which are still being listed."""
        with self._to_write:
            listing.awaits = frozenset(awaits)
            self._listings.append(listing)
            self._to_ask.notify()

    def written(self, listing: Listing) -> list[Listing]:
        """Note that a page is in the mirror; return the pages of its part that are now done from the first on."""
        with self._to_write:
            listing.done = True
            self._unwritten -= 1
            done = []
            while listing.walk.brought and listing.walk.brought[0].done:
                done.append(listing.walk.brought.popleft())
            self._to_ask.notify()
            return done

    def finished(self, walk: Walk) -> None:
        """All of this part has been written, and its row says so."""
        with self._ends:
            self._parts[walk.name] -= 1
            if not self._unfinished(walk.name):
                self._wake_all()

    def unfinished(self, owner: str, kinds: Iterable[str]) -> frozenset[Name]:
        """Those of the kinds of an account that are still being listed or written."""
        with self._ends:
            return frozenset((owner, kind) for kind in kinds if self._unfinished((owner, kind)))

    def stop(self) -> None:
        with self._ends:
            self._stopped = True
            self._wake_all()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def close(self) -> None:
        """Let go of what was begun and not ended. Nobody may be asking any more."""
        for lane in self._lanes.values():
            for walk in lane:
                if walk.steps is not None:
                    walk.steps.close()

    def left(self) -> tuple[float, bool]:
        """About how many objects are still to come, and whether that is all (some parts tell nothing)."""
        with self._ends:
            lefts = [walk.left() for walk in (*self._asking, *(walk for lane in self._lanes.values() for walk in lane))]
            known = sum(left for left in lefts if left is not None)
            return known, None not in lefts and not any(self._to_come.values())

    def _wake_all(self) -> None:
        for waiting in (self._to_ask, self._to_write, self._ends):
            waiting.notify_all()

    def _give(self, walk: Walk) -> Walk:
        self._parts[walk.name] += 1
        self._lanes.setdefault(walk.name, deque()).append(walk)
        return walk

    def _unfinished(self, name: Name) -> bool:
        return self._parts[name] > 0 or self._to_come[name] > 0

    def _is_over(self) -> bool:
        return not any(self._parts.values()) and not any(self._to_come.values())

    def _next(self) -> Walk | None:
        """Full pages first, parents before children; while enough of them wait to be written, calls that bring less."""
        names = sorted((name for name, lane in self._lanes.items() if lane), key=preference)
        name = next((name for name in names if self._has_room(name)), None)
        return self._lanes[name].popleft() if name else None

    def _has_room(self, name: Name) -> bool:
        """Pages that wait for others must not fill the memory, nor keep out those that they wait for."""
        owner, kind = name
        waiting = sum(any(map(self._unfinished, listing.awaits)) for listing in self._listings)
        if kind_for(kind).under:
            return self._unwritten - waiting < 3 * PAGES_AHEAD
        if self._unwritten - waiting >= PAGES_AHEAD:
            return False
        return waiting < PAGES_AHEAD or not any(self._unfinished((owner, parent)) for parent in ancestors_of(kind))

    def _cut(self) -> Walk | None:
        """Give away the older end of the part with the most to come, where that is worth it."""
        cuttable = [walk for walk in self._asking if self._worth_cutting(walk) and self._has_room(walk.name)]
        if not cuttable:
            return None
        walk = max(cuttable, key=lambda each: each.density * (each.reached or 0) - each.density * (each.since or 0))
        pages = min(LONGEST_CUT, FIRST_CUT * 2 ** self._cuts[walk.name])
        reached = walk.reached or 0
        middle = (reached + (walk.since or 0)) // 2
        at = max(middle, reached - max(1, round(pages * PAGE / walk.density)))
        other = self._divide(walk.part, since=walk.since, at=at)
        walk.since = at
        self._cuts[walk.name] += 1
        self._give(Walk(other, other.since, other.reached))
        return self._lanes[walk.name].pop()

    def _worth_cutting(self, walk: Walk) -> bool:
        """Each cut may cost a call for nothing: no more of them than calls that were worth it."""
        if walk.ended or walk.reached is None or not walk.density:
            return False
        if walk.part.params or not by_created(kind_for(walk.part.kind)):
            return False
        left = walk.density * (walk.reached - (walk.since or 0))
        earned = FREE_CUTS + self._pages[walk.name] // 2
        return walk.reached - (walk.since or 0) > 1 and left > 2 * PAGE and self._cuts[walk.name] < earned


@cache
def preference(name: Name) -> tuple[bool, int, str, str]:
    owner, kind = name
    return kind_for(kind).under is not None, stage_of(kind), owner, kind


def cut_in_database(part: ResyncPart, *, since: int | None, at: int) -> ResyncPart:
    """One part becomes two, at once: whoever goes on after a crash finds either one or both."""
    with transaction.atomic():
        ResyncPart.objects.filter(pk=part.pk).update(since=at)
        return ResyncPart.objects.create(
            run_id=part.run_id,
            stage=part.stage,
            owner=part.owner,
            kind=part.kind,
            params=part.params,
            since=since,
            until=at,
            state=PartState.WAITING,
        )
