"""Mails that playbooks sent: to whom, in which words, and what became of them; what was not sent is sent again here."""

from collections.abc import Mapping
from typing import Any

from django.contrib.admin import register
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from ops.console.display import Tone, moment, pill
from ops.console.readonly import PageAdmin
from ops.console.reasoned import Reasoned, ask_why
from ops.console.site import console
from ops.effects.mail.acts import UNSENT, CannotSend, put_aside, send_again
from ops.models import Mail, MailState, StaffAct

TONES: Mapping[str, Tone] = {
    MailState.DUE: Tone.WAITING,
    MailState.SENT: Tone.GOOD,
    MailState.REFUSED: Tone.ATTENTION,
    MailState.ASIDE: Tone.STOPPED,
}


@register(Mail, site=console)
class MailAdmin(PageAdmin):
    list_display = ("what", "state_shown", "to_shown", "organization", "written_shown")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_filter_submit = True
    list_select_related = ("organization",)
    search_fields = ("to", "customer_id", "template")
    search_help_text = gettext_lazy("Address, customer id or letter")
    leafed_by = ("written_at", "pk")
    actions_detail = ("send_again_one", "put_aside_one")
    change_form_template = "ops/mail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Mail]:
        found: QuerySet[Mail] = super().get_queryset(request)
        return found.defer("html")

    def page_context(self, request: HttpRequest, row: Mail) -> dict[str, Any]:
        acts = StaffAct.objects.filter(subject_kind="mail", subject_id=str(row.pk))
        return {"mail": row, "pill": mail_pill(row), "acts": acts.select_related("actor").order_by("-at")}

    def has_settle_permission(self, request: HttpRequest, object_id: str | int = 0) -> bool:
        """Only what was not sent is sent again or put aside; who pressed twice is told so by the act itself."""
        unsent = Mail.objects.filter(pk=object_id, state__in=UNSENT)
        return request.user.has_perm("ops.change_mail") and (request.method == "POST" or unsent.exists())

    @action(description=gettext_lazy("Send again"), permissions=["settle"], icon="send", url_path="send-again")
    def send_again_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        sentence = _("It is sent now, in its old words and under its old Message-ID. Mend the address first.")
        return settle(
            request, object_id, Reasoned(_("Send again"), sentence, _("It was sent."), send_again, CannotSend)
        )

    @action(description=gettext_lazy("Put aside"), permissions=["settle"], icon="archive", url_path="put-aside")
    def put_aside_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        sentence = _("It is not sent any more, and its finding goes. Say how the customer knows what it tells.")
        act = Reasoned(_("Put aside"), sentence, _("It is put aside."), put_aside, CannotSend)
        return settle(request, object_id, act)

    @display(description=gettext_lazy("subject"))
    def what(self, row: Mail) -> SafeString:
        return format_html(
            '<span><span class="who">{}</span><code class="sub-line">{}</code></span>', row.subject, row.template
        )

    @display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, row: Mail) -> SafeString:
        return mail_pill(row)

    @display(description=gettext_lazy("to"), ordering="to")
    def to_shown(self, row: Mail) -> str:
        return row.to or _("No address")

    @display(description=gettext_lazy("written"), ordering="written_at")
    def written_shown(self, row: Mail) -> SafeString:
        return moment(row.written_at)


def mail_pill(row: Mail) -> SafeString:
    return pill(row.get_state_display(), TONES[row.state])


def settle(request: HttpRequest, object_id: str, act: Reasoned) -> HttpResponse:
    row = get_object_or_404(Mail.objects.defer("html"), pk=object_id)
    return ask_why(request, row, act, subject=f"{row.subject} · {row.to or row.organization.name}", now=timezone.now())
