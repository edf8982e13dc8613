"""Distributed Maps: each child is an execution of its own, so that many workers share them, and a step of one child
rewrites nothing of the others.

A run is begun by its call, which is made again when all children have ended; then their outputs are gathered, written
to S3 where a ResultWriter says so, and are the call's answer. In between counters say how far it is
(Step Functions docs, "Using Map state in Distributed mode").
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings
from django.db import connection, transaction

from ops.effects import aws
from ops.effects.outcome import Done, Outcome, Refused
from ops.workflows import history
from ops.workflows.asl.fork import EXCEEDED, Tolerance
from ops.workflows.asl.running import Phase, Walker
from ops.workflows.asl.written import written
from ops.workflows.made import Later, Made
from ops.workflows.models import CallState, Execution, MapRun, Status, TaskCall
from ops.workflows.redrive import Run, can_go_on, set_going
from ops.workflows.start import jsonable

Json = Any
UNSUCCESSFUL = (Status.FAILED, Status.TIMED_OUT, Status.ABORTED)
MOST_AT_ONCE = 1_000  # children that run together where the Map says nothing (Step Functions: 10,000)
# Children are cut out of the call's arguments by the database: they may be large.
CUT = """
    SELECT place - 1, child::text FROM ops_taskcall, jsonb_array_elements(arguments -> 'Children')
        WITH ORDINALITY AS children (child, place)
    WHERE id = %s AND place > %s AND place <= %s ORDER BY place
"""
# A call that is made while its last child ends is made once more.
MAKE_AGAIN = """
    UPDATE ops_taskcall AS call SET state = 'due', due_at = %s, claimed_until = NULL FROM ops_maprun AS run
    WHERE run.call_id = call.id AND call.id = ANY(%s) AND call.state IN ('due', 'waiting')
      AND (run.succeeded + run.failed = run.total OR run.exceeded)
"""


def make_map_run(made: Made, *, now: datetime) -> Outcome | Later:
    """Begin a run, or end it; called again and again it does each once. Not in a transaction."""
    run = MapRun.objects.filter(call_id=made.call).first()
    if run is None:
        begin(made, now=now)
        return Later()
    if run.exceeded:
        return Refused(f"{EXCEEDED.error}: {EXCEEDED.cause}")
    if run.succeeded + run.failed < run.total:
        return Later()
    return write_results(run, made) if made.arguments["Writer"] else Done(outputs_of(run))


def begin(made: Made, *, now: datetime) -> None:
    asked = made.arguments
    run = MapRun(
        call_id=made.call,
        total=len(asked["Children"]),
        concurrency=min(asked["Concurrency"] or MOST_AT_ONCE, MOST_AT_ONCE),
        tolerated_count=asked["ToleratedCount"],
        tolerated_percentage=asked["ToleratedPercentage"],
    )
    with transaction.atomic():
        MapRun.objects.bulk_create([run], ignore_conflicts=True)
        start_more(MapRun.objects.select_for_update().get(call_id=made.call), now=now)


def start_more(run: MapRun, *, now: datetime) -> None:
    """Start as many children as may run beside those that do, those to be redriven first; the run is locked."""
    if run.pending and not run.exceeded:
        redrive_children(run, now=now)
    until = min(run.started + run.concurrency - running(run), run.total)
    if until <= run.started or run.exceeded:
        return
    parent = Execution.objects.get(task_calls=run.call_id)
    scope, start_at = place_of(run)
    with connection.cursor() as cursor:
        cursor.execute(CUT, [run.call_id, run.started, until])
        children = [child_of(parent, run, scope, start_at, place, text, now=now) for place, text in cursor.fetchall()]
    Execution.objects.bulk_create(children, ignore_conflicts=True)
    made = Execution.objects.filter(parent_call_id=run.call_id, map_index__gte=run.started, map_index__lt=until)
    history.write(
        [
            history.event(pk, 1, 0, "ExecutionStarted", "", {"input": given}, now)
            for pk, given in made.values_list("pk", "input")
        ]
    )
    run.started = until
    run.save(update_fields=["started"])


def running(run: MapRun) -> int:
    return run.started - run.pending - run.succeeded - run.failed


def redrive_children(run: MapRun, *, now: datetime) -> None:
    """Let children go on that have not succeeded, in the order of their items; one that cannot has failed for good.

    Step Functions docs, "Child workflow execution redrive behavior".
    """
    room = max(run.concurrency - running(run), 0)
    waiting = Execution.objects.filter(
        parent_call_id=run.call_id,
        map_index__gte=run.redriven_until,
        map_index__lt=run.started,
        status__in=UNSUCCESSFUL,
    )
    children = list(waiting.order_by("map_index").select_for_update()[:room])
    going = [child for child in children if can_go_on(child)]
    runs = set_going(going, now=now)
    run.pending = run.pending - len(children) if len(children) == room else 0
    run.failed += len(children) - len(going)
    run.exceeded = tolerance_of(run).exceeded(run.failed, run.total)
    begun = [run.redriven_until, *(child.map_index + 1 for child in children if child.map_index is not None)]
    run.redriven_until = max(begun)
    run.save(update_fields=["pending", "failed", "exceeded", "redriven_until"])
    redrive_runs(runs, now=now)


def tolerance_of(run: MapRun) -> Tolerance:
    return Tolerance(run.tolerated_count, run.tolerated_percentage)


def redrive_runs(runs: Sequence[Run], *, now: datetime) -> None:
    """Make the calls of runs again whose executions go on, in the transaction that has locked those.

    Children that succeeded stay as they are; a run that was never begun is begun by its call.
    """
    for execution, number in runs:
        call = TaskCall.objects.get(execution=execution, number=number)
        # What has ended is counted anew below, and is not told of once more.
        untold = Execution.objects.filter(parent_call=call, untold=True).order_by("pk").select_for_update()
        Execution.objects.filter(pk__in=[child.pk for child in untold.only("pk")]).update(untold=False)
        run = MapRun.objects.select_for_update().filter(call=call).first()
        call.state, call.due_at, call.claimed_until = CallState.DUE, now, None
        call.answer, call.error, call.attempts = None, "", 0
        call.save(update_fields=["state", "due_at", "claimed_until", "answer", "error", "attempts"])
        if run:
            count_anew(run)
            start_more(run, now=now)


def count_anew(run: MapRun) -> None:
    children = Execution.objects.filter(parent_call_id=run.call_id)
    run.succeeded = children.filter(status=Status.SUCCEEDED).count()
    run.pending = children.filter(status__in=UNSUCCESSFUL).count()
    run.failed, run.exceeded, run.redriven_until = 0, False, 0
    run.redrives += 1
    run.save(update_fields=["succeeded", "pending", "failed", "exceeded", "redriven_until", "redrives"])


def place_of(run: MapRun) -> tuple[list[list[Json]], str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (arguments -> 'Scope')::text, arguments ->> 'StartAt' FROM ops_taskcall WHERE id = %s",
            [run.call_id],
        )
        scope, start_at = cursor.fetchone()
    return orjson.loads(scope), start_at


def child_of(
    parent: Execution, run: MapRun, scope: list[list[Json]], start_at: str, place: int, text: str, *, now: datetime
) -> Execution:
    child = orjson.loads(text)
    walker = Walker(
        0, scope, start_at, child["Input"], {}, Phase.ENTER, now, last_id=1, index=place, item=child["Item"]
    )
    return Execution(
        version_id=parent.version_id,
        machine_id=parent.machine_id,
        name=f"map-{run.call_id}-{place}",
        input=child["Input"],
        walkers=[jsonable(walker)],
        events=1,
        due_at=now,
        event_id=parent.event_id,
        customer_id=parent.customer_id,
        depth=parent.depth,
        parent_call_id=run.call_id,
        map_index=place,
        started_at=now,
    )


def count(ended: Sequence[tuple[int, str]], *, now: datetime) -> None:
    """Count children that have ended, (call, status) each, and go on: in the transaction that tells of them.

    Runs are locked in the order of their ids. Of a run that nobody waits for any more nothing is started.
    """
    calls = sorted({call for call, _ in ended})
    wanted = MapRun.objects.filter(call_id__in=calls, call__state__in=[CallState.DUE, CallState.WAITING])
    for run in wanted.select_for_update(of=["self"]).order_by("pk"):
        statuses = [status for call, status in ended if call == run.call_id]
        succeeded = statuses.count(Status.SUCCEEDED)
        run.succeeded += succeeded
        run.failed += len(statuses) - succeeded
        run.exceeded = run.exceeded or tolerance_of(run).exceeded(run.failed, run.total)
        run.save(update_fields=["succeeded", "failed", "exceeded"])
        start_more(run, now=now)
    make_again(calls, now=now)


def make_again(calls: Sequence[int], *, now: datetime) -> None:
    """Make the calls of these again whose runs are over."""
    if calls:
        with connection.cursor() as cursor:
            cursor.execute(MAKE_AGAIN, [now, list(calls)])


def outputs_of(run: MapRun) -> list[Json]:
    """What the children ended with, in the order of their items; error outputs of those that may fail."""
    ended = Execution.objects.filter(parent_call_id=run.call_id).order_by("map_index")
    return [
        output
        if status == Status.SUCCEEDED
        else {name: text for name, text in (("Error", error), ("Cause", cause)) if text}
        for status, output, error, cause in ended.values_list("status", "output", "error", "cause").iterator()
    ]


def write_results(run: MapRun, made: Made) -> Outcome:
    """Write the results to S3, and answer where they are (docs, "ResultWriter"). The same key for the same run."""
    bucket, prefix = made.arguments["Writer"].get("Bucket"), made.arguments["Writer"].get("Prefix", "")
    folder = "/".join(part for part in (prefix.strip("/"), f"map-{run.call_id}") if part)
    files: dict[str, list[Json]] = {"SUCCEEDED_0.json": [], "FAILED_0.json": []}
    rows = Execution.objects.filter(parent_call_id=run.call_id).order_by("map_index")
    for row in rows.values("name", "status", "input", "output", "error", "cause").iterator():
        told = {"Name": row["name"], "Status": row["status"], "Input": written(row["input"])}
        if row["status"] == Status.SUCCEEDED:
            files["SUCCEEDED_0.json"].append({**told, "Output": written(row["output"])})
        else:
            files["FAILED_0.json"].append({**told, "Error": row["error"], "Cause": row["cause"]})
    manifest = {
        "DestinationBucket": bucket,
        "MapRunArn": arn_of(run),
        "ResultFiles": {
            name.partition("_")[0]: [{"Key": f"{folder}/{name}", "Size": len(written(told).encode())}]
            for name, told in files.items()
            if told
        },
    }
    store = aws.client("s3", settings.AWS_REGION)
    try:
        whole: dict[str, Json] = {**files, "manifest.json": manifest}
        for name, told in whole.items():
            if told:
                store.put_object(Bucket=bucket, Key=f"{folder}/{name}", Body=written(told).encode())
    except aws.AwsTrouble as error:
        return aws.outcome_of(error)
    where = {"Bucket": bucket, "Key": f"{folder}/manifest.json"}
    return Done({"MapRunArn": arn_of(run), "ResultWriterDetails": where})


def arn_of(run: MapRun) -> str:
    return f"arn:aws:states:local:000000000000:mapRun:map-{run.call_id}"
