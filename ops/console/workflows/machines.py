"""State machines: the list with its numbers, one drawn with where its executions stand, its versions and shares."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin import register
from django.contrib.admin.views.main import ChangeList
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from accounts.models import User
from billing.numerals import whole_number
from ops.console.difference import difference
from ops.console.display import NOTHING
from ops.console.replay import ReasonForm
from ops.console.site import console
from ops.console.workflows import editor, trying
from ops.console.workflows.counts import MachineCounts, counts_of, summaries_of
from ops.console.workflows.picture import Picture, counted_picture, drawing_of, ways_in_words
from ops.console.written import WrittenAdmin
from ops.models import Execution, Rule, StateMachine, StateMachineVersion, Status, TargetKind
from ops.workflows.machines import ARN, set_share

VERSIONS = 50
LATEST = 10


class MachineList(ChangeList):
    """The list with the numbers of the machines that it shows: two queries for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        machines = list(self.result_list)
        found = summaries_of([machine.pk for machine in machines], timezone.now())
        for machine in machines:
            machine.summary = found[machine.pk]
        self.result_list = machines


class ShareForm(ReasonForm):
    """How much of what is new a version runs, and why."""

    percent = forms.IntegerField(
        label=gettext_lazy("Percent of new executions"),
        help_text=gettext_lazy("100 makes it the current version, 0 ends its trial. Executions that run keep theirs."),
        min_value=0,
        max_value=100,
        error_messages={"required": gettext_lazy("Say how many of a hundred, for example 10.")},
        widget=UnfoldAdminIntegerFieldWidget(),
    )


@register(StateMachine, site=console)
class StateMachineAdmin(WrittenAdmin):
    list_display = ("machine", "version_shown", "running", "failed", "last_day")
    list_select_related = ("current", "tried")
    search_fields = ("name", "notes")
    search_help_text = gettext_lazy("A part of the name or of the notes")
    ordering = ("name",)
    change_form_template = "ops/workflows/machine.html"
    list_before_template = "ops/workflows/machines_before.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return type("MachineList", (MachineList, super().get_changelist(request, **kwargs)), {})

    def write_new(self, request: HttpRequest) -> HttpResponse:
        return editor.edit(request, None)

    def page_context(self, request: HttpRequest, row: StateMachine) -> dict[str, Any]:
        return machine_context(request, row)

    def get_urls(self) -> list[URLPattern]:
        return [
            path("try/check/", self.of_any(editor.check, self.permission(change=False)), name="ops_statemachine_check"),
            *(
                path(
                    f"<path:object_id>/{place}",
                    self.of_one(view, self.permission(change=change), load=machine_of),
                    name=f"ops_statemachine_{name}",
                )
                for name, place, view, change in (
                    ("edit", "edit/", editor.edit, False),
                    ("versions", "versions/", versions, False),
                    ("share", "versions/<int:number>/share/", share, True),
                    ("try", "try/", trying.page, False),
                    ("try_state", "try/state/", trying.run_state, False),
                    ("try_all", "try/all/", trying.run_all, False),
                )
            ),
            *super().get_urls(),
        ]

    @display(description=gettext_lazy("state machine"), ordering="name")
    def machine(self, machine: StateMachine) -> SafeString:
        purpose = Truncator(machine.purpose).chars(90, truncate=" …")
        return format_html('<span class="who">{}</span><span class="sub-line">{}</span>', machine.name, purpose)

    @display(description=gettext_lazy("version"))
    def version_shown(self, machine: StateMachine) -> SafeString | str:
        if machine.current is None:
            return _("none")
        if machine.tried is None:
            return str(machine.current.number)
        tried = _("version %(n)d on %(percent)d %%") % {"n": machine.tried.number, "percent": machine.tried_percent}
        return format_html('{} <span class="sub-line">{}</span>', machine.current.number, tried)

    @display(description=gettext_lazy("running"))
    def running(self, machine: Any) -> SafeString | str:
        return counted(machine, machine.summary.running, Status.RUNNING)

    @display(description=gettext_lazy("failed"))
    def failed(self, machine: Any) -> SafeString | str:
        return counted(machine, machine.summary.failed, "broken")

    @display(description=gettext_lazy("last 24 hours"))
    def last_day(self, machine: Any) -> SafeString | str:
        return format_html(
            '<span class="number">{}</span>',
            intcomma(machine.summary.last_day) if machine.summary.last_day else NOTHING,
        )


def machine_of(number: int) -> StateMachine | None:
    return StateMachine.objects.select_related("current", "tried").filter(pk=number).first()


def counted(machine: StateMachine, count: int, how: str) -> SafeString | str:
    if not count:
        return NOTHING
    tone = "strong " if how == "broken" else ""
    return format_html(
        '<a class="text-link number {}" href="{}">{}</a>', tone, executions_of(machine, how=how), intcomma(count)
    )


def executions_of(machine: StateMachine, **chosen: str) -> str:
    """The address of a machine's executions, as the filters say."""
    asked = urlencode({"machine": machine.name, **chosen})
    return f"{reverse('admin:ops_execution_changelist')}?{asked}"


def machine_context(request: HttpRequest, machine: StateMachine) -> dict[str, Any]:
    """What the page of one machine shows. Six queries, whatever the number of its executions."""
    shown = shown_version(request, machine)
    counts = counts_of(machine.pk)
    drawing = drawing_of(shown.pk) if shown else None
    drawn: Picture | None = counted_picture(drawing, counts.states) if drawing else None
    return {
        "machine": machine,
        "shown": shown,
        "picture": drawn,
        "ways": ways_in_words(drawing) if drawing else [],
        "counts": counts,
        "state_rows": state_rows(machine, counts),
        "all_url": executions_of(machine),
        "running_url": executions_of(machine, how=Status.RUNNING),
        "failed_url": executions_of(machine, how="broken"),
        "latest": latest_of(machine) if request.user.has_perm("ops.view_execution") else [],
        "rules": rules_of(machine) if request.user.has_perm("ops.view_rule") else [],
        "may_change": request.user.has_perm("ops.change_statemachine"),
        "may_see_executions": request.user.has_perm("ops.view_execution"),
    }


def shown_version(request: HttpRequest, machine: StateMachine) -> StateMachineVersion | None:
    """The version that was asked for, else the current one."""
    number = whole_number(request.GET.get("version"))
    if number is not None:
        return get_object_or_404(machine.versions.all(), number=number)
    return machine.current


def state_rows(machine: StateMachine, counts: MachineCounts) -> list[dict[str, Any]]:
    """Where executions stand and failed, the states with most first, each with the way to them."""
    ordered = sorted(counts.states.items(), key=lambda pair: (-pair[1].failed, -pair[1].waiting, pair[0]))
    return [
        {
            "name": name,
            "counts": count,
            "waiting_url": executions_of(machine, how=Status.RUNNING, at=name),
            "failed_url": executions_of(machine, how="broken", at=name),
        }
        for name, count in ordered
    ]


def latest_of(machine: StateMachine) -> list[Execution]:
    found = Execution.objects.filter(machine=machine).defer("input", "output", "walkers")
    return list(found.order_by("-started_at", "-pk")[:LATEST])


def rules_of(machine: StateMachine) -> list[Rule]:
    """The rules that start it."""
    targets = Rule.objects.filter(targets__kind=TargetKind.STATE_MACHINE, targets__arn=ARN + machine.name)
    return list(targets.distinct().order_by("name"))


@dataclass(frozen=True)
class Change:
    """What one version changed in the one before it."""

    version: StateMachineVersion
    lines: tuple[tuple[str, str], ...]


def versions(request: HttpRequest, machine: StateMachine) -> HttpResponse:
    """Show what changed from version to version, by whom and why, and which of them run."""
    found = list(machine.versions.select_related("changed_by").order_by("-number")[: VERSIONS + 1])
    context = {
        **console.each_context(request),
        "title": _("Versions of %(name)s") % {"name": machine.name},
        "machine": machine,
        "changes": list(changes_of(found)),
        "more": len(found) > VERSIONS,
        "may_change": request.user.has_perm("ops.change_statemachine"),
        "opts": StateMachine._meta,
    }
    return TemplateResponse(request, "ops/workflows/versions.html", context)


def changes_of(found: list[StateMachineVersion]) -> Iterator[Change]:
    for place, version in enumerate(found[:VERSIONS]):
        before = found[place + 1].definition.splitlines() if place + 1 < len(found) else []
        yield Change(version, tuple(difference(before, version.definition.splitlines())))


def share(request: HttpRequest, machine: StateMachine, number: int) -> HttpResponse:
    """Ask how much of what is new a version runs, and why; then let it."""
    version = get_object_or_404(machine.versions.all(), number=number)
    back = reverse("admin:ops_statemachine_versions", args=[machine.pk])
    now = machine.tried_percent if version == machine.tried else 10
    form = ShareForm(request.POST or None, initial={"percent": now})
    if request.method == "POST" and form.is_valid():
        percent, reason = form.cleaned_data["percent"], form.cleaned_data["reason"]
        actor = cast(User, request.user)
        set_share(machine, version, percent, reason=reason, now=timezone.now(), actor=actor)
        messages.success(request, share_words(number, percent))
        return redirect(back)
    context = {
        **console.each_context(request),
        "title": _("Share of version %(n)d") % {"n": number},
        "subject": machine.name,
        "sentence": _(
            "Of each hundred new executions, so many run this version and the others the current one. The choice falls "
            "by lot when an execution starts."
        ),
        "form": form,
        "fields": [form["percent"]],
        "back": back,
        "opts": StateMachine._meta,
    }
    return TemplateResponse(request, "ops/reason.html", context)


def share_words(number: int, percent: int) -> str:
    if percent >= 100:
        return _("Version %(n)d is current: every new execution runs it.") % {"n": number}
    if percent == 0:
        return _("No new execution runs version %(n)d on trial.") % {"n": number}
    return _("%(percent)d %% of new executions run version %(n)d.") % {"n": number, "percent": percent}
