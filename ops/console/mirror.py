"""The other mirrored objects: customers, invoices, products, prices; what Stripe says, with its events."""

from collections.abc import Sequence
from typing import Any

from django.contrib.admin import register
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from djstripe.models import Customer, Invoice, Price, Product
from unfold.contrib.filters.admin import BooleanRadioFilter, DropdownFilter
from unfold.decorators import display

from billing.mirror.facts import InvoiceFacts, invoice_facts
from billing.models import InboxEvent
from billing.money import format_money
from billing.plans.prices import interval_words
from ops.console.columns import mode, shown
from ops.console.display import INVOICE_STATES, id_link, stripe_pill
from ops.console.many import whose
from ops.console.readonly import PageAdmin
from ops.console.site import console
from ops.console.subscription_page import dashboard_url

EVENTS = 50
EMAIL = shown("email", gettext_lazy("e-mail address"))
CREATED = shown("created", gettext_lazy("created"))


class MirrorAdmin(PageAdmin):
    """One mirrored object: its facts, its events in time order, its JSON, its page at Stripe."""

    change_form_template = "ops/mirrored.html"
    ordering: Sequence[str] = ("-created", "-pk")

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        events = InboxEvent.objects.filter(object_id=row.id).defer("payload").order_by("-occurred_at", "-pk")
        return {
            "row": row,
            "facts": self.facts_shown(row),
            "events": events[:EVENTS],
            "dashboard_url": dashboard_url(row) if hasattr(row, "get_stripe_dashboard_url") else "",
        }

    def facts_shown(self, row: Any) -> list[tuple[Any, Any]]:
        """Return the words and values that stand above the JSON."""
        raise NotImplementedError

    @display(description=gettext_lazy("id"), ordering="id")
    def id_shown(self, row: Any) -> SafeString:
        return format_html("<code>{}</code>", row.id)


@register(Customer, site=console)
class CustomerAdmin(MirrorAdmin):
    list_display = ("id_shown", shown("subscriber", gettext_lazy("organization")), EMAIL, mode, CREATED)
    list_select_related = ("subscriber",)
    search_fields = ("id",)
    search_help_text = gettext_lazy("Organization, e-mail address or customer id")
    ordering = ("-pk",)  # as they came: no index has the time of their creation

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Customer], search_term: str
    ) -> tuple[QuerySet[Customer], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        named = whose(term, customer="id", organization="subscriber")
        return queryset.filter(named | Q(email__iexact=term) if "@" in term else named), False

    list_filter = (("livemode", BooleanRadioFilter),)
    list_filter_submit = True

    def facts_shown(self, row: Customer) -> list[tuple[Any, Any]]:
        return [
            (_("Organization"), row.subscriber or "–"),
            (_("E-mail address"), row.email or "–"),
            (_("Name"), row.stripe_data.get("name") or "–"),
            (_("Payment method"), id_link(row.default_payment_method_id or "")),
        ]


class InvoiceStatusFilter(DropdownFilter):
    title = gettext_lazy("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(status, word) for status, (word, _tone) in INVOICE_STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> QuerySet[Invoice]:
        return queryset.filter(row__status=self.value()) if self.value() else queryset


@register(Invoice, site=console)
class InvoiceAdmin(MirrorAdmin):
    list_display = ("number", "organization", "status", "total", "subscription_shown", CREATED)
    list_filter = (InvoiceStatusFilter,)
    list_filter_submit = True
    search_fields = ("id",)
    search_help_text = gettext_lazy("Organization, e-mail address, number, invoice id or customer id")
    ordering = ("-row__created_at", "-row__invoice")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invoice]:
        found: QuerySet[Invoice] = super().get_queryset(request).filter(row__isnull=False)
        with_customer = found.select_related("row", "customer__subscriber")
        return with_customer.defer("customer__stripe_data", "customer__metadata")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Invoice], search_term: str
    ) -> tuple[QuerySet[Invoice], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        named = whose(term, customer="row__customer_id", organization="row__organization")
        return queryset.filter(named | Q(row__pk=term) | Q(row__number=term)), False

    def facts_shown(self, row: Invoice) -> list[tuple[Any, Any]]:
        facts = invoice_facts(row.stripe_data)
        language = get_language() or "en"
        return [
            (_("Number"), row.stripe_data.get("number") or "–"),
            (_("Organization"), self.organization(row)),
            (_("Status"), stripe_pill(INVOICE_STATES, row.stripe_data.get("status"))),
            (_("Total"), format_money(facts.total, facts.currency, language)),
            (_("Paid"), format_money(facts.amount_paid, facts.currency, language)),
            (_("Remaining"), format_money(facts.amount_remaining, facts.currency, language)),
            (_("Customer"), id_link(facts.customer_id)),
            (_("Subscription"), id_link(facts.subscription_id)),
        ]

    @display(description=gettext_lazy("number"), ordering="row__number")
    def number(self, row: Invoice) -> SafeString:
        return format_html("<code>{}</code>", row.stripe_data.get("number") or row.id)

    @display(description=gettext_lazy("organization"))
    def organization(self, row: Invoice) -> SafeString | str:
        customer = row.customer
        return str(customer.subscriber or customer.email or customer.id) if customer else "–"

    @display(description=gettext_lazy("status"), ordering="row__status")
    def status(self, row: Invoice) -> SafeString:
        return stripe_pill(INVOICE_STATES, row.stripe_data.get("status"))

    @display(description=gettext_lazy("total"))
    def total(self, row: Invoice) -> SafeString:
        data = row.stripe_data
        money = format_money(data.get("total") or 0, data.get("currency") or "", get_language() or "en")
        return format_html('<span class="figure">{}</span>', money)

    @display(description=gettext_lazy("subscription"))
    def subscription_shown(self, row: Invoice) -> SafeString:
        facts: InvoiceFacts = invoice_facts(row.stripe_data)
        return id_link(facts.subscription_id)


@register(Product, site=console)
class ProductAdmin(MirrorAdmin):
    list_display = (shown("name", gettext_lazy("name")), "id_shown", "plan_key", "active", CREATED)
    list_filter = (("active", BooleanRadioFilter),)
    list_filter_submit = True
    search_fields = ("id", "name")
    search_help_text = gettext_lazy("Name or product id")

    def facts_shown(self, row: Product) -> list[tuple[Any, Any]]:
        return [
            (_("Name"), row.name),
            (_("Plan key"), self.plan_key(row)),
            (_("Active"), _("Yes") if row.active else _("No")),
        ]

    @display(description=gettext_lazy("plan key"))
    def plan_key(self, row: Product) -> str:
        return str((row.stripe_data.get("metadata") or {}).get("kessai_plan") or "–")


@register(Price, site=console)
class PriceAdmin(MirrorAdmin):
    list_display = (
        "amount",
        shown("product", gettext_lazy("product")),
        shown("lookup_key", gettext_lazy("lookup key")),
        "id_shown",
        "active",
        CREATED,
    )
    list_select_related = ("product",)
    list_filter = (("active", BooleanRadioFilter),)
    list_filter_submit = True
    search_fields = ("id", "lookup_key", "nickname", "product__name")
    search_help_text = gettext_lazy("Product, lookup key or price id")

    def facts_shown(self, row: Price) -> list[tuple[Any, Any]]:
        return [
            (_("Amount"), self.amount(row)),
            (_("Product"), id_link(row.product_id or "")),
            (_("Lookup key"), row.lookup_key or "–"),
            (_("Active"), _("Yes") if row.active else _("No")),
        ]

    @display(description=gettext_lazy("amount"))
    def amount(self, row: Price) -> str:
        data = row.stripe_data
        if data.get("unit_amount") is None:
            return _("by usage or in tiers")
        recurring = data.get("recurring") or {}
        money = format_money(data["unit_amount"], data["currency"], get_language() or "en")
        every = interval_words(recurring.get("interval") or "", recurring.get("interval_count") or 1)
        return f"{money} {every}".strip()
