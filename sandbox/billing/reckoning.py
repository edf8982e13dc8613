"""What discounts take off and taxes add, line by line. Pure; integers of the currency's minor unit.

Discounts are taken in their order, those of a line before those of the whole invoice, each from what the one before it
left. A percentage is rounded for each line, halves away from zero; a fixed amount is spread over the lines by their
size, so that exactly that amount comes off, or all there is. Taxes are reckoned on what is left, for each line and
rate. Sources: Stripe docs, "Coupons and promotion codes" (stacking, fixed amounts), "Tax rates" (inclusive and
exclusive), API reference "The Invoice object" (`subtotal`, `total`, `total_excluding_tax`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from sandbox.billing.tiers import rounded

HUNDRED = Decimal(100)
Key = TypeVar("Key", int, str)


@dataclass(frozen=True)
class Off:
    """A discount: `percent` of each line or an `amount` of all. `products` are those it is for; None: any."""

    id: str
    percent: Decimal | None = None
    amount: int | None = None
    products: frozenset[str] | None = None


@dataclass(frozen=True)
class Rate:
    id: str
    percent: Decimal
    inclusive: bool


@dataclass(frozen=True)
class Row:
    """A line before discounts and taxes. `own` are the discounts of the line itself; `taken_own` and `taken_shared` are
    what discounts, by their ids, have taken off it already: it is a part of a line that was discounted."""

    amount: int
    product: str | None = None
    discountable: bool = True
    own: tuple[Off, ...] = ()
    rates: tuple[Rate, ...] = ()
    taken_own: Mapping[str, int] = field(default_factory=dict)
    taken_shared: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Tax:
    rate: str
    amount: int
    taxable: int
    inclusive: bool


@dataclass
class Reckoned:
    """What became of a row: amounts taken off by discount, the line's own and the invoice's; taxes."""

    amount: int
    own: dict[str, int] = field(default_factory=dict)
    shared: dict[str, int] = field(default_factory=dict)
    taxes: list[Tax] = field(default_factory=list)
    included: Decimal = Decimal(0)
    """The sum of the inclusive rates, in percent."""

    @property
    def subtotal(self) -> int:
        return self.amount - sum(self.own.values())

    @property
    def net(self) -> int:
        """After all discounts, with inclusive taxes."""
        return self.subtotal - sum(self.shared.values())


@dataclass(frozen=True)
class Sums:
    subtotal: int
    subtotal_excluding_tax: int
    total: int
    total_excluding_tax: int


def reckon(rows: Sequence[Row], shared: Sequence[Off] = ()) -> list[Reckoned]:
    """One for each row, in their order."""
    made = [Reckoned(row.amount, dict(row.taken_own), dict(row.taken_shared)) for row in rows]
    for off in dict.fromkeys(off for row in rows for off in row.own):
        eligible = [number for number, row in enumerate(rows) if off in row.own and _is_for(off, row)]
        for number, cut in _cuts(off, eligible, made).items():
            made[number].own[off.id] = cut
    for off in shared:
        eligible = [number for number, row in enumerate(rows) if _is_for(off, row)]
        for number, cut in _cuts(off, eligible, made).items():
            made[number].shared[off.id] = cut
    for row, done in zip(rows, made, strict=True):
        done.included = sum((rate.percent for rate in row.rates if rate.inclusive), Decimal(0))
        done.taxes = _taxes(row.rates, done.net, done.included)
    return made


def _is_for(off: Off, row: Row) -> bool:
    return row.discountable and row.amount > 0 and (off.products is None or row.product in off.products)


def _cuts(off: Off, eligible: list[int], made: list[Reckoned]) -> dict[int, int]:
    left = {number: made[number].net for number in eligible if made[number].net > 0}
    if off.percent is not None:
        return {number: rounded(net * off.percent / HUNDRED) for number, net in left.items()}
    return spread(min(off.amount or 0, sum(left.values())), left)


def spread(amount: int, over: Mapping[Key, int]) -> dict[Key, int]:
    """`amount` in parts as large as the values are; the parts sum up to it exactly."""
    whole = sum(over.values())
    if not whole:
        return {}
    parts = {number: amount * value // whole for number, value in over.items()}
    by_rest = sorted(over, key=lambda number: -(amount * over[number] % whole))
    for number in by_rest[: amount - sum(parts.values())]:
        parts[number] += 1
    return parts


def _taxes(rates: Sequence[Rate], net: int, included: Decimal) -> list[Tax]:
    before = net * HUNDRED / (HUNDRED + included)
    inclusive = {rate.id: rounded(before * rate.percent / HUNDRED) for rate in rates if rate.inclusive}
    taxable = net - sum(inclusive.values())
    return [
        Tax(
            rate.id,
            inclusive[rate.id] if rate.inclusive else rounded(taxable * rate.percent / HUNDRED),
            taxable,
            rate.inclusive,
        )
        for rate in rates
    ]


def sums(made: Sequence[Reckoned]) -> Sums:
    subtotal = sum(row.subtotal for row in made)
    taxes = [tax for row in made for tax in row.taxes]
    total = sum(row.net for row in made) + sum(tax.amount for tax in taxes if not tax.inclusive)
    without = sum(rounded(row.subtotal * HUNDRED / (HUNDRED + row.included)) for row in made)
    return Sums(subtotal, without, total, total - sum(tax.amount for tax in taxes))
