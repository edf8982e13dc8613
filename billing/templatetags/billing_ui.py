"""What templates need to show money, days and states: `{% load billing_ui %}`."""

from datetime import date, datetime, time
from typing import Any
from urllib.parse import urlsplit

from babel.numbers import format_percent
from django import template
from django.http import QueryDict
from django.template import Context
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from accounts.onward import plan_page
from billing.mirror import querysets
from billing.money import format_money, locale_of
from billing.plans.choice import Choice, find_choice
from billing.thread.words import date_words, day_words, moment_words

register = template.Library()

NOTHING = "–"

# The four meanings. Stripe's statuses of subscriptions and invoices do not collide.
TONES = {
    "active": "good",
    "trialing": "good",
    "paid": "good",
    "incomplete": "waiting",
    "draft": "waiting",
    "open": "waiting",
    "pending": "waiting",
    "past_due": "attention",
    "unpaid": "attention",
    "uncollectible": "attention",
    "canceled": "stopped",
    "incomplete_expired": "stopped",
    "paused": "stopped",
    "void": "stopped",
    "expired": "stopped",
}
WORDS = {
    "active": pgettext_lazy("subscription status", "Active"),
    "trialing": pgettext_lazy("subscription status", "Trial"),
    "incomplete": pgettext_lazy("subscription status", "Waiting for payment"),
    "incomplete_expired": pgettext_lazy("subscription status", "Lapsed"),
    "past_due": pgettext_lazy("subscription status", "Past due"),
    "unpaid": pgettext_lazy("subscription status", "Unpaid"),
    "paused": pgettext_lazy("subscription status", "Paused"),
    "canceled": pgettext_lazy("subscription status", "Canceled"),
    "paid": pgettext_lazy("invoice status", "Paid"),
    "open": pgettext_lazy("invoice status", "Open"),
    "draft": pgettext_lazy("invoice status", "Draft"),
    "void": pgettext_lazy("invoice status", "Void"),
    "uncollectible": pgettext_lazy("invoice status", "Uncollectible"),
    "pending": _("Pending"),
    "expired": _("Expired"),
}
MESSAGE_TONES = {"debug": "waiting", "info": "waiting", "success": "good", "warning": "attention", "error": "attention"}
ICONS_OF_TONES = {"good": "check", "waiting": "clock", "attention": "alert", "stopped": "stop"}


@register.simple_tag
def money(amount: int | None, currency: str | None) -> str:
    """Write an amount of minor units in the active language; a dash where there is none."""
    if amount is None or not currency:
        return NOTHING
    return format_money(amount, currency, get_language() or "en")


@register.simple_tag(takes_context=True)
def day(context: Context, value: datetime | date | None) -> str:
    """Write a day in the active language and zone, with its weekday when near and its year when another one."""
    if value is None:
        return NOTHING
    return day_words(aware(value), now=now_of(context), language=get_language() or "en")


@register.simple_tag
def full_day(value: datetime | date | None) -> str:
    """Write a day as documents do: in full, with its year."""
    return date_words(aware(value), language=get_language() or "en") if value else NOTHING


@register.simple_tag(takes_context=True)
def moment(context: Context, value: datetime | None) -> str:
    """Write a day with its time and zone."""
    if value is None:
        return NOTHING
    return moment_words(aware(value), now=now_of(context), language=get_language() or "en")


def aware(value: datetime | date) -> datetime:
    """Return a moment for a day: its noon in the active zone, so that no zone makes another day of it."""
    if isinstance(value, datetime):
        return value if timezone.is_aware(value) else timezone.make_aware(value)
    return timezone.make_aware(datetime.combine(value, time(12)))


def now_of(context: Context) -> datetime:
    """Return the page's own now where its view gave one."""
    given = context.get("now")
    return given if isinstance(given, datetime) else timezone.now()


@register.simple_tag
def percentage(part: float, whole: float) -> str:
    """Write part of whole as a whole percentage; a dash when there is no whole."""
    if not whole:
        return NOTHING
    return format_percent(part / whole, locale=locale_of(get_language() or "en"))


@register.filter
def state_tone(status: Any) -> str:
    """Name the meaning (good, waiting, attention, stopped) of one of Stripe's statuses."""
    return TONES.get(str(status), "stopped")


@register.filter
def state_word(status: Any) -> str:
    """Say one of Stripe's statuses in the active language; one that Stripe adds later is shown as Stripe writes it."""
    return str(WORDS.get(str(status)) or str(status).replace("_", " ").capitalize())


@register.filter
def message_tone(level_tag: str) -> str:
    return MESSAGE_TONES.get(level_tag, "waiting")


@register.filter
def tone_icon(tone: str) -> str:
    return ICONS_OF_TONES.get(tone, "dot")


@register.simple_tag
def chosen_plan(address: str | None) -> Choice | None:
    """Return the plan to whose page this address leads, where it leads to one and the plan is on offer."""
    page = plan_page(address or "")
    if not page:
        return None
    return find_choice(querysets.catalog(), QueryDict(urlsplit(page).query).dict(), language=get_language() or "en")


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw one of the sprite's icons; it is decoration, a word always stands beside it."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("kessai/icons.svg"),
        name,
    )
