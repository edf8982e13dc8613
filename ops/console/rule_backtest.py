"""The backtest beside the editor: what is typed, saved or not, is tried on the past while one looks on."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminSelectWidget

from ops.console.chart import stack
from ops.console.rule_form import TargetForms, owner_of, ready_targets
from ops.console.rule_try import TARGETS
from ops.console.rule_words import refused
from ops.console.streaming import Frames, Viewer, stream
from ops.models import Mode
from ops.rules.backtest import Trial, backtest
from ops.rules.patterns import InvalidPattern, compile_pattern
from ops.rules.tally import Snapshot

CHART_WIDTH, CHART_HEIGHT = 720, 80
LONGEST = timedelta(days=3660)


class PeriodForm(forms.Form):
    """The period of a backtest: one that ends now, or any."""

    period = forms.ChoiceField(
        label=gettext_lazy("Period"),
        choices=[
            ("1", gettext_lazy("Last 24 hours")),
            ("7", gettext_lazy("Last 7 days")),
            ("30", gettext_lazy("Last 30 days")),
            ("90", gettext_lazy("Last 90 days")),
            ("any", gettext_lazy("From … to …")),
        ],
        initial="30",
        widget=UnfoldAdminSelectWidget,
    )
    since = forms.DateTimeField(
        label=gettext_lazy("From"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
    )
    until = forms.DateTimeField(
        label=gettext_lazy("To"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("period") == "any":
            since, until = data.get("since"), data.get("until")
            if since is None or until is None:
                raise forms.ValidationError(_("Say from when to when."))
            if not timedelta() < until - since <= LONGEST:
                raise forms.ValidationError(_("The period ends before it begins, or is longer than ten years."))
        return data

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        data = self.cleaned_data
        if data["period"] == "any":
            return data["since"], data["until"]
        return now - timedelta(days=int(data["period"])), now


@require_POST
def run(request: HttpRequest) -> HttpResponseBase:
    """Try what is typed in the editor."""
    now = timezone.now()
    return stream(request, lambda viewer: frames(viewer, request, lambda: trial_of(request, now, viewer.zone)))


def frames(viewer: Viewer, request: HttpRequest, make_trial: Callable[[], Trial], **more: Any) -> Frames:
    """Yield the fragments of a backtest, `more` going into each; or the one that says why it cannot begin."""
    try:
        with translation.override(viewer.language), timezone.override(viewer.zone):
            trial = make_trial()
            failure = None
    except InvalidPattern as error:
        failure = refused_sentence(error, request.POST.get("pattern", ""))
    except forms.ValidationError as error:
        failure = {"sentence": " ".join(error.messages)}
    if failure:
        yield viewer.frame("ops/rules/backtest_failed.html", failure)
        return
    work = backtest(trial)
    try:
        for snapshot in work:
            yield viewer.frame("ops/rules/backtest_found.html", found_context(snapshot, trial) | more)
    finally:
        work.close()


def trial_of(request: HttpRequest, now: datetime, zone: Any) -> Trial:
    """Read what is to be tried from the editor's form. Raises InvalidPattern or ValidationError."""
    since, until = period_of(request, now)
    targets = TargetForms(request.POST, prefix=TARGETS)
    mode = request.POST.get("mode", "")
    return Trial(
        pattern=compile_pattern(request.POST.get("pattern", "")),
        since=since,
        until=until,
        owner=owner_of(request.POST.get("owner", "")),
        mode=Mode(mode) if mode in Mode.values else Mode.ANY,
        targets=ready_targets(targets),
        rule_name=request.POST.get("name", ""),
        zone=zone,
    )


def period_of(request: HttpRequest, now: datetime) -> tuple[datetime, datetime]:
    """Read the period that was chosen. Raises ValidationError."""
    period = PeriodForm(request.POST)
    if not period.is_valid():
        raise forms.ValidationError([message for errors in period.errors.values() for message in errors])
    return period.bounds(now)


def refused_sentence(error: InvalidPattern, text: str) -> dict[str, Any]:
    return {"sentence": _("This is no pattern yet."), "refused": refused(error, text)}


def found_context(snapshot: Snapshot, trial: Trial) -> dict[str, Any]:
    rows = [{"matched": bucket.matched} for bucket in snapshot.buckets]
    gap = 2.0 if len(rows) < 100 else 0.5
    return {
        "found": snapshot,
        "columns": stack(rows, ("matched",), width=CHART_WIDTH, height=CHART_HEIGHT, gap=gap),
        "since": trial.since,
        "until": trial.until,
        "rate": int(snapshot.looked / snapshot.seconds) if snapshot.seconds else 0,
    }
