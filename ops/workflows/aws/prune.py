"""Tasks of Step Functions are kept as long as histories are, and as long as their executions may still ask."""

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from ops.workflows.aws.redrives import REDRIVABLE_FOR
from ops.workflows.models import EventWait
from ops.workflows.waits.register import ABROAD

AT_ONCE = 1000
LONGEST_EXECUTION = timedelta(days=366)  # Step Functions docs, "Quotas": a standard execution ends within a year
SLACK = timedelta(days=2)  # an end is read here a little later than it is
# A task of an execution that runs, or may be redriven, may be handed out again: its row is what its key is made of.
OLD = """
    DELETE FROM ops_activitytask WHERE id IN (
        SELECT task.id FROM ops_activitytask AS task LEFT JOIN ops_execution AS execution
            ON execution.arn = task.execution AND execution.arn <> ''
        WHERE task.received_at < %(before)s AND task.due_at IS NULL AND task.state IN ('told', 'late', 'waiting')
          AND (execution.finished_at < %(ended)s OR (execution.id IS NULL AND task.received_at < %(unknown)s))
        ORDER BY task.received_at LIMIT %(limit)s)
    RETURNING id
"""


def prune_tasks(*, now: datetime, end: float) -> int:
    """Delete tasks that nobody will ask about, until none is left or `time.monotonic` reaches `end`; return how many.

    What such a task still waited for is waited for no more.

    Of an execution that is not known here nobody knows whether it runs: its tasks stay until it must have ended.
    """
    days, total = settings.WORKFLOWS_TASK_DAYS, 0
    redrivable = REDRIVABLE_FOR + SLACK
    values: dict[str, datetime | int] = {
        "before": now - timedelta(days=days),
        "ended": now - redrivable,
        "unknown": now - LONGEST_EXECUTION - redrivable,
        "limit": AT_ONCE,
    }
    while days > 0 and time.monotonic() < end:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(OLD, values)
            gone = [f"{ABROAD}{pk}" for (pk,) in cursor.fetchall()]
            EventWait.objects.filter(foreign_token__in=gone).delete()
        total += len(gone)
        if len(gone) < AT_ONCE:
            break
    return total
