"""Beginning to wait: the row is committed first, then everything that has happened is looked at.

Why no event falls between the two: an event is matched with the waits that are committed when its batch is dispatched,
and it was settled before that. A wait that was committed too late for that looks back later still, and finds the event
settled. Where both find one, the first to lock the execution answers, and the other finds nothing that waits.

The same holds of what changes without an event: the note of it (`billing.mirror.silence`) is committed with the change
and taken after that.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from billing.stripe_accounts import PRIMARY, by_name
from ops.rules.envelopes import STRIPE, Event
from ops.workflows.asl.written import written
from ops.workflows.models import EventWait
from ops.workflows.waits.past import Began, event_that_began, look_back
from ops.workflows.waits.wanted import Wait, Wanted, compiled, keys_of

# A wait of a call that nobody wants any more is not made, even where a slow worker comes late.
INSERT = """
    INSERT INTO ops_eventwait (call_id, foreign_token, pattern, object_id, since, not_event, owner, livemode,
        key_name, keys, until, created_at)
    SELECT %(call)s::bigint, %(token)s, %(pattern)s, %(object)s, %(since)s, %(not_event)s, %(owner)s, %(livemode)s,
        %(name)s, %(keys)s::text[], %(until)s::timestamptz, %(now)s
    WHERE %(call)s::bigint IS NULL OR EXISTS (
        SELECT 1 FROM ops_taskcall WHERE id = %(call)s AND state IN ('due', 'waiting') FOR SHARE)
    ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True)
class Waiter:
    """Who waits: a call of an execution here, or a task of Step Functions by `foreign_token`."""

    call: int | None = None
    foreign_token: str = ""
    event_id: str = ""  # what began the execution
    started_at: datetime | None = None
    until: datetime | None = None


ABROAD = "step-functions:"


def foreign_token(task: int) -> str:
    """How a task of Step Functions is called here, by its row. What AWS calls it stands sealed in that row."""
    return f"{ABROAD}{task}" if task else ""


def wait_for(wanted: Wanted, waiter: Waiter, *, now: datetime) -> Event | None:
    """Begin to wait; return the event where it has come already, and wait no longer then.

    May be called again for the same waiter. Must not be called in a transaction. Raises UnknownAccount.
    """
    wait = commit(wanted, waiter, now=now)
    event = look_back(wait, now=now)
    if event is not None:
        forget(waiter)
    return event


def commit(wanted: Wanted, waiter: Waiter, *, now: datetime) -> Wait:
    pattern = written(wanted.pattern)
    name, keys = keys_of(compiled(pattern), wanted.object)
    began = event_that_began(waiter.event_id)
    since = wanted.since or since_by_default(waiter, began, now=now)
    owner, livemode = whose(wanted, began)
    values = {
        "call": waiter.call,
        "token": waiter.foreign_token,
        "pattern": pattern,
        "object": wanted.object,
        "since": since,
        "not_event": waiter.event_id,
        "owner": owner,
        "livemode": livemode,
        "name": name,
        "keys": keys,
        "until": waiter.until,
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(INSERT, values)
    return Wait(0, pattern, wanted.object, since, waiter.event_id, owner, livemode)


def since_by_default(waiter: Waiter, began: Began | None, *, now: datetime) -> datetime:
    """The execution's start; or the arrival of the event that began it, as others may have come before the start."""
    started = waiter.started_at or now
    return min(began.received_at, started) if began else started


def whose(wanted: Wanted, began: Began | None) -> tuple[str, bool]:
    """The account and the mode whose events of Stripe's count: of the account that is named, or of the event which
    began the execution, or of the primary account. Raises UnknownAccount.
    """
    if wanted.account is None and began and began.source == STRIPE:
        return began.owner, began.livemode
    account = by_name(wanted.account or PRIMARY)
    return account.name, account.livemode


def forget(waiter: Waiter) -> None:
    """Wait no longer."""
    if waiter.call is not None:
        EventWait.objects.filter(call_id=waiter.call).delete()
    else:
        EventWait.objects.filter(foreign_token=waiter.foreign_token).delete()
