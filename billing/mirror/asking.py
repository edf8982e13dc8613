"""Objects that Stripe must be asked about: found out (`inquiry.py`), then written through their gates.

No transaction is open while Stripe is asked. An answer is written only if the object's gate is as it was before the
question; if something else was written meanwhile, Stripe is asked again.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import stripe
import structlog
from django.db import InterfaceError, OperationalError, transaction

from billing import metrics
from billing.inbox import claim
from billing.mirror import gates, tables
from billing.mirror.echoes import unheard
from billing.mirror.failing import StripeAway, concerns_all, postponed, tell_failure
from billing.mirror.gate import FAR
from billing.mirror.inquiry import Answers, Ask, Later, find_out, references_of
from billing.mirror.kinds import Ref
from billing.mirror.owner import owner_id
from billing.mirror.words import Story
from billing.mirror.write import Change, Held, Snapshot, hold, passes, write_held
from billing.stripe_accounts import StripeAccount
from billing.stripe_reading import LONG_AGO

log = structlog.get_logger(__name__)

ROUNDS = 5  # questions about one object that changes all the time, before its events wait for their next turn

Clock = Callable[[], datetime]
# What else belongs into the transaction that writes: given the stories whose objects it settles, and all changes.
How = Callable[[Sequence[Story], Mapping[Ref, Change]], None]


def nothing(_told: Sequence[Story], _changes: Mapping[Ref, Change]) -> None:
    """Nobody waits for these objects."""


def refresh(
    refs: Iterable[Ref],
    *,
    account: StripeAccount,
    clock: Clock,
    how: How = nothing,
    at: datetime | None = None,
) -> dict[Ref, Change]:
    """Bring these objects, and the objects they refer to, to what Stripe says now.

    `at` makes news of what the mirror had not seen before, as an event would that told it then; the same fact's event,
    when it comes, makes no second. Raises stripe.StripeError when Stripe does not answer or refuses.
    """
    changes, errors = ask_rounds([Ask(ref, at=at) for ref in refs], account=account, clock=clock, how=how)
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
        buried = answers.bury - held.stored.keys()
        tables.bury(buried, owner_id=owner, livemode=account.livemode, now=clock())
        gates.advance(((ref, LONG_AGO, FAR, True) for ref in buried), owner=account.name)
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
    told = [entry.story.newest.occurred_at if entry.story else entry.at for entry in asks]
    at = max((each for each in told if each), default=None)
    return snapshot if snapshot.at else replace(snapshot, at=at)


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
