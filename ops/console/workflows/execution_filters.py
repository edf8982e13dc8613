"""By what the list of executions is filtered. Each condition is one that an index answers, at a million rows too."""

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter, FieldTextFilter

from billing.numerals import whole_number
from ops.console.filters import WithinFilter
from ops.console.workflows.counts import BROKEN, standing_in
from ops.models import Execution, StateMachine, Status, TaskCall


class MachineFilter(DropdownFilter):
    title = gettext_lazy("state machine")
    parameter_name = "machine"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in StateMachine.objects.order_by("name").values_list("name", flat=True)[:500]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        if not self.value():
            return queryset
        # By its number: of a joined name PostgreSQL does not know how many executions have it.
        return queryset.filter(machine_id__in=numbers_of(StateMachine.objects.filter(name=self.value())))


def numbers_of(rows: QuerySet[Any]) -> list[int]:
    return list(rows.values_list("pk", flat=True))


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


class ChildFilter(DropdownFilter):
    """The executions that one execution has started, or one call of it: a Map's children. Linked to, never offered."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        asked = request.GET.get(self.parameter_name, "")
        number = whole_number(asked)
        return [(asked, asked if number is None else self.name_of(number))] if asked else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        if not self.value():
            return queryset
        number = whole_number(self.value())
        return queryset.none() if number is None else queryset.filter(self.children_of(number))

    def name_of(self, number: int) -> str:
        raise NotImplementedError

    def children_of(self, number: int) -> Q:
        raise NotImplementedError


class ParentFilter(ChildFilter):
    title = gettext_lazy("started by")
    parameter_name = "parent"

    def name_of(self, number: int) -> str:
        parent = Execution.objects.filter(pk=number).values_list("machine__name", "name").first()
        return " · ".join(parent) if parent else _("an execution that is gone")

    def children_of(self, number: int) -> Q:
        return Q(parent_call_id__in=numbers_of(TaskCall.objects.filter(execution_id=number)))


class MapFilter(ChildFilter):
    title = gettext_lazy("children of the call")
    parameter_name = "call"

    def name_of(self, number: int) -> str:
        call = TaskCall.objects.filter(pk=number).values_list("state_name", "execution__name").first()
        return _("%(state)s of %(execution)s") % dict(zip(("state", "execution"), call, strict=True)) if call else "–"

    def children_of(self, number: int) -> Q:
        return Q(parent_call_id=number)


class StartedWithinFilter(WithinFilter):
    title = gettext_lazy("started")
    column = "started_at"


class ErrorFilter(FieldTextFilter):
    """A part of the error's name: looked for among those that did not end well, which have an index."""

    title = gettext_lazy("error")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution] | None:
        found: QuerySet[Execution] | None = super().queryset(request, queryset)
        return found.filter(status__in=[*BROKEN, Status.ABORTED]) if found is not None and self.value() else found
