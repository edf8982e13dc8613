"""Tasks of Step Functions as rows: the intent is committed, the effect called, its outcome committed, and then told.

Killed at any of these commas, whoever looks next (`sweep`) goes on from the row, under the same key.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from botocore.exceptions import ClientError
from django.db import connection, transaction
from django.db.models import F, Q

from ops.effects import aws
from ops.effects.outcome import Done, Later, Outcome, Refused, Retry
from ops.effects.registry import ARN as EFFECT
from ops.effects.sealing import seal, unseal
from ops.workflows.asl.errors import DATA_LIMIT, TASK_FAILED
from ops.workflows.asl.written import LARGEST_PAYLOAD, size, written
from ops.workflows.aws.answers import answer_met
from ops.workflows.aws.models import ActivityTask, TaskState
from ops.workflows.aws.origins import Origin, cause_of, origin_of, redrives_of
from ops.workflows.aws.there import code_of
from ops.workflows.calls import GIVE_UP_AFTER, LEASE, wait_after
from ops.workflows.made import Made
from ops.workflows.resources import make
from ops.workflows.tokens import hash_of

Json = Any
Clock = Callable[[], datetime]
Make = Callable[..., Outcome | Later]
log = structlog.get_logger(__name__)
# Step Functions waits for this token no more, or has never known it (API reference, "SendTaskSuccess").
TIMED_OUT = ("TaskTimedOut", "TaskDoesNotExist")
NOT_WAITING = (*TIMED_OUT, "InvalidToken")
LONGEST_ERROR, LONGEST_CAUSE = 256, 32_768  # characters


def receive(activity: str, token: str, text: str, *, now: datetime) -> ActivityTask:
    """Commit the row of a task that was handed out; it is leased to the caller where it is due.

    A state that is tried again, or redriven, goes on from where its call stands: one that was answered keeps its
    answer, unless the effect refused it for good; then trying again calls the effect again. Must not be called in a
    transaction: AWS may be asked.
    """
    try:
        origin = origin_of(text, token)
    except ValueError:
        origin = Origin(f"step-functions:{hash_of(token)}", "", "", text)
    redriven = redriven_at(origin, token)
    with transaction.atomic():
        one_at_a_time(origin)
        calls = calls_of(origin)
        same = [call for call in calls if call.origin == origin.key]
        task = next((call for call in same if call.token_hash == hash_of(token)), None)
        if task is None:
            task = again(tried_before(calls, origin, redriven), token, origin, redriven, now=now)
        return task or first(activity, token, origin, redriven, twin=len(same), now=now)


def one_at_a_time(origin: Origin) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 6))", [origin.key])


def calls_of(origin: Origin) -> list[ActivityTask]:
    """The calls that were made from there; and those from the same state, with the same, of which nobody knows."""
    same = Q(origin=origin.key)
    if origin.execution:
        same |= Q(execution=origin.execution, state_name=origin.state, arguments=origin.arguments)
    rows = ActivityTask.objects.filter(same).order_by("twin", "pk")
    return [row for row in rows if row.origin == origin.key or row.may_be_done]


def redriven_at(origin: Origin, token: str) -> int:
    """How often the execution had been redriven when this task was handed out; 0 where it makes no difference.

    A redrive counts a state's tries from 0 (Step Functions docs, "Retry behavior of redriven executions"). So do items
    of a Map: AWS is asked which it is. Where it does not say, it counts as redriven: nothing is done twice.
    """
    calls = calls_of(origin)
    latest = max((call.redriven for call in calls), default=0)
    known = any(call.token_hash == hash_of(token) for call in calls)
    if not calls or known or not origin.execution or tried_before(calls, origin, latest):
        return latest
    try:
        return redrives_of(origin.execution)
    except aws.AwsTrouble as error:
        log.warning("step_functions:redrives_unknown", execution=origin.execution, error=str(error))
        return latest + 1


def first(activity: str, token: str, origin: Origin, redriven: int, *, twin: int, now: datetime) -> ActivityTask:
    return ActivityTask.objects.create(
        origin=origin.key,
        twin=twin,
        tried=origin.tried,
        redriven=redriven,
        activity=activity,
        execution=origin.execution,
        state_name=origin.state,
        arguments=origin.arguments,
        token_hash=hash_of(token),
        sealed_token=seal(token),
        due_at=now + LEASE,
        received_at=now,
    )


def tried_before(calls: Sequence[ActivityTask], origin: Origin, redriven: int) -> ActivityTask | None:
    """The call that is tried again; of several, one from the very same place, and one that came to no good."""
    earlier = [
        call
        for call in calls
        if (call.redriven, call.tried if call.origin == origin.key else origin.tried) < (redriven, origin.tried)
    ]
    return min(earlier, key=lambda call: (call.origin != origin.key, call.succeeded), default=None)


def again(
    task: ActivityTask | None, token: str, origin: Origin, redriven: int, *, now: datetime
) -> ActivityTask | None:
    if task is None:
        return None  # the worker that had it died before it could write anything
    task.token_hash, task.sealed_token = hash_of(token), seal(token)
    task.tried, task.redriven = origin.tried, redriven
    task.handed_out += 1
    if task.state in (TaskState.ANSWERED, TaskState.TOLD, TaskState.LATE):
        go_on(task, now=now)
    task.save()
    return task


def go_on(task: ActivityTask, *, now: datetime) -> None:
    """A call that had its answer, or that nobody wanted any more, is wanted again."""
    if task.answer is not None and "result" in task.answer:
        task.state, task.due_at = TaskState.ANSWERED, now
        return
    # What was refused for good did nothing: the next is another call. All else goes on under its key.
    task.round += task.for_good
    task.error = ""
    task.state, task.due_at, task.attempts = TaskState.DUE, now + LEASE, 0
    task.answer, task.for_good = None, False


def perform(task: ActivityTask, clock: Clock, *, make: Make = make) -> None:
    """Call the effect of a task that is due and leased to us, record what came of it, and tell Step Functions.

    Must not be called in a transaction.
    """
    if task.state == TaskState.DUE:
        record(task, outcome_of(task, make, now=clock()), now=clock())
    if task.state == TaskState.ANSWERED:
        tell(task, now=clock())


def outcome_of(task: ActivityTask, make: Make, *, now: datetime) -> Outcome | Later:
    try:
        cause = cause_of(task.execution)
    except aws.AwsTrouble as error:
        return Retry(f"{type(error).__name__}: AWS did not say what began {task.execution}.", tried=False)
    made = Made(
        key=task.key,
        machine=machine_of(task),
        state=task.state_name,
        resource=EFFECT + task.activity.rpartition(":")[2],
        arguments=task.arguments,
        event_id=cause.event_id,
        customer_id=cause.customer_id,
        task=task.pk,
        started_at=cause.started_at,
    )
    return make(made, now=now)


def machine_of(task: ActivityTask) -> str:
    return Origin("", task.execution, "", None).machine


def record(task: ActivityTask, outcome: Outcome | Later, *, now: datetime) -> None:
    """Commit what came of a call, unless somebody else has; `task` then says how it stands."""
    task.attempts += not isinstance(outcome, Retry) or outcome.tried
    match outcome:
        case Done(result):
            set_answer(task, answer_of(result), now=now)
        case Later():
            task.state, task.due_at = TaskState.WAITING, None
        case Refused(error):
            set_answer(task, failure_of(error), now=now)
            task.for_good = True
        case Retry(error) if task.attempts >= GIVE_UP_AFTER:
            set_answer(task, failure_of(error), now=now)
        case Retry(error, after):
            task.error = error
            task.due_at = now + max(wait_after(task.attempts), after or timedelta())
    values = {name: getattr(task, name) for name in ("state", "due_at", "attempts", "answer", "for_good", "error")}
    if not ActivityTask.objects.filter(pk=task.pk, state=TaskState.DUE).update(**values):
        task.refresh_from_db()


def set_answer(task: ActivityTask, answer: dict[str, Json], *, now: datetime) -> None:
    task.state, task.answer, task.due_at = TaskState.ANSWERED, answer, now + LEASE


def answer_of(result: Json) -> dict[str, Json]:
    if size(result) > LARGEST_PAYLOAD:
        return {"error": DATA_LIMIT, "cause": "The effect's result is larger than 256 KiB."}
    return {"result": result}


def failure_of(error: str) -> dict[str, Json]:
    name, _, sentence = error.partition(": ")
    return {"error": name[:LONGEST_ERROR] or TASK_FAILED, "cause": sentence[:LONGEST_CAUSE]}


def tell(task: ActivityTask, *, now: datetime) -> None:
    """Send the answer. Step Functions that is away is told later; one that waits no more is not told."""
    token, answer = unseal(ActivityTask.objects.values_list("sealed_token", flat=True).get(pk=task.pk)), task.answer
    states = client_of(task)
    try:
        if "result" in answer:
            states.send_task_success(taskToken=token, output=written(answer["result"]))
        else:
            states.send_task_failure(taskToken=token, **answer)
    except ClientError as error:
        if code_of(error) not in NOT_WAITING:
            told_later(task, error, now=now)
            return
        told(task, token, TaskState.LATE, why=said_by(error))
    except aws.AwsTrouble as error:
        told_later(task, error, now=now)
    else:
        told(task, token, TaskState.TOLD)


def said_by(error: ClientError) -> str:
    return aws.said(code_of(error), str(error.response.get("Error", {}).get("Message", "")))


def client_of(task: ActivityTask) -> Any:
    return aws.client("stepfunctions", task.activity.split(":")[3])


def told(task: ActivityTask, token: str, state: TaskState, *, why: str = "") -> None:
    """Nothing more is to be done for this token; another that has come meanwhile has yet to be told."""
    task.state = state
    row = ActivityTask.objects.filter(pk=task.pk, state=TaskState.ANSWERED, token_hash=hash_of(token))
    row.update(state=state, due_at=None, error=why)


def told_later(task: ActivityTask, error: Exception, *, now: datetime) -> None:
    """Try again, after longer each time; any number of times: Step Functions waits, or says that it does not."""
    log.warning("step_functions:not_told", task=task.origin, error=str(error))
    row = ActivityTask.objects.filter(pk=task.pk, state=TaskState.ANSWERED)
    row.update(due_at=now + wait_after(task.untold + 1), untold=F("untold") + 1, error=str(error)[:1000])


def sweep(clock: Clock, *, limit: int = 32) -> list[ActivityTask]:
    """Lease what is due: calls to be made again, whose worker died, and answers that were not told."""
    now = clock()
    answer_met(now=now)
    with transaction.atomic():
        due = ActivityTask.objects.select_for_update(skip_locked=True).filter(due_at__lte=now)
        tasks = list(due.order_by("due_at", "id")[:limit])
        ActivityTask.objects.filter(pk__in=[task.pk for task in tasks]).update(due_at=now + LEASE)
    return tasks


def heartbeat(task: ActivityTask) -> bool:
    """Say that we are still at it; False: AWS is asked too often, or is away. Where Step Functions waits no more, the
    call is not made again: a token that it calls invalid may yet be answered.
    """
    try:
        client_of(task).send_task_heartbeat(taskToken=unseal(task.sealed_token))
    except ClientError as error:
        if code_of(error) in TIMED_OUT:
            row = ActivityTask.objects.filter(pk=task.pk, state=TaskState.DUE, token_hash=task.token_hash)
            row.update(state=TaskState.LATE, due_at=None, error=said_by(error))
            return True
        return code_of(error) in NOT_WAITING or troubled(task, error)
    except aws.AwsTrouble as error:
        return troubled(task, error)
    return True


def troubled(task: ActivityTask, error: Exception) -> bool:
    log.warning("step_functions:no_heartbeat", task=task.origin, error=str(error))
    return False
