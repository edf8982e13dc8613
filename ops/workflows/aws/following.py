"""One execution on AWS: its new events, and how it stands after them."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from django.db import transaction

from ops.workflows import history
from ops.workflows.aws import map_runs
from ops.workflows.aws.events import details_of, read_json, row
from ops.workflows.aws.models import ExecutionOnAws
from ops.workflows.aws.pace import Allowance, Tally
from ops.workflows.aws.places import Place
from ops.workflows.aws.there import code_of
from ops.workflows.models import Execution, HistoryEvent, Status, written_states
from ops.workflows.steps import Mark, standing_of, steps_of

Json = Any
ENDS = {
    "ExecutionSucceeded": Status.SUCCEEDED,
    "ExecutionFailed": Status.FAILED,
    "ExecutionTimedOut": Status.TIMED_OUT,
    "ExecutionAborted": Status.ABORTED,
}
GONE = "ExecutionDoesNotExist"
KEPT_NO_LONGER = "AWS does not have it any more. How it ended is not known here."


def follow(
    execution: Execution, states: Any, place: Place, allowance: Allowance, tally: Tally, *, now: datetime
) -> bool:
    """Write the events that are new since the last look, and how the execution stands after; whether there were any."""
    try:
        events = sorted(new_events(states, execution, allowance), key=lambda event: event["id"])
    except ClientError as error:
        if code_of(error) != GONE:
            raise
        lose(execution, tally, now=now)
        return True
    with transaction.atomic():
        locked = Execution.objects.select_for_update().get(pk=execution.pk)
        events = [event for event in events if event["id"] > locked.events]  # another has written some meanwhile
        if not events:
            return False
        history.write([row(execution.pk, event, place) for event in events])
        tally.events += len(events)
        locked.events = max(locked.events, events[-1]["id"])
        stand(locked, events)
        locked.standing = "" if locked.status == Status.SUCCEEDED else where(locked)
        locked.save()
        map_runs.note(locked, events)
        tally.ended += locked.status != Status.RUNNING
    return True


def stand_as_told(execution: Execution) -> None:
    """One that counts as running though its history has ended stands as that tells: no redrive has led on yet."""
    last = HistoryEvent.objects.filter(execution=execution).order_by("-number").first()
    if last is None or last.type not in ENDS:
        return
    Execution.objects.filter(pk=execution.pk, status=Status.RUNNING, events=last.number).update(
        status=ENDS[last.type],
        finished_at=last.at,
        error=str(last.details.get("error", ""))[:256],
        cause=last.details.get("cause", ""),
    )


def new_events(states: Any, execution: Execution, allowance: Allowance) -> Iterator[Mapping[str, Json]]:
    """The events after those that are kept, the newest first. The caller has taken the first call's leave."""
    given: dict[str, Any] = {
        "executionArn": execution.arn,
        "reverseOrder": True,
        "includeExecutionData": True,
        "maxResults": 1000,
    }
    while True:
        page = states.get_execution_history(**given)
        for event in page["events"]:
            if event["id"] > execution.events:
                yield event
        if not page.get("nextToken") or page["events"][-1]["id"] <= execution.events:
            return
        given["nextToken"] = page["nextToken"]
        allowance.take()  # a history is read to its end: half of it could not be kept


def lose(execution: Execution, tally: Tally, *, now: datetime) -> None:
    """AWS keeps an execution for 90 days after its end, and none of a machine that was deleted."""
    ended = {"status": Status.ABORTED, "error": GONE, "cause": KEPT_NO_LONGER, "finished_at": now}
    running = Execution.objects.filter(pk=execution.pk, status=Status.RUNNING)
    tally.ended += running.update(**ended)
    Execution.objects.filter(pk=execution.pk, events=0).update(has_history=False, events=1)


def stand(execution: Execution, events: Iterable[Mapping[str, Json]]) -> None:
    """How an execution stands after these events."""
    for event in events:
        details = details_of(event)
        if event["type"] == "ExecutionStarted":
            execution.input = read_json(details.get("input"))
        elif event["type"] == "ExecutionRedriven":
            execution.status, execution.error, execution.cause = Status.RUNNING, "", ""
            execution.finished_at = None
            execution.redrives = details.get("redriveCount", execution.redrives + 1)
            note_redrive(execution, event["timestamp"])
        elif event["type"] in ENDS:
            execution.status, execution.finished_at = ENDS[event["type"]], event["timestamp"]
            execution.output = read_json(details["output"]) if details.get("output") is not None else None
            execution.error = (details.get("error") or "")[:256]
            execution.cause = details.get("cause") or ""


def note_redrive(execution: Execution, at: datetime) -> None:
    said = {"redriven_at": at, "redrive_status": "", "redrive_reason": ""}
    ExecutionOnAws.objects.update_or_create(execution=execution, defaults=said)


def where(execution: Execution) -> str:
    """Where an execution stands or failed, as its history tells."""
    rows = HistoryEvent.objects.filter(execution=execution).order_by("number")
    steps = steps_of(Mark(*row) for row in rows.values_list("number", "previous", "type", "name", "at"))
    return written_states(standing_of(steps))
