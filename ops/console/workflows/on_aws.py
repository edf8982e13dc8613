"""What the page of an execution on AWS shows besides: where it runs, how AWS was read, Map Runs, calls of effects."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zlib import crc32

from django.db.models import Case, IntegerField, Value, When
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from ops.console.display import Tone, pill
from ops.console.workflows.origins import UNREAD
from ops.console.workflows.words import status_pill
from ops.models import (
    ActivityTask,
    DeployedMachine,
    Execution,
    ExecutionOnAws,
    HistoryEvent,
    MapRunOnAws,
    Status,
    TaskState,
)
from ops.workflows.aws.acts import machine_of
from ops.workflows.aws.places import place_of
from ops.workflows.aws.redrives import BROKEN, NOT_REDRIVABLE, REDRIVABLE_FOR
from ops.workflows.calls import GIVE_UP_AFTER

TASKS = 100
CHILDREN = 50  # of one Map Run; those that failed first
TASK_TONES: Mapping[str, Tone] = {
    TaskState.DUE: Tone.WAITING,
    TaskState.WAITING: Tone.WAITING,
    TaskState.ANSWERED: Tone.WAITING,
    TaskState.TOLD: Tone.GOOD,
    TaskState.LATE: Tone.STOPPED,
}
COUNTS = (
    ("pending", pgettext_lazy("map run", "Not begun")),
    ("running", gettext_lazy("Running")),
    ("succeeded", gettext_lazy("Succeeded")),
    ("failed", gettext_lazy("Failed")),
    ("timedOut", gettext_lazy("Timed out")),
    ("aborted", gettext_lazy("Stopped")),
    ("total", pgettext_lazy("map run", "All")),
)


@dataclass(frozen=True)
class Wait:
    """What a running execution waits for, in a sentence, how often at once, and until when at the earliest."""

    state: str
    sentence: str
    until: datetime | None
    times: int = 1


@dataclass(frozen=True)
class Call:
    """One call of an effect for an execution there."""

    task: ActivityTask
    effect: str
    pill: SafeString
    sentence: str


@dataclass(frozen=True)
class Run:
    """One Map Run, with the counts of AWS and some of its children."""

    row: MapRunOnAws
    pill: SafeString
    counts: list[tuple[str, int, int]]  # word, items, executions
    limits: str
    children: list[Execution]
    kept: int


def aws_context(row: Execution, now: datetime) -> dict[str, Any]:
    """What is shown of an execution on AWS; nothing of one that runs here. Rows alone are read."""
    if not row.arn:
        return {}
    place = place_of(row.arn)
    on_aws = ExecutionOnAws.objects.filter(pk=row.pk).select_related("map_run__execution").first()
    tasks = list(ActivityTask.objects.filter(execution=row.arn).defer("sealed_token").order_by("-pk")[:TASKS])
    calls = [call_of(task) for task in tasks]
    runs = [run_of(run) for run in MapRunOnAws.objects.filter(execution=row).order_by("pk")]
    return {
        "aws": {
            "region": place.region,
            "account": place.account,
            "url": url_of(row.arn, place.region) if place.partition == "aws" else "",
            "read": DeployedMachine.objects.filter(arn=machine_of(row).partition("/")[0]).first(),
            "redriven_at": on_aws.redriven_at if on_aws else None,
            "redrive": redrive_words(row, on_aws, now),
            "parent": on_aws.map_run if on_aws else None,
            "runs": runs,
            "calls": calls,
            "most_attempts": GIVE_UP_AFTER,
        },
        "waits": waits_on_aws(row, calls) if row.status == Status.RUNNING else [],
    }


def url_of(arn: str, region: str) -> str:
    """The execution's page in AWS's console."""
    return f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{quote(arn)}"


def aws_mark(row: Execution) -> str:
    """Changes when any of that does; empty for one that runs here. Two queries."""
    if not row.arn:
        return ""
    tasks = ActivityTask.objects.filter(execution=row.arn).order_by("-pk")
    runs = MapRunOnAws.objects.filter(execution=row).order_by("pk")
    shown = list(tasks.values_list("state", "attempts", "untold", "handed_out")[:TASKS])
    counted = list(runs.values_list("status", "items", "children_counts"))
    return f"-{crc32(repr((shown, counted)).encode()):x}"


def redrive_words(row: Execution, on_aws: ExecutionOnAws | None, now: datetime) -> tuple[str, datetime | None]:
    """Whether AWS would redrive it, and until when it does."""
    if row.status not in BROKEN or row.finished_at is None:
        return "", None
    if on_aws is not None and on_aws.map_run is not None:
        return _("With the execution whose Map it is an item of."), None
    until = row.finished_at + REDRIVABLE_FOR
    if until <= now:
        return _("No: it ended more than 14 days ago."), None
    if on_aws is not None and on_aws.redrive_status == NOT_REDRIVABLE:
        return _("No. AWS says: %(why)s") % {"why": on_aws.redrive_reason or "–"}, None
    return _("Yes"), until


def may_redrive(row: Execution, now: datetime) -> bool:
    on_aws = ExecutionOnAws.objects.filter(pk=row.pk).select_related("map_run").first()
    return redrive_words(row, on_aws, now)[1] is not None


def is_child(row: Execution) -> bool:
    return ExecutionOnAws.objects.filter(pk=row.pk, map_run__isnull=False).exists()


def run_of(run: MapRunOnAws) -> Run:
    children = Execution.objects.filter(on_aws__map_run=run)
    order = Case(
        When(status__in=BROKEN, then=Value(0)),
        When(status=Status.RUNNING, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    shown = children.annotate(order=order).order_by("order", "pk")
    items, executions = run.items, run.children_counts
    return Run(
        row=run,
        pill=status_pill(run.status if run.status in Status.values else Status.RUNNING),
        counts=[
            (str(word), items.get(key, 0), executions.get(key, 0))
            for key, word in COUNTS
            if key == "total" or items.get(key) or executions.get(key)
        ],
        limits=limits_of(run),
        children=list(shown.select_related("machine").defer(*UNREAD)[:CHILDREN]),
        kept=children.count(),
    )


def limits_of(run: MapRunOnAws) -> str:
    """How many may run together, and how many may fail, in words."""
    together = _("%(n)d run together at most") % {"n": run.concurrency} if run.concurrency else ""
    failures = []
    if run.tolerated_count:
        failures.append(_("%(n)d items may fail") % {"n": run.tolerated_count})
    if run.tolerated_percentage:
        failures.append(_("%(n)g %% of the items may fail") % {"n": run.tolerated_percentage})
    return " · ".join([part for part in [together, *(failures or [_("no item may fail")])] if part])


def waits_on_aws(row: Execution, calls: list[Call]) -> list[Wait]:
    """What a running execution there waits for, as far as its effects and its history tell."""
    under_way = (TaskState.DUE, TaskState.WAITING, TaskState.ANSWERED)
    waits = [Wait(call.task.state_name, call.sentence, None) for call in calls if call.task.state in under_way]
    last = HistoryEvent.objects.filter(execution=row).order_by("-number").values_list("type", "details").first()
    if last is not None and last[0] == "ActivityScheduled" and not waits:
        effect = str(last[1].get("resource", "")).rpartition(":")[2]
        state = row.standing.partition("\n")[0]
        waits.append(
            Wait(
                state,
                _("No worker has taken its call of %(effect)s: does %(command)s run?")
                % {"effect": effect, "command": SERVE},
                None,
            )
        )
    return waits


SERVE = "manage.py work_activities"


def call_of(task: ActivityTask) -> Call:
    word, tone = task.get_state_display(), TASK_TONES[task.state]
    if task.state == TaskState.TOLD:
        failed = "error" in (task.answer or {})
        word, tone = (_("Failed"), Tone.ATTENTION) if failed else (_("Done"), Tone.GOOD)
    return Call(task, task.activity.rpartition(":")[2], pill(word, tone), sentence_of(task))


def sentence_of(task: ActivityTask) -> str:
    """What has happened to a call, as it happened."""
    answer = task.answer or {}
    if task.state == TaskState.DUE:
        if task.error:
            return _("It did not succeed and is called again under the same key: %(error)s") % {"error": task.error}
        return _("It is being called.")
    if task.state == TaskState.WAITING:
        return _("It has begun something that will answer: an event, or somebody's decision.")
    if task.state == TaskState.ANSWERED:
        if task.error:
            return _("It is done, and Step Functions could not be told yet: %(error)s") % {"error": task.error}
        return _("It is done; Step Functions is being told.")
    if task.state == TaskState.LATE:
        said = task.error or _("the state's time was over")
        kept = _("Its answer is kept: a state that is tried again is given it.") if answer else ""
        return _("Step Functions waits no more (%(said)s). %(kept)s") % {"said": said, "kept": kept}
    if "error" in answer:
        return _("It failed, and Step Functions was told: %(error)s. %(cause)s") % {
            "error": answer["error"],
            "cause": answer.get("cause", ""),
        }
    return _("It is done, and Step Functions was told its result.")
