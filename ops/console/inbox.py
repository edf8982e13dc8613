"""Inbox events: what came in, how far it has come, why it stopped, and letting the mirror look again."""

from typing import Any

from django.contrib import messages
from django.contrib.admin import register
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy, ngettext
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import action, display

from billing.mirror.kinds import KINDS, RAW
from billing.models import InboxEvent, InboxState
from billing.stripe_accounts import configured
from ops.console import replay
from ops.console.display import INBOX_TONES, NOTHING, moment, pill, span
from ops.console.event_page import event_context
from ops.console.filters import WithinFilter
from ops.console.keyset import LeafedList
from ops.console.many import STRIPE_ID
from ops.console.readonly import PageAdmin
from ops.console.site import console

PRIMARY_SHOWN = "-primary"  # as a filter's value; no account can have this name
FAMILIES = (
    "account", "billing", "charge", "checkout", "coupon", "credit_note", "customer", "customer.subscription",
    "entitlements", "invoice", "invoice_payment", "invoiceitem", "payment_intent", "payment_method", "payout",
    "plan", "price", "product", "quote", "refund", "setup_intent", "subscription_schedule", "tax_rate", "test_helpers",
)  # fmt: skip


class FamilyFilter(DropdownFilter):
    """Types by their beginning: "invoice" finds invoice.paid, invoice.created, …; exact types are searched for."""

    title = gettext_lazy("type")
    parameter_name = "family"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(family, f"{family}.…") for family in FAMILIES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[InboxEvent]) -> QuerySet[InboxEvent]:
        return queryset.filter(type__startswith=f"{self.value()}.") if self.value() else queryset


class ArrivalFilter(WithinFilter):
    """How long ago an event was received."""

    title = gettext_lazy("arrival")
    column = "received_at"


class WaitingFilter(DropdownFilter):
    """What the mirror should have looked at already."""

    title = gettext_lazy("waiting")
    parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("due", gettext_lazy("Due now")), ("later", gettext_lazy("Will be tried again later"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[InboxEvent]) -> QuerySet[InboxEvent]:
        waiting = queryset.filter(state=InboxState.RECEIVED)
        match self.value():
            case "due":
                return waiting.filter(due_at__lte=timezone.now())
            case "later":
                return waiting.filter(due_at__gt=timezone.now())
        return queryset


class KindFilter(DropdownFilter):
    """By the kind of object that an event is about."""

    title = gettext_lazy("kind")
    parameter_name = "object_kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted({*KINDS, *RAW})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[InboxEvent]) -> QuerySet[InboxEvent]:
        return queryset.filter(object_kind=self.value()) if self.value() else queryset


class AccountFilter(DropdownFilter):
    """By the configured Stripe account; shown only where there are several."""

    title = gettext_lazy("account")
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        accounts = configured()
        if len(accounts) < 2:
            return []
        return [(account.name or PRIMARY_SHOWN, account.name or gettext_lazy("primary")) for account in accounts]

    def queryset(self, request: HttpRequest, queryset: QuerySet[InboxEvent]) -> QuerySet[InboxEvent]:
        if not self.value():
            return queryset
        return queryset.filter(owner="" if self.value() == PRIMARY_SHOWN else self.value())


class EventList(LeafedList):
    """The list without the payloads, which no row of it shows."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[InboxEvent]:
        found: QuerySet[InboxEvent] = super().get_queryset(request, exclude_parameters)
        return found.defer("payload")


@register(InboxEvent, site=console)
class InboxEventAdmin(PageAdmin):
    list_display = (
        "event", "state_shown", "door", "happened", "received_after", "mirrored_after", "failures",
    )  # fmt: skip
    list_filter = (
        ("state", ChoicesDropdownFilter),
        FamilyFilter,
        KindFilter,
        ("door", ChoicesDropdownFilter),
        AccountFilter,
        ArrivalFilter,
        WaitingFilter,
        ("livemode", BooleanRadioFilter),
    )
    list_filter_submit = True
    search_fields = ("external_id", "object_id", "customer_id", "type")
    search_help_text = gettext_lazy("Event id, object id, customer id, or a part of the type")
    leafed_by = ("received_at", "pk")
    actions = ("replay_selected",)
    actions_detail = ("replay_one",)
    change_form_template = "ops/event.html"
    list_before_template = "ops/inbox_before.html"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[InboxEvent], search_term: str
    ) -> tuple[QuerySet[InboxEvent], bool]:
        """Look an id up in the indexes; anything else is a part of a type."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if STRIPE_ID.match(term):
            return queryset.filter(Q(external_id=term) | Q(object_id=term) | Q(customer_id=term)), False
        return queryset.filter(Q(type__icontains=term) | Q(external_id=term)), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[EventList]:
        return EventList

    def page_context(self, request: HttpRequest, row: InboxEvent) -> dict[str, Any]:
        return event_context(row)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.replay_filtered)
        return [path("replay-filtered/", view, name="billing_inboxevent_replay_filtered"), *super().get_urls()]

    def replay_filtered(self, request: HttpRequest) -> HttpResponse:
        """Replay everything that the list shows under the filters of this address, after saying how much that is."""
        if not self.has_replay_permission(request):
            raise PermissionDenied
        chosen = self.get_changelist_instance(request).get_queryset(request)
        back = f"{reverse('admin:billing_inboxevent_changelist')}?{request.GET.urlencode()}"
        return replay.ask_and_replay_all(request, chosen, back=back)

    def has_replay_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Replaying is changing: those who may only view events may not."""
        return request.user.has_perm("billing.change_inboxevent")

    @action(description=gettext_lazy("Replay"), permissions=["replay"], icon="replay", url_path="replay")
    def replay_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        event = get_object_or_404(InboxEvent, pk=object_id)
        back = reverse("admin:billing_inboxevent_change", args=[event.pk])
        return replay.ask_and_replay(request, [event], back=back)

    @action(description=gettext_lazy("Replay the selected events"), permissions=["replay"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[InboxEvent]) -> HttpResponse:
        events = list(queryset.defer("payload").order_by("occurred_at", "pk")[: replay.AT_ONCE + 1])
        back = request.get_full_path()
        if len(events) > replay.AT_ONCE:
            said = ngettext(
                "At most %(n)d event is replayed at once. Narrow the list by its filters and select again.",
                "At most %(n)d events are replayed at once. Narrow the list by its filters and select again.",
                replay.AT_ONCE,
            )
            messages.warning(request, said % {"n": replay.AT_ONCE})
            return redirect(back)
        return replay.ask_and_replay(request, events, back=back)

    @display(description=gettext_lazy("event"), ordering="type")
    def event(self, event: InboxEvent) -> SafeString:
        return format_html('<span class="who">{}</span><code class="sub-line">{}</code>', event.type, event.object_id)

    @display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, event: InboxEvent) -> SafeString:
        return pill(event.get_state_display(), INBOX_TONES[event.state])

    @display(description=gettext_lazy("happened"), ordering="occurred_at")
    def happened(self, event: InboxEvent) -> SafeString:
        return moment(event.occurred_at)

    @display(description=gettext_lazy("received after"), ordering="received_at")
    def received_after(self, event: InboxEvent) -> str:
        return span(event.received_at - event.occurred_at)

    @display(description=gettext_lazy("mirrored after"), ordering="mirrored_at")
    def mirrored_after(self, event: InboxEvent) -> SafeString | str:
        return span(event.mirrored_at - event.occurred_at) if event.mirrored_at else NOTHING

    @display(description=gettext_lazy("failed attempts"), ordering="attempts")
    def failures(self, event: InboxEvent) -> SafeString | int:
        return event.attempts or NOTHING
