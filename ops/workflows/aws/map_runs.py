"""Map Runs of distributed Maps on AWS, and their children as executions: counted whole, kept as far as people look.

A run may have millions of children. AWS counts them (DescribeMapRun); those that failed are kept as rows before others.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from django.db.models import QuerySet

from ops.effects import aws
from ops.effects.outcome import Retry
from ops.workflows.aws.events import details_of
from ops.workflows.aws.models import DeployedMachine, ExecutionOnAws, MapRunOnAws
from ops.workflows.aws.pace import Allowance, Tally
from ops.workflows.aws.there import code_of
from ops.workflows.models import Execution, HistoryEvent, Status

Json = Any
RUNNING = "RUNNING"
MOST_BROKEN, MOST_OTHERS = 1000, 200  # children of one run that are kept, of each kind
# By Step Functions' words for how a child stands: how it is counted, and how it stands here. The most wanted first.
KINDS: Mapping[str, tuple[str, str]] = {
    "FAILED": ("failed", Status.FAILED),
    "TIMED_OUT": ("timedOut", Status.TIMED_OUT),
    "ABORTED": ("aborted", Status.ABORTED),
    "PENDING_REDRIVE": ("pendingRedrive", Status.RUNNING),
    "RUNNING": ("running", Status.RUNNING),
    "SUCCEEDED": ("succeeded", Status.SUCCEEDED),
}
BROKEN = ("FAILED", "TIMED_OUT", "ABORTED")


def note(execution: Execution, events: Iterable[Mapping[str, Json]]) -> None:
    """Note the runs that new events of an execution tell of; one that was redriven is read again."""
    for event in events:
        if event["type"] == "MapRunStarted" and (arn := details_of(event).get("mapRunArn")):
            state = state_of(execution, event)
            MapRunOnAws.objects.get_or_create(
                arn=arn, defaults={"execution": execution, "state_name": state, "started_at": event["timestamp"]}
            )
        elif event["type"] == "MapRunRedriven":
            MapRunOnAws.objects.filter(arn=details_of(event).get("mapRunArn")).update(is_read=False, status=RUNNING)


def state_of(execution: Execution, event: Mapping[str, Json]) -> str:
    """The Map's state: the one that was entered last before its run began, as far as the events lead back."""
    before = HistoryEvent.objects.filter(execution=execution, type="MapStateEntered", number__lt=event["id"])
    return before.order_by("-number").values_list("name", flat=True).first() or ""


def read(deployed: DeployedMachine, states: Any, allowance: Allowance, tally: Tally, *, now: datetime) -> None:
    """Read how the runs of a machine stand that are not wholly read, with their children."""
    prefix = deployed.arn.replace(":stateMachine:", ":mapRun:")
    unread = MapRunOnAws.objects.filter(is_read=False, arn__startswith=f"{prefix}/")
    for run in unread.select_related("execution").order_by("pk"):
        if not allowance.take():
            return
        try:
            read_run(run, states, allowance, tally, now=now)
        except ClientError as error:
            if isinstance(aws.outcome_of(error), Retry):
                raise
            run.error, run.is_read = str(error)[:1000], True
        run.save()


def read_run(run: MapRunOnAws, states: Any, allowance: Allowance, tally: Tally, *, now: datetime) -> None:
    said = states.describe_map_run(mapRunArn=run.arn)
    run.status, run.items, run.children_counts = said["status"], said["itemCounts"], said["executionCounts"]
    run.concurrency = said.get("maxConcurrency", 0)
    run.tolerated_count = said.get("toleratedFailureCount", 0)
    run.tolerated_percentage = said.get("toleratedFailurePercentage", 0.0)
    run.redrives, run.redriven_at = said.get("redriveCount", 0), said.get("redriveDate")
    run.started_at, run.finished_at = said.get("startDate", run.started_at), said.get("stopDate")
    whole = [list_children(run, kind, states, allowance, tally) for kind in KINDS]
    run.is_read = run.status != RUNNING and all(whole)


def list_children(run: MapRunOnAws, kind: str, states: Any, allowance: Allowance, tally: Tally) -> bool:
    """Bring the children that stand so to the number that AWS counts, or that is kept; whether that is done."""
    counted, status = KINDS[kind]
    given: dict[str, Any] = {"mapRunArn": run.arn, "statusFilter": kind, "maxResults": 1000}
    wanted = min(run.children_counts.get(counted, 0), room_for(run, kind))
    while children(run).filter(status=status).count() < wanted:
        if not allowance.take():
            return False
        try:
            page = states.list_executions(**given)
        except ClientError as error:
            if code_of(error) != "StateMachineTypeNotSupported":
                raise
            run.error = str(error)[:1000]  # children of type EXPRESS have no histories and no list
            return True
        tally.children += sum(keep(run, each, status) for each in page["executions"][:wanted])
        if not page.get("nextToken"):
            return True
        given["nextToken"] = page["nextToken"]
    return True


def room_for(run: MapRunOnAws, kind: str) -> int:
    return MOST_BROKEN if kind in BROKEN else MOST_OTHERS


def children(run: MapRunOnAws) -> QuerySet[Execution]:
    return Execution.objects.filter(on_aws__map_run=run)


def keep(run: MapRunOnAws, each: Mapping[str, Json], status: str) -> bool:
    """Make a child's row; one that is known and ended is followed again where it was redriven. Whether it was made."""
    parent = run.execution
    row, made = Execution.objects.get_or_create(
        arn=each["executionArn"],
        defaults={
            "version_id": parent.version_id,
            "machine_id": parent.machine_id,
            "name": each["name"][:80],
            "event_id": parent.event_id,
            "customer_id": parent.customer_id,
            "started_at": each["startDate"],
            "status": status,
            "finished_at": each.get("stopDate") if status != Status.RUNNING else None,
        },
    )
    if made:
        ExecutionOnAws.objects.create(execution=row, map_run=run)
    elif row.status != Status.RUNNING and (status == Status.RUNNING or each.get("redriveCount", 0) > row.redrives):
        Execution.objects.filter(pk=row.pk).update(status=Status.RUNNING, finished_at=None, error="", cause="")
    return made
