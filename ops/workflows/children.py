"""Executions that executions start: `states:startExecution`, waited for (`.sync`, `.sync:2`) or not.

Step Functions docs, "Start a new AWS Step Functions workflow from a running execution". A child that is waited for
belongs to its call: when it ends, its parent is told; when nobody wants the call any more, it is stopped. Both are
done after the transaction that made them due, so that nobody who holds a child waits for its parent.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from django.conf import settings
from django.db import connection, transaction

from ops.effects.outcome import Done, Outcome, Refused
from ops.workflows import answers, history, mapruns
from ops.workflows.asl.errors import TASK_FAILED
from ops.workflows.asl.timestamps import write_timestamp
from ops.workflows.asl.written import written
from ops.workflows.machines import ARN, NoVersion
from ops.workflows.made import Later, Made
from ops.workflows.models import CallState, Execution, StateMachine, Status, TaskCall
from ops.workflows.settling import settle
from ops.workflows.start import Cause, InputTooLarge, start
from ops.workflows.tokens import hash_of

Json = Any
AT_ONCE = 100
EXECUTION = "arn:aws:states:local:000000000000:execution:"
TELL = """
    UPDATE ops_execution SET untold = false WHERE id IN (
        SELECT id FROM ops_execution WHERE untold ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
    RETURNING id, parent_call_id, status, map_index
"""
STRAY = """
    SELECT child.id FROM ops_taskcall AS call JOIN ops_execution AS child ON child.parent_call_id = call.id
    WHERE call.state IN ('answered', 'taken', 'dropped') AND call.due_at <= %s AND child.status = 'RUNNING'
    ORDER BY child.id LIMIT %s FOR UPDATE OF child SKIP LOCKED
"""
ORPHANED = """
    UPDATE ops_taskcall AS call SET due_at = NULL
    WHERE call.state IN ('answered', 'taken', 'dropped') AND call.due_at <= %s
    AND NOT EXISTS (SELECT 1 FROM ops_execution WHERE parent_call_id = call.id AND status = 'RUNNING')
"""


WAITING = """
    SELECT EXISTS (SELECT 1 FROM ops_execution WHERE untold) OR EXISTS (
        SELECT 1 FROM ops_taskcall WHERE state IN ('answered', 'taken', 'dropped') AND due_at <= %s)
"""


class Wanted(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    """The arguments of `startExecution`. `input`: JSON, or the text of it."""

    state_machine_arn: str
    input: Any = msgspec.field(default_factory=dict)
    name: Annotated[str, msgspec.Meta(max_length=80)] = ""
    trace_header: str = ""


def start_execution(made: Made, *, now: datetime) -> Outcome | Later:
    """Start a machine of this portal. Once for each call, however often it is made."""
    try:
        wanted = msgspec.convert(made.arguments, Wanted)
        given = msgspec.json.decode(wanted.input) if isinstance(wanted.input, str) else wanted.input
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        return Refused(f"States.Runtime: {error}")
    machine = StateMachine.objects.filter(name=wanted.state_machine_arn.removeprefix(ARN).partition(":")[0]).first()
    if machine is None:
        named = wanted.state_machine_arn
        return Refused(f"StepFunctions.StateMachineDoesNotExistException: State Machine Does Not Exist: '{named}'")
    if made.depth >= settings.RULES_LONGEST_CHAIN:
        return Refused(
            f"States.Runtime: {made.depth} executions and rules lie before this one: it is taken for a loop."
        )
    waits = is_waited_for(made.resource)
    cause = Cause(made.event_id, made.customer_id, made.depth + 1)
    name = wanted.name or hash_of(made.key)[:32]
    try:
        child = start(machine, name, given, now=now, cause=cause, parent_call=made.call if waits else None)
    except (InputTooLarge, NoVersion) as error:
        return Refused(f"StepFunctions.InvalidExecutionInputException: {error}")
    if waits and child.parent_call_id != made.call:
        return Refused(f"StepFunctions.ExecutionAlreadyExistsException: Execution Already Exists: '{name}'")
    if waits:
        # Dropped meanwhile, it may have been looked through for children before there was this one.
        TaskCall.objects.filter(pk=made.call, state=CallState.DROPPED).update(due_at=now)
        return Later()
    return Done({"ExecutionArn": arn_of(machine.name, name), "StartDate": write_timestamp(child.started_at)})


def is_waited_for(resource: str) -> bool:
    return resource.endswith((".sync", ".sync:2"))


def arn_of(machine: str, name: str) -> str:
    return f"{EXECUTION}{machine}:{name}"


def go_on(*, now: datetime) -> int:
    """Tell parents of what has ended, and stop what nobody waits for; return how many children were seen to."""
    return tell_parents(now=now) + stop_strays(now=now) if waiting(now) else 0


def tell_parents(*, now: datetime) -> int:
    """Answer the calls of children that have ended; return how many children were told of. Any number may run."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(TELL, [AT_ONCE])
            rows = cursor.fetchall()
        mapruns.count([(call, status) for _, call, status, index in rows if call and index is not None], now=now)
        alone = [pk for pk, call, _, index in rows if call and index is None]
        ended = Execution.objects.filter(pk__in=alone).select_related("machine", "parent_call")
        told = {call.pk: answer_of(child, call) for child in ended if (call := child.parent_call)}
        answers.answer_calls(told, now=now)
    return len(rows)


def answer_of(child: Execution, call: TaskCall) -> dict[str, Json]:
    """What the parent's call is answered, in the shape of DescribeExecution."""
    as_json = call.resource.endswith(".sync:2")
    told: dict[str, Json] = {
        "ExecutionArn": arn_of(child.machine.name, child.name),
        "Input": child.input if as_json else written(child.input),
        "InputDetails": {"Included": True},
        "Name": child.name,
        "StartDate": milliseconds(child.started_at),
        "StateMachineArn": ARN + child.machine.name,
        "Status": child.status,
        "StopDate": milliseconds(child.finished_at or child.started_at),
    }
    if child.status == Status.SUCCEEDED:
        output = child.output if as_json else written(child.output)
        return {"result": {**told, "Output": output, "OutputDetails": {"Included": True}}}
    why = {name: text for name, text in (("Error", child.error), ("Cause", child.cause)) if text}
    return {"error": TASK_FAILED, "cause": written({**why, **told})}


def milliseconds(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1000)


def stop_strays(*, now: datetime) -> int:
    """Stop children whose call nobody wants any more; return how many. Any number may run."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(STRAY, [now, AT_ONCE])
            pks = [pk for (pk,) in cursor.fetchall()]
        abort(pks, cause="Its parent does not wait for it any more.", now=now)
    if len(pks) < AT_ONCE:
        with connection.cursor() as cursor:
            cursor.execute(ORPHANED, [now])
    return len(pks)


def abort(pks: Sequence[int], *, cause: str, now: datetime) -> None:
    """End running executions, which the caller has locked, in its transaction."""
    rows = list(Execution.objects.filter(pk__in=pks))
    for row in rows:
        row.events += 1
        row.status, row.error, row.cause = Status.ABORTED, "", cause
        row.due_at, row.finished_at = None, now
    history.write(
        [
            history.event(row.pk, row.events, row.events - 1, "ExecutionAborted", "", {"cause": cause}, now)
            for row in rows
        ]
    )
    fields = ["events", "status", "error", "cause", "due_at", "finished_at"]
    Execution.objects.bulk_update(rows, fields)
    settle([], [], list(pks), now=now)


def waiting(now: datetime) -> bool:
    """Whether a parent has to be told, or a child to be stopped: one statement, answered from two small indexes."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [now])
        return bool(cursor.fetchone()[0])
