"""What is waited for may be so already: the events that came since, and the mirrored object as it stands."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import connection

from billing.mirror.kinds import KINDS
from billing.mirror.listing import kind_of
from billing.mirror.raw import RawObject
from ops.rules import take
from ops.rules.envelopes import ACCOUNT, REGION, STRIPE, Event, Received, forms_of, written_time
from ops.rules.narrowing import narrow, types_between
from ops.workflows.waits.wanted import Wait, compiled

log = structlog.get_logger(__name__)

AT_ONCE = 200  # payloads in memory
# The type of the event that tells how an object stands: Stripe's own types say what happened to it.
MIRRORED = "mirrored"
SETTLED = "state IN ('mirrored', 'stored')"  # as `take` takes them: what is not settled yet is matched when it is
ABOUT_OBJECT = f"""
    SELECT id FROM billing_inboxevent
    WHERE object_id = %(object)s AND received_at >= %(since)s AND {SETTLED} ORDER BY id
"""  # noqa: S608 - of our own words alone
# A recursive look finds the sources by the index on (source, external_id), which also finds the event.
BEGAN = """
    WITH RECURSIVE there AS (
        (SELECT source FROM billing_inboxevent ORDER BY source LIMIT 1)
        UNION ALL
        SELECT (SELECT e.source FROM billing_inboxevent e WHERE e.source > there.source ORDER BY e.source LIMIT 1)
        FROM there WHERE there.source IS NOT NULL
    )
    SELECT event.source, event.owner, event.livemode, event.received_at FROM there JOIN billing_inboxevent AS event
    ON event.source = there.source AND event.external_id = %s
    ORDER BY event.received_at LIMIT 1
"""
# Every object that the mirror holds has a gate, but for what stands inside another one.
OF_ANOTHER = """
    SELECT EXISTS (SELECT 1 FROM billing_mirrorgate WHERE object_id = %(object)s AND version > 0)
       AND NOT EXISTS (
           SELECT 1 FROM billing_mirrorgate WHERE object_id = %(object)s AND version > 0 AND owner = %(owner)s)
"""


@dataclass(frozen=True)
class Began:
    """The event that began an execution: whose it is, and when it reached us."""

    source: str
    owner: str
    livemode: bool
    received_at: datetime


def event_that_began(event_id: str) -> Began | None:
    """Return what the inbox knows of an event; None for one that we do not have."""
    if not event_id:
        return None
    with connection.cursor() as cursor:
        cursor.execute(BEGAN, [event_id])
        found = cursor.fetchone()
    return Began(*found) if found else None


def look_back(wait: Wait, *, now: datetime) -> Event | None:
    """Return the first stored event that meets a wait, or the object as it stands now; None where nothing does.

    Must be asked after the wait was committed: what is settled later is matched with it when it is dispatched.
    """
    for pks in in_parts(candidates(wait, now=now)):
        for row in take.read(pks):
            for form in readable_forms(row):
                if wait.is_met_by(row, form):
                    return form
    return as_it_stands(wait, now=now) if wait.object_id else None


def candidates(wait: Wait, *, now: datetime) -> list[int]:
    values: dict[str, Any] = {"since": wait.since, "object": wait.object_id}
    if wait.object_id:
        query = ABOUT_OBJECT
    else:
        # To the end of time: an event that came while this was asked counts too.
        narrowing = narrow(compiled(wait.pattern), types_between(wait.since, datetime.max.replace(tzinfo=now.tzinfo)))
        values |= narrowing.values
        query = (
            f"SELECT id FROM billing_inboxevent WHERE received_at >= %(since)s AND {SETTLED} "  # noqa: S608 - as above
            f"AND ({narrowing.sql}) ORDER BY id"
        )
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return [pk for (pk,) in cursor.fetchall()]


def in_parts(pks: list[int]) -> Iterator[list[int]]:
    return (pks[start : start + AT_ONCE] for start in range(0, len(pks), AT_ONCE))


def readable_forms(row: Received) -> list[Event]:
    """The event's envelopes; none where its payload is no event, or has gone to the archive."""
    try:
        return forms_of(row)
    except ValueError:
        log.warning("waits:unreadable", event_id=row.external_id)
        return []


def as_it_stands(wait: Wait, *, now: datetime) -> Event | None:
    """The mirrored object as an event of type `mirrored`, where that meets the wait."""
    found = mirrored(wait.object_id)
    if found is None or not counts(wait, found):
        return None
    event = {
        "version": "0",
        "id": f"{MIRRORED}:{wait.object_id}",
        "detail-type": MIRRORED,
        "source": STRIPE,
        "account": ACCOUNT,
        "time": written_time(now),
        "region": REGION,
        "resources": [],
        "detail": {"object": "event", "type": MIRRORED, "data": {"object": found}},
    }
    return event if compiled(wait.pattern).matches(event) else None


def mirrored(object_id: str) -> dict[str, Any] | None:
    name = kind_of(object_id)
    kind = KINDS.get(name) if name else None
    rows: Any = RawObject.objects.filter(kind=name or "")
    if kind is not None and kind.model is not None:
        rows = kind.model._default_manager.all()
    found: dict[str, Any] | None = rows.filter(id=object_id).values_list("stripe_data", flat=True).first()
    return found


def counts(wait: Wait, found: dict[str, Any]) -> bool:
    """Whether a mirrored object is of the account and the mode that the wait is of."""
    if wait.livemode is None:
        return True
    if found.get("livemode", wait.livemode) is not wait.livemode:
        return False
    with connection.cursor() as cursor:
        cursor.execute(OF_ANOTHER, {"object": wait.object_id, "owner": wait.owner})
        return not cursor.fetchone()[0]
