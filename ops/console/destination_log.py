"""The delivery log: each request to a destination with its answer, and making one once more."""

import json
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin import register
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
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from accounts.models import User
from ops.console.destination_test import sent
from ops.console.destination_words import said
from ops.console.display import CAME_TONES, moment, pill
from ops.console.readonly import PageAdmin
from ops.console.replay import ReasonForm
from ops.console.site import console
from ops.effects.destinations.acts import CannotReplay, replay
from ops.effects.destinations.models import DestinationRequest


@register(DestinationRequest, site=console)
class DestinationRequestAdmin(PageAdmin):
    list_display = ("what", "came_shown", "status_shown", "took", "origin", "at_shown")
    list_filter = (
        ("destination", RelatedDropdownFilter),
        ("came", ChoicesDropdownFilter),
        ("origin", ChoicesDropdownFilter),
    )
    list_filter_submit = True
    search_fields = ("key", "destination_name")
    search_help_text = gettext_lazy("Idempotency key, or a destination's name")
    leafed_by = ("at", "pk")
    actions_detail = ("replay_one",)
    change_form_template = "ops/destination_request.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[DestinationRequest]:
        found: QuerySet[DestinationRequest] = super().get_queryset(request)
        return found.select_related("destination", "replay_of")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[DestinationRequest], search_term: str
    ) -> tuple[QuerySet[DestinationRequest], bool]:
        """Look a key or a name up whole: the log is long, and its indexes know no parts."""
        term = search_term.strip()
        return (queryset.filter(Q(key=term) | Q(destination_name=term)) if term else queryset), False

    def page_context(self, request: HttpRequest, row: DestinationRequest) -> dict[str, Any]:
        siblings = DestinationRequest.objects.filter(key=row.key).exclude(pk=row.pk).order_by("-at", "-pk")
        return {
            "call": row,
            "came": pill(row.get_came_display(), CAME_TONES[row.came]),
            "error_sentence": said(row.error),
            "error_stored": row.error.partition(": ")[2],
            "body": readable(row.sent_body or row.body),
            "answer": readable(row.answer),
            "siblings": siblings[:20],
        }

    def has_replay_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("ops.add_destinationrequest")

    @action(description=gettext_lazy("Make it once more"), permissions=["replay"], icon="replay", url_path="replay")
    def replay_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = get_object_or_404(DestinationRequest.objects.select_related("destination__connection"), pk=object_id)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        back = reverse("admin:ops_destinationrequest_change", args=[row.pk])
        if request.method == "POST" and form.is_valid():
            actor, reason = cast(User, request.user), form.cleaned_data["reason"]
            try:
                return sent(request, replay(row, now=timezone.now(), actor=actor, reason=reason), back=back)
            except CannotReplay as error:
                messages.error(request, _("It cannot be made once more. %(why)s") % {"why": error})
                return redirect(back)
        context = {
            **console.each_context(request),
            "title": _("Make it once more"),
            "sentence": _(
                "The same body goes to the destination as it is now, under the same idempotency key: "
                "a receiver that knows the key does nothing twice."
            ),
            "subject": f"{row.method} {row.destination_name}",
            "form": form,
            "back": back,
            "opts": self.opts,
        }
        return TemplateResponse(request, "ops/reason.html", context)

    @display(description=gettext_lazy("request"), ordering="destination_name")
    def what(self, row: DestinationRequest) -> SafeString:
        return format_html('<span class="who">{}</span><code class="sub-line">{}</code>', row.destination_name, row.key)

    @display(description=gettext_lazy("outcome"), ordering="came")
    def came_shown(self, row: DestinationRequest) -> SafeString:
        return pill(row.get_came_display(), CAME_TONES[row.came])

    @display(description=gettext_lazy("answer"), ordering="status")
    def status_shown(self, row: DestinationRequest) -> str:
        return str(row.status) if row.status else row.error_name or "–"

    @display(description=gettext_lazy("took"), ordering="milliseconds")
    def took(self, row: DestinationRequest) -> str:
        return "–" if row.milliseconds is None else f"{row.milliseconds} ms"

    @display(description=gettext_lazy("at"), ordering="at")
    def at_shown(self, row: DestinationRequest) -> SafeString:
        return moment(row.at)


def readable(text: str) -> Any:
    """A body's JSON, read so that it can be shown in order, or None where it is something else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None
