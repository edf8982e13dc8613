"""Executions that ended other than well go on: rows, in the caller's transaction, which has locked them.

Where each stood when it ended lies in its row (`Execution.walkers`), until its history is pruned.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from ops.workflows import history
from ops.workflows.asl.history import MOST_EVENTS
from ops.workflows.asl.redriven import redrive
from ops.workflows.asl.running import Walker, from_json, states_of
from ops.workflows.machines import compiled
from ops.workflows.models import CallState, Execution, MapRun, TaskCall, written_states
from ops.workflows.stored import stored

Json = Any
Run = tuple[int, int]  # an execution, and the number of its call that runs a distributed Map
WRITE = """
    UPDATE ops_execution AS execution
    SET walkers = new.walkers, standing = new.standing, events = new.events, redrives = new.redrives,
        ends_by = new.ends_by, status = 'RUNNING', error = '', cause = '', due_at = %(now)s, redriven_at = %(now)s,
        paused_at = NULL, finished_at = NULL, untold = false
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS new (
        id bigint, walkers jsonb, standing text, events int, redrives int, ends_by timestamptz)
    WHERE execution.id = new.id
"""


def can_go_on(row: Execution) -> bool:
    """Whether it is known where it stood, and its history has room for the redrive and one event more.

    Step Functions docs, "Redrive eligibility for unsuccessful executions".
    """
    return bool(row.walkers) and row.events < MOST_EVENTS - 1


def set_going(rows: Sequence[Execution], *, now: datetime) -> list[Run]:
    """Let executions that can go on do so from where each failed; return the Map Runs that have to be made again."""
    answered = answered_calls(rows)
    told: list[dict[str, Json]] = []
    runs: list[Run] = []
    written = []
    for row in rows:
        row.redrives += 1
        tell(row, told, "ExecutionRedriven", row.events, now, redriveCount=row.redrives)
        walkers = [from_json(walker) for walker in row.walkers]
        numbers = {number for execution, number in answered if execution == row.pk}
        for walker in redrive(walkers, compiled(row.version_id), answered=numbers, now=now, after=row.events):
            runs.append((row.pk, walker.call_number))
            tell_of_run(row, walker, told, now)
        written.append(laid_down(row, walkers, now))
    history.write(told)
    with connection.cursor() as cursor:
        cursor.execute(WRITE, {"rows": stored(written), "now": now})
    return runs


def answered_calls(rows: Sequence[Execution]) -> set[tuple[int, int]]:
    """Calls that were answered, of which nobody has taken the answer: the execution was stopped before that."""
    calls = TaskCall.objects.filter(execution__in=[row.pk for row in rows], state=CallState.ANSWERED)
    return set(calls.values_list("execution_id", "number"))


def tell_of_run(row: Execution, walker: Walker, told: list[dict[str, Json]], now: datetime) -> None:
    run = MapRun.objects.filter(call__execution=row, call__number=walker.call_number).first()
    if run:
        arn = f"arn:aws:states:local:000000000000:mapRun:{run}"
        details = {"mapRunArn": arn, "redriveCount": run.redrives + 1}
        walker.last_id = tell(row, told, "MapRunRedriven", walker.last_id, now, **details)


def tell(row: Execution, told: list[dict[str, Json]], type_: str, previous: int, now: datetime, **details: Json) -> int:
    row.events += 1
    told.append(history.event(row.pk, row.events, previous, type_, "", details, now))
    return row.events


def laid_down(row: Execution, walkers: list[Walker], now: datetime) -> dict[str, Json]:
    return {
        "id": row.pk,
        "walkers": walkers,
        "standing": written_states(states_of(walkers)),
        "events": row.events,
        "redrives": row.redrives,
        "ends_by": ends_by(row, now),
    }


def ends_by(row: Execution, now: datetime) -> datetime | None:
    """When a machine's time-out is over for an execution that goes on now; a Map's children have none of their own."""
    seconds = compiled(row.version_id).timeout_seconds if row.map_index is None else None
    return now + timedelta(seconds=seconds) if seconds else None
