"""Money as people read it: an integer of the currency's minor unit in, words of the reader's language out. Pure."""

import re
from decimal import Decimal
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.numbers import NumberPattern

# Stripe docs: "Zero-decimal currencies".
ZERO_DECIMAL = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
# Stripe docs: "Three-decimal currencies".
THREE_DECIMAL = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
# CLDR's alphaNextToNumber: a currency written in letters keeps a space before its figures (CHF 10.00).
LETTERS_AT_FIGURES = re.compile(r"([^\W\d_])(?=\d)")
# Stripe docs: "Special cases": counted in hundredths though the currency has none; read without them.
READ_WHOLE = frozenset(["ISK", "UGX"])


def minor_digits(currency: str) -> int:
    """Return how many decimal digits Stripe's integer amounts of a currency (ISO 4217, any case) carry."""
    code = currency.upper()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


def to_major(amount: int, currency: str) -> Decimal:
    """Return an amount of minor units in the currency's own unit, exactly: 1050 usd is Decimal("10.50")."""
    return Decimal(amount).scaleb(-minor_digits(currency))


def format_money(amount: int, currency: str, language: str) -> str:
    """Write an amount of minor units as readers of a language do: ¥5,000, $50.00, 50,00 €. Nothing is rounded.

    `currency` is an ISO 4217 code in any case, `language` a BCP 47 tag; one that is unknown reads as English.
    """
    code = currency.upper()
    value = to_major(amount, code)
    digits = 0 if code in READ_WHOLE and value == value.to_integral_value() else minor_digits(code)
    locale = locale_of(language)
    written = currency_pattern(locale, digits).apply(value, locale, currency=code, currency_digits=False)
    written = LETTERS_AT_FIGURES.sub("\\1\N{NO-BREAK SPACE}", written)
    return written.replace("￥", "¥")  # CLDR's full-width yen sign tears figures apart in a column


@lru_cache(maxsize=64)
def locale_of(language: str) -> Locale:
    try:
        return Locale.parse(language.replace("_", "-"), sep="-")
    except (ValueError, UnknownLocaleError):
        return Locale("en")


@lru_cache(maxsize=256)
def currency_pattern(locale: Locale, digits: int) -> NumberPattern:
    """Return the locale's way to write money, with exactly `digits` decimals.

    CLDR's own digits are no use: it reads some of Stripe's two-decimal currencies as whole and would round.
    """
    standard = locale.currency_formats["standard"]
    return NumberPattern(
        standard.pattern,
        standard.prefix,
        standard.suffix,
        standard.grouping,
        standard.int_prec,
        (digits, digits),
        standard.exp_prec,
        standard.exp_plus,
        standard.number_pattern,
    )
