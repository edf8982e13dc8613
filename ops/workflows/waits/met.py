"""Events meet waits: asked when events are dispatched, in the transaction that marks them. So do objects that changed
without an event: held against the waits for them as they stand, in the transaction that takes the notes of it.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db import connection

from billing.mirror.silence import Silent
from ops import metrics
from ops.rules.envelopes import Event, Received
from ops.workflows import answers
from ops.workflows.asl.written import written
from ops.workflows.models import EventWait
from ops.workflows.waits.past import as_it_stands, readable_forms
from ops.workflows.waits.wanted import OBJECT, Keys, Wait, key_of

# PostgreSQL wiki, "Loose indexscan": one look for each name, however many wait under it.
NAMES = """
    WITH RECURSIVE there AS (
        (SELECT key_name FROM ops_eventwait WHERE met IS NULL ORDER BY key_name LIMIT 1)
        UNION ALL
        SELECT (SELECT w.key_name FROM ops_eventwait w WHERE w.met IS NULL AND w.key_name > there.key_name
            ORDER BY w.key_name LIMIT 1)
        FROM there WHERE there.key_name IS NOT NULL
    )
    SELECT key_name FROM there WHERE key_name IS NOT NULL
"""
# Key by key: asked for all at once, the array operator reads every wait (a hundred thousand: seconds instead of
# milliseconds).
UNDER = """
    SELECT DISTINCT ON (wait.id) wait.id, pattern, object_id, since, not_event, owner, livemode, keys, call_id
    FROM unnest(%s::text[]) AS seen (key)
    CROSS JOIN LATERAL (SELECT * FROM ops_eventwait WHERE met IS NULL AND keys @> ARRAY[seen.key] OFFSET 0) AS wait
    ORDER BY wait.id
"""
MET_ABROAD = "UPDATE ops_eventwait SET met = %s::jsonb WHERE id = %s AND met IS NULL"

Meeting = tuple[int, int | None, Event]  # the wait, its call, and what meets it
Seen = list[tuple[int, Received, Event]]  # (order, row, envelope) of events that have a key


def names() -> list[str]:
    """The names of the keys under which anybody waits; empty where nobody does."""
    with connection.cursor() as cursor:
        cursor.execute(NAMES)
        return [name for (name,) in cursor.fetchall()]


def wake(rows: Sequence[Received], key_names: Sequence[str], *, now: datetime) -> int:
    """Answer the waits that these events meet, in the caller's transaction; return how many.

    Executions are locked in the order of their ids.
    """
    seen = by_key(rows, Keys(key_names))
    if not seen:
        return 0
    return answer(list(meetings(seen)), now=now)


def wake_in_silence(changes: Sequence[Silent], *, now: datetime) -> int:
    """Answer the waits for objects that changed without an event, where they stand as is waited for, in the caller's
    transaction; return how many.
    """
    by_object = {object_id: change for change in changes for object_id in change.object_ids}
    keys = [key_of(OBJECT, object_id) for object_id in by_object]
    met = [
        (wait.pk, call, form)
        for wait, _, call in waits_under(keys)
        if wait.object_id in by_object and (form := as_it_stands(wait, now=now)) is not None
    ]
    return answer(met, now=now)


def answer(met: Sequence[Meeting], *, now: datetime) -> int:
    at_home = {call: event for _, call, event in met if call is not None}
    answers.answer_calls({call: {"result": event} for call, event in at_home.items()}, now=now)
    EventWait.objects.filter(pk__in=[pk for pk, call, _ in met if call is not None]).delete()
    keep_for_abroad([(pk, event) for pk, call, event in met if call is None])
    metrics.waits_met.inc(len(met))
    return len(met)


def by_key(rows: Sequence[Received], keys: Keys) -> dict[str, Seen]:
    seen: dict[str, Seen] = defaultdict(list)
    for order, row in enumerate(rows):
        around = list(keys.around(row))
        if not around and not keys.inside:
            continue
        for form in readable_forms(row):
            for key in {*around, *keys.of(form)} if keys.inside else around:
                seen[key].append((order, row, form))
    return seen


def meetings(seen: dict[str, Seen]) -> Iterator[Meeting]:
    """The waits that are met, each with its call and the first event that meets it."""
    for wait, keys, call in waits_under(list(seen)):
        near = [one for key in keys for one in seen.get(key, ())]
        for _, row, form in sorted(near, key=lambda one: one[0]):
            if wait.is_met_by(row, form):
                yield wait.pk, call, form
                break


def waits_under(keys: Sequence[str]) -> list[tuple[Wait, list[str], int | None]]:
    """The waits that are filed under any of these keys, each with all its keys and its call."""
    with connection.cursor() as cursor:
        cursor.execute(UNDER, [list(keys)])
        return [(Wait(*facts), keys, call) for *facts, keys, call in cursor.fetchall()]


def keep_for_abroad(met: Sequence[tuple[int, Event]]) -> None:
    """What a task of Step Functions waited for is kept until a worker has told it."""
    with connection.cursor() as cursor:
        for pk, event in met:
            cursor.execute(MET_ABROAD, [written(event), pk])
