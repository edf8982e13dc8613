"""A resync's work, cut into parts that can be walked side by side: planned from what the mirror holds already, and cut
further while they are walked, wherever much is left and somebody has nothing to do. Each cut is in the database."""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import stripe
from django.db import connection, transaction
from djstripe.models import ProductFeature

from billing.mirror.columns import layout_for
from billing.mirror.fetch import PAGE, list_pages
from billing.mirror.history import PartState, ResyncPart, ResyncRun
from billing.mirror.kinds import Kind, Under, kind_for
from billing.mirror.layout import OWNER
from billing.mirror.listing import BY_CLOCK, BY_CUSTOMER, by_created
from billing.mirror.owner import owner_id
from billing.stripe_accounts import StripeAccount

# Planned parts have so many rows or parents at least and at most; between them, so many that there are about `PARTS`.
ROWS_IN_A_PART = (200, 5000)
PARENTS_IN_A_PART = (10, 500)
PARTS = 48
FIRST_CUT = 2  # pages left to whoever is walking when a list of unknown length is cut; doubled with each cut
LONGEST_CUT = 64
FREE_CUTS = 2  # of each kind, however short its list: the calls that they may cost for nothing buy a quick start


EVERY_SO_MANY = "number %% greatest(%(least)s, least(%(most)s, whole / %(parts)s)) = 0"


@dataclass(frozen=True)
class Wanted:
    """What a resync was asked for. Times are Unix seconds."""

    kinds: tuple[str, ...]
    accounts: tuple[str, ...]
    since: int | None = None
    customer: str = ""
    check: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "kinds": list(self.kinds),
            "accounts": list(self.accounts),
            "since": self.since,
            "customer": self.customer,
            "check": self.check,
        }


def plan(run: ResyncRun, wanted: Wanted, kinds: Sequence[Kind], account: StripeAccount, stage: int) -> list[ResyncPart]:
    """The parts of these kinds, unsaved: all that Stripe lists, or what one customer has."""
    parts = [part for kind in kinds for part in parts_of(kind, wanted, account)]
    if not account.livemode and not wanted.customer:
        parts += list(parts_of_clocks(kinds, account))
    for part in parts:
        part.run, part.stage, part.owner = run, stage, account.name
    return parts


def parts_of(kind: Kind, wanted: Wanted, account: StripeAccount) -> Iterator[ResyncPart]:
    if wanted.customer:
        if kind.name in BY_CUSTOMER:
            yield ResyncPart(kind=kind.name, params={"customer": wanted.customer}, since=wanted.since)
        elif kind.under and kind.under.kind == "customer":
            yield ResyncPart(kind=kind.name, params={"parent": wanted.customer})
    elif kind.under:
        if not needless(kind, wanted):
            yield from parts_of_parents(kind, kind.under, account)
    elif by_created(kind):
        cuts = [cut for cut in cuts_of(kind, account) if wanted.since is None or cut > wanted.since]
        untils = [None, *cuts]
        sinces = [*cuts, wanted.since]
        for since, until in zip(sinces, untils, strict=True):
            yield ResyncPart(kind=kind.name, since=since, until=until)
    else:
        yield ResyncPart(kind=kind.name)


def needless(kind: Kind, wanted: Wanted) -> bool:
    """Whether asking customer by customer would tell nothing new: their list has brought it, or nobody can have it."""
    if kind.name == "tax_id":
        return "customer" in wanted.kinds and wanted.since is None
    if kind.name == "entitlements.active_entitlement":
        return "product_feature" in wanted.kinds and not ProductFeature.objects.exists()
    return False


def cuts_of(kind: Kind, account: StripeAccount) -> list[int]:
    """Times (Unix seconds, newest first) that cut what the mirror holds of a kind into parts of equal size."""
    rows, params = rows_of(kind, account)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT DISTINCT extract(epoch FROM created)::bigint AS cut
            FROM (SELECT created, row_number() OVER (ORDER BY created DESC) AS number, count(*) OVER () AS whole
                  FROM {rows} AND created IS NOT NULL) AS numbered
            WHERE {EVERY_SO_MANY} ORDER BY cut DESC
            """,  # noqa: S608
            {**params, **sizes(ROWS_IN_A_PART)},
        )
        return [cut for (cut,) in cursor.fetchall()]


def sizes(bounds: tuple[int, int]) -> dict[str, int]:
    return {"least": bounds[0], "most": bounds[1], "parts": PARTS}


def rows_of(kind: Kind, account: StripeAccount) -> tuple[str, dict[str, Any]]:
    """The rows of a kind that are this account's, as `table WHERE condition`, and the condition's parameters."""
    layout = layout_for(kind)
    conditions = ["true"]
    if kind.model is None:
        conditions.append("kind = %(kind)s")
    if "livemode" in layout.names:
        conditions.append("coalesce(livemode = %(livemode)s, true)")
    if OWNER in layout.names:
        conditions.append(f"coalesce({OWNER} = %(owner)s, true)")
    params = {"kind": kind.name, "livemode": account.livemode, "owner": owner_id(account)}
    return f'"{layout.table}" WHERE {" AND ".join(conditions)}', params


def parts_of_parents(kind: Kind, under: Under, account: StripeAccount) -> Iterator[ResyncPart]:
    """A kind that Stripe lists parent by parent: so many parents each, in the order of their ids."""
    cuts = parent_cuts(under, account)
    for after, until in zip(["", *cuts], [*cuts, ""], strict=True):
        yield ResyncPart(kind=kind.name, after_parent=after, until_parent=until)


def parent_cuts(under: Under, account: StripeAccount) -> list[str]:
    rows, params = rows_of(kind_for(under.kind), account)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id COLLATE "C") AS number, count(*) OVER () AS whole
                            FROM {rows}) AS numbered
            WHERE {EVERY_SO_MANY} ORDER BY number
            """,  # noqa: S608
            {**params, **sizes(PARENTS_IN_A_PART)},
        )
        return [object_id for (object_id,) in cursor.fetchall()]


def parents_between(under: Under, part: ResyncPart, account: StripeAccount) -> list[str]:
    """The ids of the parents that a part has still to look at, in order. Those that are gone have nothing more."""
    if "parent" in part.params:
        return [] if part.cursor else [part.params["parent"]]
    rows, params = rows_of(kind_for(under.kind), account)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id FROM {rows} AND id COLLATE "C" > %(after)s AND (%(until)s = '' OR id COLLATE "C" <= %(until)s)
              AND NOT stripe_data @> '{{"deleted": true}}'
            ORDER BY id COLLATE "C"
            """,  # noqa: S608
            {**params, "after": part.cursor or part.after_parent, "until": part.until_parent},
        )
        return [object_id for (object_id,) in cursor.fetchall()]


def parts_of_clocks(kinds: Sequence[Kind], account: StripeAccount) -> Iterator[ResyncPart]:
    """What lives by test clocks: Stripe lists it only by clock, or by customer (API reference, `test_clock`)."""
    clocks = clocks_of(account) if any(kind.name in BY_CLOCK for kind in kinds) else []
    customers = customers_of_clocks(account) if any(kind.name in BY_CUSTOMER for kind in kinds) else []
    for kind in kinds:
        if kind.name in BY_CLOCK:
            for clock in clocks:
                yield ResyncPart(kind=kind.name, params={"test_clock": clock})
        elif kind.name in BY_CUSTOMER:
            for customer in customers:
                yield ResyncPart(kind=kind.name, params={"customer": customer})


def clocks_of(account: StripeAccount) -> list[str]:
    try:
        pages = list(list_pages("/v1/test_helpers/test_clocks", {}, account=account))
    except (stripe.InvalidRequestError, stripe.PermissionError):
        return []
    return [clock["id"] for page in pages for clock in page.objects]


def customers_of_clocks(account: StripeAccount) -> list[str]:
    """Customers of the mirror that live by a test clock. Reads JSON: only ever in test mode."""
    if account.livemode:
        return []
    rows, params = rows_of(kind_for("customer"), account)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {rows} AND stripe_data ->> 'test_clock' IS NOT NULL ORDER BY id", params)  # noqa: S608
        return [object_id for (object_id,) in cursor.fetchall()]


class Cutter(Protocol):
    def __call__(self, part: ResyncPart, *, since: int | None, at: int) -> ResyncPart: ...


@dataclass
class Walk:
    """A part that somebody walks, newest first: how far, and how dense the objects lie there."""

    part: ResyncPart
    since: int | None
    reached: int | None
    density: float = 0.0  # objects a second, on the last page
    ended: bool = False  # its last page is listed, if not yet written

    def left(self) -> float | None:
        """About how many objects are still to come; None where nothing tells."""
        if self.ended:
            return 0
        if self.since is None or self.reached is None or not self.density:
            return None
        return self.density * max(0, self.reached - self.since)


class Walks:
    """The parts of one stage, shared out to threads. Whoever finds none waiting cuts one that is being walked."""

    def __init__(self, parts: Iterable[ResyncPart], *, cut: Cutter | None = None) -> None:
        self._divide = cut or cut_in_database
        self._changed = threading.Condition()
        self._waiting = deque(parts)
        self._active: dict[int, Walk] = {}
        self._pages: Counter[tuple[str, str]] = Counter()
        self._cuts: Counter[tuple[str, str]] = Counter()
        self._stopped = False

    def take(self) -> Walk | None:
        """The next part to walk; None when there is nothing left to do."""
        with self._changed:
            while not self._stopped:
                part = self._waiting.popleft() if self._waiting else self._cut()
                if part is not None:
                    walk = Walk(part, part.since, part.reached)
                    self._active[part.pk] = walk
                    return walk
                if not self._active:
                    return None
                self._changed.wait()
            return None

    def advance(
        self, walk: Walk, objects: Sequence[dict[str, Any]], *, has_more: bool
    ) -> tuple[list[dict[str, Any]], bool]:
        """Note that this page was listed. Return what of it belongs to the part, and whether it was the part's last."""
        with self._changed:
            since = walk.since
            mine = [data for data in objects if since is None or data.get("created", since) >= since]
            if mine and "created" in mine[-1]:
                span = mine[0]["created"] - mine[-1]["created"]
                walk.density = len(mine) / max(span, 1)
                walk.reached = mine[-1]["created"]
            walk.ended = not (has_more and mine and len(mine) == len(objects))
            self._pages[name_of(walk.part)] += 1
            self._changed.notify_all()
            return mine, walk.ended

    def finished(self, walk: Walk) -> None:
        """The last page of this part has been written."""
        with self._changed:
            self._active.pop(walk.part.pk, None)
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def left(self) -> tuple[float, bool]:
        """About how many objects are still to come, and whether that is all (some parts tell nothing)."""
        with self._changed:
            lefts = [walk.left() for walk in self._active.values()]
            known = sum(left for left in lefts if left is not None)
            bounded = [part for part in self._waiting if part.since is not None]
            return known + ROWS_IN_A_PART[0] * len(bounded), None not in lefts and len(bounded) == len(self._waiting)

    def _cut(self) -> ResyncPart | None:
        """Give away the older end of the part with the most to come, where that is worth it."""
        cuttable = [walk for walk in self._active.values() if self._worth_cutting(walk)]
        if not cuttable:
            return None
        walk = max(cuttable, key=lambda each: each.density * (each.reached or 0) - each.density * (each.since or 0))
        name = name_of(walk.part)
        pages = min(LONGEST_CUT, FIRST_CUT * 2 ** self._cuts[name])
        reached = walk.reached or 0
        middle = (reached + (walk.since or 0)) // 2
        at = max(middle, reached - max(1, round(pages * PAGE / walk.density)))
        other = self._divide(walk.part, since=walk.since, at=at)
        walk.since = at
        self._cuts[name] += 1
        return other

    def _worth_cutting(self, walk: Walk) -> bool:
        """Each cut may cost a call for nothing: no more of them than calls that were worth it."""
        if walk.ended or walk.reached is None or not walk.density:
            return False
        if walk.part.params or not by_created(kind_for(walk.part.kind)):
            return False
        left = walk.density * (walk.reached - (walk.since or 0))
        name = name_of(walk.part)
        earned = FREE_CUTS + self._pages[name] // 2
        return walk.reached - (walk.since or 0) > 1 and left > 2 * PAGE and self._cuts[name] < earned


def name_of(part: ResyncPart) -> tuple[str, str]:
    return part.owner, part.kind


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
