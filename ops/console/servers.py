"""Servers that subscriptions pay for: whose, how they stand, since when, what comes; started, stopped, deleted here."""

from collections.abc import Mapping
from typing import Any

from django.contrib.admin import register
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from djstripe.models import Subscription
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from billing import clock
from billing.provisioning.models import Provision
from billing.provisioning.states import State
from ops.console.display import Tone, id_link, moment, pill
from ops.console.readonly import PageAdmin
from ops.console.reasoned import Reasoned, ask_why
from ops.console.site import console
from ops.models import Execution, StaffAct
from ops.playbooks.server_acts import MAY, CannotActOnServer, delete_server, start_server, stop_server

PERMISSION = "billing.change_provision"
TONES: Mapping[str, Tone] = {
    State.BUILDING: Tone.WAITING,
    State.READY: Tone.GOOD,
    State.STOPPED: Tone.ATTENTION,
    State.FAILED: Tone.ATTENTION,
    State.ENDING: Tone.STOPPED,
    State.DELETED: Tone.STOPPED,
}


@register(Provision, site=console)
class ServerAdmin(PageAdmin):
    list_display = ("whose", "state_shown", "since_shown", "coming", "address_shown", "executions_shown")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_filter_submit = True
    list_select_related = ("organization",)
    search_fields = ("subscription_id", "instance_id", "stack_id", "organization__name")
    search_help_text = gettext_lazy("Subscription, instance, stack or organization")
    ordering = ("-since", "-pk")
    sortable_by = ("state_shown", "since_shown")
    actions_detail = ("start_one", "stop_one", "delete_one")
    change_form_template = "ops/server.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provision]:
        """With the customer, whose executions are linked."""
        found: QuerySet[Provision] = super().get_queryset(request)
        customer = Subscription.objects.filter(id=OuterRef("subscription_id")).values("customer_id")[:1]
        return found.annotate(customer_id=Subquery(customer))

    def page_context(self, request: HttpRequest, row: Provision) -> dict[str, Any]:
        acts = StaffAct.objects.filter(subject_kind="server", subject_id=row.subscription_id)
        customer = getattr(row, "customer_id", None)  # by whom executions are found: their inputs have no index
        of_it = Execution.objects.filter(customer_id=customer, input__subscription=row.subscription_id)
        executions = of_it.select_related("machine") if customer else Execution.objects.none()
        may_see = request.user.has_perm("ops.view_execution")
        return {
            "server": row,
            "pill": server_pill(row),
            "coming": coming_words(row),
            "executions": list(executions.order_by("-started_at")[:20]) if may_see else [],
            "acts": acts.select_related("actor").order_by("-at"),
        }

    def may(self, request: HttpRequest, object_id: str | int, what: str) -> bool:
        """Whether there is a button. Who pressed it twice is told by the act itself how the server stands."""
        there = Provision.objects.filter(pk=object_id, state__in=MAY[what])
        return request.user.has_perm(PERMISSION) and (request.method == "POST" or there.exists())

    def has_start_permission(self, request: HttpRequest, object_id: str | int = 0) -> bool:
        return self.may(request, object_id, "start")

    def has_stop_permission(self, request: HttpRequest, object_id: str | int = 0) -> bool:
        return self.may(request, object_id, "stop")

    def has_drop_permission(self, request: HttpRequest, object_id: str | int = 0) -> bool:
        return self.may(request, object_id, "delete")

    @action(description=gettext_lazy("Start the server"), permissions=["start"], icon="play_arrow", url_path="start")
    def start_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        sentence = _(
            "The instance starts within a minute, and the customer's page says so. It goes on until a payment fails "
            "the next time, whatever is owed now."
        )
        return act_on(
            request,
            object_id,
            Reasoned(_("Start the server"), sentence, _("It is started."), start_server, CannotActOnServer),
        )

    @action(description=gettext_lazy("Stop the server"), permissions=["stop"], icon="stop", url_path="stop")
    def stop_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        sentence = _(
            "The instance stops, and the customer cannot use it; nothing on it is lost. It stands still until it is "
            "started here, or until a payment that was missing arrives."
        )
        return act_on(
            request,
            object_id,
            Reasoned(_("Stop the server"), sentence, _("It is stopped."), stop_server, CannotActOnServer),
        )

    @action(
        description=gettext_lazy("Delete it now"), permissions=["drop"], icon="delete_forever", url_path="delete-now"
    )
    def delete_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        sentence = _(
            "The stack and everything on the server is deleted now and not on its day. Nobody can bring it back."
        )
        done = _("It is being deleted; this page says when it is gone.")
        return act_on(
            request, object_id, Reasoned(_("Delete it now"), sentence, done, delete_server, CannotActOnServer)
        )

    @display(description=gettext_lazy("organization"))
    def whose(self, row: Provision) -> SafeString:
        return format_html(
            '<span><span class="who">{}</span><span class="sub-line">{}</span></span>',
            row.organization.name,
            id_link(row.subscription_id),
        )

    @display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, row: Provision) -> SafeString:
        return server_pill(row)

    @display(description=gettext_lazy("since"), ordering="since")
    def since_shown(self, row: Provision) -> SafeString:
        return moment(row.since)

    @display(description=gettext_lazy("next"))
    def coming(self, row: Provision) -> SafeString | str:
        return coming_words(row) or "–"

    @display(description=gettext_lazy("address"))
    def address_shown(self, row: Provision) -> SafeString:
        return format_html("<code>{}</code>", row.address or "–")

    @display(description=gettext_lazy("executions"))
    def executions_shown(self, row: Provision) -> SafeString:
        asked = getattr(row, "customer_id", None) or row.subscription_id
        address = f"{reverse('admin:ops_execution_changelist')}?q={asked}"
        return format_html('<a class="text-link" href="{}">{}</a>', address, _("Show"))


def coming_words(row: Provision) -> SafeString | str:
    """What comes of itself, and when."""
    if row.state == State.READY and row.stop_at:
        return format_html("{} {}", _("stops"), moment(row.stop_at))
    if row.state == State.ENDING and row.delete_at:
        return format_html("{} {}", _("is deleted"), moment(row.delete_at))
    return ""


def server_pill(row: Provision) -> SafeString:
    return pill(row.get_state_display(), TONES[row.state])


def act_on(request: HttpRequest, object_id: str, act: Reasoned) -> HttpResponse:
    row = get_object_or_404(Provision.objects.select_related("organization"), pk=object_id)
    return ask_why(request, row, act, subject=f"{row.organization.name} · {row.subscription_id}", now=clock.now())
