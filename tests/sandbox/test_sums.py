"""What prices come to."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.billing.periods import Period
from sandbox.billing.sums import price_amount, unused
from sandbox.billing.wording import money, subscription_line


def tier(up_to: int | None, unit: str, flat: str = "0") -> dict[str, Any]:
    return {"up_to": up_to, "unit_amount_decimal": unit, "flat_amount_decimal": flat}


TIERS = [tier(5, "500"), tier(10, "400"), tier(None, "300")]


@pytest.mark.parametrize(
    ("price", "quantity", "amount"),
    [
        ({"unit_amount_decimal": "3000"}, 2, 6000),
        ({"unit_amount_decimal": "0.5"}, 3, 2),  # 1.5 is rounded away from zero
        ({"unit_amount_decimal": "3000"}, None, 0),  # metered: not known yet
        ({"unit_amount_decimal": "100", "transform_quantity": {"divide_by": 10, "round": "up"}}, 11, 200),
        ({"unit_amount_decimal": "100", "transform_quantity": {"divide_by": 10, "round": "down"}}, 19, 100),
        # Stripe docs, "Pricing models": graduated, 5 at 500, 5 at 400, 5 at 300
        ({"billing_scheme": "tiered", "tiers_mode": "graduated", "_tiers": TIERS}, 15, 6000),
        ({"billing_scheme": "tiered", "tiers_mode": "volume", "_tiers": TIERS}, 15, 4500),
        ({"billing_scheme": "tiered", "tiers_mode": "volume", "_tiers": TIERS}, 5, 2500),
        ({"billing_scheme": "tiered", "tiers_mode": "graduated", "_tiers": [tier(None, "1", "1000")]}, 0, 1000),
    ],
)
def test_a_price_comes_to(price: dict[str, Any], quantity: int | None, amount: int) -> None:
    assert price_amount(price, quantity) == amount


@given(st.integers(0, 10_000_000), st.integers(1, 10_000_000), st.integers(0, 10_000_000))
def test_a_share_is_rounded_to_the_nearest_unit_both_ways(amount: int, seconds: int, used: int) -> None:
    period = Period(1000, 1000 + seconds)
    at = period.start + min(used, seconds)
    left, credit = unused(amount, period, at), unused(-amount, period, at)
    exact = Decimal(amount) * (period.end - at) / seconds
    assert abs(exact - left) <= Decimal("0.5")
    assert credit == -left


def test_half_of_the_time_is_half_of_the_amount() -> None:
    assert unused(3000, Period(0, 100), 50) == 1500


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [(2000, "usd", "$20.00"), (3000, "jpy", "¥3,000"), (Decimal("12.5"), "usd", "$0.125"), (-980, "eur", "-€9.80")],
)
def test_an_amount_is_written_in_its_currency(amount: Any, currency: str, words: str) -> None:
    assert money(amount, currency) == words


def test_a_line_says_what_is_sold_as_stripe_says_it() -> None:
    price = {
        "unit_amount_decimal": "2000",
        "currency": "usd",
        "recurring": {"interval": "month", "interval_count": 3},
    }
    assert subscription_line("Pro", price, 2) == "2 × Pro (at $20.00 / 3 months)"
