"""How a quantity is priced: per unit, in packages, in tiers. Pure; integers of the currency's minor unit.

A price comes to one or more parts, which are what an invoice shows as lines: with tiers one for the units of each tier
and one for each tier's flat amount. Each part is rounded by itself, as each line is. Sources: Stripe docs, "Set up
tiered pricing" (graduated, volume, flat rate), "Transform quantities", API reference "Create a price"
(`unit_amount_decimal`, `transform_quantity`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Price = Mapping[str, Any]
Tier = Mapping[str, Any]
Quantity = int | Decimal


@dataclass(frozen=True)
class Part:
    """`units` at `unit` each, or a flat amount, then `units` is 0 and `unit` None. `tier` counts from 1; None without
    tiers. `at` is the price that the line shows."""

    units: Quantity
    unit: Decimal | None
    at: Decimal
    amount: int
    tier: int | None = None

    @property
    def is_flat(self) -> bool:
        return self.unit is None


def parts(price: Price, quantity: Quantity) -> list[Part]:
    """What `quantity` units of a price come to, at least one part. `price` is the stored document: tiers are read from
    its `_tiers`. A negative quantity, which corrections of usage can lead to, counts as 0."""
    units = max(quantity, 0)
    if price.get("billing_scheme") != "tiered":
        return [_per_unit(price, units)]
    tiers = price.get("_tiers") or []
    of_tiers = _volume if price.get("tiers_mode") == "volume" else _graduated
    return list(of_tiers(tiers, units)) or [Part(units, Decimal(0), Decimal(0), 0)]


def rounded(amount: Decimal) -> int:
    """To the nearest minor unit, halves away from zero."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _per_unit(price: Price, quantity: Quantity) -> Part:
    unit = Decimal(price.get("unit_amount_decimal") or 0)
    amount = rounded(unit * transformed(quantity, price.get("transform_quantity")))
    return Part(quantity, unit, unit, amount)


def transformed(quantity: Quantity, transform: Mapping[str, Any] | None) -> Quantity:
    """The number of packages that a quantity fills, the last one rounded up or down."""
    if not transform:
        return quantity
    packages, rest = divmod(quantity, int(transform["divide_by"]))
    return int(packages) + (1 if rest and transform["round"] == "up" else 0)


def _graduated(tiers: Sequence[Tier], quantity: Quantity) -> Iterator[Part]:
    """Each unit at the price of the tier it falls into. The first tier is always billed, its flat amount too."""
    below: Quantity = 0
    for number, tier in enumerate(tiers, start=1):
        top = quantity if tier["up_to"] is None else min(quantity, tier["up_to"])
        if number > 1 and top <= below:
            return
        yield from _of_tier(tier, number, top - below)
        below = top


def _volume(tiers: Sequence[Tier], quantity: Quantity) -> Iterator[Part]:
    """All units at the price of the tier that the quantity reaches."""
    for number, tier in enumerate(tiers, start=1):
        if tier["up_to"] is None or quantity <= tier["up_to"]:
            yield from _of_tier(tier, number, quantity)
            return


def _of_tier(tier: Tier, number: int, units: Quantity) -> Iterator[Part]:
    if tier["unit_amount_decimal"] is not None:
        unit = Decimal(tier["unit_amount_decimal"])
        yield Part(units, unit, unit, rounded(unit * units), number)
    flat = Decimal(tier["flat_amount_decimal"] or 0)
    if flat or tier["unit_amount_decimal"] is None:
        yield Part(0, None, flat, rounded(flat), number)
