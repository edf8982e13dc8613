"""Replaying inbox events: a page that says what will happen and asks why, then the act, written down."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import structlog
from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.models import User
from billing.inbox.replay import examples, replay, replay_all
from billing.models import InboxEvent
from ops.audit import REPLAY_EVENT, REPLAY_FILTERED, record_act
from ops.console.site import console

log = structlog.get_logger(__name__)

AT_ONCE = 500
FILTERS = {  # the list's parameters, in words
    "state__exact": gettext_lazy("State"),
    "object_kind": gettext_lazy("Kind"),
    "door__exact": gettext_lazy("Door"),
    "family": gettext_lazy("Type"),
    "account": gettext_lazy("Account"),
    "within": gettext_lazy("Arrived within hours"),
    "waiting": gettext_lazy("Waiting"),
    "livemode__exact": gettext_lazy("Live mode"),
    "q": gettext_lazy("Search"),
}


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        help_text=gettext_lazy("Written down with your name. For example: Stripe was unreachable until 14:20."),
        error_messages={"required": gettext_lazy("Say in a few words why; it is written down with your name.")},
        max_length=1000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )


def answered_with(request: HttpRequest, chosen: Iterable[Any]) -> dict[str, Any]:
    """What the form of a question about rows sends along, so that its answer comes to the same action and rows."""
    action = request.POST.get("action", "")
    return {"hidden": {"answer": "yes"} | ({"action": action} if action else {}), "chosen_keys": list(chosen)}


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


def ask_and_replay_all(request: HttpRequest, events: QuerySet[InboxEvent], *, back: str) -> HttpResponse:
    """Say how many events a filter chooses and show some, or replay them all when that was answered with a reason."""
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        count = replay_all_and_record(
            events, cast(User, request.user), reason=form.cleaned_data["reason"], chosen=request.GET.dict()
        )
        messages.success(request, done_sentence(count))
        return redirect(back)
    count = events.order_by().count()
    context = {
        **console.each_context(request),
        "title": ngettext("Replay %(n)d event", "Replay %(n)d events", count) % {"n": count},
        "count": count,
        "chosen": {FILTERS.get(name, name): value for name, value in request.GET.items() if value},
        "events": examples(events),
        "form": form,
        "back": back,
        "opts": InboxEvent._meta,
    }
    return TemplateResponse(request, "ops/replay_all.html", context)


def replay_all_and_record(events: QuerySet[InboxEvent], actor: User, *, reason: str, chosen: dict[str, str]) -> int:
    """Write the act down, then put the events before the mirror again, batch by batch. Return how many were.

    The act is committed first: if this ends halfway, it says what was begun.
    """
    now = timezone.now()
    with transaction.atomic():
        act = record_act(
            actor,
            REPLAY_FILTERED,
            subject_kind="inbox events",
            subject_id=urlencode(chosen)[:255] or "all",
            reason=reason,
            before={"filter": chosen, "events": events.order_by().count()},
            after={},
            now=now,
        )
    count = replay_all(events, now=now)
    log.info("replay:filtered", act=act.pk, events=count)
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
        **answered_with(request, [event.pk for event in events]),
        "opts": InboxEvent._meta,
    }
