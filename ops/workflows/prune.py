"""Histories are kept as long as the settings say, then the executions themselves go; what runs stays."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from ops.workflows.aws.prune import prune_tasks

AT_ONCE = 200  # executions a transaction: locks are short, and who works on one is passed over
TOLD = """
    SELECT id FROM ops_execution WHERE has_history AND NOT untold AND finished_at < %s
    ORDER BY finished_at LIMIT %s FOR UPDATE SKIP LOCKED
"""
OLD = """
    SELECT id FROM ops_execution WHERE NOT has_history AND finished_at < %s
    ORDER BY finished_at LIMIT %s FOR UPDATE SKIP LOCKED
"""


def prune(*, now: datetime, budget_seconds: float) -> int:
    """Delete old tasks of Step Functions, old histories with their calls and what a redrive would go on from, then old
    executions, until none is left or time is up; return how many executions were touched.
    """
    end = time.monotonic() + budget_seconds
    prune_tasks(now=now, end=end)
    histories = prune_all(TOLD, drop_histories, days=settings.WORKFLOWS_HISTORY_DAYS, now=now, end=end)
    return histories + prune_all(OLD, drop_executions, days=settings.WORKFLOWS_ROW_DAYS, now=now, end=end)


def prune_all(which: str, drop: Callable[[list[int]], None], *, days: int, now: datetime, end: float) -> int:
    total = 0
    while days > 0 and time.monotonic() < end:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(which, [now - timedelta(days=days), AT_ONCE])
            pks = [pk for (pk,) in cursor.fetchall()]
            drop(pks)
        total += len(pks)
        if len(pks) < AT_ONCE:
            break
    return total


def drop_histories(pks: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ops_historyevent WHERE execution_id = ANY(%s)", [pks])
        for let_go in (ORPHANS, MAP_RUNS, APPROVALS):
            cursor.execute(let_go, [pks])
        cursor.execute("DELETE FROM ops_taskcall WHERE execution_id = ANY(%s)", [pks])
        cursor.execute("UPDATE ops_execution SET has_history = false, walkers = '[]' WHERE id = ANY(%s)", [pks])


# Children whose parent's calls go are executions like others; what people decided is kept.
CALLS = "SELECT id FROM ops_taskcall WHERE execution_id = ANY(%s)"
ORPHANS = f"UPDATE ops_execution SET parent_call_id = NULL WHERE parent_call_id IN ({CALLS})"  # noqa: S608 - our words
MAP_RUNS = f"DELETE FROM ops_maprun WHERE call_id IN ({CALLS})"  # noqa: S608 - as above
APPROVALS = f"UPDATE ops_approval SET call_id = NULL WHERE call_id IN ({CALLS})"  # noqa: S608 - as above


def drop_executions(pks: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ops_execution WHERE id = ANY(%s)", [pks])
