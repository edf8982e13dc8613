"""One execution: how it stands and what it waits for, its graph, its steps, its calls, and where it came from."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import Case, F, Q, Sum, When
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.customers import organization_of
from billing.models import InboxEvent
from billing.numerals import whole_number
from ops.console.display import shown_json
from ops.console.workflows.counts import BROKEN, counts_of_children
from ops.console.workflows.execution_acts import acts_on
from ops.console.workflows.on_aws import Wait, aws_context, aws_mark
from ops.console.workflows.origins import UNREAD, started_from
from ops.console.workflows.picture import Counts, drawing_of, ran_picture
from ops.console.workflows.readings import readings
from ops.console.workflows.seen import RowsOfHistory, Seen, seen_here
from ops.console.workflows.step_rows import Row, data_of, numbers_of, rows_of
from ops.console.workflows.words import short_resource, status_pill
from ops.models import CallState, Execution, StaffAct, Status, TaskCall
from ops.workflows.acts import subject_of
from ops.workflows.asl.running import Phase
from ops.workflows.calls import GIVE_UP_AFTER
from ops.workflows.steps import Reading, Step, outcomes_of, ways_of

STEPS = 50  # a page of them
CALLS = 20  # the latest; and those that are waited for
WALKERS = 500  # whose calls are looked up
WAITS = 12  # different ones
CHILDREN = 10  # a Map may have thousands
ACTS = 50


def execution_context(request: HttpRequest, row: Execution) -> dict[str, Any]:
    """What the page of one execution shows."""
    acts = StaffAct.objects.filter(subject_kind="execution", subject_id=subject_of(row))
    event = InboxEvent.objects.filter(external_id=row.event_id).only("pk", "type") if row.event_id else None
    return {
        **live_context(request, row),
        "organization": organization_of(row.customer_id),
        "given": shown_json(row.input),
        "event": event.first() if event is not None and request.user.has_perm("billing.view_inboxevent") else None,
        "delivery": started_from(row) if request.user.has_perm("ops.view_delivery") else None,
        "acts": acts.select_related("actor").order_by("-at")[:ACTS],
    }


def live_context(request: HttpRequest, row: Execution) -> dict[str, Any]:
    """What of it changes while it runs. Nine queries, however long its history is; on AWS a few more."""
    now = timezone.now()
    mark = mark_of(row)  # before all else: what changes from here on is sent the next time
    seen = seen_here(row)
    reading = readings.of(row.pk, row.events if row.has_history else 0, seen.history.marks)
    steps = list(reading.steps.values())
    calls = calls_of(row)
    children = children_of(row)
    running = row.status == Status.RUNNING
    pages = max((len(steps) - 1) // STEPS + 1, 1)
    page = page_of(request, row, pages)
    on_aws = aws_context(row, now)
    return {
        "execution": row,
        "seen": seen,
        "mark": mark,
        "running": running,
        "gave": shown_json(row.output) if row.status == Status.SUCCEEDED else None,
        "pill": status_pill(row.status, row.paused_at),
        "now": now,
        "took": (row.finished_at or now) - row.started_at,
        "standing": row.standing.split("\n") if row.standing else [],
        "waits": waits_of(row, {call.number: call for call in calls}) if running else [],
        "picture": picture_of(
            row, steps, counts_of_children(row) if any(is_of_map(child) for child in children) else {}
        ),
        "rows": step_rows(seen, reading, steps, page, now),
        "page": page,
        "pages": pages,
        "asked_page": request.GET.get("steps", "") if page != pages else "",
        "calls": calls[:CALLS],
        "calls_more": row.calls > CALLS,
        "children": children,
        "most_attempts": GIVE_UP_AFTER,
        "buttons": acts_on(row, calls) if request.user.has_perm("ops.change_execution") else [],
        **on_aws,
    }


def calls_of(row: Execution) -> list[TaskCall]:
    """Its latest calls and those that it waits for, each with what is awaited: an event, a person, a Map."""
    awaited = [walker["call_number"] for walker in row.walkers[:WALKERS] if walker["phase"] == Phase.CALL]
    wanted = Q(number__gt=row.calls - CALLS) | Q(number__in=awaited)
    found = TaskCall.objects.filter(wanted, execution=row).select_related("wait", "approval", "map_run")
    return list(found.order_by("-number"))


def children_of(row: Execution) -> list[Execution]:
    """Some of the executions that its calls have started: those that failed first, then those under way."""
    found = Execution.objects.filter(parent_call__execution=row).select_related("machine").defer(*UNREAD)
    urgent = Case(When(status__in=BROKEN, then=0), When(status=Status.RUNNING, then=1), default=2)
    return list(found.order_by(urgent, "pk")[:CHILDREN]) if row.calls else []


def is_of_map(child: Execution) -> bool:
    return child.map_index is not None


def mark_of(row: Execution) -> str:
    """Changes when anything of it does that its page shows. One query; on AWS two more."""
    open_calls = TaskCall.objects.filter(execution_id=row.pk, state__in=[CallState.DUE, CallState.WAITING])
    ended = F("map_run__succeeded") + F("map_run__failed")
    told = open_calls.aggregate(tries=Sum("attempts"), children=Sum(F("map_run__started") + ended))
    numbers = (row.events, told["tries"] or 0, told["children"] or 0)
    return f"{row.status}-{'paused-' if row.paused_at else ''}{'-'.join(map(str, numbers))}{aws_mark(row)}"


def page_of(request: HttpRequest, row: Execution, pages: int) -> int:
    """Which steps are shown: those asked for; else where it ended well, the first, and where not, the last."""
    asked = whole_number(request.GET.get("steps"))
    if asked is not None:
        return min(max(asked, 1), pages)
    return 1 if row.status == Status.SUCCEEDED else pages


def step_rows(seen: Seen, reading: Reading, steps: list[Step], page: int, now: datetime) -> list[Row]:
    first = min((page - 1) * STEPS, max(len(steps) - STEPS, 0))  # the last page is a whole one too
    shown = steps[first : first + STEPS]
    until = seen.finished_at or now
    return rows_of(shown, reading.steps, seen.history.heads, since=seen.started_at, until=until)


def step_context(row: Execution, number: int) -> dict[str, Any] | None:
    """What one visit to a state was given and gave; None where no state was entered with that event."""
    history = RowsOfHistory(row.pk)
    step = readings.of(row.pk, row.events, history.marks).steps.get(number)
    if step is None:
        return None
    return {"execution": row, "step": step, "data": data_of(step, history.details(numbers_of(step)))}


def picture_of(row: Execution, steps: list[Step], children: Mapping[str, Counts]) -> Any:
    drawing = drawing_of(row.version_id)
    if drawing is None:
        return None
    ways = ways_of(steps, ended_well=row.status == Status.SUCCEEDED)
    return ran_picture(drawing, outcomes_of(steps), ways, children)


def waits_of(row: Execution, calls: dict[int, TaskCall]) -> list[Wait]:
    """What its walkers wait for, the same said once; those that wait for walkers of their own are left out."""
    found: dict[tuple[str, str], Wait] = {}
    for walker in row.walkers:
        if walker["phase"] != Phase.FORK:
            wait = wait_of(walker, calls)
            before = found.setdefault((wait.state, wait.sentence), replace(wait, times=0))
            until = min((at for at in (before.until, wait.until) if at), default=None)
            found[wait.state, wait.sentence] = replace(before, times=before.times + 1, until=until)
    return list(found.values())[:WAITS]


def wait_of(walker: dict[str, Any], calls: dict[int, TaskCall]) -> Wait:
    due = datetime.fromisoformat(walker["due"]) if walker.get("due") else None
    match walker["phase"]:
        case Phase.SLEEP:
            return Wait(walker["state"], _("It sleeps."), due)
        case Phase.AGAIN if walker["used"]:  # one that was redriven has used no retrier yet
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
