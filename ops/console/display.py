"""How the console shows single values: states as pills, ids to copy, JSON with colours, spans of time."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext_lazy

from billing.models import InboxState, OrderState
from ops.models import BreakerState, Came, Finding, Severity


class Tone(StrEnum):
    """What a state means to who looks; always shown with an icon and a word."""

    GOOD = "good"
    WAITING = "waiting"
    ATTENTION = "attention"
    STOPPED = "stopped"


NOTHING = mark_safe('<span class="none">–</span>')  # lists on a phone leave it out
ICONS = {Tone.GOOD: "check_circle", Tone.WAITING: "schedule", Tone.ATTENTION: "error", Tone.STOPPED: "block"}

INBOX_TONES: Mapping[str, Tone] = {
    InboxState.RECEIVED: Tone.WAITING,
    InboxState.MIRRORED: Tone.GOOD,
    InboxState.STORED: Tone.STOPPED,
    InboxState.FAILED: Tone.ATTENTION,
}
ORDER_TONES: Mapping[str, Tone] = {
    OrderState.OPENING: Tone.WAITING,
    OrderState.OPEN: Tone.WAITING,
    OrderState.PAID: Tone.GOOD,
    OrderState.EXPIRED: Tone.STOPPED,
}
BREAKER_TONES: Mapping[str, Tone] = {
    BreakerState.CLOSED: Tone.GOOD,
    BreakerState.OPEN: Tone.ATTENTION,
    BreakerState.HALF_OPEN: Tone.WAITING,
}
CAME_TONES: Mapping[str, Tone] = {
    Came.UNKNOWN: Tone.WAITING,
    Came.DONE: Tone.GOOD,
    Came.RETRY: Tone.WAITING,
    Came.REFUSED: Tone.ATTENTION,
}
SEVERITY_TONES: Mapping[str, Tone] = {Severity.URGENT: Tone.ATTENTION, Severity.ATTENTION: Tone.WAITING}
# The words of the account pages, where they have one: what support reads is what the customer reads.
SUBSCRIPTION_STATES: Mapping[str, tuple[Any, Tone]] = {
    "active": (pgettext_lazy("subscription status", "Active"), Tone.GOOD),
    "trialing": (pgettext_lazy("subscription status", "Trial"), Tone.GOOD),
    "past_due": (pgettext_lazy("subscription status", "Past due"), Tone.ATTENTION),
    "unpaid": (pgettext_lazy("subscription status", "Unpaid"), Tone.ATTENTION),
    "incomplete": (pgettext_lazy("subscription status", "Waiting for payment"), Tone.WAITING),
    "paused": (pgettext_lazy("subscription status", "Paused"), Tone.STOPPED),
    "incomplete_expired": (pgettext_lazy("subscription status", "Lapsed"), Tone.STOPPED),
    "canceled": (pgettext_lazy("subscription status", "Canceled"), Tone.STOPPED),
}
INVOICE_STATES: Mapping[str, tuple[Any, Tone]] = {
    "draft": (pgettext_lazy("invoice status", "Draft"), Tone.WAITING),
    "open": (pgettext_lazy("invoice status", "Open"), Tone.WAITING),
    "paid": (pgettext_lazy("invoice status", "Paid"), Tone.GOOD),
    "void": (pgettext_lazy("invoice status", "Void"), Tone.STOPPED),
    "uncollectible": (pgettext_lazy("invoice status", "Uncollectible"), Tone.ATTENTION),
}


def pill(word: str, tone: Tone) -> SafeString:
    return format_html(
        '<span class="pill" data-tone="{}">'
        '<span class="material-symbols-outlined" aria-hidden="true">{}</span>{}</span>',
        tone.value,
        ICONS[tone],
        word,
    )


def stripe_pill(states: Mapping[str, tuple[Any, Tone]], status: str | None) -> SafeString:
    """Show one of Stripe's statuses; one that Stripe added since stands in Stripe's own word, waiting."""
    word, tone = states.get(status or "", (status or _("unknown"), Tone.WAITING))
    return pill(str(word), tone)


def finding_pill(finding: Finding) -> SafeString:
    """Say whether a finding is closed, whether somebody sees to it, else how much it matters."""
    if finding.closed_at:
        return pill(_("Closed"), Tone.GOOD)
    if finding.acknowledged_at:
        return pill(_("Somebody sees to it"), Tone.WAITING)
    return pill(finding.get_severity_display(), SEVERITY_TONES[finding.severity])


def copyable(value: str) -> SafeString:
    """Show an id in monospace with a button that copies it."""
    if not value:
        return NOTHING
    return format_html(
        '<span class="copyable"><code>{}</code><button type="button" data-copy="{}" aria-label="{}" title="{}">'
        '<span class="material-symbols-outlined" aria-hidden="true">content_copy</span></button></span>',
        value,
        value,
        _("Copy %(value)s") % {"value": value},
        _("Copy"),
    )


def id_link(value: str) -> SafeString:
    """Show an id that leads to its own page; which that is, the console finds out when it is opened."""
    if not value:
        return NOTHING
    return format_html('<a class="id-link" href="{}"><code>{}</code></a>', reverse("admin:find", args=[value]), value)


# Ids of the things that have a page here. Keys of idempotency and secrets have other beginnings.
# Products and prices may have ids of one's own choice.
LINKED = re.compile(r"^(?:(?:sub|cus|in|evt|org)_[A-Za-z0-9]{6,}|(?:price|prod)_[A-Za-z0-9_]{4,})$")
# A key and its colon, a string, a number, or one of JSON's three words, in text that `json.dumps` wrote.
TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|\b(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\b|\b(true|false|null)\b')


def json_block(value: Any) -> SafeString:
    """Write JSON indented, coloured, its ids linked; for a `<pre>`. Everything in it is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return coloured(text) if len(text) <= COLOURED else escape(text)


@dataclass(frozen=True)
class ShownJson:
    """JSON for a page that shows more than it: whole, or its beginning with the size of the whole in letters."""

    html: SafeString
    size: int
    is_cut: bool


def shown_json(value: Any) -> ShownJson:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if len(text) <= AMONG_OTHERS:
        return ShownJson(coloured(text), len(text), is_cut=False)
    return ShownJson(escape(f"{text[:BEGINNING]} …"), len(text), is_cut=True)


COLOURED = 100_000  # letters; a longer text is shown without colours
AMONG_OTHERS, BEGINNING = 20_000, 4_000


def coloured(text: str) -> SafeString:
    parts, last = [], 0
    for match in TOKEN.finditer(text):
        parts += [escape(text[last : match.start()]), token_html(match)]
        last = match.end()
    parts.append(escape(text[last:]))
    return mark_safe("".join(parts))  # noqa: S308 - every part is escaped above


def token_html(match: re.Match[str]) -> SafeString:
    string, colon, number, word = match.groups()
    if colon:
        return format_html('<span class="k">{}</span>{}', string, colon)
    if string:
        inner = string[1:-1]
        if LINKED.match(inner):
            return format_html('"<a class="s" href="{}">{}</a>"', reverse("admin:find", args=[inner]), inner)
        return format_html('<span class="s">{}</span>', string)
    return format_html('<span class="n">{}</span>', number or word)


def moment(at: datetime | None) -> SafeString:
    """Write a moment to the second in the operator's zone, on one line."""
    if at is None:
        return NOTHING
    here = localtime(at)
    day = date_format(here, "SHORT_DATE_FORMAT")
    return format_html(
        '<time class="nowrap" datetime="{}">{} {}</time>', at.isoformat(), day, here.strftime("%H:%M:%S")
    )


def span(length: timedelta | None) -> str:
    """Say a length of time in its largest sensible unit: "0.4 s", "12 s", "3 min", "5 h", "2 days"."""
    if length is None:
        return "–"
    seconds = max(length.total_seconds(), 0.0)
    if seconds < 10:
        return _("%(n).1f s") % {"n": seconds}
    if seconds < 120:
        return _("%(n)d s") % {"n": seconds}
    if seconds < 7200:
        return _("%(n)d min") % {"n": seconds // 60}
    if seconds < 172_800:
        return _("%(n)d h") % {"n": seconds // 3600}
    days = int(seconds // 86_400)
    return ngettext("%(n)d day", "%(n)d days", days) % {"n": days}


def ago(moment: datetime | None, now: datetime) -> str:
    """Say how long ago a moment was: "3 min ago"."""
    if moment is None:
        return "–"
    since = now - moment
    return _("just now") if since < timedelta(seconds=1) else _("%(span)s ago") % {"span": span(since)}
