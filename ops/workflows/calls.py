"""Calls of Task states: intents that are committed, leased, made with no transaction open, and answered.

Killed between a call and its record, the same call is made again with the same key. An answer wakes the execution.
"""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.db import connection, connections, transaction

from ops.effects.outcome import Done, Outcome, Refused, Retry
from ops.workflows import mapruns
from ops.workflows.asl.fork import MAP_RUN
from ops.workflows.asl.history import submits
from ops.workflows.asl.running import Asked
from ops.workflows.made import Later, Made
from ops.workflows.mapruns import make_map_run
from ops.workflows.models import CallState, TaskCall
from ops.workflows.resources import is_at_home, make
from ops.workflows.stored import can_be_stored, stored
from ops.workflows.tokens import hash_of

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=120)  # longer than any call may take
AT_ONCE = 64  # calls a lease
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=5)
GIVE_UP_AFTER = 12  # attempts of one call; what a definition's Retry does comes after
# A call that tries another again bears that one's key, unless that one is known to have done nothing.
INSERT = """
    INSERT INTO ops_taskcall (execution_id, number, key_number, may_be_done, walker, state_name, resource, arguments,
        token_hash, heartbeat_seconds, timeout_at, state, due_at, attempts, error)
    SELECT new.execution_id, new.number, CASE WHEN before.may_be_done THEN coalesce(before.key_number, before.number)
        ELSE new.number END, false,
        new.walker, new.state_name, new.resource, new.arguments, new.token_hash, new.heartbeat_seconds, new.timeout_at,
        'due', new.due_at, 0, ''
    FROM jsonb_to_recordset(%s::jsonb) AS new (
        execution_id bigint, number int, retries int, walker int, state_name text, resource text, arguments jsonb,
        token_hash text, heartbeat_seconds int, timeout_at timestamptz, due_at timestamptz)
    LEFT JOIN ops_taskcall AS before ON before.execution_id = new.execution_id AND before.number = new.retries
"""
CLAIM = """
    WITH chosen AS (
        SELECT id FROM ops_taskcall WHERE state = 'due' AND due_at <= %(now)s
        ORDER BY due_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    UPDATE ops_taskcall AS call SET due_at = %(until)s, claimed_until = %(until)s
    FROM chosen, ops_execution AS execution, ops_statemachine AS machine
    WHERE call.id = chosen.id AND execution.id = call.execution_id AND machine.id = execution.machine_id
    RETURNING call.id, call.execution_id, coalesce(call.key_number, call.number), call.state_name, call.resource,
        call.arguments::text, call.attempts, call.timeout_at, machine.name, execution.name, execution.event_id,
        execution.customer_id, execution.depth, execution.started_at
"""
ANSWER = """
    UPDATE ops_taskcall AS call SET state = new.state, answer = new.answer, due_at = new.due_at, error = new.error,
        attempts = new.attempts, may_be_done = new.may_be_done, claimed_until = NULL
    FROM jsonb_to_recordset(%s::jsonb) AS new (
        id bigint, state text, answer jsonb, due_at timestamptz, error text, attempts int, may_be_done boolean)
    WHERE call.id = new.id AND call.state = 'due'
"""
# Executions before their calls, and in the order of their ids: as everybody locks them.
LOCK = "SELECT id FROM ops_execution WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
WAKE = "UPDATE ops_execution SET due_at = %s WHERE id = ANY(%s) AND status = 'RUNNING' AND paused_at IS NULL"
Clock = Callable[[], datetime]
Make = Callable[..., Outcome | Later]  # (made, now=)


def intent(execution: int, asked: Asked, *, now: datetime) -> dict[str, Any]:
    """The row of a call that a walker of an execution has begun."""
    call = asked.call
    return {
        "execution_id": execution,
        "number": asked.number,
        "retries": asked.retries,
        "walker": asked.walker,
        "state_name": asked.state,
        "resource": call.resource,
        "arguments": call.arguments,
        "token_hash": hash_of(asked.token) if asked.token else "",
        "heartbeat_seconds": call.heartbeat_seconds,
        "timeout_at": now + timedelta(seconds=call.timeout_seconds) if call.timeout_seconds else None,
        "due_at": now,
    }


def write(intents: Sequence[dict[str, Any]]) -> None:
    """Write the rows of calls, in the transaction that enters their states."""
    if intents:
        with connection.cursor() as cursor:
            cursor.execute(INSERT, [stored(intents)])


def make_due(clock: Clock, *, make: Make = make) -> int:
    """Make the calls that are due, one lease of them; return how many. Must not be called in a transaction."""
    claimed = claim(limit=AT_ONCE, now=clock())
    if not claimed:
        return 0
    runs = [each for each in claimed if each.made.resource == MAP_RUN]  # whoever answers other calls
    record([(each, make_map_run(each.made, now=clock())) for each in runs], now=clock())
    others = [each for each in claimed if each.made.resource != MAP_RUN]
    at_home = [each for each in others if is_at_home(each.made.resource)]
    away = [each for each in others if not is_at_home(each.made.resource)]
    record([(each, make(each.made, now=clock())) for each in at_home], now=clock())
    if away:
        with ThreadPoolExecutor(min(len(away), settings.RULES_CALLS_AT_ONCE), thread_name_prefix="task") as threads:
            outcomes = threads.map(lambda each: make_apart(each, clock, make), away)
            record(list(zip(away, outcomes, strict=True)), now=clock())
    return len(claimed)


def make_apart(claimed: "Claimed", clock: Clock, make: Make) -> Outcome | Later:
    try:
        return make(claimed.made, now=clock())
    finally:
        connections.close_all()


@dataclass(frozen=True, slots=True)
class Claimed:
    """A call that is this worker's until its lease ends."""

    pk: int
    execution: int
    attempts: int  # before this one
    made: Made


def claim(*, limit: int, now: datetime) -> list[Claimed]:
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"now": now, "until": now + LEASE, "limit": limit})
        rows = cursor.fetchall()
    return [claimed(row) for row in sorted(rows)]


def claimed(row: Sequence[Any]) -> Claimed:
    pk, execution, number, state, resource, arguments, attempts, until, *about = row
    machine, name, event_id, customer_id, depth, started_at = about
    made = Made(
        key=f"{machine}:{name}:{number}",
        machine=machine,
        state=state,
        resource=resource,
        arguments=orjson.loads(arguments) if arguments is not None else None,
        event_id=event_id,
        customer_id=customer_id,
        depth=depth,
        call=pk,
        started_at=started_at,
        until=until,
    )
    return Claimed(pk, execution, attempts, made)


Finished = Sequence[tuple[Claimed, Outcome | Later]]


def record(finished: Finished, *, now: datetime) -> None:
    """Write what came of calls, and wake the executions that wait for them."""
    if not finished:
        return
    rows = [row_of(claimed, outcome, now=now) for claimed, outcome in finished]
    answered = {
        claimed.execution for (claimed, _), row in zip(finished, rows, strict=True) if row["state"] == "answered"
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK, [[claimed.execution for claimed, _ in finished]])
        cursor.execute(ANSWER, [stored(rows)])
        cursor.execute(WAKE, [now, list(answered)])
        settle_map_runs(finished, now=now)


def settle_map_runs(finished: Finished, *, now: datetime) -> None:
    """A run whose last child ended while its call was made is made again; of one that failed, children are stopped."""
    runs = [(claimed.pk, outcome) for claimed, outcome in finished if claimed.made.resource == MAP_RUN]
    mapruns.make_again([pk for pk, outcome in runs if isinstance(outcome, Later)], now=now)
    failed = [pk for pk, outcome in runs if isinstance(outcome, Refused)]
    if failed:
        TaskCall.objects.filter(pk__in=failed).update(due_at=now)  # see `children.stop_strays`


def row_of(claimed: Claimed, outcome: Outcome | Later, *, now: datetime) -> dict[str, Any]:
    attempts = claimed.attempts + (not isinstance(outcome, Retry) or outcome.tried)
    row: dict[str, Any] = {"id": claimed.pk, "state": "answered", "answer": None, "due_at": None, "error": ""}
    row |= {"attempts": attempts, "may_be_done": False}
    if isinstance(outcome, Later):
        return {**row, "state": CallState.WAITING.value}
    if isinstance(outcome, Done) and not can_be_stored(outcome.result):
        outcome = Refused("States.Runtime: The result holds characters that cannot be kept (NUL).")
    if isinstance(outcome, Done):
        if submits(claimed.made.resource):
            return {**row, "state": CallState.WAITING.value}
        return {**row, "answer": {"result": outcome.result}, "may_be_done": True}
    if isinstance(outcome, Refused) or attempts >= GIVE_UP_AFTER:
        name, _, sentence = outcome.error.partition(": ")
        known = isinstance(outcome, Refused)
        answer = {"error": name, "cause": sentence or None}
        return {**row, "answer": answer, "error": outcome.error, "may_be_done": not known}
    wait = max(wait_after(attempts), outcome.after or timedelta())
    return {**row, "state": CallState.DUE.value, "due_at": now + wait, "error": outcome.error}


def wait_after(attempts: int) -> timedelta:
    """Exponential, with jitter."""
    wait = min(FIRST_WAIT * 2.0 ** min(max(attempts - 1, 0), 20), LONGEST_WAIT)
    return wait * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
