"""Executions on AWS as rows beside the portal's own, so that one page shows both: listed, then followed to their end.

Each round makes a bounded number of calls, slowly (`pace`), and the next goes on where it stopped. After trouble a
machine is left in peace, longer each time; where AWS throttles, so are the others at its place.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from botocore.exceptions import ClientError
from django.db.models import F, Q, QuerySet

from ops.effects import aws
from ops.workflows.aws import map_runs, redrives
from ops.workflows.aws.deploy import here
from ops.workflows.aws.following import follow, stand_as_told
from ops.workflows.aws.models import DeployedMachine, ExecutionOnAws
from ops.workflows.aws.pace import Allowance, Tally, rest_after
from ops.workflows.aws.places import place_of
from ops.workflows.aws.there import Machines, code_of
from ops.workflows.aws.versions import Versions
from ops.workflows.models import Execution, StateMachine, Status

Json = Any
Clock = Callable[[], datetime]
log = structlog.get_logger(__name__)

MOST_FOLLOWED = 300  # rows of one machine that a round reads from the database
OVERLAP = timedelta(minutes=5)  # an execution may appear in the list a little late
FIRST_LOOK = timedelta(days=7)  # how far back a machine's executions are read that was never looked at
LEASE = timedelta(minutes=5)  # longer than a round takes


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
    for deployed in DeployedMachine.objects.select_related("machine").order_by("looked_at", "pk"):
        if allowance.left <= 0:
            break
        if not claim(deployed, now=clock()):
            continue
        try:
            read_machine(deployed, allowance, tally, now=clock())
        except aws.AwsTrouble as error:  # the others may stand elsewhere
            log.warning("step_functions:unreadable", machine=deployed.arn, error=str(error))
            rest(deployed, error, now=clock())
        else:
            deployed.error, deployed.troubles, deployed.rests_until = "", 0, None
        deployed.looked_at = clock()
        deployed.save()
    return tally


def claim(deployed: DeployedMachine, *, now: datetime) -> bool:
    """Lease a machine that nobody reads and that need not be left in peace."""
    free = Q(rests_until=None) | Q(rests_until__lte=now)
    return bool(DeployedMachine.objects.filter(free, pk=deployed.pk).update(rests_until=now + LEASE))


def rest(deployed: DeployedMachine, error: Exception, *, now: datetime) -> None:
    deployed.troubles = min(deployed.troubles + 1, 1000)
    deployed.error = str(error)[:1000]
    deployed.rests_until = now + rest_after(deployed.troubles)
    if aws.is_throttled(error):  # all that stand there draw from one bucket
        prefix = deployed.arn.partition(":stateMachine:")[0]
        others = DeployedMachine.objects.filter(arn__startswith=f"{prefix}:").exclude(pk=deployed.pk)
        others.update(rests_until=deployed.rests_until)


def read_machine(deployed: DeployedMachine, allowance: Allowance, tally: Tally, *, now: datetime) -> None:
    """List what started since the last look, follow what has not ended, and look after Map Runs and redrives."""
    place = place_of(deployed.arn)
    states = aws.client("stepfunctions", place.region)
    list_started(deployed, states, allowance, tally, now=now)
    redrives.look(deployed, states, allowance, tally, now=now)
    for execution in unfinished(deployed):
        if not allowance.take():
            return
        if not follow(execution, states, place, allowance, tally, now=now):
            stand_as_told(execution)
        deployed.followed = execution.pk
    map_runs.read(deployed, states, allowance, tally, now=now)
    for child in unfinished_children(deployed):
        if not allowance.take():
            return
        if not follow(child, states, place, allowance, tally, now=now):
            stand_as_told(child)
        ExecutionOnAws.objects.filter(pk=child.pk).update(looked_at=now)


def list_started(deployed: DeployedMachine, states: Any, allowance: Allowance, tally: Tally, *, now: datetime) -> None:
    """Make rows of what started since the last look, the newest first; a list that is long is gone on with."""
    since = deployed.listed_until - OVERLAP if deployed.listed_until else now - FIRST_LOOK
    versions = Versions(deployed, states)
    if not deployed.next_page:
        deployed.listing_since = now
    while allowance.take():
        page = page_of(deployed, states)
        fresh = [each for each in page["executions"] if each["startDate"] >= since]
        if not add_all(deployed, fresh, versions, allowance, tally):
            return  # this page again
        deployed.next_page = page.get("nextToken") or ""
        if not deployed.next_page or len(fresh) < len(page["executions"]):
            deployed.next_page, deployed.listed_until = "", deployed.listing_since
            return


def page_of(deployed: DeployedMachine, states: Any) -> Mapping[str, Json]:
    given: dict[str, Any] = {"stateMachineArn": deployed.arn, "maxResults": 1000}
    if deployed.next_page:
        given["nextToken"] = deployed.next_page
    try:
        page: Mapping[str, Json] = states.list_executions(**given)
    except ClientError as error:
        if code_of(error) == "InvalidToken":  # a token holds for a day: the list is begun anew
            deployed.next_page = ""
        raise
    return page


def add_all(
    deployed: DeployedMachine,
    listed: Sequence[Mapping[str, Json]],
    versions: Versions,
    allowance: Allowance,
    tally: Tally,
) -> bool:
    """Make the rows of those that have none, without a history yet: they count as running until that is read.

    Returns whether there was leave for all.
    """
    arns = [each["executionArn"] for each in listed]
    known = set(Execution.objects.filter(arn__in=arns).values_list("arn", flat=True))
    rows = []
    for each in listed:
        if each["executionArn"] in known:
            continue
        version = versions.of(each, allowance)
        if version is None:
            break
        rows.append(
            Execution(
                version_id=version,
                machine=deployed.machine,
                name=each["name"][:80],
                arn=each["executionArn"],
                status=Status.RUNNING,
                started_at=each["startDate"],
            )
        )
    Execution.objects.bulk_create(rows, ignore_conflicts=True)
    tally.listed += len(rows)
    return len(rows) + len(known) == len(listed)


def unfinished(deployed: DeployedMachine) -> list[Execution]:
    """Executions that may have more to tell: those after the last one looked at, then the others."""
    rows = may_tell_more(deployed, ":").order_by("pk")
    return [
        *rows.filter(pk__gt=deployed.followed)[:MOST_FOLLOWED],
        *rows.filter(pk__lte=deployed.followed)[:MOST_FOLLOWED],
    ]


def unfinished_children(deployed: DeployedMachine) -> list[Execution]:
    """Children of its distributed Maps that may have more to tell, those first that were looked at longest ago."""
    rows = may_tell_more(deployed, "/")
    return list(rows.order_by(F("on_aws__looked_at").asc(nulls_first=True), "pk")[:MOST_FOLLOWED])


def may_tell_more(deployed: DeployedMachine, mark: str) -> QuerySet[Execution]:
    """A machine's executions have `:` after its name in their ARNs, children of its Maps a `/`."""
    prefix = deployed.arn.replace(":stateMachine:", ":execution:")
    rows = Execution.objects.exclude(arn="").filter(machine=deployed.machine, arn__startswith=f"{prefix}{mark}")
    return rows.filter(Q(status=Status.RUNNING) | Q(events=0))
