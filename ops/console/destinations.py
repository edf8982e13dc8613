"""API destinations: where calls go, how they fare, a test, and the secret that we sign with."""

from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib.admin import register
from django.db.models import Count, FloatField, Q
from django.db.models.expressions import RawSQL
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import action, display

from accounts.models import User
from ops.console.audited import AuditedAdmin, ReasonedForm
from ops.console.chart import stack
from ops.console.destination_test import TestForm, sent
from ops.console.display import BREAKER_TONES, ago, pill
from ops.console.replay import ReasonForm
from ops.console.site import console
from ops.effects.destinations.acts import roll_signing_secret, send_test
from ops.effects.destinations.models import BreakerState, Came, Destination, DestinationHealth, DestinationRequest
from ops.effects.destinations.validate import check_endpoint
from ops.models import StaffAct

HOURS = 24
LATEST = 100  # requests of which the list tells how many were done
SHOWN = 20
CHART_WIDTH, CHART_HEIGHT = 720, 120
SERIES = ("done", "waiting", "failed")
# One short read of an index for each destination that is shown, however long its log is.
DONE_OF_LATEST = """(
    SELECT avg((latest.came = 'done')::int) FROM (
        SELECT came FROM ops_destinationrequest request
        WHERE request.destination_id = ops_destination.id AND request.came <> 'unknown'
        ORDER BY request.at DESC LIMIT %s
    ) latest
)"""


class DestinationForm(ReasonedForm):
    def clean_endpoint(self) -> str:
        endpoint: str = self.cleaned_data["endpoint"]
        check_endpoint(endpoint)
        return endpoint


@register(Destination, site=console)
class DestinationAdmin(AuditedAdmin):
    """Whoever may change a destination may send its connection's credentials anywhere: both rights are needed."""

    form = DestinationForm
    list_display = ("what", "state_shown", "done_shown", "last_success_shown", "rate_shown")
    list_select_related = ("connection", "health")
    list_filter = (("connection", RelatedDropdownFilter),)
    list_filter_submit = True
    search_fields = ("name", "endpoint", "description")
    search_help_text = gettext_lazy("Name or address")
    ordering = ("name",)
    actions_detail = ("test_one", "roll_secret")
    change_form_before_template = "ops/destination_before.html"
    change_form_after_template = "ops/destination_after.html"
    readonly_fields = ("signing_shown",)
    fieldsets = (
        (None, {"fields": ("name", "description", "connection")}),
        (
            gettext_lazy("Where calls go"),
            {"fields": ("endpoint", "method", ("rate_limit", "timeout_seconds"), "follow_redirects")},
        ),
        (gettext_lazy("Signature"), {"fields": ("signed", "signing_shown")}),
        (gettext_lazy("The record"), {"fields": ("reason",)}),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        share = RawSQL(DONE_OF_LATEST, [LATEST], output_field=FloatField())  # noqa: S611 - no text of others
        return super().get_queryset(request).annotate(done_of_latest=share)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        for name, said in help_texts().items():
            if name in form.base_fields:
                form.base_fields[name].help_text = said
        return form

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(("ops.add_destination", "ops.change_connection"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perms(("ops.change_destination", "ops.change_connection"))

    def has_test_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("ops.add_destinationrequest")

    def has_roll_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return self.has_change_permission(request)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        row = self.get_object(request, object_id) if object_id else None
        page = destination_context(row, timezone.now()) if row and self.has_view_permission(request, row) else {}
        return super().changeform_view(request, object_id, form_url, {**page, **(extra_context or {})})

    @action(description=gettext_lazy("Send a test"), permissions=["test"], icon="send", url_path="test")
    def test_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        destination = get_object_or_404(Destination.objects.select_related("connection"), pk=object_id)
        places = destination.endpoint.partition("://")[2].partition("/")[2].count("*")
        form = TestForm(request.POST if request.method == "POST" else None, places=places)
        back = reverse("admin:ops_destination_change", args=[destination.pk])
        if request.method == "POST" and form.is_valid():
            called = send_test(
                destination,
                body=form.cleaned_data["body"],
                parameters=form.parameters(),
                now=timezone.now(),
                actor=cast(User, request.user),
                reason=form.cleaned_data["reason"],
            )
            return sent(request, called, back=back)
        context = {
            **console.each_context(request),
            "title": _("Send a test"),
            "destination": destination,
            "places": places,
            "form": form,
            "back": back,
            "opts": self.opts,
        }
        return TemplateResponse(request, "ops/destination_test.html", context)

    @action(
        description=gettext_lazy("Roll the signing secret"), permissions=["roll"], icon="autorenew", url_path="roll"
    )
    def roll_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give a new secret and show it, once: no page of the console is kept in a cache."""
        destination = get_object_or_404(Destination, pk=object_id)
        back = reverse("admin:ops_destination_change", args=[destination.pk])
        if not destination.signed:
            self.message_user(request, _("This destination is not signed. Switch that on first, below."), "warning")
            return redirect(back)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        context = {
            **console.each_context(request),
            "title": _("Roll the signing secret"),
            "sentence": _("Calls are signed with the new and the old secret for a day, then with the new one alone."),
            "subject": destination.name,
            "form": form,
            "back": back,
            "opts": self.opts,
        }
        if request.method != "POST" or not form.is_valid():
            return TemplateResponse(request, "ops/reason.html", context)
        actor, reason = cast(User, request.user), form.cleaned_data["reason"]
        secret = roll_signing_secret(destination, now=timezone.now(), actor=actor, reason=reason)
        shown = {**context, "title": _("The new signing secret"), "secret": secret, "destination": destination}
        return TemplateResponse(request, "ops/signing_secret.html", shown)

    @display(description=gettext_lazy("destination"), ordering="name")
    def what(self, destination: Destination) -> SafeString:
        shown = '<span class="who">{}</span><span class="sub-line anywhere">{} {} · {}</span>'
        return format_html(shown, destination.name, destination.method, destination.endpoint, destination.connection)

    @display(description=gettext_lazy("state"))
    def state_shown(self, destination: Destination) -> SafeString:
        return state_pill(health(destination), timezone.now())

    @display(description=gettext_lazy("done"))
    def done_shown(self, destination: Destination) -> SafeString | str:
        """How many of the latest requests were done, as a bar with its number."""
        share = getattr(destination, "done_of_latest", None)
        return "–" if share is None else share_bar(float(share))

    @display(description=gettext_lazy("last success"), ordering="health__last_success_at")
    def last_success_shown(self, destination: Destination) -> str:
        return ago(health(destination).last_success_at, timezone.now())

    @display(description=gettext_lazy("a second"), ordering="rate_limit")
    def rate_shown(self, destination: Destination) -> int:
        return destination.rate_limit

    @display(description=gettext_lazy("signing secret"))
    def signing_shown(self, destination: Destination) -> str:
        if not destination.signing_secret_set_at:
            return _("None yet: “Roll the signing secret” above makes the first one.")
        return _("Set %(ago)s. It was shown once.") % {"ago": ago(destination.signing_secret_set_at, timezone.now())}


def help_texts() -> dict[str, str]:
    return {
        "endpoint": _("Each * in the path takes one of the target's path values."),
        "rate_limit": _("At most, by all workers together. What comes faster waits."),
        "timeout_seconds": _("EventBridge waits for 5 seconds. Longer is possible only where the settings allow it."),
        "follow_redirects": _(
            "EventBridge does not. Credentials never follow to another host, and a POST never turns into a GET."
        ),
        "signed": _("By the rules of Standard Webhooks, so that receivers know that it was us."),
    }


def health(destination: Destination) -> DestinationHealth:
    """How it fares; one that was never called fares well."""
    found = getattr(destination, "health", None)
    return found if isinstance(found, DestinationHealth) else DestinationHealth(destination=destination)


def state_pill(found: DestinationHealth, now: datetime) -> SafeString:
    state = found.state(now)
    if state == BreakerState.CLOSED and found.last_success_at is None and found.last_failure_at is None:
        return pill(_("Never called"), BREAKER_TONES[BreakerState.HALF_OPEN])
    return pill(str(state.label), BREAKER_TONES[state])


def share_bar(share: float) -> SafeString:
    good = round(60 * share, 1)
    return format_html(
        '<span class="share"><svg viewBox="0 0 60 8" aria-hidden="true"><rect class="bar done" width="{}" height="8">'
        '</rect><rect class="bar failed" x="{}" width="{}" height="8"></rect></svg> {} %</span>',
        str(good),
        str(good),
        str(round(60 - good, 1)),
        int(share * 100),
    )


def destination_context(row: Destination, now: datetime) -> dict[str, Any]:
    """What stands above and below the form: how it fares, its day hour by hour, its latest requests."""
    hours = day_of(row, now)
    found = health(row)
    return {
        "now": now,
        "destination": row,
        "health": found,
        "away": found.opened_at is not None,
        "state": state_pill(found, now),
        "hours": hours,
        "total": sum(hour["done"] + hour["waiting"] + hour["failed"] for hour in hours),
        "columns": stack(hours, SERIES, width=CHART_WIDTH, height=CHART_HEIGHT),
        "requests": DestinationRequest.objects.filter(destination=row).order_by("-at", "-pk")[:SHOWN],
        "acts": StaffAct.objects.filter(subject_id=row.name).select_related("actor").order_by("-at")[:SHOWN],
    }


def day_of(row: Destination, now: datetime) -> list[dict[str, Any]]:
    """Count the requests of the last 24 hours, oldest hour first: done, to be tried again, refused."""
    age = RawSQL("floor(extract(epoch from (%s - at)) / 3600)::int", [now])
    since = now - timedelta(hours=HOURS)
    counted = (
        DestinationRequest.objects.filter(destination=row, at__gt=since, at__lte=now)
        .annotate(age=age)
        .values("age")
        .annotate(
            done=Count("pk", filter=Q(came=Came.DONE)),
            waiting=Count("pk", filter=Q(came__in=[Came.RETRY, Came.UNKNOWN])),
            failed=Count("pk", filter=Q(came=Came.REFUSED)),
        )
    )
    by_age = {hour["age"]: hour for hour in counted}
    empty = {"done": 0, "waiting": 0, "failed": 0}
    return [
        {
            **empty,
            **by_age.get(number, {}),
            "start": now - timedelta(hours=number + 1),
            "end": now - timedelta(hours=number),
        }
        for number in reversed(range(HOURS))
    ]
