"""Letting a rule fire on the past: first a backtest says what would happen, then, with a reason, it does."""

from datetime import datetime
from typing import Any, cast

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.csrf import get_token
from django.template.response import TemplateResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.models import User
from ops.console.rule_backtest import PeriodForm, frames, period_of
from ops.console.rule_words import rule_pill
from ops.console.site import console
from ops.console.streaming import Frames, Viewer, stream
from ops.models import Mode, Rule
from ops.rules.backtest import Trial
from ops.rules.book import ready
from ops.rules.patterns import compile_pattern
from ops.rules.replay import new_id
from ops.rules.replay_period import replay_period


class ConfirmForm(forms.Form):
    """What was seen and is now to be done: the very period, the replay's id, and why."""

    since = forms.DateTimeField(widget=forms.HiddenInput)
    until = forms.DateTimeField(widget=forms.HiddenInput)
    replay_id = forms.RegexField(r"^[0-9]{8}-[0-9]{6}-[0-9a-f]{6}\Z", widget=forms.HiddenInput)
    reason = forms.CharField(
        max_length=1000,
        error_messages={"required": gettext_lazy("Say in a few words why; it is written down with your name.")},
    )


def ask(request: HttpRequest, rule: Rule) -> HttpResponse:
    """The page: a period, what would happen, and the button that does it."""
    context = {
        **console.each_context(request),
        "title": _("Replay %(name)s on the past") % {"name": rule.name},
        "rule": rule,
        "pill": rule_pill(rule),
        "period": PeriodForm(initial={"period": "7"}),
        "opts": Rule._meta,
    }
    return TemplateResponse(request, "ops/rules/replay.html", context)


@require_POST
def see(request: HttpRequest, rule: Rule) -> HttpResponseBase:
    """Say what a replay would find; at the end, offer it for exactly what was seen."""
    now = timezone.now()
    offer = {"rule": rule, "replay_id": new_id(now), "csrf": get_token(request)}
    return stream(
        request, lambda viewer: frames(viewer, request, lambda: saved_trial(request, rule, now, viewer), replay=offer)
    )


def saved_trial(request: HttpRequest, rule: Rule, now: datetime, viewer: Viewer) -> Trial:
    """The rule as it is saved, over the period that was chosen."""
    since, until = period_of(request, now)
    pattern, targets = compile_pattern(rule.pattern), ready(rule).targets
    return Trial(pattern, since, until, rule.owner, Mode(rule.mode), targets, rule.name, viewer.zone, settled=True)


@require_POST
def do(request: HttpRequest, rule: Rule) -> HttpResponseBase:
    """Replay what was seen, telling how far it is. Stopped, the same button goes on where it was."""
    return stream(request, lambda viewer: doing(viewer, request, rule))


def doing(viewer: Viewer, request: HttpRequest, rule: Rule) -> Frames:
    form = ConfirmForm(request.POST)
    with translation.override(viewer.language), timezone.override("UTC"):
        right = form.is_valid()
    if not right:
        first: Any = next(iter(form.errors.values()))
        yield viewer.frame("ops/rules/backtest_failed.html", {"sentence": first[0]})
        return
    data, user = form.cleaned_data, cast(User, request.user)
    work = replay_period(
        rule,
        data["since"],
        data["until"],
        replay_id=data["replay_id"],
        actor=user,
        reason=data["reason"],
        clock=timezone.now,
    )
    done = None
    for done in work:
        yield viewer.frame("ops/rules/replayed.html", {"done": done, "rule": rule, "finished": False})
    yield viewer.frame("ops/rules/replayed.html", {"done": done, "rule": rule, "finished": True})
