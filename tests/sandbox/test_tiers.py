"""Tiers, packages and fractions of the smallest coin."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.billing.sums import price_amount
from sandbox.billing.tiers import parts

FONTS = [(5, "700", None), (10, "650", None), (None, "600", None)]
"""The tiers of Stripe docs, "Set up tiered pricing": 7, 6.50 and 6 dollars."""
WITH_FLAT = [(5, "500", "1000"), (10, "400", "2000"), (15, "300", "3000"), (20, "200", "4000"), (None, "100", "5000")]
"""The tiers of its section "Add a flat rate"."""


def tiered(mode: str, tiers: Any) -> dict[str, Any]:
    kept = [{"up_to": up_to, "unit_amount_decimal": unit, "flat_amount_decimal": flat} for up_to, unit, flat in tiers]
    return {"billing_scheme": "tiered", "tiers_mode": mode, "_tiers": kept}


@pytest.mark.parametrize(
    ("mode", "tiers", "quantity", "amount"),
    [
        # Stripe docs, "Set up tiered pricing", the two tables
        ("volume", FONTS, 1, 700),
        ("volume", FONTS, 5, 3500),
        ("volume", FONTS, 6, 3900),
        ("volume", FONTS, 20, 12000),
        ("volume", FONTS, 25, 15000),
        ("graduated", FONTS, 1, 700),
        ("graduated", FONTS, 5, 3500),
        ("graduated", FONTS, 6, 4150),
        ("graduated", FONTS, 20, 12750),
        ("graduated", FONTS, 25, 15750),
        # "Add a flat rate": 12 × 3 + 30, and (5 × 5 + 10) + (5 × 4 + 20) + (2 × 3 + 30)
        ("volume", WITH_FLAT, 12, 6600),
        ("graduated", WITH_FLAT, 12, 11100),
        # "Stripe always bills the first flat rate tier when quantity=0"
        ("volume", WITH_FLAT, 0, 1000),
        ("graduated", WITH_FLAT, 0, 1000),
        # corrections of usage can go below nothing; nobody is paid for that
        ("graduated", FONTS, -3, 0),
    ],
)
def test_tiers_come_to_what_stripes_documents_say(mode: str, tiers: Any, quantity: int, amount: int) -> None:
    assert price_amount(tiered(mode, tiers), quantity) == amount


@pytest.mark.parametrize(
    ("quantity", "divide_by", "round", "amount"),
    [(1, 5, "up", 1000), (5, 5, "up", 1000), (6, 5, "up", 2000), (4, 5, "down", 0), (9, 5, "down", 1000)],
)
def test_packages_are_counted_whole(quantity: int, divide_by: int, round: str, amount: int) -> None:
    price = {"unit_amount_decimal": "1000", "transform_quantity": {"divide_by": divide_by, "round": round}}
    assert price_amount(price, quantity) == amount


@pytest.mark.parametrize(
    ("unit", "quantity", "amount"),
    [
        ("0.05", 9, 0),  # 0.45
        ("0.05", 10, 1),  # 0.5 is rounded up
        ("0.000000000001", 10**12, 1),  # twelve places, the most that Stripe takes
        ("0.333333333333", 3, 1),
        ("33.33", 3, 100),
    ],
)
def test_fractions_of_a_coin_are_multiplied_exactly(unit: str, quantity: int, amount: int) -> None:
    assert price_amount({"unit_amount_decimal": unit}, quantity) == amount


def test_a_part_is_told_for_each_tier_and_each_flat_amount() -> None:
    told = [(part.tier, part.units, part.is_flat, part.amount) for part in parts(tiered("graduated", WITH_FLAT), 7)]
    assert told == [(1, 5, False, 2500), (1, 0, True, 1000), (2, 2, False, 800), (2, 0, True, 2000)]


AMOUNTS = st.integers(0, 10_000)
DECIMALS = st.decimals(min_value=0, max_value=100, places=6).map(str)
TIERS = st.lists(st.tuples(st.integers(1, 50), DECIMALS, st.one_of(st.none(), AMOUNTS.map(str))), max_size=5)


def as_tiers(drawn: list[tuple[int, str, str | None]]) -> list[tuple[int | None, str, str | None]]:
    """Widths become upper bounds; the last tier has none."""
    made: list[tuple[int | None, str, str | None]] = []
    top = 0
    for width, unit, flat in drawn:
        top += width
        made.append((top, unit, flat))
    return [*made, (None, "1.5", None)]


@given(TIERS, st.integers(0, 400))
def test_a_graduated_price_never_falls_when_more_is_used(drawn: Any, quantity: int) -> None:
    price = tiered("graduated", as_tiers(drawn))
    assert price_amount(price, quantity + 1) >= price_amount(price, quantity)


@given(TIERS, st.integers(0, 400))
def test_graduated_parts_hold_every_unit_once(drawn: Any, quantity: int) -> None:
    held = parts(tiered("graduated", as_tiers(drawn)), quantity)
    assert sum(part.units for part in held) == quantity
    assert [part.tier for part in held] == sorted(part.tier or 0 for part in held)


@given(TIERS, st.integers(0, 400))
def test_up_to_the_first_boundary_both_modes_agree(drawn: Any, quantity: int) -> None:
    tiers = as_tiers(drawn)
    first = tiers[0][0]
    within = quantity if first is None else min(quantity, first)
    assert price_amount(tiered("volume", tiers), within) == price_amount(tiered("graduated", tiers), within)


@given(st.decimals(min_value=0, max_value=1000, places=12), st.integers(0, 10**6))
def test_a_line_is_within_half_a_coin_of_the_exact_amount(unit: Decimal, quantity: int) -> None:
    amount = price_amount({"unit_amount_decimal": str(unit)}, quantity)
    assert abs(Decimal(amount) - unit * quantity) <= Decimal("0.5")
