"""Calls that are over: their answers were taken, or nobody wants them any more."""

from collections.abc import Sequence
from datetime import datetime

import orjson
from django.db import connection

from ops.workflows.models import EventWait

SETTLE = """
    UPDATE ops_taskcall AS call SET state = 'taken'
    FROM jsonb_to_recordset(%s::jsonb) AS new (execution bigint, number int)
    WHERE call.execution_id = new.execution AND call.number = new.number
"""
# A call whose children must be stopped stays due until they are (`children.stop_strays`).
DUE_AFTER = """
    CASE WHEN resource LIKE 'arn:aws:states:::states:startExecution.sync%%'
        OR resource = 'arn:aws:states:local:000000000000:mapRun' THEN %s::timestamptz END
"""
# What was being made, or would have been made again, may be done all the same. Children that are stopped are not.
MAY_BE_DONE = "may_be_done OR (state = 'due' AND resource NOT LIKE 'arn:aws:states:::states:startExecution%%')"
DROP = f"""
    UPDATE ops_taskcall AS call SET
        state = 'dropped', may_be_done = {MAY_BE_DONE}, due_at = {DUE_AFTER}, claimed_until = NULL
    FROM jsonb_to_recordset(%s::jsonb) AS new (execution bigint, number int)
    WHERE call.execution_id = new.execution AND call.number = new.number AND call.state IN ('due', 'waiting')
    RETURNING call.id
"""  # noqa: S608 - of our own words alone
DROP_ALL = f"""
    UPDATE ops_taskcall SET
        state = 'dropped', may_be_done = {MAY_BE_DONE}, due_at = {DUE_AFTER}, claimed_until = NULL
    WHERE execution_id = ANY(%s) AND state IN ('due', 'waiting') RETURNING id
"""  # noqa: S608 - as above

Places = Sequence[tuple[int, int]]  # an execution, and the number of a call of its


def settle(taken: Places, dropped: Places, ended: Sequence[int], *, now: datetime) -> None:
    """Mark calls whose answers were taken, and drop those that nobody wants any more: `dropped`, and all that ended
    executions still had.
    """
    with connection.cursor() as cursor:
        if taken:
            cursor.execute(SETTLE, [as_rows(taken)])
        left: list[int] = []
        if dropped:
            cursor.execute(DROP, [now, as_rows(dropped)])
            left += [pk for (pk,) in cursor.fetchall()]
        if ended:
            cursor.execute(DROP_ALL, [now, list(ended)])
            left += [pk for (pk,) in cursor.fetchall()]
    if left:
        EventWait.objects.filter(call_id__in=left).delete()


def as_rows(places: Places) -> str:
    return orjson.dumps([{"execution": execution, "number": number} for execution, number in places]).decode()
