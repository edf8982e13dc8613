"""Findings: problems that someone should know, each with what was seen and the next step."""

from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin import register
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import action, display

from accounts.models import User
from ops.console.display import finding_pill, moment, span
from ops.console.readonly import PageAdmin
from ops.console.replay import ReasonForm
from ops.console.site import console
from ops.console.workflows.origins import execution_of_key
from ops.models import DeliveryState, Finding, FindingKind, Rule, StaffAct
from ops.remediation.findings import acknowledge, close_by_hand, look
from ops.remediation.models import OPEN_FIRST
from ops.remediation.words import words_of


@dataclass(frozen=True)
class Step:
    """Where the next step is done."""

    label: str
    url: str
    permission: str


class OpenFilter(DropdownFilter):
    """Open ones are shown unless closed ones are asked for."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", gettext_lazy("Open")), ("closed", gettext_lazy("Closed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        return queryset.filter(closed_at__isnull=self.value() == "open") if self.value() else queryset


@register(Finding, site=console)
class FindingAdmin(PageAdmin):
    list_display = ("what", "state_shown", "subject", "opened_shown", "lasted")
    list_filter = (OpenFilter, ("kind", ChoicesDropdownFilter), ("severity", ChoicesDropdownFilter))
    list_filter_submit = True
    search_fields = ("subject",)
    search_help_text = gettext_lazy("Account, queue, kind of object or error")
    leafed_by = (*OPEN_FIRST, "pk")
    actions_list = ("look_now",)
    actions_detail = ("acknowledge_one", "close_one")
    change_form_template = "ops/finding.html"

    def page_context(self, request: HttpRequest, row: Finding) -> dict[str, Any]:
        acts = StaffAct.objects.filter(subject_id=row.dedup_key[:255], at__gte=row.opened_at)
        return {
            "finding": row,
            "words": words_of(row),
            "pill": finding_pill(row),
            "steps": [step for step in steps_of(row) if request.user.has_perm(step.permission)],
            "acts": acts.select_related("actor").order_by("-at"),
            "lasted": span((row.closed_at or timezone.now()) - row.opened_at),
        }

    def has_acknowledge_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("ops.change_finding")

    @action(description=gettext_lazy("Look now"), permissions=["acknowledge"], icon="refresh", url_path="look")
    def look_now(self, request: HttpRequest) -> HttpResponse:
        found = look(now=timezone.now())
        said = ngettext("%(n)d finding is open.", "%(n)d findings are open.", found.open)
        messages.success(request, said % {"n": found.open} if found.open else _("Nothing is wrong."))
        return redirect("admin:ops_finding_changelist")

    @action(
        description=gettext_lazy("I see to it"), permissions=["acknowledge"], icon="front_hand", url_path="acknowledge"
    )
    def acknowledge_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        finding = get_object_or_404(Finding, pk=object_id)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            actor = cast(User, request.user)
            acknowledge(finding, actor, reason=form.cleaned_data["reason"], now=timezone.now())
            messages.success(request, _("Written down. The finding closes by itself when its cause is gone."))
            return redirect("admin:ops_finding_change", finding.pk)
        context = {
            **console.each_context(request),
            "title": _("I see to it"),
            "sentence": _("Others see your name and your words on this finding, so that nobody does the work twice."),
            "subject": words_of(finding).title,
            "form": form,
            "back": reverse("admin:ops_finding_change", args=[finding.pk]),
            "opts": self.opts,
        }
        return TemplateResponse(request, "ops/reason.html", context)

    def has_close_permission(self, request: HttpRequest, object_id: str | int = 0) -> bool:
        """Only what a rule opened is closed by hand; everything else closes when its cause is gone."""
        closable = Finding.objects.filter(pk=object_id, kind=FindingKind.RULE, closed_at=None)
        return request.user.has_perm("ops.change_finding") and closable.exists()

    @action(description=gettext_lazy("It is done"), permissions=["close"], icon="check", url_path="close")
    def close_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        finding = get_object_or_404(Finding, pk=object_id)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            actor = cast(User, request.user)
            close_by_hand(finding, actor, reason=form.cleaned_data["reason"], now=timezone.now())
            messages.success(request, _("Closed. Should the rule find it again, it opens anew."))
            return redirect("admin:ops_finding_change", finding.pk)
        context = {
            **console.each_context(request),
            "title": _("It is done"),
            "sentence": _("Say what was done. A rule opened this finding, so nothing closes it by itself."),
            "subject": words_of(finding).title,
            "form": form,
            "back": reverse("admin:ops_finding_change", args=[finding.pk]),
            "opts": self.opts,
        }
        return TemplateResponse(request, "ops/reason.html", context)

    @display(description=gettext_lazy("finding"))
    def what(self, finding: Finding) -> SafeString:
        return format_html('<span class="who">{}</span>', words_of(finding).title)

    @display(description=gettext_lazy("state"), ordering="severity")
    def state_shown(self, finding: Finding) -> SafeString:
        return finding_pill(finding)

    @display(description=gettext_lazy("opened"), ordering="opened_at")
    def opened_shown(self, finding: Finding) -> SafeString:
        return moment(finding.opened_at)

    @display(description=gettext_lazy("for"))
    def lasted(self, finding: Finding) -> SafeString:
        lasted = span((finding.closed_at or timezone.now()) - finding.opened_at)
        return format_html('<span class="nowrap">{}</span>', lasted)


def steps_of(finding: Finding) -> list[Step]:
    """Return where an operator goes next, nearest first."""
    seen = finding.evidence
    match finding.kind:
        case FindingKind.EVENTS_FAILED:
            chosen = {"state__exact": "failed", "object_kind": seen.get("kind", "")}
            events = with_query("admin:billing_inboxevent_changelist", chosen)
            replay = with_query("admin:billing_inboxevent_replay_filtered", chosen)
            return [
                Step(_("Replay them"), replay, "billing.change_inboxevent"),
                Step(_("Show them"), events, "billing.view_inboxevent"),
            ]
        case FindingKind.MIRROR_LATE:
            waiting = with_query("admin:billing_inboxevent_changelist", {"state__exact": "received"})
            return [Step(_("Show what waits"), waiting, "billing.view_inboxevent")]
        case FindingKind.DRIFT:
            check = reverse("admin:billing_driftcheck_change", args=[seen.get("check", 0)])
            return [Step(_("Show the differences"), check, "billing.view_driftcheck")]
        case FindingKind.POLL_OLD | FindingKind.POLL_FAILING:
            return [
                Step(_("Show the cursors"), reverse("admin:billing_pollcursor_changelist"), "billing.view_pollcursor")
            ]
        case FindingKind.MESSAGES_ASIDE:
            aside = with_query("admin:billing_asidemessage_changelist", {"q": seen.get("queue", "")})
            return [Step(_("Read the messages"), aside, "billing.view_asidemessage")]
        case FindingKind.DEAD_LETTERS | FindingKind.RULES_LATE | FindingKind.RULE | FindingKind.RULE_LOOP:
            return rule_steps(finding)
        case FindingKind.MAILS_REFUSED | FindingKind.MAILS_WAITING:
            state = "refused" if finding.kind == FindingKind.MAILS_REFUSED else "due"
            mails = with_query("admin:ops_mail_changelist", {"state__exact": state, "q": seen.get("to", "")})
            return [Step(_("Show the mails"), mails, "ops.view_mail")]
        case FindingKind.DESTINATION_AWAY:
            name, here = seen.get("destination", ""), seen.get("id", 0)
            requests = with_query("admin:ops_destinationrequest_changelist", {"q": name, "came__exact": "retry"})
            return [
                Step(_("Read its log"), requests, "ops.view_destinationrequest"),
                Step(
                    _("Show the destination"),
                    reverse("admin:ops_destination_change", args=[here]),
                    "ops.view_destination",
                ),
            ]
    return []


def rule_steps(finding: Finding) -> list[Step]:
    """Where what rules did, or did not do, is seen to."""
    seen = finding.evidence
    match finding.kind:
        case FindingKind.DEAD_LETTERS:
            chosen = {"rule": seen.get("rule", ""), "state__exact": DeliveryState.DEAD.value}
            redrive = with_query("admin:ops_delivery_redrive_filtered", chosen)
            calls = with_query("admin:ops_delivery_changelist", chosen)
            return [
                Step(_("Show the calls"), calls, "ops.view_delivery"),
                Step(_("Redrive them"), redrive, "ops.change_delivery"),
            ]
        case FindingKind.RULES_LATE:
            due = with_query("admin:ops_delivery_changelist", {"state__exact": DeliveryState.DUE.value})
            return [Step(_("Show what is due"), due, "ops.view_delivery")]
        case FindingKind.RULE:
            return opened_by(seen)
    events = with_query("admin:billing_inboxevent_changelist", {"q": seen.get("type", "")})
    return [Step(_("Show the events"), events, "billing.view_inboxevent")]


def opened_by(seen: dict[str, Any]) -> list[Step]:
    """The execution or the rule that opened a finding."""
    execution = execution_of_key(seen.get("key", ""))
    if execution is not None:
        address = reverse("admin:ops_execution_change", args=[execution])
        return [Step(_("Show the execution"), address, "ops.view_execution")]
    rule = Rule.objects.filter(name=seen.get("rule", "")).first()
    address = reverse("admin:ops_rule_change", args=[rule.pk]) if rule else ""
    return [Step(_("Show the rule"), address, "ops.view_rule")] if rule else []


def with_query(name: str, values: dict[str, str]) -> str:
    return f"{reverse(name)}?{urlencode({key: value for key, value in values.items() if value})}"


def open_findings_badge(request: HttpRequest) -> str:
    """How many findings are open, for the navigation; nothing when none is."""
    count = Finding.objects.filter(closed_at=None)[:100].count()
    return "" if not count else "99+" if count == 100 else str(count)
