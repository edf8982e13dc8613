"""Approvals: what workflows ask, with money and evidence; approve or refuse, with a reason, once."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.admin import register
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import action, display

from accounts.customers import organization_of
from accounts.models import User
from billing import clock
from billing.money import format_money
from ops.console.display import Tone, moment, pill
from ops.console.readonly import PageAdmin
from ops.console.replay import ReasonForm
from ops.console.site import console
from ops.models import Approval, CallState, Decision, StaffAct
from ops.remediation.approvals import PERMISSION, CannotDecide, decide

WAITED_FOR = (CallState.DUE, CallState.WAITING)


class OpenFilter(DropdownFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("open", gettext_lazy("To be decided")),
            *Decision.choices,
            ("late", gettext_lazy("Not decided in time")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Approval]) -> QuerySet[Approval]:
        match self.value():
            case "open":
                return queryset.filter(decision="", call__state__in=WAITED_FOR)
            case "late":
                return queryset.filter(decision="").exclude(call__state__in=WAITED_FOR)
            case None | "":
                return queryset
        return queryset.filter(decision=self.value())


@register(Approval, site=console)
class ApprovalAdmin(PageAdmin):
    list_display = ("what", "state_shown", "money", "asked_shown", "until_shown")
    list_filter = (OpenFilter,)
    list_filter_submit = True
    list_select_related = ("call", "decided_by")
    search_fields = ("question", "customer_id", "subject")
    search_help_text = gettext_lazy("Question, customer id or invoice id")
    ordering = (F("decided_at").desc(nulls_first=True), "asked_at")
    actions_detail = ("approve_one", "refuse_one")
    change_form_template = "ops/approval.html"

    def page_context(self, request: HttpRequest, row: Approval) -> dict[str, Any]:
        acts = StaffAct.objects.filter(subject_kind="approval", subject_id=str(row.pk))
        return {
            "approval": row,
            "execution": row.call.execution,
            "organization": organization_of(row.customer_id),
            "pill": approval_pill(row),
            "money": money_of(row),
            "acts": acts.select_related("actor").order_by("-at"),
        }

    def has_decide_permission(self, request: HttpRequest, object_id: str | int = 0) -> bool:
        return request.user.has_perm(PERMISSION) and is_open(Approval.objects.filter(pk=object_id).first())

    @action(description=gettext_lazy("Approve"), permissions=["decide"], icon="check", url_path="approve")
    def approve_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return ask_and_decide(self, request, object_id, Decision.APPROVED)

    @action(description=gettext_lazy("Refuse"), permissions=["decide"], icon="block", url_path="refuse")
    def refuse_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return ask_and_decide(self, request, object_id, Decision.REFUSED)

    @display(description=gettext_lazy("question"))
    def what(self, row: Approval) -> SafeString:
        return format_html('<span class="who">{}</span><code class="sub-line">{}</code>', row.question, row.by)

    @display(description=gettext_lazy("state"))
    def state_shown(self, row: Approval) -> SafeString:
        return approval_pill(row)

    @display(description=gettext_lazy("amount"), ordering="amount")
    def money(self, row: Approval) -> str:
        return money_of(row) or "–"

    @display(description=gettext_lazy("asked"), ordering="asked_at")
    def asked_shown(self, row: Approval) -> SafeString:
        return moment(row.asked_at)

    @display(description=gettext_lazy("until"), ordering="until")
    def until_shown(self, row: Approval) -> SafeString:
        return moment(row.until)


def ask_and_decide(admin: ApprovalAdmin, request: HttpRequest, object_id: str, decision: Decision) -> HttpResponse:
    """Show the question once more with its money, or decide it when it was answered with a reason."""
    row = get_object_or_404(Approval, pk=object_id)
    back = reverse("admin:ops_approval_change", args=[row.pk])
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            actor = cast(User, request.user)
            decide(row, actor, decision, reason=form.cleaned_data["reason"], now=clock.now())
            messages.success(request, _("Decided. The workflow goes on with it."))
        except CannotDecide as error:
            messages.error(request, str(error))
        return redirect(back)
    approves = decision == Decision.APPROVED
    context = {
        **console.each_context(request),
        "title": _("Approve") if approves else _("Refuse"),
        "sentence": _("The workflow goes on with it at once. Others see your name and your words.")
        if approves
        else _("The workflow goes on without it at once. Others see your name and your words."),
        "subject": " · ".join(filter(None, (row.question, money_of(row)))),
        "form": form,
        "back": back,
        "opts": admin.opts,
    }
    return TemplateResponse(request, "ops/reason.html", context)


def is_open(row: Approval | None) -> bool:
    return row is not None and not row.decision and row.call.state in WAITED_FOR


def approval_pill(row: Approval) -> SafeString:
    if row.decision:
        tone = Tone.GOOD if row.decision == Decision.APPROVED else Tone.STOPPED
        return pill(row.get_decision_display(), tone)
    return pill(_("To be decided"), Tone.ATTENTION) if is_open(row) else pill(_("Not decided in time"), Tone.STOPPED)


def money_of(row: Approval) -> str:
    return "" if row.amount is None else format_money(row.amount, row.currency, get_language() or "en")


def open_approvals_badge(request: HttpRequest) -> str:
    """How many decisions are waited for, for the navigation; nothing when none is."""
    count = Approval.objects.filter(decision="", call__state__in=WAITED_FOR)[:100].count()
    return "" if not count else "99+" if count == 100 else str(count)
