"""Columns and fields whose models have no words for people: dj-stripe's, Celery's, and plain ones of our own."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from ops.console.display import NOTHING, moment


def shown(name: str, words: Any) -> Callable[[Any], Any]:
    """Show the attribute `name` under `words`: moments as everywhere in the console, yes or no as a word."""

    @display(description=words, ordering=name)
    def column(row: Any) -> Any:
        value = getattr(row, name)
        if isinstance(value, datetime):
            return moment(value)
        if isinstance(value, bool):
            return _("Yes") if value else _("No")
        return NOTHING if value in (None, "") else value

    column.__name__ = name  # the cell's class
    return cast(Callable[[Any], Any], column)


@display(description=gettext_lazy("mode"), ordering="livemode")
def mode(row: Any) -> str:
    return _("Live") if row.livemode else _("Test mode")
