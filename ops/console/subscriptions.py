"""Subscriptions: every one with its state, found by organization, customer, plan or status."""

from typing import Any

from django.contrib.admin import register
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from djstripe.models import Product, Subscription
from unfold.contrib.filters.admin import AutocompleteSelectFilter, DropdownFilter
from unfold.decorators import display

from billing.mirror.facts import SubscriptionFacts, subscription_facts
from billing.mirror.questions import RENEWING
from billing.money import format_money
from billing.plans.prices import interval_words
from ops.console.display import SUBSCRIPTION_STATES, stripe_pill
from ops.console.many import whose
from ops.console.readonly import PageAdmin
from ops.console.site import console
from ops.console.subscription_page import subscription_context


class StatusFilter(DropdownFilter):
    """Stripe's status."""

    title = gettext_lazy("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(status, word) for status, (word, _tone) in SUBSCRIPTION_STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> QuerySet[Subscription]:
        return queryset.filter(row__status=self.value()) if self.value() else queryset


class PlanFilter(DropdownFilter):
    """The product of any of a subscription's items as Stripe says them now: rows of removed items do not count."""

    title = gettext_lazy("plan")
    parameter_name = "product"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Product.objects.order_by("-active", "name").values_list("id", "name")[:200])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> QuerySet[Subscription]:
        product = self.value()
        if not product:
            return queryset
        several = Q(row__item_count__gt=1, row__product_ids__contains=[product])
        return queryset.filter(Q(row__product_id=product) | several)


class OrganizationFilter(AutocompleteSelectFilter):
    """Whose subscription, chosen by typing a part of the name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = gettext_lazy("organization")


class EndingFilter(DropdownFilter):
    """Whether a subscription is going to end by itself."""

    title = gettext_lazy("renewal")
    parameter_name = "ending"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", gettext_lazy("Will be canceled")), ("no", gettext_lazy("Renews"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> QuerySet[Subscription]:
        going = queryset.filter(row__status__in=RENEWING)
        match self.value():
            case "yes":
                return going.filter(row__ends_at__isnull=False)
            case "no":
                return going.filter(row__ends_at__isnull=True)
        return queryset


@register(Subscription, site=console)
class SubscriptionAdmin(PageAdmin):
    list_display = ("who", "plan", "status", "amount", "period_end", "ending", "began")
    list_filter = (
        StatusFilter,
        PlanFilter,
        ("customer__subscriber", OrganizationFilter),
        EndingFilter,
    )
    list_filter_submit = True
    search_fields = ("id",)
    search_help_text = gettext_lazy("Organization, e-mail address, subscription id or customer id")
    ordering = ("-row__created_at", "-row__subscription")
    change_form_template = "ops/subscription.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        """Bring the organization, the columns and the plan's name along: one query a page, however many rows."""
        found: QuerySet[Subscription] = super().get_queryset(request)
        with_plan: QuerySet[Subscription] = (
            found.filter(row__isnull=False)  # an inner join: sorted and found by the columns' indexes
            .select_related("row", "customer__subscriber")
            .defer("customer__stripe_data", "customer__metadata", "metadata")
            .annotate(plan_name=plan_name())
        )
        return with_plan

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Subscription], search_term: str
    ) -> tuple[QuerySet[Subscription], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        named = whose(term, customer="row__customer_id", organization="row__organization")
        return queryset.filter(named | Q(row__pk=term)), False

    def page_context(self, request: HttpRequest, row: Subscription) -> dict[str, Any]:
        return subscription_context(row)

    @display(description=gettext_lazy("organization"))
    def who(self, row: Subscription) -> SafeString:
        name = row.customer.subscriber or row.customer.email or row.customer_id
        return format_html('<span class="who">{}</span><code class="sub-line">{}</code>', name, row.id)

    @display(description=gettext_lazy("plan"))
    def plan(self, row: Subscription) -> str:
        items = facts_of(row).items
        name = row.plan_name or (items[0].product_id if items else "–")
        return str(name) if len(items) < 2 else _("%(plan)s and %(n)d more") % {"plan": name, "n": len(items) - 1}

    @display(description=gettext_lazy("status"), ordering="row__status")
    def status(self, row: Subscription) -> SafeString:
        return stripe_pill(SUBSCRIPTION_STATES, row.stripe_data.get("status"))

    @display(description=gettext_lazy("amount"))
    def amount(self, row: Subscription) -> SafeString:
        return format_html('<span class="figure">{}</span>', amount_words(facts_of(row)))

    @display(description=gettext_lazy("period ends"), ordering="row__period_ends_at")
    def period_end(self, row: Subscription) -> str:
        end = facts_of(row).period_end
        return date_format(localtime(end), "SHORT_DATE_FORMAT") if end else "–"

    @display(description=gettext_lazy("renewal"), ordering="row__ends_at")
    def ending(self, row: Subscription) -> str:
        facts = facts_of(row)
        if facts.status not in RENEWING:
            return "–"
        if facts.ends_at is None:
            return _("Renews")
        return _("Ends on %(day)s") % {"day": date_format(localtime(facts.ends_at), "SHORT_DATE_FORMAT")}

    @display(description=gettext_lazy("since"), ordering="row__created_at")
    def began(self, row: Subscription) -> str:
        return date_format(localtime(row.created), "SHORT_DATE_FORMAT") if row.created else "–"


def plan_name() -> Subquery:
    """The name of a subscription's plan, as its product has it."""
    return Subquery(Product.objects.filter(id=OuterRef("row__product_id")).values("name")[:1])


def facts_of(row: Subscription) -> SubscriptionFacts:
    """Read a row's facts once, though several columns ask."""
    if not hasattr(row, "_facts"):
        row._facts = subscription_facts(row.stripe_data)
    return row._facts  # type: ignore[no-any-return]


def amount_words(facts: SubscriptionFacts) -> str:
    """Say what one period costs before discounts and tax; where usage decides, say that."""
    amounts = [item.amount for item in facts.items]
    if not amounts or None in amounts:
        return _("by usage") if amounts else "–"
    money = format_money(sum(filter(None, amounts)), facts.currency, get_language() or "en")
    return f"{money} {interval_words(facts.items[0].interval, facts.items[0].interval_count)}"
