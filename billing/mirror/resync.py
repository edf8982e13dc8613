"""Bring the mirror to what Stripe lists: all kinds side by side, each cut into spans of time, safe beside live events.

Threads that only ask Stripe walk the parts and hand pages to threads that only write; a part's pages are written in
their order, and after each its row says where to go on. So a resync that was killed goes on where it was.
"""

import queue
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import stripe
import structlog
from django.conf import settings
from django.db import connection, transaction

from billing.mirror import resync_parts
from billing.mirror.compare import Difference
from billing.mirror.failing import describe
from billing.mirror.fetch import PAGE, Fetched, Listed, list_page, list_pages
from billing.mirror.gate import FAR
from billing.mirror.history import PartState, ResyncPart, ResyncRun, RunState
from billing.mirror.kinds import Kind, Ref, Under, kind_for
from billing.mirror.listing import by_created, expansions, stage_of
from billing.mirror.owner import owner_id
from billing.mirror.resync_pages import Page, Settled, Window, settle, taken
from billing.mirror.resync_parts import Walk, Walks, Wanted
from billing.mirror.write import Change
from billing.stripe_accounts import StripeAccount

log = structlog.get_logger(__name__)

WRITERS = 2  # threads; Python runs one at a time, the other waits for PostgreSQL
PAGES_AHEAD = 6  # for each writer: what is listed and not yet written stays in memory
LOCK = 0x72657379  # "resy" in ASCII: the first half of the advisory lock of a run
STALE_AFTER = timedelta(days=1)  # an unfinished run that is older is not gone on with: what it has done is old
EXAMPLES = 50  # objects whose differences a check shows

Clock = Callable[[], datetime]


class AlreadyRunning(RuntimeError):
    """Somebody else works on the very same resync."""


@dataclass
class Outcome:
    """What became of one kind of one account."""

    counts: Counter[str] = field(default_factory=Counter)
    unavailable: str = ""


@dataclass
class Resync:
    """One run in this process. `accounts` are those that it was asked for, by name."""

    run: ResyncRun
    wanted: Wanted
    accounts: dict[str, StripeAccount]
    clock: Clock
    made: dict[tuple[str, Ref], Change] = field(default_factory=dict)  # what lists of other kinds brought along
    differing: dict[Ref, list[Difference]] = field(default_factory=dict)
    looked_at: int = 0  # objects, by this process
    error: BaseException | None = None
    walks: Walks = field(default_factory=lambda: Walks([]))

    def stop(self, error: BaseException | None = None) -> None:
        """End soon; every part stays where it is. The first error is the one that counts."""
        self.error = self.error or error
        self.walks.stop()


def begin(wanted: Wanted, accounts: Sequence[StripeAccount], clock: Clock) -> Resync:
    """Go on with the unfinished run that was asked for in the same words, or begin one. Raises AlreadyRunning."""
    now = clock()
    unfinished = ResyncRun.objects.exclude(state=RunState.DONE).filter(
        wanted=wanted.as_json(), started_at__gt=now - STALE_AFTER
    )
    run = unfinished.order_by("-started_at").first()
    if run is None:
        run = ResyncRun.objects.create(wanted=wanted.as_json(), started_at=now)
    if not lock(run):
        raise AlreadyRunning(AlreadyRunning.__doc__)
    ResyncRun.objects.filter(pk=run.pk).update(state=RunState.RUNNING, error="")
    return Resync(run, wanted, {account.name: account for account in accounts}, clock)


def lock(run: ResyncRun) -> bool:
    """Held by this connection until `end`, or until the process dies."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, run.pk])
        return bool(cursor.fetchone()[0])


def carry_out(resync: Resync, *, watch: Callable[[], object] = lambda: None) -> None:
    """Do all that is left, stage by stage. `watch` is called now and then while it goes on.

    Raises what made it stop: stripe.StripeError when Stripe does not answer, or not to our key.
    """
    try:
        for stage in sorted({stage_of(name) for name in resync.wanted.kinds}):
            if resync.error is None:
                carry_out_stage(resync, stage, watch)
    finally:
        end(resync)
    if resync.error is not None:
        raise resync.error


def carry_out_stage(resync: Resync, stage: int, watch: Callable[[], object]) -> None:
    resync.walks = Walks(parts_to_do(resync, stage))
    inboxes: list[Inbox] = [queue.Queue(PAGES_AHEAD) for _ in range(WRITERS)]
    writers = [threading.Thread(target=write_pages, args=(resync, inbox)) for inbox in inboxes]
    walkers = [
        threading.Thread(target=walk_parts, args=(resync, inboxes)) for _ in range(settings.STRIPE_CALLS_AT_ONCE)
    ]
    for thread in (*writers, *walkers):
        thread.start()
    try:
        while alive := [thread for thread in walkers if thread.is_alive()]:
            watch()
            alive[0].join(0.1)
    except BaseException as error:  # a person's Ctrl-C, a supervisor's SIGTERM
        resync.stop(error)
    for thread in walkers:
        thread.join()
    for inbox, writer in zip(inboxes, writers, strict=True):
        hand_over(inbox, None, until=lambda writer=writer: not writer.is_alive())  # type: ignore[misc]
        writer.join()


def hand_over(inbox: "Inbox", listing: "Listing | None", *, until: Callable[[], bool]) -> None:
    """Wait for room in the inbox, but not for a writer that takes nothing any more."""
    while not until():
        try:
            inbox.put(listing, timeout=0.2)
        except queue.Full:
            continue
        return


def parts_to_do(resync: Resync, stage: int) -> list[ResyncPart]:
    """Plan the stage, once; return those of its parts that are not done."""
    run = resync.run
    if not run.parts.filter(stage=stage).exists():
        kinds = [kind_for(name) for name in resync.wanted.kinds if stage_of(name) == stage]
        parts = [
            part
            for account in resync.accounts.values()
            for part in resync_parts.plan(run, resync.wanted, kinds, account, stage)
        ]
        with transaction.atomic():
            ResyncPart.objects.bulk_create(parts)
            ResyncRun.objects.filter(pk=run.pk).update(stage=stage)
    return list(run.parts.filter(stage=stage, state=PartState.WAITING).order_by("pk"))


@dataclass(frozen=True)
class Listing:
    """One page on its way to a writer: what was listed, and where its part stands when it has been written."""

    walk: Walk
    page: Page | None
    cursor: str
    reached: int | None
    last: bool
    unavailable: str = ""


Inbox: TypeAlias = "queue.Queue[Listing | None]"


def walk_parts(resync: Resync, inboxes: Sequence["Inbox"]) -> None:
    """One thread: take a part, hand its pages over, take the next. An error of its own ends the run, not the part."""
    try:
        while (walk := resync.walks.take()) is not None:
            for listing in listings_of(resync, walk):
                if resync.walks.stopped:
                    return
                hand_over(inboxes[walk.part.pk % len(inboxes)], listing, until=lambda: resync.walks.stopped)
    except BaseException as error:
        resync.stop(error)
    finally:
        connection.close()


def listings_of(resync: Resync, walk: Walk) -> Iterator[Listing]:
    kind, account = kind_for(walk.part.kind), resync.accounts[walk.part.owner]
    begun = bool(walk.part.cursor)
    pages = (
        pages_by_parent(kind, kind.under, walk, account) if kind.under else pages_in_time(resync, kind, walk, account)
    )
    try:
        for listing in pages:
            begun = True
            yield listing
    except stripe.PermissionError as error:
        yield Listing(walk, None, "", None, True, f"The key may not read it: {error.user_message}")
    except stripe.InvalidRequestError as error:
        if begun:
            raise
        unknown = error.http_status == 404 and not error.code  # an address that is not there
        reason = "Stripe does not offer it here." if unknown else error.user_message
        yield Listing(walk, None, "", None, True, reason or "Stripe refuses it.")


def pages_in_time(resync: Resync, kind: Kind, walk: Walk, account: StripeAccount) -> Iterator[Listing]:
    """Walk a list from its newest object on; meanwhile somebody else may be given its older end."""
    part, cursor = walk.part, walk.part.cursor
    until = part.until - 1 if part.until is not None else None
    upper = walk.reached if cursor else until
    carried: frozenset[str] = frozenset()
    while True:
        try:
            listed = list_page(kind.path, params_of(kind, walk), after=cursor or None, account=account)
        except stripe.InvalidRequestError as error:
            if error.param != "starting_after":
                raise
            cursor, part.until = "", upper + 1 if upper is not None else None  # the object at the cursor is gone
            continue
        objects, last = resync.walks.advance(walk, listed.objects, has_more=listed.has_more)
        lower = walk.since - 1 if last and walk.since is not None else None if last else walk.reached
        window = Window(after=lower, until=listing_time(listed) if upper is None else upper, customer=customer_of(part))
        tells = (whole_list(part) or window.customer) and (last or lower is not None)
        page = Page(kind, taken(kind, listed, objects, account=account), window if tells else None, carried)
        cursor = objects[-1]["id"] if objects else cursor
        yield Listing(walk, page, cursor, walk.reached, last)
        if last:
            return
        carried = boundary_ids(objects, walk.reached) | (carried if upper == walk.reached else frozenset())
        upper = walk.reached


def listing_time(listed: Listed) -> int | None:
    """What was created later than this cannot be on the page (Unix seconds; None when Stripe does not say)."""
    return listed.high if listed.high < FAR else None


def params_of(kind: Kind, walk: Walk) -> dict[str, Any]:
    bounds = {"gte": walk.since, "lt": walk.part.until}
    bounds = {name: value for name, value in bounds.items() if value is not None}
    created = {"created": bounds} if bounds and by_created(kind) else {}
    return {**(kind.listing or {}), **walk.part.params, **created, "expand": expansions(kind)}


def customer_of(part: ResyncPart) -> str:
    return str(part.params.get("customer", ""))


def whole_list(part: ResyncPart) -> bool:
    """Whether the part lists everything of its span: then a row that is not listed is one that Stripe may lack."""
    return not part.params


def boundary_ids(objects: Sequence[dict[str, Any]], second: int | None) -> frozenset[str]:
    return frozenset(data["id"] for data in objects if data.get("created") == second)


def pages_by_parent(kind: Kind, under: Under, walk: Walk, account: StripeAccount) -> Iterator[Listing]:
    """Ask parent by parent, and hand over what several parents have as one page."""
    objects: list[Fetched] = []
    parents: list[str] = []
    for parent in resync_parts.parents_between(under, walk.part, account):
        for listed in pages_of_parent(kind, under, parent, account):
            objects += taken(kind, listed, listed.objects, account=account)
        parents.append(parent)
        if len(objects) >= PAGE or len(parents) >= PAGE // 4:
            yield Listing(walk, Page(kind, tuple(objects), Window(parents=tuple(parents))), parent, None, False)
            objects, parents = [], []
    page = Page(kind, tuple(objects), Window(parents=tuple(parents))) if parents else None
    yield Listing(walk, page, parents[-1] if parents else walk.part.cursor, None, True)


def pages_of_parent(kind: Kind, under: Under, parent: str, account: StripeAccount) -> Iterator[Listed]:
    params = {"expand": expansions(kind)} | ({under.param: parent} if under.param else {})
    try:
        for listed in list_pages(under.path.format(id=parent), params, account=account):
            noted = {under.key: parent} if under.key else {}
            yield Listed([{**data, **noted} for data in listed.objects], listed.low, listed.high, listed.has_more)
    except stripe.InvalidRequestError as error:
        if error.code != "resource_missing":  # the parent is gone: nothing of it is listed any more
            raise


def write_pages(resync: Resync, inbox: "Inbox") -> None:
    """One thread: write what comes, until None comes. After an error the rest is let go: its parts stay as they are."""
    try:
        commit_soon()
        while (listing := inbox.get()) is not None:
            try:
                if resync.error is None:
                    write_listing(resync, listing)
            except BaseException as error:
                resync.stop(error)
            if listing.last:
                resync.walks.finished(listing.walk)
    except BaseException as error:  # its connection, before it could write anything
        resync.stop(error)
    finally:
        connection.close()


def commit_soon() -> None:
    """This connection does not wait for the disk at each commit.

    If PostgreSQL dies, the last moments are lost together (rows, gates, the place to go on from), and asked for again.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO off")


def write_listing(resync: Resync, listing: Listing) -> None:
    part = listing.walk.part
    if listing.page is not None:
        account = resync.accounts[part.owner]
        settled = settle(listing.page, check=resync.wanted.check, account=account, clock=resync.clock)
        count(resync, part, settled)
    keep_place(part, listing)


def count(resync: Resync, part: ResyncPart, settled: Settled) -> None:
    """What another kind's list brought along counts when it is listed itself."""
    for ref, change in settled.changes.items():
        was = resync.made.pop((part.owner, ref), Change.UNCHANGED)
        counted = (was if change is Change.UNCHANGED else change).value
        part.counts[counted] = part.counts.get(counted, 0) + 1
    resync.made |= {(part.owner, ref): change for ref, change in settled.brought.items()}
    resync.looked_at += len(settled.changes)
    for ref, found in settled.differing.items():
        if len(resync.differing) < EXAMPLES:
            resync.differing[ref] = found


def keep_place(part: ResyncPart, listing: Listing) -> None:
    """Say in the part's row how far it is; other columns may have been changed by whoever cut it."""
    state = PartState.UNAVAILABLE if listing.unavailable else PartState.DONE if listing.last else PartState.WAITING
    ResyncPart.objects.filter(pk=part.pk).update(
        cursor=listing.cursor,
        reached=listing.reached,
        counts=part.counts,
        state=state,
        note=listing.unavailable,
    )


def end(resync: Resync) -> None:
    """Write down how it ended, and let go of the lock."""
    done = resync.error is None
    ResyncRun.objects.filter(pk=resync.run.pk).update(
        state=RunState.DONE if done else RunState.STOPPED,
        finished_at=resync.clock() if done else None,
        error="" if resync.error is None else describe(resync.error),
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, resync.run.pk])
    log.info("resync:ended", run=resync.run.pk, done=done)


def outcomes(run: ResyncRun) -> dict[tuple[str, str], Outcome]:
    """(account's name, kind) → what became of it, of all parts so far."""
    found: defaultdict[tuple[str, str], Outcome] = defaultdict(Outcome)
    parts = run.parts.order_by("stage", "pk").values_list("owner", "kind", "counts", "state", "note")
    for owner, kind, counts, state, note in parts:
        outcome = found[owner, kind]
        outcome.counts.update(counts)
        if state == PartState.UNAVAILABLE:
            outcome.unavailable = note
    return dict(found)


def owners_known(accounts: Sequence[StripeAccount]) -> None:
    """Ask once whose the keys are, before anything else. Raises stripe.StripeError."""
    for account in accounts:
        owner_id(account)
