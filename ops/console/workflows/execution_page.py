"""One execution: how it stands and what it waits for, its graph, its steps, its calls, and where it came from."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.customers import organization_of
from billing.models import InboxEvent
from ops.console.workflows.execution_acts import acts_on
from ops.console.workflows.on_aws import Wait, aws_context
from ops.console.workflows.origins import UNREAD, started_from
from ops.console.workflows.picture import drawing_of, ran_picture
from ops.console.workflows.seen import Seen, seen_here
from ops.console.workflows.step_rows import Row, rows_of
from ops.console.workflows.words import short_resource, status_pill
from ops.models import CallState, Execution, StaffAct, Status, TaskCall
from ops.workflows.acts import subject_of
from ops.workflows.asl.running import Phase
from ops.workflows.calls import GIVE_UP_AFTER
from ops.workflows.steps import Step, outcomes_of, steps_of, ways_of

STEPS = 100  # a page of them
CALLS = 100
CHILDREN = 50  # a Map may have thousands
ACTS = 50


def execution_context(request: HttpRequest, row: Execution) -> dict[str, Any]:
    """What the page of one execution shows."""
    acts = StaffAct.objects.filter(subject_kind="execution", subject_id=subject_of(row))
    event = InboxEvent.objects.filter(external_id=row.event_id).only("pk", "type") if row.event_id else None
    return {
        **live_context(request, row),
        "organization": organization_of(row.customer_id),
        "event": event.first() if event is not None and request.user.has_perm("billing.view_inboxevent") else None,
        "delivery": started_from(row) if request.user.has_perm("ops.view_delivery") else None,
        "acts": acts.select_related("actor").order_by("-at")[:ACTS],
    }


def live_context(request: HttpRequest, row: Execution) -> dict[str, Any]:
    """What of it changes while it runs. Six queries, however long its history is; on AWS a few more."""
    now = timezone.now()
    seen = seen_here(row)
    steps = steps_of(seen.history.marks())
    calls = calls_of(row)
    running = row.status == Status.RUNNING
    page = page_of(request, steps)
    on_aws = aws_context(row, now)
    return {
        "execution": row,
        "seen": seen,
        "mark": f"{row.events}-{row.status}-{bool(row.paused_at)}-{sum(call.attempts for call in calls)}"
        f"{on_aws.get('aws_mark', '')}",
        "running": running,
        "pill": status_pill(row.status, row.paused_at),
        "now": now,
        "took": (row.finished_at or now) - row.started_at,
        "standing": row.standing.split("\n") if row.standing else [],
        "waits": waits_of(row, {call.number: call for call in calls}) if running else [],
        "picture": picture_of(row, steps),
        "rows": step_rows(seen, steps, page, now),
        "page": page,
        "pages": range(1, max((len(steps) - 1) // STEPS + 1, 1) + 1),
        "steps_count": len(steps),
        "calls": calls,
        "children": children_of(calls),
        "most_attempts": GIVE_UP_AFTER,
        "buttons": acts_on(row, calls) if request.user.has_perm("ops.change_execution") else [],
        **on_aws,
    }


def calls_of(row: Execution) -> list[TaskCall]:
    """Its latest calls, each with what it waits for: an event, a person, a Map."""
    found = TaskCall.objects.filter(execution=row).select_related("wait", "approval", "map_run")
    return list(found.order_by("-number")[:CALLS])


def children_of(calls: list[TaskCall]) -> list[Execution]:
    """The first of the executions that its calls have started."""
    found = Execution.objects.filter(parent_call__in=[call.pk for call in calls]).select_related("machine")
    return list(found.defer(*UNREAD).order_by("pk")[:CHILDREN])


def page_of(request: HttpRequest, steps: list[Step]) -> int:
    """Which hundred steps are shown: those asked for, else the first."""
    asked = request.GET.get("steps", "")
    page = int(asked[:6]) if asked.isascii() and asked.isdigit() else 1
    return min(max(page, 1), max((len(steps) - 1) // STEPS + 1, 1))


def step_rows(seen: Seen, steps: list[Step], page: int, now: datetime) -> list[Row]:
    shown = steps[(page - 1) * STEPS : page * STEPS]
    return rows_of(steps, shown, seen.history.details, since=seen.started_at, until=seen.finished_at or now)


def picture_of(row: Execution, steps: list[Step]) -> Any:
    drawing = drawing_of(row.version_id)
    if drawing is None:
        return None
    return ran_picture(drawing, outcomes_of(steps), ways_of(steps, ended_well=row.status == Status.SUCCEEDED))


def waits_of(row: Execution, calls: dict[int, TaskCall]) -> list[Wait]:
    """What each of its walkers waits for; those that wait for walkers of their own are left out."""
    return [wait_of(walker, calls) for walker in row.walkers[:CALLS] if walker["phase"] != Phase.FORK]


def wait_of(walker: dict[str, Any], calls: dict[int, TaskCall]) -> Wait:
    due = datetime.fromisoformat(walker["due"]) if walker.get("due") else None
    match walker["phase"]:
        case Phase.SLEEP:
            return Wait(walker["state"], _("It sleeps."), due)
        case Phase.AGAIN:
            return Wait(walker["state"], _("It failed, and is tried again."), due)
        case Phase.CALL:
            return Wait(walker["state"], call_words(calls.get(walker["call_number"])), due)
    return Wait(walker["state"], _("It goes on as soon as a worker is free."), due)


def call_words(call: TaskCall | None) -> str:
    if call is None:
        return _("It waits for the answer to a call.")
    name = short_resource(call.resource)
    if hasattr(call, "wait"):
        return _("It waits for an event that fits the pattern of its call.")
    if hasattr(call, "approval") and not call.approval.decision:
        return _("It waits for somebody's decision: %(question)s") % {"question": call.approval.question}
    if call.state == CallState.WAITING:
        return _("It waits for an answer from outside to %(name)s.") % {"name": name}
    if call.error:
        return _("%(name)s did not succeed and is called again: %(error)s") % {"name": name, "error": call.error}
    return _("It waits for %(name)s, which is being called.") % {"name": name}
