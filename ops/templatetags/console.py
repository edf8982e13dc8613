"""The console's words in templates; each is one of `ops.console.display`."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.db.models import Model
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from djstripe.models.base import StripeModel

from billing.entitlements.access import Access
from billing.models import CheckoutOrder, InboxEvent
from ops.console import access_words, display
from ops.console.empty_words import what_comes
from ops.console.rule_words import delivery_pill, parsed
from ops.console.workflows.step_rows import LARGE
from ops.console.workflows.words import call_pill, outcome_pill, reason_words, short_resource, status_pill
from ops.models import DestinationRequest, Execution, Finding, TaskCall
from ops.remediation.words import words_of
from ops.workflows.asl.validate import Fault
from ops.workflows.steps import Step

register = template.Library()
BRIEF = 300  # letters
register.filter(what_comes)


@register.simple_tag
def inbox_state(event: InboxEvent) -> SafeString:
    return display.pill(event.get_state_display(), display.INBOX_TONES[event.state])


@register.simple_tag
def order_state(order: CheckoutOrder) -> SafeString:
    return display.pill(order.get_state_display(), display.ORDER_TONES[order.state])


@register.simple_tag
def subscription_state(status: str | None) -> SafeString:
    return display.stripe_pill(display.SUBSCRIPTION_STATES, status)


@register.simple_tag
def invoice_state(status: str | None) -> SafeString:
    return display.stripe_pill(display.INVOICE_STATES, status)


@register.simple_tag
def access_state(access: Access) -> SafeString:
    return display.stripe_pill(access_words.STATES, access.state)


@register.filter
def access_reason(access: Access) -> str:
    return access_words.reason_of(access)


@register.simple_tag
def request_came(row: DestinationRequest) -> SafeString:
    return display.pill(row.get_came_display(), display.CAME_TONES[row.came])


@register.simple_tag
def finding_state(finding: Finding) -> SafeString:
    return display.finding_pill(finding)


@register.simple_tag
def finding_title(finding: Finding) -> str:
    return words_of(finding).title


@register.simple_tag
def delivery_state(state: str) -> SafeString:
    return delivery_pill(state)


@register.simple_tag
def execution_state(row: Execution) -> SafeString:
    return status_pill(row.status, row.paused_at)


@register.simple_tag
def call_state(call: TaskCall) -> SafeString:
    return call_pill(call)


@register.simple_tag
def step_state(step: Step) -> SafeString:
    return outcome_pill(step.outcome)


@register.filter
def fault_reason(fault: Fault) -> str:
    return reason_words(fault.why)


@register.filter
def resource(arn: str) -> str:
    return short_resource(arn)


@register.filter
def brief(details: Mapping[str, Any]) -> str:
    """What an event carries on one line, cut; of what is too large to be read here, its size."""
    if LARGE in details:
        return gettext("%(n)d KiB") % {"n": details[LARGE] // 1024}
    text = json.dumps(details, ensure_ascii=False) if details else ""
    return text if len(text) <= BRIEF else f"{text[:BRIEF]}…"


@register.filter
def json_text(text: str) -> SafeString:
    """Show JSON that is still a text; one that is none stands as it is."""
    return display.json_block(parsed(text))


@register.filter
def command(sentence: str) -> SafeString:
    """Show what stands between backticks in monospace."""
    parts = sentence.split("`")
    shown = (format_html("<code>{}</code>" if odd % 2 else "{}", part) for odd, part in enumerate(parts))
    return format_html_join("", "{}", ((part,) for part in shown))


@register.filter
def named(thing: Any) -> str:
    """Name a kind or a row in the trail above a page; Stripe's objects go by their id.

    dj-stripe's kinds have no translation of their own, but the navigation has the same words.
    """
    if isinstance(thing, StripeModel):
        return str(thing.id)
    return str(thing) if isinstance(thing, Model) else capfirst(gettext(capfirst(str(thing))))


@register.filter
def kind_word(name: Any) -> str:
    """A kind's name inside a sentence: as it is, or in our words where its own library has none in the reader's."""
    ours = gettext(capfirst(str(name)))
    return ours if ours != capfirst(str(name)) else str(name)


@register.filter
def span(length: timedelta | None) -> str:
    return display.span(length)


@register.simple_tag
def ago(moment: datetime | None, now: datetime) -> str:
    return display.ago(moment, now)


@register.filter
def copyable(value: str) -> SafeString:
    return display.copyable(value)


@register.filter
def moment(at: datetime | None) -> SafeString:
    return display.moment(at)


@register.filter
def id_link(value: str) -> SafeString:
    return display.id_link(value)


@register.filter
def json_block(value: Any) -> SafeString:
    return display.json_block(value)
