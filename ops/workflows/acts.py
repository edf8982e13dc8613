"""What operators do with executions: stop, pause, resume, redrive, skip a state, give or answer by hand, start again.

Each is written down with who and why. The execution's row is locked, so that no worker walks meanwhile.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from billing.entitlements import outlook
from ops.audit import (
    ANSWER_CALL,
    GIVE_EXECUTION_RESULT,
    PAUSE_EXECUTION,
    REDRIVE_EXECUTION,
    RESUME_EXECUTION,
    SKIP_STATE,
    START_AGAIN,
    STOP_EXECUTION,
    record_act,
)
from ops.workflows import history
from ops.workflows.answers import answer_calls
from ops.workflows.asl.running import Phase
from ops.workflows.asl.walked import flow_at
from ops.workflows.foresight import source_of
from ops.workflows.machines import compiled
from ops.workflows.mapruns import redrive_runs
from ops.workflows.models import CallState, EventWait, Execution, HistoryEvent, Status, TaskCall
from ops.workflows.nudge import ADVANCE
from ops.workflows.redrive import can_go_on, ends_by, set_going
from ops.workflows.settling import settle
from ops.workflows.start import Cause, start

Json = Any
REDRIVABLE = (Status.FAILED, Status.TIMED_OUT, Status.ABORTED)


class CannotAct(Exception):
    """The execution does not stand so that this could be done. The text says how it stands."""


def stop(execution: Execution, actor: User | None, *, reason: str, now: datetime) -> None:
    """Stop a running execution: nothing more is called. Raises CannotAct."""
    with transaction.atomic():
        row = locked(execution, Status.RUNNING)
        tell(row, "ExecutionAborted", now=now, error="Stopped", cause=reason)
        act(row, actor, STOP_EXECUTION, reason, now=now, after={"status": Status.ABORTED})
        row.status, row.error, row.cause = Status.ABORTED, "Stopped", reason
        row.due_at, row.finished_at = None, now
        row.untold = row.parent_call_id is not None
        row.save()
        settle([], [], [row.pk], now=now)
        outlook.forget([source_of(row.pk)], now=now)


def pause(execution: Execution, actor: User, *, reason: str, now: datetime) -> None:
    """Let a running execution rest where it stands; calls under way are answered, and wait. Raises CannotAct."""
    with transaction.atomic():
        row = locked(execution, Status.RUNNING)
        if row.paused_at:
            raise CannotAct(_("The execution is paused already."))
        act(row, actor, PAUSE_EXECUTION, reason, now=now, after={"paused": True})
        Execution.objects.filter(pk=row.pk).update(paused_at=now, due_at=None)
        outlook.hold(source_of(row.pk), now=now)


def resume(execution: Execution, actor: User, *, reason: str, now: datetime) -> None:
    """Let a paused execution go on. What has become due meanwhile is done now. Raises CannotAct."""
    with transaction.atomic():
        row = locked(execution, Status.RUNNING)
        if not row.paused_at:
            raise CannotAct(_("The execution is not paused."))
        act(row, actor, RESUME_EXECUTION, reason, now=now, after={"paused": False})
        Execution.objects.filter(pk=row.pk).update(paused_at=None, due_at=now)
        transaction.on_commit(ADVANCE.soon)


def redrive(execution: Execution, actor: User | None, *, reason: str, now: datetime) -> None:
    """Let an execution that failed go on from each state that failed or was broken off. Raises CannotAct.

    Step Functions docs, "Restarting state machine executions with redrive": states, branches and iterations that
    succeeded do not run again.
    """
    with transaction.atomic():
        row = locked(execution, *REDRIVABLE)
        if is_of_a_map(row):
            raise CannotAct(_("The execution is one of a Map's: redrive the execution in which the Map runs."))
        if not row.walkers:  # it ended before anybody kept where it stood
            row.walkers = [standing_at(where_it_failed(row), phase=Phase.ENTER, now=now)]
        if not can_go_on(row):
            raise CannotAct(_("Its history is full: start it anew."))
        after = {"status": Status.RUNNING, "state": row.standing.partition("\n")[0]}
        act(row, actor, REDRIVE_EXECUTION, reason, now=now, after=after)
        redrive_runs(set_going([row], now=now), now=now)
        transaction.on_commit(ADVANCE.soon)


def give_result(execution: Execution, result: Json, actor: User, *, reason: str, now: datetime) -> None:
    """Let an execution that failed go on as if the state that failed had given this result. Raises CannotAct.

    The state's own fields decide what becomes of it, as of any result.
    """
    with transaction.atomic():
        row = locked(execution, *REDRIVABLE)
        refuse_if_counted(row)
        walker = where_it_failed(row)
        tell(row, "ExecutionRedriven", now=now, redriveCount=row.redrives + 1)
        after = {"status": Status.RUNNING, "state": walker["state"], "result": result}
        act(row, actor, GIVE_EXECUTION_RESULT, reason, now=now, after=after)
        go_on(row, {**walker, "answer": {"result": result}}, phase=Phase.ANSWER, now=now)
        row.redrives += 1
        row.save()
        transaction.on_commit(ADVANCE.soon)


def skip(execution: Execution, actor: User, *, reason: str, now: datetime) -> None:
    """Let an execution that failed go on after the state that failed, whose input becomes its output.

    Raises CannotAct; also of a Choice, which leads nowhere by itself.
    """
    with transaction.atomic():
        row = locked(execution, *REDRIVABLE)
        refuse_if_counted(row)
        walker = where_it_failed(row)
        state = state_in(row, walker)
        if "Next" not in state and not state.get("End"):
            raise CannotAct(
                _("The state %(state)s leads nowhere by itself: give it a result, or redrive.")
                % {"state": walker["state"]}
            )
        tell(row, "ExecutionRedriven", now=now, redriveCount=row.redrives + 1)
        leave = {"name": walker["state"], "output": walker["input"]}
        tell(row, f"{state['Type']}StateExited", now=now, **leave)
        act(row, actor, SKIP_STATE, reason, now=now, after={"status": Status.RUNNING, "skipped": walker["state"]})
        if "Next" in state:
            go_on(row, {**walker, "state": state["Next"], "call_number": 0}, phase=Phase.ENTER, now=now)
            transaction.on_commit(ADVANCE.soon)
        else:
            succeed(row, walker["input"], now=now)
        row.redrives += 1
        row.save()


def state_in(row: Execution, walker: dict[str, Json]) -> Mapping[str, Json]:
    return flow_at(compiled(row.version_id), walker["scope"]).states[walker["state"]].raw


def succeed(row: Execution, output: Json, *, now: datetime) -> None:
    tell(row, "ExecutionSucceeded", now=now, output=output)
    row.status, row.error, row.cause, row.standing = Status.SUCCEEDED, "", "", ""
    row.output, row.finished_at, row.untold = output, now, row.parent_call_id is not None


def answer_call(execution: Execution, number: int, result: Json, actor: User, *, reason: str, now: datetime) -> None:
    """Answer a call that waits for somebody outside, in their place. Raises CannotAct.

    A call that is being made, or will be made again by itself, is left alone: what it does may have happened. What a
    person is asked to approve is decided there.
    """
    with transaction.atomic():
        row = locked(execution, Status.RUNNING)
        call = TaskCall.objects.filter(execution=row, number=number, state=CallState.WAITING, approval=None).first()
        if call is None or not answer_calls({call.pk: {"result": result}}, now=now):
            raise CannotAct(_("Nobody waits for an answer to this call any more."))
        EventWait.objects.filter(call=call).delete()
        act(row, actor, ANSWER_CALL, reason, now=now, after={"call": number, "result": result})


def start_again(execution: Execution, name: str, actor: User | None, *, reason: str, now: datetime) -> Execution:
    """Start another execution under this name, with the same input and the version of today; once by its name.

    Raises NoVersion.
    """
    with transaction.atomic():
        cause = Cause(execution.event_id, execution.customer_id, execution.depth)
        started = start(execution.machine, name, execution.input, now=now, cause=cause)
        act(execution, actor, START_AGAIN, reason, now=now, after={"execution": name})
    return started


def locked(execution: Execution, *states: Status) -> Execution:
    row = Execution.objects.select_for_update().get(pk=execution.pk)
    if row.arn:
        raise CannotAct(_("The execution runs on AWS, where this cannot be done."))
    if row.status not in states:
        raise CannotAct(
            _("The execution is %(state)s: this cannot be done with it.") % {"state": row.get_status_display().lower()}
        )
    return row


def is_of_a_map(row: Execution) -> bool:
    """Whether it is a child of a distributed Map, which its parent's redrive redrives."""
    return row.map_index is not None and row.parent_call_id is not None


def refuse_if_counted(row: Execution) -> None:
    """Raises CannotAct for one of a Map's that the Map has counted as failed, and goes on without."""
    call = row.parent_call if row.map_index is not None else None
    if call and call.state in (CallState.DUE, CallState.WAITING):
        raise CannotAct(_("The execution is one of a Map's that still runs: wait until that has ended."))


def where_it_failed(row: Execution) -> dict[str, Json]:
    """The walker of the machine's own states as it stood when the execution ended, without the flows inside its state.

    Of one that ended before that was kept, it is made of what the history tells. Raises CannotAct.
    """
    for walker in row.walkers:
        if walker["parent"] is None:
            return {**walker, "gathering": None, "answer": None, "failure": None, "used": {}}
    entered = HistoryEvent.objects.filter(execution=row, type__endswith="StateEntered")
    top = set(row.version.states_at_top)
    for event in entered.order_by("-number").iterator():
        if event.name in top:
            return {
                "id": 0,
                "scope": [],
                "state": event.name,
                "input": event.details.get("input"),
                "variables": variables_until(row, event.number),
                "last_id": row.events,
                "entered_id": event.number,
                "entered_at": event.at.isoformat(),
                "call_number": latest_call(row, event),
            }
    if not row.has_history:
        raise CannotAct(_("What the execution would go on from is not kept any more: start it anew."))
    raise CannotAct(_("The execution failed before it entered a state: start it anew."))


def latest_call(row: Execution, entered: HistoryEvent) -> int:
    """The number of the last call that a state has made since it was entered; 0 where it made none."""
    since = HistoryEvent.objects.filter(execution=row, number__gt=entered.number, type__endswith="Scheduled")
    if not since.exists():
        return 0
    calls = TaskCall.objects.filter(execution=row, state_name=entered.name)
    return calls.order_by("-number").values_list("number", flat=True).first() or 0


def variables_until(row: Execution, number: int) -> dict[str, Json]:
    """The variables of the machine's own states as they stood before an event."""
    variables: dict[str, Json] = {}
    left = HistoryEvent.objects.filter(execution=row, type__endswith="StateExited", number__lt=number)
    top = set(row.version.states_at_top)
    for name, details in left.order_by("number").values_list("name", "details"):
        if name in top:
            variables |= details.get("assignedVariables", {})
    return variables


def go_on(row: Execution, walker: dict[str, Json], *, phase: Phase, now: datetime) -> None:
    row.walkers = [standing_at({**walker, "last_id": row.events}, phase=phase, now=now)]
    row.standing = walker["state"]
    row.status, row.error, row.cause, row.output = Status.RUNNING, "", "", None
    row.due_at, row.redriven_at, row.ends_by = now, now, ends_by(row, now)
    row.finished_at, row.paused_at = None, None


def standing_at(walker: dict[str, Json], *, phase: Phase, now: datetime) -> dict[str, Json]:
    """A walker of the machine's own states as JSON: what is not given is as it is when nothing has happened."""
    given: dict[str, Json] = {"parent": None, "index": 0, "item": None, "used": {}, "call_number": 0, "quiet": False}
    nothing = {"answer": None, "failure": None, "gathering": None}
    return {**given, **nothing, **walker, "phase": phase.value, "due": now.isoformat()}


def tell(row: Execution, type_: str, *, now: datetime, name: str = "", **details: Json) -> None:
    row.events += 1
    history.write([history.event(row.pk, row.events, row.events - 1, type_, name, details, now)])


def act(row: Execution, actor: User | None, what: str, reason: str, *, now: datetime, after: dict[str, Json]) -> None:
    before = {"status": row.status, "error": row.error, "paused": row.paused_at is not None}
    record_act(
        actor,
        what,
        subject_kind="execution",
        subject_id=subject_of(row),
        reason=reason,
        before=before,
        after=after,
        now=now,
    )


def subject_of(row: Execution) -> str:
    """What acts on an execution are written down under; one on AWS is another than that of its name here."""
    where = f"@{row.arn.split(':')[3]}" if row.arn else ""
    return f"{row.machine.name}:{row.name}{where}"
