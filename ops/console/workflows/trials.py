"""Backtests of playbooks: started here, run by a worker; who would have been touched, when, with what money."""

from collections.abc import Mapping
from typing import Any, cast

from django import forms
from django.contrib.admin import register
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.models import User
from ops.console.display import Tone, moment, pill
from ops.console.readonly import PageAdmin
from ops.console.rule_backtest import PeriodForm
from ops.console.site import console
from ops.models import PlaybookTrial, TrialState, TriedRun
from ops.playbooks.trials.work import ask
from ops.playbooks.trying import CannotTry, pairs

ASK = "ops.add_playbooktrial"
SHOWN = 50
TONES: Mapping[str, Tone] = {
    TrialState.DUE: Tone.WAITING,
    TrialState.RUNNING: Tone.WAITING,
    TrialState.DONE: Tone.GOOD,
    TrialState.FAILED: Tone.ATTENTION,
}


class TrialForm(PeriodForm):
    """What is tried, and over which period."""

    rule = forms.ChoiceField(label=gettext_lazy("Playbook and rule"), widget=UnfoldAdminSelectWidget)
    field_order = ("rule", "period", "since", "until")

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        named = [(f"{book}/{rule.name}", f"{book} · {rule.name}") for book, rule, _, _ in pairs()]
        cast(forms.ChoiceField, self.fields["rule"]).choices = list(dict(named).items())
        self.fields["period"].initial = "90"


@register(PlaybookTrial, site=console)
class PlaybookTrialAdmin(PageAdmin):
    list_display = ("what", "state_shown", "period_shown", "matched", "asked_by", "asked_shown")
    list_filter = (("state", ChoicesDropdownFilter), "playbook")
    list_filter_submit = True
    list_select_related = ("asked_by",)
    search_fields = ("playbook", "rule_name")
    ordering = ("-asked_at",)
    sortable_by = ()
    actions_list = ("begin",)
    change_form_template = "ops/workflows/trial.html"

    def page_context(self, request: HttpRequest, row: PlaybookTrial) -> dict[str, Any]:
        return trial_context(request, row)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.live)
        return [path("<int:trial>/live/", view, name="ops_playbooktrial_live"), *super().get_urls()]

    def live(self, request: HttpRequest, trial: int) -> HttpResponse:
        """How far it is by now; asked again and again by its page while it runs."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = get_object_or_404(PlaybookTrial, pk=trial)
        answer = TemplateResponse(request, "ops/workflows/trial_live.html", trial_context(request, row))
        answer["Cache-Control"] = "no-store"
        return answer

    def has_begin_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm(ASK)

    @action(description=gettext_lazy("New backtest"), permissions=["begin"], icon="play_arrow", url_path="begin")
    def begin(self, request: HttpRequest) -> HttpResponse:
        """Ask what is to be tried; then ask a worker to try it."""
        form = TrialForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            now = timezone.now()
            since, until = form.bounds(now)
            playbook, _slash, rule = form.cleaned_data["rule"].partition("/")
            try:
                row = ask(playbook, rule, since=since, until=until, actor=cast(User, request.user), now=now)
            except CannotTry as error:
                form.add_error(None, str(error))
            else:
                return redirect("admin:ops_playbooktrial_change", row.pk)
        context = {
            **console.each_context(request),
            "title": _("Try a playbook on the past"),
            "sentence": _(
                "Its rule is held against the events of the period, and its workflow runs on a simulated clock. "
                "Nothing is called and nobody is told."
            ),
            "form": form,
            "back": reverse("admin:ops_playbooktrial_changelist"),
            "opts": self.opts,
        }
        return TemplateResponse(request, "ops/workflows/trial_begin.html", context)

    @display(description=gettext_lazy("playbook"))
    def what(self, row: PlaybookTrial) -> SafeString:
        return format_html(
            '<span><span class="who">{}</span><code class="sub-line">{}</code></span>', row.playbook, row.rule_name
        )

    @display(description=gettext_lazy("state"))
    def state_shown(self, row: PlaybookTrial) -> SafeString:
        return trial_pill(row)

    @display(description=gettext_lazy("period"))
    def period_shown(self, row: PlaybookTrial) -> SafeString:
        return format_html('<span class="nowrap">{} – {}</span>', moment(row.since), moment(row.until))

    @display(description=gettext_lazy("asked"))
    def asked_shown(self, row: PlaybookTrial) -> SafeString:
        return moment(row.asked_at)


class RunFilter(forms.Form):
    """Which executions are shown: how they end, whose they are, from which moment of the past."""

    ending = forms.CharField(required=False, max_length=255)
    q = forms.CharField(required=False, max_length=255)
    effect = forms.CharField(required=False, max_length=80)
    begun_from = forms.DateField(required=False)
    begun_to = forms.DateField(required=False)


def trial_context(request: HttpRequest, row: PlaybookTrial) -> dict[str, Any]:
    """Everything that the page shows; counts are of all runs, the table of those that the filter leaves."""
    form = RunFilter(request.GET)
    chosen = {name: value for name, value in (form.cleaned_data if form.is_valid() else {}).items() if value}
    runs = filtered(row, chosen)
    return {
        "trial": row,
        "pill": trial_pill(row),
        "running": row.state in (TrialState.DUE, TrialState.RUNNING),
        "percent": min(100, int(100 * row.looked / row.total)) if row.total else 0,
        "executions": row.runs.count(),
        "endings": endings_of(row),
        "effects": effects_of(row),
        "chosen": chosen,
        "filter_faults": form.errors,
        "runs": page_of(request, runs),
    }


def filtered(row: PlaybookTrial, chosen: Mapping[str, Any]) -> QuerySet[TriedRun]:
    runs = row.runs.order_by("started_at", "pk")
    if ending := chosen.get("ending"):
        runs = runs.filter(ending=ending)
    if effect := chosen.get("effect"):
        runs = runs.filter(touched__contains=[{"effect": effect}])
    if words := chosen.get("q"):
        named = Q(organization__icontains=words) | Q(customer_id=words) | Q(name=words) | Q(event_id=words)
        runs = runs.filter(named)
    if begun_from := chosen.get("begun_from"):
        runs = runs.filter(started_at__date__gte=begun_from)
    if begun_to := chosen.get("begun_to"):
        runs = runs.filter(started_at__date__lte=begun_to)
    return runs


def page_of(request: HttpRequest, runs: QuerySet[TriedRun]) -> Page[TriedRun]:
    return Paginator(runs, SHOWN).get_page(request.GET.get("page"))


def endings_of(row: PlaybookTrial) -> list[dict[str, Any]]:
    """How often each ending came, the most first, with the sums of money by currency."""
    counted: dict[str, dict[str, Any]] = {}
    groups = row.runs.values("ending", "currency").annotate(n=Count("pk"), amount=Sum("amount"))
    for group in groups.order_by("ending", "currency"):
        ending = counted.setdefault(group["ending"], {"ending": group["ending"], "n": 0, "money": []})
        ending["n"] += group["n"]
        if group["amount"] is not None:
            ending["money"].append({"amount": group["amount"], "currency": group["currency"]})
    return sorted(counted.values(), key=lambda each: -each["n"])


EFFECTS = """
    SELECT touch ->> 'effect', count(*) FROM ops_triedrun, jsonb_array_elements(touched) AS touch
    WHERE trial_id = %s GROUP BY 1 ORDER BY 2 DESC, 1
"""


def effects_of(row: PlaybookTrial) -> list[tuple[str, int]]:
    """How often each effect would have been called."""
    with connection.cursor() as cursor:
        cursor.execute(EFFECTS, [row.pk])
        return list(cursor.fetchall())


def trial_pill(row: PlaybookTrial) -> SafeString:
    return pill(row.get_state_display(), TONES[row.state])
