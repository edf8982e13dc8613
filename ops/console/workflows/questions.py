"""Questions to customers: what workflows ask them, of whom, and what they answered. Links are told to nobody here."""

from collections.abc import Mapping
from typing import Any

from django.contrib.admin import register
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from billing import clock
from billing.money import format_money
from ops.console.columns import shown
from ops.console.display import Tone, id_link, moment, pill
from ops.console.readonly import ReadOnlyAdmin
from ops.console.site import console
from ops.models import Question
from ops.questions.ask import Stand, stand_of
from ops.questions.models import said

TONES: Mapping[Stand, Tone] = {
    Stand.OPEN: Tone.WAITING,
    Stand.ANSWERED: Tone.GOOD,
    Stand.REPLACED: Tone.STOPPED,
    Stand.EXPIRED: Tone.ATTENTION,
    Stand.WITHDRAWN: Tone.STOPPED,
}
WORDS: Mapping[Stand, Any] = {
    Stand.OPEN: gettext_lazy("Waits for the customer"),
    Stand.REPLACED: gettext_lazy("Asked anew"),
    Stand.EXPIRED: gettext_lazy("Not answered in time"),
    Stand.WITHDRAWN: gettext_lazy("No longer needed"),
}

ORGANIZATION = shown("organization", gettext_lazy("organization"))
ANSWERED_BY = shown("answered_by", gettext_lazy("answered by"))


@register(Question, site=console)
class QuestionAdmin(ReadOnlyAdmin):
    list_display = ("what", "stand_shown", "money", ORGANIZATION, "asked_shown", "until_shown")
    list_filter = (("answer", ChoicesDropdownFilter),)
    list_filter_submit = True
    list_select_related = ("organization", "call__execution", "task", "answered_by")
    search_fields = ("customer_id", "subject", "by", "organization__name")
    search_help_text = gettext_lazy("Customer, what it is about, the state machine or organization")
    ordering = ("-asked_at",)
    sortable_by = ()
    fields = (
        "what", "note_shown", "stand_shown", "money", ORGANIZATION, "customer", "subject", "asked_of", "asked_shown",
        "until_shown", ANSWERED_BY, "answered_at", "execution",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Question]:
        found: QuerySet[Question] = super().get_queryset(request)
        return found.select_related(*self.list_select_related)

    @display(description=gettext_lazy("question"))
    def what(self, row: Question) -> SafeString:
        text = said(row.text, get_language() or "en")
        return format_html('<span><span class="who">{}</span><span class="sub-line">{}</span></span>', text, row.by)

    @display(description=gettext_lazy("note"))
    def note_shown(self, row: Question) -> str:
        return said(row.note, get_language() or "en") or "–"

    @display(description=gettext_lazy("answer"))
    def stand_shown(self, row: Question) -> SafeString:
        stand = stand_of(row, now=clock.now())
        return pill(str(WORDS.get(stand) or row.get_answer_display()), TONES[stand])

    @display(description=gettext_lazy("amount"))
    def money(self, row: Question) -> str:
        if row.amount is None:
            return "–"
        return format_money(row.amount, row.currency, get_language() or "en")

    @display(description=gettext_lazy("customer"))
    def customer(self, row: Question) -> SafeString:
        return id_link(row.customer_id)

    @display(description=gettext_lazy("asked of"))
    def asked_of(self, row: Question) -> SafeString:
        return format_html_join(", ", "{}", ((link.email,) for link in row.links.order_by("pk")))

    @display(description=gettext_lazy("asked"))
    def asked_shown(self, row: Question) -> SafeString:
        return moment(row.asked_at)

    @display(description=gettext_lazy("until"))
    def until_shown(self, row: Question) -> SafeString:
        return moment(row.until)

    @display(description=gettext_lazy("execution"))
    def execution(self, row: Question) -> SafeString | str:
        if row.call is None:
            return "–"
        address = reverse("admin:ops_execution_change", args=[row.call.execution_id])
        return format_html('<a class="text-link" href="{}">{}</a>', address, _("Show the execution"))
