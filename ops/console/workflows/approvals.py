"""Approvals: what workflows ask people, with money and evidence; answered here, once, with a reason."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.admin import register
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from accounts.customers import organization_of
from accounts.models import User
from billing.money import format_money
from billing.numerals import whole_number
from ops.console.display import Tone, id_link, moment, pill
from ops.console.readonly import PageAdmin
from ops.console.replay import ReasonForm
from ops.console.site import console
from ops.models import StaffAct
from ops.remediation.approvals import PERMISSION, CannotDecide, decide
from ops.remediation.models import UNDECIDED_FIRST, Approval, Decision

TONES = {"": Tone.WAITING, Decision.APPROVED: Tone.GOOD, Decision.REFUSED: Tone.STOPPED}
ANSWERS = {
    "approve": (
        Decision.APPROVED,
        gettext_lazy("Approve"),
        gettext_lazy("The workflow goes on, and does what it asks for. It is not asked again."),
    ),
    "refuse": (
        Decision.REFUSED,
        gettext_lazy("Refuse"),
        gettext_lazy("The workflow goes on without it, as its definition says."),
    ),
}


class DecisionFilter(DropdownFilter):
    title = gettext_lazy("decision")
    parameter_name = "decision"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", gettext_lazy("Waits for a decision")), *Decision.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Approval]) -> QuerySet[Approval]:
        if not self.value():
            return queryset
        return queryset.filter(decision="" if self.value() == "open" else self.value())


@register(Approval, site=console)
class ApprovalAdmin(PageAdmin):
    list_display = ("question_shown", "decision_shown", "money", "customer", "asked_shown", "until_shown")
    list_filter = (DecisionFilter,)
    list_filter_submit = True
    search_fields = ("customer_id", "subject", "by")
    search_help_text = gettext_lazy("Customer, what it is about, or the state machine")
    leafed_by = (*UNDECIDED_FIRST, "pk")
    change_form_template = "ops/workflows/approval.html"

    def page_context(self, request: HttpRequest, row: Approval) -> dict[str, Any]:
        acts = StaffAct.objects.filter(subject_kind="approval", subject_id=str(row.pk))
        return {
            "approval": row,
            "pill": decision_pill(row),
            "money": money_of(row),
            "execution": row.call.execution if row.call and request.user.has_perm("ops.view_execution") else None,
            "organization": organization_of(row.customer_id),
            "may_decide": request.user.has_perm(PERMISSION) and not row.decision,
            "late": row.until is not None and row.until < timezone.now(),
            "acts": acts.select_related("actor").order_by("-at"),
        }

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.answer)
        return [path("<path:object_id>/<str:answer>/answer/", view, name="ops_approval_answer"), *super().get_urls()]

    def answer(self, request: HttpRequest, object_id: str, answer: str) -> HttpResponse:
        """Say what the answer means and ask why; then give it."""
        if not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        number = whole_number(object_id)
        if answer not in ANSWERS or number is None:
            raise Http404
        row = get_object_or_404(Approval, pk=number)
        decision, title, sentence = ANSWERS[answer]
        form = ReasonForm(request.POST if request.method == "POST" else None)
        back = reverse("admin:ops_approval_change", args=[row.pk])
        if request.method == "POST" and form.is_valid():
            actor, reason = cast(User, request.user), form.cleaned_data["reason"]
            try:
                decide(row, actor, decision, reason=reason, now=timezone.now())
            except CannotDecide as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, _("Your answer is given; the workflow goes on with it."))
                return redirect(back)
        money = money_of(row)
        context = {
            **console.each_context(request),
            "title": f"{title} · {money}" if money else title,
            "subject": row.question,
            "sentence": sentence,
            "form": form,
            "back": back,
            "opts": self.opts,
        }
        return TemplateResponse(request, "ops/reason.html", context)

    @display(description=gettext_lazy("question"))
    def question_shown(self, row: Approval) -> SafeString:
        return format_html('<span class="who">{}</span><span class="sub-line">{}</span>', row.question, row.by)

    @display(description=gettext_lazy("decision"))
    def decision_shown(self, row: Approval) -> SafeString:
        return decision_pill(row)

    @display(description=gettext_lazy("amount"))
    def money(self, row: Approval) -> SafeString:
        return format_html('<span class="figure">{}</span>', money_of(row) or "–")

    @display(description=gettext_lazy("customer"))
    def customer(self, row: Approval) -> SafeString:
        return id_link(row.customer_id)

    @display(description=gettext_lazy("asked"))
    def asked_shown(self, row: Approval) -> SafeString:
        return moment(row.asked_at)

    @display(description=gettext_lazy("until"))
    def until_shown(self, row: Approval) -> SafeString:
        return moment(row.until)


def decision_pill(row: Approval) -> SafeString:
    return pill(row.get_decision_display() if row.decision else _("Waits for a decision"), TONES[row.decision])


def money_of(row: Approval) -> str:
    language = get_language() or "en"
    return format_money(row.amount, row.currency, language) if row.amount is not None else ""


def open_approvals_badge(request: HttpRequest) -> str:
    """How many questions wait for a decision, for the navigation; nothing when none does."""
    count = Approval.objects.filter(decision="")[:100].count()
    return "" if not count else "99+" if count == 100 else str(count)
