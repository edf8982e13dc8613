"""Executions that ended other than well and may be redriven on AWS by anybody: they are asked about, in turns.

ListExecutions has no filter for redriven executions of a machine (API reference), and a redriven one keeps its place
among those that started when it did.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from django.db.models import QuerySet

from ops.workflows.aws.following import GONE
from ops.workflows.aws.models import DeployedMachine, ExecutionOnAws
from ops.workflows.aws.pace import Allowance, Tally
from ops.workflows.aws.there import code_of
from ops.workflows.models import Execution, Status

Json = Any
REDRIVABLE_FOR = timedelta(days=14)  # after its end (API reference, "RedriveExecution")
BROKEN = (Status.FAILED, Status.TIMED_OUT, Status.ABORTED)
MOST_ASKED = 20  # of one machine in one round
REDRIVABLE, NOT_REDRIVABLE = "REDRIVABLE", "NOT_REDRIVABLE"


def look(deployed: DeployedMachine, states: Any, allowance: Allowance, tally: Tally, *, now: datetime) -> None:
    """Ask how some of the executions stand that could be redriven; one that was is followed again."""
    rows = redrivable(deployed, now=now)
    turn = [*rows.filter(pk__gt=deployed.asked)[:MOST_ASKED], *rows.filter(pk__lte=deployed.asked)[:MOST_ASKED]]
    if rows.count() > MOST_ASKED and allowance.take():  # the others' turn comes later: those that run are seen at once
        look_among_running(deployed, states, tally)
    for row in turn[:MOST_ASKED]:
        if not allowance.take():
            return
        ask(row, states, tally)
        deployed.asked = row.pk


def redrivable(deployed: DeployedMachine, *, now: datetime) -> QuerySet[Execution]:
    """Executions of a machine, without children of its Maps, that AWS would perhaps still redrive."""
    prefix = deployed.arn.replace(":stateMachine:", ":execution:")
    rows = Execution.objects.filter(machine=deployed.machine, arn__startswith=f"{prefix}:", status__in=BROKEN)
    rows = rows.filter(finished_at__gt=now - REDRIVABLE_FOR).exclude(error=GONE)
    return rows.exclude(on_aws__redrive_status=NOT_REDRIVABLE).order_by("pk")


def look_among_running(deployed: DeployedMachine, states: Any, tally: Tally) -> None:
    page = states.list_executions(stateMachineArn=deployed.arn, statusFilter="RUNNING", maxResults=1000)
    redriven = [each["executionArn"] for each in page["executions"] if each.get("redriveCount")]
    for row in Execution.objects.filter(arn__in=redriven, status__in=BROKEN):
        reopen(row, tally)


def ask(row: Execution, states: Any, tally: Tally) -> None:
    try:
        said = states.describe_execution(executionArn=row.arn)
    except ClientError as error:
        if code_of(error) != GONE:
            raise
        said = {"redriveStatus": NOT_REDRIVABLE, "redriveStatusReason": str(error.response["Error"].get("Message"))}
    note(row, said)
    if said.get("redriveCount", 0) > row.redrives or said.get("status") in ("RUNNING", "PENDING_REDRIVE"):
        reopen(row, tally)


def note(row: Execution, said: Mapping[str, Json]) -> None:
    """Keep what AWS says of redriving an execution."""
    told = {
        "redrive_status": said.get("redriveStatus", "")[:24],
        "redrive_reason": said.get("redriveStatusReason", ""),
        "redriven_at": said.get("redriveDate"),
    }
    ExecutionOnAws.objects.update_or_create(execution=row, defaults=told)


def reopen(row: Execution, tally: Tally) -> None:
    """Follow it again: its history tells what has happened since."""
    tally.redriven += Execution.objects.filter(pk=row.pk, status__in=BROKEN).update(
        status=Status.RUNNING, finished_at=None, error="", cause=""
    )
