"""Amounts in words, as Stripe's messages have them: "$10.00", "¥5,000", "10.00 CHF"."""

from decimal import Decimal

from sandbox.currencies import MAXIMUM_CHARGE, MINIMUM_CHARGE, decimals
from sandbox.errors import ApiError

SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "cad": "CA$", "aud": "A$", "hkd": "HK$", "sgd": "S$"}


def in_words(amount: int, currency: str) -> str:
    """`amount` in the currency's minor unit."""
    digits = decimals(currency)
    number = f"{Decimal(amount).scaleb(-digits):,.{digits}f}"
    symbol = SYMBOLS.get(currency)
    return f"{symbol}{number}" if symbol else f"{number} {currency.upper()}"


def check_chargeable(amount: int, currency: str) -> None:
    """Raises Stripe's error for an amount that is too small or too large to be charged."""
    least = MINIMUM_CHARGE.get(currency, 1)
    if amount < least:
        raise ApiError(
            f"Amount must be at least {in_words(least, currency)} {currency}", code="amount_too_small", param="amount"
        )
    if amount > MAXIMUM_CHARGE:
        raise ApiError(
            f"Amount must be no more than {in_words(MAXIMUM_CHARGE, currency)} {currency}",
            code="amount_too_large",
            param="amount",
        )
