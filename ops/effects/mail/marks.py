"""What letters may use besides Django's own tags: a button, money, days. Loaded into every letter.

{% button invoice.pay_url %}Pay {{ invoice.owed }}{% endbutton %}
{{ data.fee|money }}        {"amount": 500, "currency": "jpy"} as the reader writes it
{{ data.until|day }}        an RFC 3339 moment as a day in the reader's language and zone
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.template import Context, Node, NodeList
from django.template.base import FilterExpression, Parser, Token
from django.utils.translation import get_language

from billing.money import format_money
from billing.thread.words import date_words, moment_words

register = template.Library()
# Private characters that no value may hold: what stands between them was written by the letter alone.
OPENS, PARTS, CLOSES = "\ue000", "\ue001", "\ue002"
PRIVATE = str.maketrans("", "", OPENS + PARTS + CLOSES + "\ue003")


class Button(Node):
    def __init__(self, url: FilterExpression, label: NodeList) -> None:
        self.url, self.label = url, label

    def render(self, context: Context) -> str:
        return f"\n\n{OPENS}{self.url.resolve(context)}{PARTS}{self.label.render(context).strip()}{CLOSES}\n\n"


@register.tag
def button(parser: Parser, token: Token) -> Button:
    """A link that is an act: a button in HTML, a line of its own in text."""
    parts = token.split_contents()
    if len(parts) != 2:
        raise template.TemplateSyntaxError("A button has one address: {% button invoice.pay_url %}Pay{% endbutton %}")
    label = parser.parse(("endbutton",))
    parser.delete_first_token()
    return Button(parser.compile_filter(parts[1]), label)


@register.filter
def money(value: Mapping[str, Any]) -> str:
    """{"amount": minor units, "currency": …} in the reader's language. Raises ValueError for anything else."""
    try:
        return format_money(int(value["amount"]), str(value["currency"]), get_language() or "en")
    except (TypeError, KeyError) as error:
        raise ValueError(f'money is {{"amount": minor units, "currency": …}}, not {value!r}') from error


@register.filter
def day(value: str | datetime) -> str:
    """A moment as a day with its year."""
    return date_words(moment_in(value), language=get_language() or "en")


@register.filter
def moment(value: str | datetime, now: datetime) -> str:
    """A moment with its time and zone: `{{ data.until|moment:now }}`."""
    return moment_words(moment_in(value), now=now, language=get_language() or "en")


def moment_in(value: str | datetime) -> datetime:
    read = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if read.tzinfo is None:
        raise ValueError(f"{value} names no time zone")
    return read
