"""The backtest beside the editor: what is typed, saved or not, is tried on the past while one looks on."""

import json
from collections.abc import AsyncGenerator, Generator
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django import forms
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminSelectWidget

from ops.console.chart import stack
from ops.console.rule_form import TargetForms, owner_of, ready_targets
from ops.console.rule_try import TARGETS
from ops.console.rule_words import refused
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
    """Stream fragments of the page, each in place of the one before; the work ends when the browser goes away."""
    if not request.user.has_perm("billing.view_inboxevent"):
        raise PermissionDenied
    # The stream is read after the middleware has put language and zone back: it must bring its own.
    shown = Shown(translation.get_language(), timezone.get_current_timezone())
    frames = shown.frames(request)
    body: Any = in_background(frames) if isinstance(request, ASGIRequest) else frames
    response = StreamingHttpResponse(body, content_type="text/event-stream")
    response["Cache-Control"] = "no-cache, no-transform"
    response["X-Accel-Buffering"] = "no"
    return response


Frames = Generator[bytes, None, None]


class Shown:
    """Writes snapshots in the viewer's language and zone."""

    def __init__(self, language: str | None, zone: Any) -> None:
        self.language, self.zone = language, zone

    def frames(self, request: HttpRequest) -> Frames:
        try:
            with self.viewer():
                trial = trial_of(request, timezone.now(), self.zone)
        except InvalidPattern as error:
            text = request.POST.get("pattern", "")
            yield self.frame("ops/rules/backtest_failed.html", refused_sentence(error, text))
            return
        except forms.ValidationError as error:
            yield self.frame("ops/rules/backtest_failed.html", {"sentence": " ".join(error.messages)})
            return
        work = backtest(trial)
        try:
            for snapshot in work:
                yield self.frame("ops/rules/backtest_found.html", found_context(snapshot, trial))
        finally:
            work.close()  # type: ignore[attr-defined]

    def frame(self, template: str, context: dict[str, Any]) -> bytes:
        with self.viewer():
            html = render_to_string(template, context)
        return f"data: {json.dumps(html)}\n\n".encode()

    def viewer(self) -> Any:
        return InViewersWay(self.language, self.zone)


class InViewersWay:
    """Language and time zone of the viewer, for as long as a fragment is made."""

    def __init__(self, language: str | None, zone: Any) -> None:
        self.parts = (translation.override(language), timezone.override(zone))

    def __enter__(self) -> None:
        for part in self.parts:
            part.__enter__()

    def __exit__(self, *error: Any) -> None:
        for part in reversed(self.parts):
            part.__exit__(*error)


async def in_background(frames: Frames) -> AsyncGenerator[bytes, None]:
    """Take each frame in a thread. Where the browser goes away this is cancelled between two of them."""
    try:
        while (frame := await sync_to_async(next)(frames, None)) is not None:
            yield frame
    finally:
        await sync_to_async(end)(frames)


def end(frames: Frames) -> None:
    frames.close()
    close_old_connections()


def trial_of(request: HttpRequest, now: datetime, zone: Any) -> Trial:
    """Read what is to be tried from the editor's form. Raises InvalidPattern or ValidationError."""
    period = PeriodForm(request.POST)
    if not period.is_valid():
        raise forms.ValidationError([message for errors in period.errors.values() for message in errors])
    since, until = period.bounds(now)
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
