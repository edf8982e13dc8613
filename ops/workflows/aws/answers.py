"""Answers that come later to tasks of Step Functions: recorded here, and told by the worker of activities."""

from datetime import datetime
from typing import Any

from django.db import transaction

from ops.workflows.aws.models import ActivityTask, TaskState
from ops.workflows.models import EventWait
from ops.workflows.waits.register import ABROAD

Json = Any


def answer_task(task: int, answer: dict[str, Json], *, now: datetime) -> bool:
    """Give a task that waits its answer; whether it still waited. An answer may come before its call is recorded."""
    waiting = ActivityTask.objects.filter(pk=task, state__in=[TaskState.WAITING, TaskState.DUE])
    return bool(waiting.update(state=TaskState.ANSWERED, answer=answer, due_at=now))


def answer_met(*, now: datetime, limit: int = 100) -> int:
    """Answer the tasks that waited for an event which has come; return how many."""
    with transaction.atomic():
        met = EventWait.objects.select_for_update(skip_locked=True).filter(
            met__isnull=False, foreign_token__startswith=ABROAD
        )
        waits = list(met.order_by("pk")[:limit])
        for wait in waits:
            answer_task(int(wait.foreign_token.removeprefix(ABROAD)), {"result": wait.met}, now=now)
        EventWait.objects.filter(pk__in=[wait.pk for wait in waits]).delete()
    return len(waits)
