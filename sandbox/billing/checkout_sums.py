"""What a checkout session comes to: its lines with discounts and taxes, before anything of it is sold.

Source: API reference, "The Checkout Session object" (`amount_subtotal`, `amount_total`, `total_details`, `discounts`).
"""

from decimal import Decimal
from typing import Any

from sandbox import objects
from sandbox.billing import discounts
from sandbox.billing.reckoning import Off, Rate, Row, reckon
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc


def checked(ctx: Context, params: dict[str, Any]) -> list[dict[str, str]]:
    """The discounts that a new session is asked for. Raises for coupons and codes that cannot be redeemed."""
    given = params.get("discounts") or []
    if given and params.get("allow_promotion_codes"):
        raise ApiError("You may only specify one of these parameters: allow_promotion_codes, discounts.")
    for number, one in enumerate(given):
        path = f"discounts[{number}]"
        if len(one) != 1:
            raise ApiError("You must specify exactly one of `coupon` or `promotion_code`.", param=path)
        _coupon(ctx, one, params.get("customer"), path)
    return list(given)


def _coupon(ctx: Context, one: dict[str, str], customer: str | None, path: str) -> tuple[Doc, Doc | None]:
    if "coupon" in one:
        return discounts.usable_coupon(ctx, one["coupon"], f"{path}[coupon]"), None
    code = objects.load(ctx, "promotion_code", one["promotion_code"], param=f"{path}[promotion_code]")
    discounts.check_code(ctx, code, customer, f"{path}[promotion_code]")
    return discounts.usable_coupon(ctx, code["promotion"]["coupon"], f"{path}[promotion_code]"), code


def priced(ctx: Context, lines: list[Doc], given: list[dict[str, str]], customer: str | None) -> list[Doc]:
    """The session's lines with what is taken off and added. `_tax_rates` of a line are its rates."""
    found = [_coupon(ctx, one, customer, f"discounts[{number}]") for number, one in enumerate(given)]
    if lines:
        for number, (_, code) in enumerate(found):
            _check_minimum(code, lines, f"discounts[{number}][promotion_code]")
    offs = [
        _off(number, coupon)
        for number, (coupon, _) in enumerate(found)
        if not lines or coupon["currency"] in (None, lines[0]["currency"])
    ]
    made = reckon([_row(line) for line in lines], offs)
    return [
        line
        | {
            "amount_discount": line["amount_subtotal"] - done.net,
            "amount_tax": sum(tax.amount for tax in done.taxes),
            "amount_total": done.net + sum(tax.amount for tax in done.taxes if not tax.inclusive),
        }
        for line, done in zip(lines, made, strict=True)
    ]


def _check_minimum(code: Doc | None, lines: list[Doc], param: str) -> None:
    least = code["restrictions"]["minimum_amount"] if code else None
    same = bool(code and code["restrictions"]["minimum_amount_currency"] == lines[0]["currency"])
    if least and (not same or sum(line["amount_subtotal"] for line in lines) < least):
        raise ApiError("This promotion code cannot be redeemed because the amount is below its minimum.", param=param)


def _off(number: int, coupon: Doc) -> Off:
    percent, products = coupon["percent_off"], (coupon.get("_applies_to") or {}).get("products")
    return Off(
        str(number),
        None if percent is None else Decimal(str(percent)),
        coupon["amount_off"],
        None if products is None else frozenset(products),
    )


def _row(line: Doc) -> Row:
    rates = tuple(
        Rate(rate["id"], Decimal(str(rate["percentage"])), rate["inclusive"]) for rate in line.get("_tax_rates") or []
    )
    return Row(line["amount_subtotal"], line["price"]["product"], rates=rates)


def sums(lines: list[Doc], *, trial: bool) -> Doc:
    """The session's amounts. What recurs costs nothing yet while a trial runs."""
    now = [line for line in lines if not (trial and line["price"]["type"] == "recurring")]
    return {
        "amount_subtotal": sum(line["amount_subtotal"] for line in now),
        "amount_total": sum(line["amount_total"] for line in now),
        "total_details": {
            "amount_discount": sum(line["amount_discount"] for line in now),
            "amount_shipping": 0,
            "amount_tax": sum(line["amount_tax"] for line in now),
        },
    }


def shown(given: list[dict[str, str]]) -> list[Doc]:
    """A session's `discounts`."""
    return [{"coupon": one.get("coupon"), "promotion_code": one.get("promotion_code")} for one in given]


def redeemed(ctx: Context, session: Doc) -> None:
    """A single payment has used its coupons; a subscription does so by itself."""
    for number, one in enumerate(session.get("_discounts") or []):
        coupon, code = _coupon(ctx, one, session["customer"], f"discounts[{number}]")
        discounts.redeem(ctx, coupon, code, session["customer"], checkout_session=session["id"])
