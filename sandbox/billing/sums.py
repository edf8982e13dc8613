"""What a price comes to, whole and prorated. Pure; integers of the currency's minor unit.

Sources: Stripe docs, "Pricing models" (per unit, graduated, volume, packages), "Prorations" (to the second).
"""

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.billing.periods import Period

Price = Mapping[str, Any]


def price_amount(price: Price, quantity: int | None) -> int:
    """The amount for one period. A metered price has no quantity: 0 until usage is known. `price` is the stored
    document: tiers are read from its `_tiers`."""
    if quantity is None:
        return 0
    units = _transformed(quantity, price.get("transform_quantity"))
    if price.get("billing_scheme") == "tiered":
        tiers = price.get("_tiers") or []
        of_tiers = _volume if price.get("tiers_mode") == "volume" else _graduated
        return rounded(of_tiers(tiers, units))
    return rounded(Decimal(price.get("unit_amount_decimal") or 0) * units)


def rounded(amount: Decimal) -> int:
    """To the nearest minor unit, halves away from zero."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def unused(amount: int, period: Period, at: int) -> int:
    """The part of a period's amount that falls after `at`, to the second. The exact share is rounded down, for credits
    too, which are negative amounts: -666.67 becomes -667, 333.33 becomes 333, as in Stripe docs, "Prorations"."""
    left = min(max(period.end - at, 0), period.seconds)
    return amount * left // period.seconds if period.seconds else 0


def _transformed(quantity: int, transform: Mapping[str, Any] | None) -> int:
    if not transform:
        return quantity
    packages, rest = divmod(quantity, int(transform["divide_by"]))
    return packages + (1 if rest and transform["round"] == "up" else 0)


def _graduated(tiers: Sequence[Mapping[str, Any]], units: int) -> Decimal:
    total, below = Decimal(0), 0
    for tier in tiers:
        top = units if tier["up_to"] is None else min(units, tier["up_to"])
        if top > below or (units == 0 and below == 0):
            total += _tier_amount(tier, top - below)
        below = max(below, top)
        if tier["up_to"] is None or units <= tier["up_to"]:
            break
    return total


def _volume(tiers: Sequence[Mapping[str, Any]], units: int) -> Decimal:
    for tier in tiers:
        if tier["up_to"] is None or units <= tier["up_to"]:
            return _tier_amount(tier, units)
    return Decimal(0)


def _tier_amount(tier: Mapping[str, Any], units: int) -> Decimal:
    return Decimal(tier["unit_amount_decimal"] or 0) * units + Decimal(tier["flat_amount_decimal"] or 0)
