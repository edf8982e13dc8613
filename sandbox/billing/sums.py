"""What a price comes to, whole and prorated. Pure; integers of the currency's minor unit.

Sources: Stripe docs, "Pricing models" (per unit, graduated, volume, packages), "Prorations" (to the second).
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from sandbox.billing import tiers
from sandbox.billing.periods import Period

Price = Mapping[str, Any]


def price_amount(price: Price, quantity: int | None) -> int:
    """The amount for one period. A metered price has no quantity: 0 until usage is known. `price` is the stored
    document: tiers are read from its `_tiers`."""
    if quantity is None:
        return 0
    return sum(part.amount for part in tiers.parts(price, quantity))


def unused(amount: int, period: Period, at: int) -> int:
    """The part of a period's amount that falls after `at`, to the second and the nearest unit."""
    left = min(max(period.end - at, 0), period.seconds)
    return nearest(Fraction(amount * left, period.seconds)) if period.seconds else 0


def nearest(amount: Fraction) -> int:
    """A share in whole units, halves away from zero: -666.67 becomes -667, 333.33 becomes 333, as in Stripe docs,
    "Prorations"; and the rest of a month that began seconds ago costs all of it, as suites written against Stripe's
    test mode expect."""
    whole = int(abs(amount) + Fraction(1, 2))
    return whole if amount >= 0 else -whole


def between(amount: int, whole: Period, part: Period) -> int:
    """The share of a whole period's amount that a part of it costs."""
    return unused(amount, whole, part.start) - unused(amount, whole, part.end)
