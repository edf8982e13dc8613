"""Answers from outside: by its task token a call is answered once, or says that it is still at it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.db import connection, transaction

from ops.workflows.models import CallState, Execution, Status, TaskCall
from ops.workflows.nudge import ADVANCE
from ops.workflows.stored import stored
from ops.workflows.tokens import hash_of, place_of

Json = Any
# Executions before calls, and in the order of their ids: as everybody locks them.
LOCK = """
    SELECT id FROM ops_execution WHERE status = 'RUNNING' AND id IN (
        SELECT execution_id FROM ops_taskcall WHERE id = ANY(%s))
    ORDER BY id FOR UPDATE
"""
# An answer may come before its call is known to have been made.
ANSWER = """
    UPDATE ops_taskcall AS call SET state = 'answered', answer = new.answer, due_at = NULL, claimed_until = NULL
    FROM jsonb_to_recordset(%s::jsonb) AS new (id bigint, answer jsonb)
    WHERE call.id = new.id AND call.execution_id = ANY(%s) AND call.state IN ('due', 'waiting')
    RETURNING call.execution_id
"""


class Answered(Enum):
    """What became of an answer, in the words of Step Functions' errors (API reference, "SendTaskSuccess")."""

    TAKEN = "Taken"
    INVALID = "InvalidToken"  # nobody's
    LATE = "TaskTimedOut"  # it was answered before, or nobody waits for it any more


def succeed(token: str, result: Json, *, now: datetime) -> Answered:
    """Answer a call with its result. A token answers once."""
    return answer(token, {"result": result}, now=now)


def fail(token: str, error: str, cause: str, *, now: datetime) -> Answered:
    """Answer a call with an error."""
    return answer(token, {"error": error or None, "cause": cause or None}, now=now)


def answer(token: str, told: dict[str, Json], *, now: datetime) -> Answered:
    if place_of(token) is None:
        return Answered.INVALID
    with transaction.atomic():
        waiting = waiting_call(token)
        if waiting is None or not answer_calls({waiting.pk: told}, now=now):
            return Answered.LATE
    return Answered.TAKEN


def answer_calls(told: Mapping[int, dict[str, Json]], *, now: datetime) -> int:
    """Answer calls by their ids, in the caller's transaction; return how many still waited for one."""
    if not told:
        return 0
    rows = [{"id": pk, "answer": answer} for pk, answer in told.items()]
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [list(told)])
        running = [pk for (pk,) in cursor.fetchall()]
        cursor.execute(ANSWER, [stored(rows), running])
        answered = [pk for (pk,) in cursor.fetchall()]
    Execution.objects.filter(pk__in=answered, paused_at=None).update(due_at=now)
    transaction.on_commit(ADVANCE.soon)
    return len(answered)


def heartbeat(token: str, *, now: datetime) -> Answered:
    """Say that somebody is still at it: the call's heartbeat begins anew."""
    if place_of(token) is None:
        return Answered.INVALID
    with transaction.atomic():
        waiting = waiting_call(token)
        if waiting is None:
            return Answered.LATE
        if waiting.heartbeat_seconds:
            put_off(waiting, now + timedelta(seconds=waiting.heartbeat_seconds))
    return Answered.TAKEN


def waiting_call_of(token: str) -> TaskCall | None:
    """The call of a token while somebody waits for it; its execution stays free."""
    with transaction.atomic():
        return waiting_call(token)


def waiting_call(token: str) -> TaskCall | None:
    """The call of a token, locked with its execution, while somebody waits for it."""
    place = place_of(token)
    if place is None:
        return None
    # The execution first, as whoever advances it does.
    if not Execution.objects.select_for_update().filter(pk=place[0], status=Status.RUNNING).exists():
        return None
    open_states = [CallState.WAITING, CallState.DUE]
    calls = TaskCall.objects.filter(execution_id=place[0], number=place[1], token_hash=hash_of(token))
    return calls.filter(state__in=open_states).first()


def put_off(call: TaskCall, until: datetime) -> None:
    """Wait for a call until then, or its time-out: where its walker stands says so."""
    execution = Execution.objects.get(pk=call.execution_id)
    patience = min(until, call.timeout_at) if call.timeout_at else until
    for walker in execution.walkers:
        if walker["phase"] == "call" and walker["call_number"] == call.number:
            walker["due"] = patience.isoformat()
    due = [datetime.fromisoformat(walker["due"]) for walker in execution.walkers if walker["due"]]
    execution.due_at = min([*due, *([execution.ends_by] if execution.ends_by else [])])
    execution.save(update_fields=["walkers", "due_at"])
