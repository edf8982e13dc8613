"""Executions on AWS as rows beside the portal's own, so that one page shows both: listed, then followed to their end.

Each round makes a bounded number of calls (Step Functions docs, "Quotas": GetExecutionHistory refills 20 a second for
the whole account), and the next goes on where it stopped.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q

from ops.effects import aws
from ops.workflows import history
from ops.workflows.aws.deploy import here
from ops.workflows.aws.events import details_of, read_json, row
from ops.workflows.aws.models import DeployedMachine
from ops.workflows.aws.moving import back
from ops.workflows.aws.places import Place
from ops.workflows.aws.there import Machines
from ops.workflows.models import (
    Execution,
    HistoryEvent,
    StateMachine,
    StateMachineVersion,
    Status,
    written_states,
)
from ops.workflows.steps import Mark, standing_of, steps_of

Json = Any
Clock = Callable[[], datetime]
log = structlog.get_logger(__name__)

MOST_CALLS = 300  # of one round, all machines together
MOST_PAGES = 10  # of a list: 10,000 executions of one machine
OVERLAP = timedelta(minutes=5)  # an execution may appear in the list a little late
FIRST_LOOK = timedelta(days=7)  # how far back a machine's executions are read that was never looked at
ENDS = {
    "ExecutionSucceeded": Status.SUCCEEDED,
    "ExecutionFailed": Status.FAILED,
    "ExecutionTimedOut": Status.TIMED_OUT,
    "ExecutionAborted": Status.ABORTED,
}


@dataclass
class Allowance:
    """How many calls a round may still make."""

    left: int = MOST_CALLS

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0


@dataclass
class Tally:
    """What a round did."""

    listed: int = 0
    events: int = 0
    ended: int = 0


def discover(region: str) -> list[DeployedMachine]:
    """Note every machine at this place that was made from here, by whatever way; return them all."""
    place = here(region)
    names = set(Machines(place, sleep=lambda _: None).ours())
    for machine in StateMachine.objects.filter(name__in=names):
        DeployedMachine.objects.get_or_create(arn=place.machine(machine.name), defaults={"machine": machine})
    return list(DeployedMachine.objects.select_related("machine").order_by("looked_at", "pk"))


def read_all(clock: Clock, *, allowance: Allowance | None = None) -> Tally:
    """Read what is new of every machine on AWS, those first that were looked at longest ago."""
    allowance, tally = allowance or Allowance(), Tally()
    order = ("looked_at", "pk")
    for deployed in DeployedMachine.objects.select_related("machine").order_by(*order):
        if allowance.left <= 0:
            break
        try:
            read_machine(deployed, allowance, tally, now=clock())
            deployed.error = ""
        except aws.AwsTrouble as error:  # the others may stand elsewhere
            log.warning("step_functions:unreadable", machine=deployed.arn, error=str(error))
            deployed.error = str(error)[:1000]
        deployed.looked_at = clock()
        deployed.save()
    return tally


def read_machine(deployed: DeployedMachine, allowance: Allowance, tally: Tally, *, now: datetime) -> None:
    """List what started since the last look, then follow what has not ended, in turns."""
    place = place_of(deployed.arn)
    states = aws.client("stepfunctions", place.region)
    since = deployed.listed_until - OVERLAP if deployed.listed_until else now - FIRST_LOOK
    started = list(listed(states, deployed.arn, since, allowance))
    known = set(
        Execution.objects.filter(arn__in=[each["executionArn"] for each in started]).values_list("arn", flat=True)
    )
    for each in reversed(started):  # the oldest first: a round that is broken off leaves no gap
        if each["executionArn"] in known:
            continue
        if not allowance.take():
            break
        tally.listed += add(deployed, each, place)
        deployed.listed_until = each["startDate"]
    else:
        deployed.listed_until = now
    for execution in unfinished(deployed):
        if not allowance.take():
            break
        follow(execution, states, place, tally)
        deployed.followed = execution.pk


def place_of(arn: str) -> Place:
    _, partition, _, region, account, *_ = arn.split(":")
    return Place(region, account, partition)


def listed(states: Any, arn: str, since: datetime, allowance: Allowance) -> Iterator[Mapping[str, Json]]:
    """The executions that started since then, the newest first."""
    given: dict[str, Any] = {"stateMachineArn": arn, "maxResults": 1000}
    for _ in range(MOST_PAGES):
        if not allowance.take():
            return
        page = states.list_executions(**given)
        for each in page["executions"]:
            if each["startDate"] < since:
                return
            yield each
        if not page.get("nextToken"):
            return
        given["nextToken"] = page["nextToken"]


def add(deployed: DeployedMachine, each: Mapping[str, Json], place: Place) -> int:
    """Make an execution's row, without a history yet: it counts as running until that is read."""
    row = Execution(
        version_id=version_of(deployed, each, place),
        machine=deployed.machine,
        name=each["name"][:80],
        arn=each["executionArn"],
        status=Status.RUNNING,
        started_at=each["startDate"],
    )
    return len(Execution.objects.bulk_create([row], ignore_conflicts=True))


def version_of(deployed: DeployedMachine, each: Mapping[str, Json], place: Place) -> int:
    """The version whose definition an execution runs; one that is not known here is kept as it came from AWS."""
    states = aws.client("stepfunctions", place.region)
    said = states.describe_state_machine_for_execution(executionArn=each["executionArn"])
    definition = back(json.loads(said["definition"]), place)
    with transaction.atomic():
        machine = StateMachine.objects.select_for_update().get(pk=deployed.machine_id)
        versions = list(machine.versions.order_by("-number"))
        for version in versions:
            if json.loads(version.definition) == definition:
                return version.pk
        made = StateMachineVersion.objects.create(
            machine=machine,
            number=versions[0].number + 1 if versions else 1,
            definition=json.dumps(definition, indent=2, ensure_ascii=False),
            reason=f"As an execution on AWS runs it ({place.region}).",
            changed_at=each["startDate"],
        )
    return made.pk


def unfinished(deployed: DeployedMachine) -> Iterable[Execution]:
    """Executions that may have more to tell: those after the last one looked at, then the others."""
    running = Execution.objects.filter(machine=deployed.machine, arn__startswith=f"{prefix_of(deployed)}:")
    running = running.filter(Q(status=Status.RUNNING) | Q(events=0)).order_by("pk")
    yield from list(running.filter(pk__gt=deployed.followed)[:MOST_CALLS])
    yield from list(running.filter(pk__lte=deployed.followed)[:MOST_CALLS])


def prefix_of(deployed: DeployedMachine) -> str:
    return deployed.arn.replace(":stateMachine:", ":execution:")


def follow(execution: Execution, states: Any, place: Place, tally: Tally) -> None:
    """Write the events that are new since the last look, and how the execution stands after them."""
    events = sorted(new_events(states, execution), key=lambda event: event["id"])
    if not events:
        return
    with transaction.atomic():
        locked = Execution.objects.select_for_update().get(pk=execution.pk)
        history.write([row(execution.pk, event, place) for event in events])
        tally.events += len(events)
        locked.events = max(locked.events, events[-1]["id"])
        stand(locked, events)
        locked.standing = "" if locked.status == Status.SUCCEEDED else where(locked)
        locked.save()
        tally.ended += locked.status != Status.RUNNING


def where(execution: Execution) -> str:
    """Where an execution stands or failed, as its history tells."""
    rows = HistoryEvent.objects.filter(execution=execution).order_by("number")
    steps = steps_of(Mark(*row) for row in rows.values_list("number", "previous", "type", "name", "at"))
    return written_states(standing_of(steps))


def new_events(states: Any, execution: Execution) -> Iterator[Mapping[str, Json]]:
    """The events after those that are kept, the newest first."""
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
        elif event["type"] in ENDS:
            execution.status, execution.finished_at = ENDS[event["type"]], event["timestamp"]
            execution.output = read_json(details["output"]) if details.get("output") is not None else None
            execution.error = (details.get("error") or "")[:256]
            execution.cause = details.get("cause") or ""
