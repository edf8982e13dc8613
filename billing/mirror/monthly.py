"""What an item of a subscription brings in a month: exact fractions, rounded once. Pure."""

from fractions import Fraction

from billing.mirror.shapes import Data

# Months in one interval, as numerator and denominator. A year is twelve months and 365 days, whichever year it is: the
# same price is the same figure.
MONTHS = {"day": (12, 365), "week": (84, 365), "month": (1, 1), "year": (12, 1)}


def monthly_amount(item: Data) -> int:
    """Return what a subscription item is charged a month, in minor units, before discounts and tax.

    0 for what usage or tiers decide: nobody knows it beforehand. Half a minor unit is rounded to the even one.
    """
    price = item.get("price") or {}
    recurring = price.get("recurring") or {}
    months = MONTHS.get(recurring.get("interval") or "")
    unit = unit_amount(price)
    if months is None or unit is None or recurring.get("usage_type") == "metered":
        return 0
    amount, share = unit * units(item, price) * months[1], months[0] * (recurring.get("interval_count") or 1)
    # Whole amounts by the month are nearly all there are, and fractions are slow.
    return amount if share == 1 and isinstance(amount, int) else round(Fraction(amount) / share)


def unit_amount(price: Data) -> int | Fraction | None:
    """Return what one unit costs; fractions of the minor unit are in `unit_amount_decimal` alone."""
    if price.get("billing_scheme", "per_unit") != "per_unit":
        return None
    if price.get("unit_amount") is not None:
        return int(price["unit_amount"])
    amount = price.get("unit_amount_decimal")
    return None if amount is None else Fraction(str(amount))


def units(item: Data, price: Data) -> int:
    """Return how many units are charged (Stripe docs: "Transform quantities"): packages where the price has such."""
    quantity = item.get("quantity")
    count = 1 if quantity is None else int(quantity)
    package = price.get("transform_quantity") or {}
    if not package.get("divide_by"):
        return count
    size = int(package["divide_by"])
    return -(-count // size) if package.get("round") == "up" else count // size
