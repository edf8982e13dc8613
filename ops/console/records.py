"""What the portal itself wrote down: activities, checkout orders, staff acts. Shown, never edited."""

from typing import Any

from django.contrib.admin import register
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from billing.models import Activity, CheckoutOrder
from ops.console.columns import shown
from ops.console.display import ORDER_TONES, copyable, id_link, json_block, pill
from ops.console.readonly import ReadOnlyAdmin
from ops.console.site import console
from ops.models import StaffAct

AT = shown("at", gettext_lazy("at"))
ORGANIZATION = shown("organization", gettext_lazy("organization"))
DEDUP_KEY = shown("dedup_key", gettext_lazy("told once under"))
ACTOR = shown("actor", gettext_lazy("operator"))
CREATED = shown("created_at", gettext_lazy("begun"))
EXPIRES = shown("expires_at", gettext_lazy("expires"))
FINISHED = shown("finished_at", gettext_lazy("finished"))


def json_pre(value: Any) -> SafeString:
    return format_html('<pre class="json">{}</pre>', json_block(value))


@register(Activity, site=console)
class ActivityAdmin(ReadOnlyAdmin):
    list_display = (AT, ORGANIZATION, "verb", "subject")
    list_select_related = ("organization",)
    search_fields = ("verb", "subject_id", "organization__name")
    search_help_text = gettext_lazy("Organization, verb or subject id")
    leafed_by = ("pk",)
    fields = (AT, ORGANIZATION, "verb", "subject", "data_shown", DEDUP_KEY)
    readonly_fields = (AT, ORGANIZATION, "subject", "data_shown", DEDUP_KEY)

    @display(description=gettext_lazy("subject"), ordering="subject_id")
    def subject(self, activity: Activity) -> SafeString:
        return id_link(activity.subject_id)

    @display(description=gettext_lazy("data"))
    def data_shown(self, activity: Activity) -> SafeString:
        return json_pre(activity.data)


@register(CheckoutOrder, site=console)
class CheckoutOrderAdmin(ReadOnlyAdmin):
    list_display = (ORGANIZATION, "state_shown", "price", "subscription", CREATED, FINISHED)
    list_select_related = ("organization",)
    list_filter = (("state", ChoicesDropdownFilter),)
    list_filter_submit = True
    search_fields = ("organization__name", "price_id", "session_id", "subscription_id", "idempotency_key")
    search_help_text = gettext_lazy("Organization, price, session, subscription or key")
    leafed_by = ("pk",)
    fields = (
        ORGANIZATION,
        "state_shown",
        ("price", "subscription"),
        ("session", "key"),
        (CREATED, EXPIRES),
        FINISHED,
    )
    readonly_fields = (
        *(ORGANIZATION, "state_shown", "price", "subscription", "session", "key"),
        *(CREATED, EXPIRES, FINISHED),
    )

    @display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, order: CheckoutOrder) -> SafeString:
        return pill(order.get_state_display(), ORDER_TONES[order.state])

    @display(description=gettext_lazy("price"), ordering="price_id")
    def price(self, order: CheckoutOrder) -> SafeString:
        return id_link(order.price_id)

    @display(description=gettext_lazy("subscription"), ordering="subscription_id")
    def subscription(self, order: CheckoutOrder) -> SafeString:
        return id_link(order.subscription_id)

    @display(description=gettext_lazy("checkout session"))
    def session(self, order: CheckoutOrder) -> SafeString:
        return copyable(order.session_id)

    @display(description=gettext_lazy("idempotency key"))
    def key(self, order: CheckoutOrder) -> SafeString:
        return copyable(order.idempotency_key)


@register(StaffAct, site=console)
class StaffActAdmin(ReadOnlyAdmin):
    list_display = (AT, ACTOR, "act", "subject_kind", "subject", "reason")
    list_select_related = ("actor",)
    search_fields = ("subject_id", "actor__email", "actor__name", "act", "reason")
    search_help_text = gettext_lazy("Operator, act, subject id or reason")
    leafed_by = ("pk",)
    fields = ((AT, ACTOR), ("act", "subject_kind", "subject"), "reason", "before_shown", "after_shown")
    readonly_fields = (AT, ACTOR, "subject", "before_shown", "after_shown")

    @display(description=gettext_lazy("subject"), ordering="subject_id")
    def subject(self, act: StaffAct) -> SafeString:
        return id_link(act.subject_id)

    @display(description=gettext_lazy("before"))
    def before_shown(self, act: StaffAct) -> SafeString:
        return json_pre(act.before)

    @display(description=gettext_lazy("after"))
    def after_shown(self, act: StaffAct) -> SafeString:
        return json_pre(act.after)
