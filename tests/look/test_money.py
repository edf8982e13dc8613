"""Money is written as its reader writes it, and nothing of it is lost on the way."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import THREE_DECIMAL, ZERO_DECIMAL, format_money, minor_digits, to_major

AMOUNTS = st.integers(min_value=-(10**14), max_value=10**14)
CURRENCIES = st.sampled_from(["jpy", "usd", "eur", "kwd", "krw", "rsd", "huf", "twd", "gbp", "xof", "bhd"])


@pytest.mark.parametrize(
    ("amount", "currency", "language", "written"),
    [
        (5000, "jpy", "en", "¥5,000"),  # no minor unit: 5000 are five thousand
        (5000, "jpy", "ja", "¥5,000"),  # the half-width sign, which lines up in columns
        (5000, "JPY", "de", "5.000\xa0¥"),
        (5000, "usd", "en", "$50.00"),
        (5000, "eur", "de", "50,00\xa0€"),
        (1234, "kwd", "en", "KWD\xa01.234"),  # three digits
        (1050, "rsd", "en", "RSD\xa010.50"),  # CLDR reads dinars as whole and would round
        (500, "isk", "en", "ISK\xa05"),  # counted in hundredths, read whole
        (550, "isk", "en", "ISK\xa05.50"),  # unless that would lose something
        (-4990, "eur", "en", "-€49.90"),
        (0, "usd", "en", "$0.00"),
        (100_000_000_000_000, "usd", "en", "$1,000,000,000,000.00"),
        (5000, "usd", "?!", "$50.00"),
    ],
)
def test_money_is_written_as_its_reader_writes_it(amount: int, currency: str, language: str, written: str) -> None:
    assert format_money(amount, currency, language) == written


@given(amount=AMOUNTS, currency=CURRENCIES, language=st.sampled_from(["en", "ja", "de", "fr", "pt-br"]))
def test_the_digits_written_are_the_digits_owed(amount: int, currency: str, language: str) -> None:
    written = format_money(amount, currency, language)
    shown = int("".join(re.findall(r"\d", written)))
    assert shown == abs(amount)
    assert (amount < 0) == bool(re.search(r"[-−\u2212]", written))


@given(amount=AMOUNTS, currency=CURRENCIES)
def test_the_major_unit_holds_exactly_the_minor_units(amount: int, currency: str) -> None:
    assert to_major(amount, currency) * Decimal(10) ** minor_digits(currency) == amount


def test_no_currency_counts_in_two_ways() -> None:
    assert not ZERO_DECIMAL & THREE_DECIMAL
