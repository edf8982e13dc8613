"""Executions: the list by machine, state, customer and error; one execution with its graph, steps and acts."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin import register
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter, FieldTextFilter
from unfold.decorators import display

from ops.console.display import id_link, moment, span
from ops.console.filters import WithinFilter
from ops.console.readonly import PageAdmin
from ops.console.site import console
from ops.console.workflows import execution_acts
from ops.console.workflows.counts import BROKEN, standing_in
from ops.console.workflows.execution_page import execution_context, live_context
from ops.console.workflows.origins import UNREAD, started_by
from ops.console.workflows.seen import RowsOfHistory
from ops.console.workflows.words import status_pill
from ops.models import Execution, StateMachine, Status

EVENTS = 200  # of a raw history, a page
UNCHANGED = 204  # what htmx leaves the page alone for


class MachineFilter(DropdownFilter):
    title = gettext_lazy("state machine")
    parameter_name = "machine"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in StateMachine.objects.order_by("name").values_list("name", flat=True)[:500]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        return queryset.filter(machine__name=self.value()) if self.value() else queryset


class HowFilter(DropdownFilter):
    """How an execution stands; running ones that are paused, or long due, apart."""

    title = gettext_lazy("state")
    parameter_name = "how"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        more = [
            ("broken", gettext_lazy("Failed or timed out")),
            ("paused", gettext_lazy("Paused")),
            ("late", gettext_lazy("Due, and not advanced")),
        ]
        return [*Status.choices, *more]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        running = Q(status=Status.RUNNING)
        match self.value():
            case "broken":
                return queryset.filter(status__in=BROKEN)
            case "paused":
                return queryset.filter(running, paused_at__isnull=False)
            case "late":
                return queryset.filter(running, due_at__lte=timezone.now())
            case value if value in Status.values:
                return queryset.filter(status=value)
        return queryset


class PlaceFilter(DropdownFilter):
    title = gettext_lazy("runs")
    parameter_name = "place"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("here", gettext_lazy("Here")), ("aws", gettext_lazy("On AWS"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        match self.value():
            case "here":
                return queryset.filter(arn="")
            case "aws":
                return queryset.exclude(arn="")
        return queryset


class AtFilter(DropdownFilter):
    """In which state executions of a machine stand, or failed; offered once a machine is chosen."""

    title = gettext_lazy("stands or failed in")
    parameter_name = "at"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        machine = StateMachine.objects.filter(name=request.GET.get("machine", "")).select_related("current").first()
        names = machine.current.states_at_top if machine and machine.current else []
        asked = request.GET.get("at", "")  # one inside of another state, from the machine's page
        return [(name, name) for name in (*names, *([asked] if asked and asked not in names else []))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        machine = StateMachine.objects.filter(name=request.GET.get("machine", "")).first()
        if not self.value() or machine is None:
            return queryset
        return queryset.filter(standing_in(self.value(), machine.pk), machine=machine)


class StartedWithinFilter(WithinFilter):
    title = gettext_lazy("started")
    column = "started_at"


class ErrorFilter(FieldTextFilter):
    title = gettext_lazy("error")


class ExecutionList(ChangeList):
    """The list without what no row of it shows; in an order that an index has."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Execution]:
        found: QuerySet[Execution] = super().get_queryset(request, exclude_parameters)
        return found.defer(*UNREAD)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Execution]) -> list[Any]:
        chosen = "machine" in request.GET or request.GET.get("q", "").startswith("cus_")
        return ["-started_at", "-pk"] if chosen else ["-pk"]


@register(Execution, site=console)
class ExecutionAdmin(PageAdmin):
    list_display = ("execution", "state_shown", "at_shown", "customer", "started_shown", "took", "error_shown")
    list_filter = (MachineFilter, HowFilter, AtFilter, PlaceFilter, ("error", ErrorFilter), StartedWithinFilter)
    list_filter_submit = True
    list_select_related = ("machine",)
    search_fields = ("name", "customer_id")
    search_help_text = gettext_lazy("Name of an execution, customer id or event id, whole")
    sortable_by = ()
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
        machines = StateMachine.objects.values_list("pk", flat=True)
        return queryset.filter(machine_id__in=list(machines), name=term), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return type("ExecutionList", (ExecutionList, super().get_changelist(request, **kwargs)), {})

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        if not object_id.isdigit():
            return None
        return Execution.objects.select_related("machine", "version", "parent_call").filter(pk=object_id).first()

    def page_context(self, request: HttpRequest, row: Execution) -> dict[str, Any]:
        return execution_context(request, row)

    def get_urls(self) -> list[URLPattern]:
        return [
            path("<path:object_id>/live/", self.of_one(live), name="ops_execution_live"),
            path("<path:object_id>/history/", self.of_one(history), name="ops_execution_history"),
            path("<path:object_id>/history/<int:number>/", self.of_one(event), name="ops_execution_event"),
            path(
                "<path:object_id>/act/<str:act>/",
                self.of_one(execution_acts.ask, change=True),
                name="ops_execution_act",
            ),
            *super().get_urls(),
        ]

    def of_one(self, view: Callable[..., HttpResponseBase], *, change: bool = False) -> Callable[..., Any]:
        """A page about one execution, for who may see it, or act on it."""

        def guarded(request: HttpRequest, object_id: str, **more: Any) -> Any:
            if not request.user.has_perm("ops.change_execution" if change else "ops.view_execution"):
                raise PermissionDenied
            row = self.get_object(request, object_id)
            if row is None:
                raise Http404
            return view(request, row, **more)

        view_of_site: Callable[..., Any] = self.admin_site.admin_view(guarded)
        return view_of_site

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
    def at_shown(self, row: Execution) -> str:
        first, _, rest = row.standing.partition("\n")
        return f"{first} …" if rest else first or "–"

    @display(description=gettext_lazy("customer"))
    def customer(self, row: Execution) -> SafeString:
        return id_link(row.customer_id)

    @display(description=gettext_lazy("started"))
    def started_shown(self, row: Execution) -> SafeString:
        return moment(row.started_at)

    @display(description=gettext_lazy("took"))
    def took(self, row: Execution) -> str:
        return span(row.finished_at - row.started_at) if row.finished_at else "–"

    @display(description=gettext_lazy("error"))
    def error_shown(self, row: Execution) -> SafeString | str:
        return format_html('<span class="error-line">{}</span>', row.error[:120]) if row.error else "–"


def place_words(arn: str) -> str:
    """Where an execution on AWS runs; of an item of a distributed Map, its Map, too."""
    label = arn.split(":")[6].partition("/")[2]
    return f"AWS · {label}" if label else "AWS"


def live(request: HttpRequest, row: Execution) -> HttpResponse:
    """What changes while it runs; nothing where nothing has changed since `seen`."""
    context = live_context(request, row)
    if request.GET.get("seen") == context["mark"]:
        return HttpResponse(status=UNCHANGED)
    return render(request, "ops/workflows/execution_live.html", context)


def history(request: HttpRequest, row: Execution) -> HttpResponse:
    """The raw history, a page of it."""
    asked = request.GET.get("after", "")
    after = int(asked[:9]) if asked.isascii() and asked.isdigit() else 0
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
