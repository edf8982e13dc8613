"""Mails that playbooks sent: to whom, in which words, and what became of them."""

from collections.abc import Mapping
from typing import Any

from django.contrib.admin import register
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from ops.console.display import Tone, moment, pill
from ops.console.readonly import PageAdmin
from ops.console.site import console
from ops.models import Mail, MailState

TONES: Mapping[str, Tone] = {
    MailState.DUE: Tone.WAITING,
    MailState.SENT: Tone.GOOD,
    MailState.REFUSED: Tone.ATTENTION,
}


@register(Mail, site=console)
class MailAdmin(PageAdmin):
    list_display = ("what", "state_shown", "to", "organization", "written_shown")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_filter_submit = True
    list_select_related = ("organization",)
    search_fields = ("to", "customer_id", "template")
    search_help_text = gettext_lazy("Address, customer id or letter")
    leafed_by = ("written_at", "pk")
    change_form_template = "ops/mail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Mail]:
        found: QuerySet[Mail] = super().get_queryset(request)
        return found.defer("html")

    def page_context(self, request: HttpRequest, row: Mail) -> dict[str, Any]:
        return {"mail": row, "pill": mail_pill(row)}

    @display(description=gettext_lazy("subject"))
    def what(self, row: Mail) -> SafeString:
        return format_html('<span class="who">{}</span><code class="sub-line">{}</code>', row.subject, row.template)

    @display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, row: Mail) -> SafeString:
        return mail_pill(row)

    @display(description=gettext_lazy("written"), ordering="written_at")
    def written_shown(self, row: Mail) -> SafeString:
        return moment(row.written_at)


def mail_pill(row: Mail) -> SafeString:
    return pill(row.get_state_display(), TONES[row.state])
