"""Bring the mirror to what Stripe lists: all kinds side by side, each cut into spans of time, safe beside live events.

Threads that only ask Stripe walk the parts, threads that only write take the pages that they bring. Whatever can be
asked for is asked for at once; a page that refers to what is still being listed waits for it. How far each part is
written stands in its row: so a resync that was killed goes on where it was.
"""

import gc
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import connection, transaction

from billing.mirror import resync_parts
from billing.mirror.apply import no_collecting
from billing.mirror.compare import Difference
from billing.mirror.failing import describe
from billing.mirror.history import PartState, ResyncPart, ResyncRun, RunState
from billing.mirror.inquiry import Later
from billing.mirror.kinds import Ref, kind_for
from billing.mirror.listing import ancestors_of
from billing.mirror.owner import owner_id, owners_remembered
from billing.mirror.resync_counts import Noted, sum_up
from billing.mirror.resync_lists import listings_of
from billing.mirror.resync_pages import Data, Settled, settle, write_rest
from billing.mirror.resync_parts import Wanted, looked_into
from billing.mirror.resync_spared import Spared, spared_of
from billing.mirror.resync_walks import Listing, Name, Walk, Walks
from billing.stripe_accounts import StripeAccount

log = structlog.get_logger(__name__)

WRITERS = 2  # threads; Python runs one at a time, the other waits for PostgreSQL
WATCH_SECONDS = 0.1
COLLECT_SECONDS = 60.0
PATIENCE = 5.0  # seconds: PostgreSQL lets go of the lock of a process that was killed a moment after it
LOCK = 0x72657379  # "resy" in ASCII: the first half of the advisory lock of a run
STALE_AFTER = timedelta(days=1)  # an unfinished run that is older is not gone on with: what it has done is old
EXAMPLES = 50  # objects whose differences a check shows

# For each page: Django's own way to the same statement takes longer than PostgreSQL.
KEEP_PLACE = """
    UPDATE billing_resyncpart SET cursor = %s, reached = %s, counts = %s, state = %s, note = %s WHERE id = %s
"""

Clock = Callable[[], datetime]


class AlreadyRunning(RuntimeError):
    """Somebody else works on the very same resync."""


@dataclass
class Resync:
    """One run in this process. `accounts` are those that it was asked for, by name."""

    run: ResyncRun
    wanted: Wanted
    accounts: dict[str, StripeAccount]
    clock: Clock
    noted: Noted
    spared: dict[str, Spared]  # by the account's name
    differing: dict[Ref, list[Difference]] = field(default_factory=dict)
    compared: dict[str, dict[Ref, Data]] = field(default_factory=lambda: defaultdict(dict))  # by the account's name
    looked_at: int = 0  # objects, by this process
    error: BaseException | None = None
    walks: Walks = field(default_factory=Walks)

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
    named = {account.name: account for account in accounts}
    spared = {account.name: spared_of(wanted, account, began_at=run.started_at) for account in accounts}
    return Resync(run, wanted, named, clock, Noted(run, wanted.kinds), spared)


def lock(run: ResyncRun) -> bool:
    """Held by this connection until `end`, or until the process dies."""
    until = time.monotonic() + PATIENCE
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, run.pk])
            if cursor.fetchone()[0]:
                return True
            if time.monotonic() > until:
                return False
            time.sleep(WATCH_SECONDS)


def carry_out(resync: Resync, *, watch: Callable[[], object] = lambda: None) -> None:
    """Do all that is left. `watch` is called now and then while it goes on.

    Raises what made it stop: stripe.StripeError when Stripe does not answer, or not to our key.
    """
    walkers = [threading.Thread(target=walk_parts, args=(resync,)) for _ in range(settings.STRIPE_CALLS_AT_ONCE)]
    writers = [threading.Thread(target=write_pages, args=(resync,)) for _ in range(WRITERS)]
    last = [(owner, kind) for owner, spared in resync.spared.items() for kind in spared.since]
    stages = resync_parts.stages_of(resync.wanted, list(resync.accounts.values()), last=last)
    resync.walks.expect(stages)
    try:
        with no_collecting(), owners_remembered():
            for thread in (*walkers, *writers):
                thread.start()
            for spared in resync.spared.values():
                spared.listen()
            mind = minding(watch)
            add_parts(resync, stages, mind)
            while not resync.walks.wait_for_the_end(seconds=WATCH_SECONDS):
                mind()
    except BaseException as error:  # a person's Ctrl-C, a supervisor's SIGTERM
        resync.stop(error)
    finally:
        for thread in (*walkers, *writers):
            if thread.ident:
                thread.join()
        resync.walks.close()
        end(resync)
    if resync.error is not None:
        raise resync.error


def minding(watch: Callable[[], object]) -> Callable[[], None]:
    """What the main thread does while the others work: it watches, and seldom lets Python collect its cycles."""
    collected_at = time.monotonic()

    def mind() -> None:
        nonlocal collected_at
        watch()
        if time.monotonic() - collected_at > COLLECT_SECONDS:
            gc.collect()
            collected_at = time.monotonic()

    return mind


def add_parts(resync: Resync, stages: Mapping[int, Collection[Name]], mind: Callable[[], None]) -> None:
    """Plan stage after stage, each when what its parts are made from is in the mirror."""
    for stage, names in stages.items():
        before = [(owner, kind) for owner in resync.accounts for kind in looked_into(stage, resync.wanted)]
        while not resync.walks.wait_until_finished(before, seconds=WATCH_SECONDS):
            mind()
        if resync.walks.stopped:
            return
        resync.walks.add(parts_to_do(resync, stage), expected=names)


def parts_to_do(resync: Resync, stage: int) -> list[ResyncPart]:
    """Plan the stage, once; return those of its parts that are not done."""
    run = resync.run
    parts = list(run.parts.filter(stage=stage).order_by("pk"))
    if not parts:
        parts = [part for account in resync.accounts.values() for part in planned(resync, account, stage)]
        with transaction.atomic():
            ResyncPart.objects.bulk_create(parts)
            ResyncRun.objects.filter(pk=run.pk).update(stage=stage)
    return [part for part in parts if part.state == PartState.WAITING]


def planned(resync: Resync, account: StripeAccount, stage: int) -> list[ResyncPart]:
    spared = resync.spared[account.name]
    if stage == resync_parts.LAST:
        return spared.plan(resync.run, resync.noted)
    return resync_parts.plan(resync.run, resync.wanted, account, stage, left_out=spared.since)


def walk_parts(resync: Resync) -> None:
    """One thread: ask for a page of some part, hand it over, take another part. An error of its own ends the run."""
    walks = resync.walks
    try:
        while (walk := walks.take()) is not None:
            walk.steps = walk.steps or listings_of(walk, walks, resync.accounts[walk.part.owner])
            listing = next(walk.steps)
            if listing is not None and listing.last:
                walk.steps.close()  # and lets go of its last page
            walks.bring(walk, listing)
    except BaseException as error:
        resync.stop(error)
    finally:
        connection.close()


def write_pages(resync: Resync) -> None:
    """One thread: write what comes. After an error the rest is let go: its parts stay as they are."""
    try:
        commit_soon()
        while (listing := resync.walks.next_listing()) is not None:
            write_listing(resync, listing)
    except BaseException as error:
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
    """Bring a page into the mirror, as far as what it refers to is there; the rest of it comes back later."""
    account = resync.accounts[listing.walk.part.owner]
    if listing.page is not None:
        how = resync.noted.by(account.name)
        check, compared = resync.wanted.check, resync.compared[account.name]
        page = listing.page
        listing.settled = settle(page, compared=compared, check=check, account=account, clock=resync.clock, how=how)
        resync.looked_at += len(listing.page.objects)
        listing.page = None
    if listing.settled is not None and listing.settled.rest:
        awaits = write_what_can_be(resync, listing.walk, listing.settled, account)
        if awaits:
            resync.walks.put_off(listing, awaits)
            return
    with listing.walk.keeping:
        done = resync.walks.written(listing)
        if done:
            keep_place(resync, listing.walk.part, done)
    if done and done[-1].last:
        resync.walks.finished(listing.walk)


def write_what_can_be(resync: Resync, walk: Walk, settled: Settled, account: StripeAccount) -> Collection[Name]:
    """Write what differs; return the kinds that the rest of it waits for.

    Nothing is tried before the lists of the parents are through. Kinds that are asked for parent by parent take long:
    only what does refer to a missing one of them waits.
    """
    before = ancestors_of(walk.part.kind)
    soon = {name for name in before if kind_for(name).under is None}
    awaits = resync.walks.unfinished(account.name, soon)
    if awaits:
        return awaits
    coming = {name for _, name in resync.walks.unfinished(account.name, before)}
    later = Later(frozenset(coming))
    write_rest(settled, account=account, clock=resync.clock, later=later, how=resync.noted.by(account.name))
    return [(account.name, name) for name in later.awaited] if settled.rest else []


def keep_place(resync: Resync, part: ResyncPart, done: Sequence[Listing]) -> None:
    """Say in the part's row how far it is; other columns may have been changed by whoever cut it."""
    for listing in done:
        settled = listing.settled or Settled()
        resync.noted.count(part, settled)
        resync.spared[part.owner].note(part.kind, settled)
        for ref, found in settled.differing.items():
            if len(resync.differing) < EXAMPLES:
                resync.differing[ref] = found
    last = done[-1]
    state = PartState.UNAVAILABLE if last.unavailable else PartState.DONE if last.last else PartState.WAITING
    with connection.cursor() as cursor:
        cursor.execute(
            KEEP_PLACE, [last.cursor, last.reached, json.dumps(part.counts), state.value, last.unavailable, part.pk]
        )


def end(resync: Resync) -> None:
    """Write down how it ended, and let go of the lock."""
    done = resync.error is None
    if done:
        sum_up(resync.run)
    ResyncRun.objects.filter(pk=resync.run.pk).update(
        state=RunState.DONE if done else RunState.STOPPED,
        finished_at=resync.clock() if done else None,
        error="" if resync.error is None else describe(resync.error),
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, resync.run.pk])
    log.info("resync:ended", run=resync.run.pk, done=done)


def owners_known(accounts: Sequence[StripeAccount]) -> None:
    """Ask once whose the keys are, before anything else. Raises stripe.StripeError."""
    for account in accounts:
        owner_id(account)
