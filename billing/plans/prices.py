"""How prices are chosen and said."""

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.money import format_money
from billing.plans.catalog import Catalog

CURRENCY_OF_LANGUAGE = {"ja": "jpy", "en": "usd"}


def choose_currency(catalog: Catalog, *, fixed: str, asked: str, language: str) -> str:
    """Return the currency to show prices in, empty when nothing is on offer.

    `fixed` wins: a customer who has paid keeps their currency (Stripe docs: "Customer currency"). Then what the
    viewer asked for, then what their language suggests, then the first there is.
    """
    wishes = (fixed, asked, CURRENCY_OF_LANGUAGE.get(language.split("-")[0], ""))
    return choose(catalog.currencies, wishes)


def choose_interval(catalog: Catalog, currency: str, *, asked: str) -> str:
    """Return the interval to show, months unless asked otherwise; empty when nothing is on offer."""
    return choose(catalog.intervals(currency), (asked, "month"))


def choose(there: Sequence[str], wishes: Sequence[str]) -> str:
    for wish in wishes:
        if wish in there:
            return wish
    return there[0] if there else ""


def price_words(amount: int, currency: str, interval: str, count: int, language: str) -> str:
    """Say an amount and how often it is charged: "¥5,000 per month"."""
    money = format_money(amount, currency, language)
    return (_("%(money)s %(interval)s") % {"money": money, "interval": interval_words(interval, count)}).strip()


def interval_words(interval: str, count: int = 1) -> str:
    """Say how often: "per month", "every 3 months"; empty for an interval that we do not know."""
    if count == 1:
        return {"day": _("per day"), "week": _("per week"), "month": _("per month"), "year": _("per year")}.get(
            interval, ""
        )
    words = {
        "day": ngettext("every %(count)d day", "every %(count)d days", count),
        "week": ngettext("every %(count)d week", "every %(count)d weeks", count),
        "month": ngettext("every %(count)d month", "every %(count)d months", count),
        "year": ngettext("every %(count)d year", "every %(count)d years", count),
    }.get(interval, "")
    return words % {"count": count}
