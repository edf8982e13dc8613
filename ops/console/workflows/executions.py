"""Executions: the list by machine, state, customer and error; one execution with its graph, steps and acts."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin import register
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from billing.numerals import whole_number
from ops.console.display import NOTHING, id_link, moment, span
from ops.console.keyset import LeafedList
from ops.console.readonly import PageAdmin
from ops.console.site import console
from ops.console.workflows import execution_acts
from ops.console.workflows.execution_filters import (
    AtFilter,
    ErrorFilter,
    HowFilter,
    MachineFilter,
    MapFilter,
    ParentFilter,
    PlaceFilter,
    StartedWithinFilter,
)
from ops.console.workflows.execution_page import execution_context, live_context, mark_of, step_context
from ops.console.workflows.origins import LATEST, UNREAD, started_by
from ops.console.workflows.seen import RowsOfHistory
from ops.console.workflows.words import status_pill
from ops.models import Execution, StateMachine

EVENTS = 200  # of a raw history, a page
VIEW = "ops.view_execution"
UNCHANGED = 204  # what htmx leaves the page alone for


class ExecutionList(LeafedList):
    """The list without what no row of it shows."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Execution]:
        found: QuerySet[Execution] = super().get_queryset(request, exclude_parameters)
        return found.defer(*UNREAD)


@register(Execution, site=console)
class ExecutionAdmin(PageAdmin):
    list_display = ("execution", "state_shown", "at_shown", "customer", "started_shown", "took", "error_shown")
    list_filter = (
        MachineFilter,
        HowFilter,
        AtFilter,
        PlaceFilter,
        ("error", ErrorFilter),
        StartedWithinFilter,
        ParentFilter,
        MapFilter,
    )
    list_filter_submit = True
    list_select_related = ("machine",)
    search_fields = ("name", "customer_id")
    search_help_text = gettext_lazy("Name of an execution, customer id or event id, whole")
    leafed_by = ("pk",)
    change_form_template = "ops/workflows/execution.html"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Execution], search_term: str
    ) -> tuple[QuerySet[Execution], bool]:
        """Look whole ids and names up in indexes; an event's executions by the calls of its matches."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.startswith("cus_"):
            return queryset.filter(customer_id=term), False
        if term.startswith("evt_"):
            return queryset.filter(pk__in=[row.pk for row in started_by(term)]), False
        return queryset.filter(pk__in=named(term)), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ExecutionList]:
        return ExecutionList

    def leafed_by_in(self, request: HttpRequest) -> tuple[str, ...]:
        """An order that an index has: a machine's and a customer's executions have one by their time."""
        chosen = request.GET.get("machine") or request.GET.get("q", "").strip().startswith("cus_")
        return ("started_at", "pk") if chosen else ("pk",)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        number = whole_number(object_id)
        return None if number is None else whole(number)

    def page_context(self, request: HttpRequest, row: Execution) -> dict[str, Any]:
        return execution_context(request, row)

    def get_urls(self) -> list[URLPattern]:
        pages: tuple[tuple[str, str, Callable[..., HttpResponseBase], Callable[[int], Execution | None]], ...] = (
            ("live", "live/", live, light),
            ("step", "step/<int:number>/", step, light),
            ("data", "data/<str:which>/", data, whole),
            ("history", "history/", history, light),
            ("event", "history/<int:number>/", event, light),
        )
        act = self.of_one(execution_acts.ask, "ops.change_execution", load=whole)
        return [
            *(
                path(f"<path:object_id>/{place}", self.of_one(view, VIEW, load=load), name=f"ops_execution_{name}")
                for name, place, view, load in pages
            ),
            path("<path:object_id>/act/<str:act>/", act, name="ops_execution_act"),
            *super().get_urls(),
        ]

    @display(description=gettext_lazy("execution"))
    def execution(self, row: Execution) -> SafeString:
        where = format_html(' <span class="mode">{}</span>', place_words(row.arn)) if row.arn else ""
        return format_html(
            '<span class="who">{}{}</span><code class="sub-line">{}</code>', row.machine.name, where, row.name
        )

    @display(description=gettext_lazy("state"))
    def state_shown(self, row: Execution) -> SafeString:
        return status_pill(row.status, row.paused_at)

    @display(description=gettext_lazy("stands or failed in"))
    def at_shown(self, row: Execution) -> SafeString | str:
        first, _, rest = row.standing.partition("\n")
        return f"{first} …" if rest else first or NOTHING

    @display(description=gettext_lazy("customer"))
    def customer(self, row: Execution) -> SafeString:
        return id_link(row.customer_id)

    @display(description=gettext_lazy("started"))
    def started_shown(self, row: Execution) -> SafeString:
        return moment(row.started_at)

    @display(description=gettext_lazy("took"))
    def took(self, row: Execution) -> SafeString | str:
        return span(row.finished_at - row.started_at) if row.finished_at else NOTHING

    @display(description=gettext_lazy("error"))
    def error_shown(self, row: Execution) -> SafeString | str:
        return format_html('<span class="error-line">{}</span>', row.error[:120]) if row.error else NOTHING


def named(name: str) -> list[int]:
    """The executions of a name, whose machines' indexes have it here, and one of its own for those on AWS."""
    machines = list(StateMachine.objects.values_list("pk", flat=True))
    here = Execution.objects.filter(arn="", machine_id__in=machines, name=name)
    on_aws = Execution.objects.filter(name=name).exclude(arn="")
    return [*here.values_list("pk", flat=True), *on_aws.values_list("pk", flat=True)[:LATEST]]


def whole(number: int) -> Execution | None:
    return Execution.objects.select_related("machine", "version", "parent_call").filter(pk=number).first()


def light(number: int) -> Execution | None:
    """An execution without what may be large: input, definition, walkers."""
    return (
        Execution.objects.only("name", "events", "status", "paused_at", "has_history", "arn").filter(pk=number).first()
    )


def place_words(arn: str) -> str:
    """Where an execution on AWS runs; of an item of a distributed Map, its Map, too."""
    label = arn.split(":")[6].partition("/")[2]
    return f"AWS · {label}" if label else "AWS"


def live(request: HttpRequest, row: Execution) -> HttpResponse:
    """What changes while it runs; nothing, after two queries, where nothing has changed since `seen`."""
    if request.GET.get("seen") == mark_of(row):
        return HttpResponse(status=UNCHANGED)
    row = whole(row.pk) or row
    return render(request, "ops/workflows/execution_live.html", live_context(request, row))


def step(request: HttpRequest, row: Execution, number: int) -> HttpResponse:
    """What one visit to a state was given and gave."""
    context = step_context(row, number)
    if context is None:
        raise Http404
    return render(request, "ops/workflows/step_data.html", context)


def data(request: HttpRequest, row: Execution, which: str) -> HttpResponse:
    """What an execution was given, or gave, alone: it may be large."""
    if which not in ("input", "output"):
        raise Http404
    context = {
        **console.each_context(request),
        "title": _("What it was given") if which == "input" else _("What it gave"),
        "execution": row,
        "json": row.input if which == "input" else row.output,
        "opts": Execution._meta,
    }
    return TemplateResponse(request, "ops/workflows/execution_data.html", context)


def history(request: HttpRequest, row: Execution) -> HttpResponse:
    """The raw history, a page of it."""
    after = whole_number(request.GET.get("after")) or 0
    found = RowsOfHistory(row.pk).page(after=after, limit=EVENTS + 1)
    context = {
        **console.each_context(request),
        "title": _("History of %(name)s") % {"name": row.name},
        "execution": row,
        "events": found[:EVENTS],
        "next": found[EVENTS - 1].number if len(found) > EVENTS else None,
        "previous": max(after - EVENTS, 0) if after else None,
        "opts": Execution._meta,
    }
    return TemplateResponse(request, "ops/workflows/history.html", context)


def event(request: HttpRequest, row: Execution, number: int) -> HttpResponse:
    """One event of the history, whole."""
    found = RowsOfHistory(row.pk).one(number)
    if found is None:
        raise Http404
    context = {
        **console.each_context(request),
        "title": f"{number} {found.type}",
        "execution": row,
        "event": found,
        "opts": Execution._meta,
    }
    return TemplateResponse(request, "ops/workflows/history_event.html", context)
