"""What an item of a subscription brings in a month: exact fractions, rounded once. Pure."""

import re
from fractions import Fraction

from billing.mirror.shapes import Data, clipped, inner, number, whole, word

# Months in one interval, as numerator and denominator. A year is twelve months and 365 days, whichever year it is: the
# same price is the same figure.
MONTHS = {"day": (12, 365), "week": (84, 365), "month": (1, 1), "year": (12, 1)}

DECIMAL = re.compile(r"-?\d{1,20}(\.\d{1,20})?")  # Stripe docs: "at most 12 decimal places"


def monthly_amount(item: Data) -> int:
    """Return what a subscription item is charged a month, in minor units, before discounts and tax.

    0 for what usage or tiers decide: nobody knows it beforehand. Half a minor unit is rounded to the even one.
    """
    price = inner(item.get("price"))
    recurring = inner(price.get("recurring"))
    months = MONTHS.get(word(recurring.get("interval")))
    unit = unit_amount(price)
    if months is None or unit is None or recurring.get("usage_type") == "metered":
        return 0
    amount, share = unit * units(item, price) * months[1], months[0] * (number(recurring.get("interval_count")) or 1)
    # Whole amounts by the month are nearly all there are, and fractions are slow.
    return clipped(amount if share == 1 and isinstance(amount, int) else round(Fraction(amount) / share))


def unit_amount(price: Data) -> int | Fraction | None:
    """Return what one unit costs; fractions of the minor unit are in `unit_amount_decimal` alone."""
    if price.get("billing_scheme", "per_unit") != "per_unit":
        return None
    amount = whole(price.get("unit_amount"))
    if amount is not None:
        return amount
    amount_decimal = str(price.get("unit_amount_decimal"))
    return Fraction(amount_decimal) if DECIMAL.fullmatch(amount_decimal) else None


def units(item: Data, price: Data) -> int:
    """Return how many units are charged (Stripe docs: "Transform quantities"): packages where the price has such."""
    quantity = whole(item.get("quantity"))
    count = 1 if quantity is None else quantity
    package = inner(price.get("transform_quantity"))
    size = number(package.get("divide_by"))
    if not size:
        return count
    return -(-count // size) if package.get("round") == "up" else count // size
