"""The sentences on invoice lines, as Stripe writes them: English, amounts with the currency's symbol. Pure."""

import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from babel.core import Locale
from babel.numbers import format_currency

from sandbox.currencies import decimals

ENGLISH = Locale("en", "US")


@lru_cache(4096)
def money(amount: int | Decimal, currency: str, *, locale: Locale = ENGLISH) -> str:
    """An amount in minor units as its readers write it: $20.00, ¥3,000."""
    value = Decimal(amount).scaleb(-decimals(currency))
    whole = Decimal(amount) == int(amount)
    return str(format_currency(value, currency.upper(), locale=locale, decimal_quantization=whole))


def subscription_line(product: str, price: dict[str, Any], quantity: int | Decimal) -> str:
    """1 × Pro (at $20.00 / month)"""
    if price.get("unit_amount_decimal") is None:
        return f"{count(quantity)} × {product}"
    amount = money(Decimal(price["unit_amount_decimal"]), price["currency"])
    return f"{count(quantity)} × {product} (at {amount} / {every(price['recurring'])})"


def count(quantity: int | Decimal) -> str:
    """5, 0.25"""
    return format(Decimal(quantity).normalize(), "f")


def tier_line(product: str, units: int | Decimal | None, at: Decimal, tier: int, price: dict[str, Any]) -> str:
    """5 × Pro (Tier 1 at $7.00 / month); without `units` the flat amount of a tier."""
    sold = product if units is None else f"{count(units)} × {product}"
    return f"{sold} (Tier {tier} at {money(at, price['currency'])} / {every(price['recurring'])})"


def every(recurring: dict[str, Any]) -> str:
    """month, 3 months"""
    count = recurring["interval_count"]
    return str(recurring["interval"]) if count == 1 else f"{count} {recurring['interval']}s"


def trial_line(product: str) -> str:
    return f"Trial period for {product}"


def unused_line(product: str, quantity: int, at: int) -> str:
    return f"Unused time on {_times(product, quantity)} after {_day(at)}"


def remaining_line(product: str, quantity: int, at: int) -> str:
    return f"Remaining time on {_times(product, quantity)} after {_day(at)}"


def _times(product: str, quantity: int) -> str:
    return product if quantity == 1 else f"{quantity} × {product}"


def _day(at: int) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%d %b %Y")
