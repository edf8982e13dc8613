"""What stands beside the inbox: messages that were no events, and how far the events API was read."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.admin import register
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from accounts.models import User
from billing.models import AsideMessage, PollCursor, PollState
from ops.audit import DELETE_ASIDE, record_act
from ops.console.columns import shown
from ops.console.display import Tone, moment, pill
from ops.console.readonly import PageAdmin, ReadOnlyAdmin
from ops.console.replay import ReasonForm
from ops.console.site import console

FAILURES = shown("failures", gettext_lazy("failures in a row"))
POLL_TONES = {
    PollState.CURRENT.value: Tone.GOOD,
    PollState.CATCHING_UP.value: Tone.WAITING,
    PollState.FAILING.value: Tone.ATTENTION,
}


@register(AsideMessage, site=console)
class AsideMessageAdmin(PageAdmin):
    list_display = ("message", "reason_shown", "receive_count", "length", "received_shown")
    list_filter = (("reason", ChoicesDropdownFilter),)
    list_filter_submit = True
    search_fields = ("queue", "message_id")
    search_help_text = gettext_lazy("Queue or message id")
    leafed_by = ("received_at", "pk")
    actions_detail = ("delete_one",)
    change_form_template = "ops/aside.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AsideMessage]:
        found: QuerySet[AsideMessage] = super().get_queryset(request)
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AsideMessage], search_term: str
    ) -> tuple[QuerySet[AsideMessage], bool]:
        term = search_term.strip()
        return (queryset.filter(Q(queue__icontains=term) | Q(message_id=term)) if term else queryset), False

    def page_context(self, request: HttpRequest, row: AsideMessage) -> dict[str, Any]:
        return {"message": row, "cut": row.length > len(row.body)}

    def has_remove_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("billing.delete_asidemessage")

    @action(description=gettext_lazy("Delete"), permissions=["remove"], icon="delete", url_path="remove")
    def delete_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        message = get_object_or_404(AsideMessage, pk=object_id)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            delete_and_record(message, cast(User, request.user), reason=form.cleaned_data["reason"])
            messages.success(request, _("The message is deleted. Its reason, queue and id stand in the staff act."))
            return redirect("admin:billing_asidemessage_changelist")
        context = {
            **console.each_context(request),
            "title": _("Delete this message"),
            "sentence": _("It is in no queue any more: what you delete here is gone."),
            "subject": message.message_id,
            "form": form,
            "back": reverse("admin:billing_asidemessage_change", args=[message.pk]),
            "opts": self.opts,
        }
        return TemplateResponse(request, "ops/reason.html", context)

    @display(description=gettext_lazy("message"), ordering="message_id")
    def message(self, row: AsideMessage) -> SafeString:
        shown = '<span class="who"><code>{}</code></span><span class="sub-line">{}</span>'
        return format_html(shown, row.message_id, row.queue)

    @display(description=gettext_lazy("reason"), ordering="reason")
    def reason_shown(self, row: AsideMessage) -> SafeString:
        return pill(row.get_reason_display(), Tone.ATTENTION)

    @display(description=gettext_lazy("received"), ordering="received_at")
    def received_shown(self, row: AsideMessage) -> SafeString:
        return moment(row.received_at)


@transaction.atomic
def delete_and_record(message: AsideMessage, actor: User, *, reason: str) -> None:
    """Delete a message and write down who did, why, and what it was."""
    before = {"queue": message.queue, "reason": message.reason, "length": message.length, "error": message.error[:500]}
    message.delete()
    record_act(
        actor,
        DELETE_ASIDE,
        subject_kind="aside message",
        subject_id=message.message_id,
        reason=reason,
        before=before,
        after={},
        now=timezone.now(),
    )


@register(PollCursor, site=console)
class PollCursorAdmin(ReadOnlyAdmin):
    list_display = ("account_shown", "form", "state_shown", "read_shown", "missed", FAILURES, "asked_shown", "error")
    ordering = ("owner", "livemode", "form")
    list_display_links = None
    fields = (
        *("account_shown", "form", "state_shown", "read_shown", "missed", FAILURES, "asked_shown", "error"),
        shown("sweep_from", gettext_lazy("reads since")),
        shown("sweep_after", gettext_lazy("goes on after")),
        shown("due_at", gettext_lazy("due")),
        shown("started_at", gettext_lazy("began")),
    )
    readonly_fields = fields

    @display(description=gettext_lazy("account"), ordering="owner")
    def account_shown(self, cursor: PollCursor) -> str:
        mode = _("Live mode") if cursor.livemode else _("Test mode")
        return f"{cursor.owner or _('primary')} · {mode}"

    @display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, cursor: PollCursor) -> SafeString:
        return pill(cursor.get_state_display(), POLL_TONES.get(cursor.state, Tone.WAITING))

    @display(description=gettext_lazy("read until"), ordering="read_until")
    def read_shown(self, cursor: PollCursor) -> SafeString:
        return moment(cursor.read_until)

    @display(description=gettext_lazy("last asked"), ordering="polled_at")
    def asked_shown(self, cursor: PollCursor) -> SafeString:
        return moment(cursor.polled_at)
