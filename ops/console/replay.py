"""Replaying inbox events: a page that says what will happen and asks why, then the act, written down."""

from collections.abc import Sequence
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.models import User
from billing.inbox.replay import replay
from billing.models import InboxEvent
from ops.audit import REPLAY_EVENT, record_act
from ops.console.site import console

AT_ONCE = 500


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        help_text=gettext_lazy("Written down with your name. For example: Stripe was unreachable until 14:20."),
        error_messages={"required": gettext_lazy("Say in a few words why; it is kept with the events.")},
        max_length=1000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )


def ask_and_replay(request: HttpRequest, events: Sequence[InboxEvent], *, back: str) -> HttpResponse:
    """Show the question, or do it when it was answered with a reason; then go `back`."""
    answered = request.method == "POST" and "answer" in request.POST
    form = ReasonForm(request.POST if answered else None)
    if answered and form.is_valid():
        count = replay_and_record(events, cast(User, request.user), reason=form.cleaned_data["reason"])
        messages.success(request, done_sentence(count))
        return redirect(back)
    return TemplateResponse(request, "ops/replay.html", question(request, events, form, back))


def replay_and_record(events: Sequence[InboxEvent], actor: User, *, reason: str) -> int:
    """Put the events before the mirror again; one staff act each. Return how many were."""
    now = timezone.now()
    before = {event.pk: standing(event) for event in events}
    with transaction.atomic():
        count = replay([event.pk for event in events], now=now)
        for event in InboxEvent.objects.filter(pk__in=before).defer("payload").order_by("pk"):
            record_act(
                actor,
                REPLAY_EVENT,
                subject_kind="inbox event",
                subject_id=event.external_id,
                reason=reason,
                before=before[event.pk],
                after=standing(event),
                now=now,
            )
    return count


def standing(event: InboxEvent) -> dict[str, Any]:
    """Where an event stands, for the record."""
    return {"state": event.state, "attempts": event.attempts, "error": event.error[:500]}


def done_sentence(count: int) -> str:
    said = ngettext(
        "%(n)d event waits for the mirror again. It shows what Stripe says now, not what the event said then.",
        "%(n)d events wait for the mirror again. It shows what Stripe says now, not what the events said then.",
        count,
    )
    return said % {"n": count}


def question(request: HttpRequest, events: Sequence[InboxEvent], form: ReasonForm, back: str) -> dict[str, Any]:
    return {
        **console.each_context(request),
        "title": ngettext("Replay %(n)d event", "Replay %(n)d events", len(events)) % {"n": len(events)},
        "events": events,
        "form": form,
        "back": back,
        "checkbox_name": ACTION_CHECKBOX_NAME,
        "action": request.POST.get("action", ""),
        "opts": InboxEvent._meta,
    }
