"""Matches and the calls they made due: what a rule found, what was called with which input, and what came of it."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.admin import register
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import action, display

from accounts.customers import organization_of
from accounts.models import User
from billing.models import InboxEvent
from ops.console.display import NOTHING, id_link, moment
from ops.console.filters import WithinFilter
from ops.console.readonly import PageAdmin
from ops.console.replay import ReasonForm, answered_with
from ops.console.rule_words import delivery_pill, parsed, rule_pill
from ops.console.site import console
from ops.models import Delivery, DeliveryState, Match, Rule, StaffAct
from ops.rules.redrive import redrivable, redrive

AT_ONCE = 500
EXAMPLES = 20


class RuleFilter(DropdownFilter):
    """By the rule; calls keep its name although it may be gone."""

    title = gettext_lazy("rule")
    parameter_name = "rule"
    column = "rule_name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in Rule.objects.order_by("name").values_list("name", flat=True)[:500]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


class RuleOfMatchFilter(RuleFilter):
    column = "rule__name"


class MatchedWithinFilter(WithinFilter):
    column = "matched_at"


class ReplayFilter(DropdownFilter):
    """Whether it happened, or a replay found it afterwards."""

    title = gettext_lazy("found by")
    parameter_name = "by"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("event", gettext_lazy("The event as it came")), ("replay", gettext_lazy("A replay"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Match]) -> QuerySet[Match]:
        match self.value():
            case "event":
                return queryset.filter(replay="")
            case "replay":
                return queryset.exclude(replay="")
        return queryset


@register(Match, site=console)
class MatchAdmin(PageAdmin):
    list_display = ("event", "rule_shown", "customer", "matched_shown", "how")
    list_filter = (RuleOfMatchFilter, ("trial", BooleanRadioFilter), ReplayFilter, MatchedWithinFilter)
    list_filter_submit = True
    list_select_related = ("rule",)
    search_fields = ("event_id", "customer_id")
    search_help_text = gettext_lazy("Event id or customer id")
    leafed_by = ("pk",)
    change_form_template = "ops/rules/match.html"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Match], search_term: str
    ) -> tuple[QuerySet[Match], bool]:
        term = search_term.strip()
        return (queryset.filter(Q(event_id=term) | Q(customer_id=term)) if term else queryset), False

    def leafed_by_in(self, request: HttpRequest) -> tuple[str, ...]:
        """An order that an index has: a rule's and a customer's matches have one by their time."""
        chosen = request.GET.get("rule") or request.GET.get("q", "").strip().startswith("cus_")
        return ("matched_at", "pk") if chosen else ("pk",)

    def page_context(self, request: HttpRequest, row: Match) -> dict[str, Any]:
        return {
            "match": row,
            "rule_pill": rule_pill(row.rule),
            "inbox": InboxEvent.objects.filter(pk=row.inbox_id).values_list("pk", flat=True).first(),
            "organization": organization_of(row.customer_id),
            "deliveries": row.deliveries.order_by("pk"),
        }

    @display(description=gettext_lazy("event"), ordering="event_type")
    def event(self, match: Match) -> SafeString:
        return format_html(
            '<span class="who">{}</span><code class="sub-line">{}</code>', match.event_type, match.event_id
        )

    @display(description=gettext_lazy("rule"), ordering="rule__name")
    def rule_shown(self, match: Match) -> SafeString:
        return format_html("{} <span class='quiet'>{}</span>", match.rule.name, f"v{match.rule_version}")

    @display(description=gettext_lazy("customer"))
    def customer(self, match: Match) -> SafeString:
        return id_link(match.customer_id)

    @display(description=gettext_lazy("matched"), ordering="matched_at")
    def matched_shown(self, match: Match) -> SafeString:
        return moment(match.matched_at)

    @display(description=gettext_lazy("how"))
    def how(self, match: Match) -> SafeString | str:
        words = [_("trial")] if match.trial else []
        return ", ".join([*words, _("replay")] if match.replay else words) or NOTHING


@register(Delivery, site=console)
class DeliveryAdmin(PageAdmin):
    list_display = ("what", "state_shown", "event", "made_shown", "attempts", "error_shown")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        RuleFilter,
        ("kind", ChoicesDropdownFilter),
        WithinFilter,
    )
    list_filter_submit = True
    list_select_related = ("match",)
    search_fields = ("rule_name", "target_name", "match__event_id")
    search_help_text = gettext_lazy("Event id, customer id, or the name of a rule or target")
    leafed_by = ("pk",)
    actions = ("redrive_selected",)
    actions_detail = ("redrive_one",)
    change_form_template = "ops/rules/delivery.html"
    list_before_template = "ops/rules/calls_before.html"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        named = Q(rule_name=term) | Q(target_name=term)
        return queryset.filter(named | Q(match__event_id=term) | Q(match__customer_id=term)), False

    def leafed_by_in(self, request: HttpRequest) -> tuple[str, ...]:
        """An order that an index has: a rule's calls have one by their time."""
        return ("created_at", "pk") if request.GET.get("rule") else ("pk",)

    def page_context(self, request: HttpRequest, row: Delivery) -> dict[str, Any]:
        return {
            "call": row,
            "state_pill": delivery_pill(row.state),
            "input_json": parsed(row.input),
            "rule": Rule.objects.filter(pk=row.match.rule_id).first(),
            "inbox": InboxEvent.objects.filter(pk=row.match.inbox_id).values_list("pk", flat=True).first(),
            "siblings": row.match.deliveries.exclude(pk=row.pk).order_by("pk"),
            "acts": StaffAct.objects.filter(subject_kind="rule", subject_id=row.rule_name, at__gte=row.created_at)
            .select_related("actor")
            .order_by("-at"),
            "can_redrive": row.state == DeliveryState.DEAD and bool(row.input),
        }

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.redrive_filtered)
        return [path("redrive-filtered/", view, name="ops_delivery_redrive_filtered"), *super().get_urls()]

    def has_redrive_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Redriving is changing: those who may only view calls may not."""
        return request.user.has_perm("ops.change_delivery")

    @action(description=gettext_lazy("Redrive"), permissions=["redrive"], icon="restart_alt", url_path="redrive")
    def redrive_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        call = get_object_or_404(Delivery, pk=object_id)
        back = reverse("admin:ops_delivery_change", args=[call.pk])
        return ask_and_redrive(request, Delivery.objects.filter(pk=call.pk), back=back)

    @action(description=gettext_lazy("Redrive the selected dead letters"), permissions=["redrive"])
    def redrive_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse:
        chosen = list(queryset.values_list("pk", flat=True)[: AT_ONCE + 1])
        if len(chosen) > AT_ONCE:
            messages.warning(request, _("Filter the list, then redrive all that the filters show."))
            return redirect(request.get_full_path())
        return ask_and_redrive(request, Delivery.objects.filter(pk__in=chosen), back=request.get_full_path())

    def redrive_filtered(self, request: HttpRequest) -> HttpResponse:
        """Redrive every dead letter that the list shows under the filters of this address."""
        if not self.has_redrive_permission(request):
            raise PermissionDenied
        chosen = self.get_changelist_instance(request).get_queryset(request)
        back = f"{reverse('admin:ops_delivery_changelist')}?{request.GET.urlencode()}"
        return ask_and_redrive(request, chosen, back=back)

    @display(description=gettext_lazy("call"), ordering="rule_name")
    def what(self, call: Delivery) -> SafeString:
        return format_html(
            '<span class="who">{} → {}</span><span class="sub-line">{}</span>',
            call.rule_name,
            call.target_name,
            call.get_kind_display(),
        )

    @display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, call: Delivery) -> SafeString:
        return delivery_pill(call.state)

    @display(description=gettext_lazy("event"))
    def event(self, call: Delivery) -> SafeString:
        return format_html(
            '<span class="who">{}</span><code class="sub-line">{}</code>', call.match.event_type, call.match.event_id
        )

    @display(description=gettext_lazy("made"), ordering="created_at")
    def made_shown(self, call: Delivery) -> SafeString:
        return moment(call.created_at)

    @display(description=gettext_lazy("last error"))
    def error_shown(self, call: Delivery) -> SafeString | str:
        return format_html('<span class="error-line">{}</span>', call.error[:120]) if call.error else NOTHING


def ask_and_redrive(request: HttpRequest, calls: QuerySet[Delivery], *, back: str) -> HttpResponse:
    """Say how many dead letters would be called again, or do it when that was answered with a reason."""
    dead = redrivable(calls).filter(state=DeliveryState.DEAD)
    answered = request.method == "POST" and "answer" in request.POST
    form = ReasonForm(request.POST if answered else None)
    if answered and form.is_valid():
        count = redrive(dead, cast(User, request.user), reason=form.cleaned_data["reason"], now=timezone.now())
        said = ngettext("%(n)d call is due again.", "%(n)d calls are due again.", count)
        messages.success(request, said % {"n": count})
        return redirect(back)
    count = dead.order_by().count()
    context = {
        **console.each_context(request),
        "title": ngettext("Redrive %(n)d dead letter", "Redrive %(n)d dead letters", count) % {"n": count},
        "count": count,
        "calls": dead.select_related("match").order_by("-finished_at", "-pk")[:EXAMPLES],
        "form": form,
        "back": back,
        **answered_with(request, request.POST.getlist("_selected_action")),
        "opts": Delivery._meta,
    }
    return TemplateResponse(request, "ops/rules/redrive.html", context)


def dead_letters_badge(request: HttpRequest) -> str:
    """How many calls were given up, for the navigation; nothing when none was."""
    count = Delivery.objects.filter(state=DeliveryState.DEAD)[:100].count()
    return "" if not count else "99+" if count == 100 else str(count)
