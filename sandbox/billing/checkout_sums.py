"""What a checkout session comes to: its lines with discounts and taxes, before anything of it is sold.

Source: API reference, "The Checkout Session object" (`amount_subtotal`, `amount_total`, `total_details`, `discounts`).
"""

from decimal import Decimal
from typing import Any

from sandbox import objects
from sandbox.billing import discounts, redeeming
from sandbox.billing.reckoning import Rate, Row, reckon
from sandbox.billing.redeeming import Purchase
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.money import check_chargeable


def checked(ctx: Context, params: dict[str, Any]) -> list[dict[str, str]]:
    """The discounts that a new session is asked for. Raises for coupons and codes that cannot be redeemed."""
    given = params.get("discounts") or []
    if given and params.get("allow_promotion_codes"):
        raise ApiError("You may only specify one of these parameters: allow_promotion_codes, discounts.")
    if len(given) > 1:
        raise ApiError("You can specify at most one discount.", param="discounts")
    for number, one in enumerate(given):
        path = f"discounts[{number}]"
        if len(one) != 1:
            raise ApiError("You must specify exactly one of `coupon` or `promotion_code`.", param=path)
        redeeming.named(ctx, one, params.get("customer"), path, None)
    return list(given)


def priced(ctx: Context, lines: list[Doc], given: list[dict[str, str]], customer: str | None) -> list[Doc]:
    """The session's lines with what is taken off and added. `_tax_rates` of a line are its rates."""
    if not lines:
        return []
    currency = lines[0]["currency"]
    purchase = Purchase(sum(line["amount_subtotal"] for line in lines), currency)
    found = [
        redeeming.named(ctx, one, customer, f"discounts[{number}]", purchase)[0] for number, one in enumerate(given)
    ]
    offs = [
        discounts.off(str(number), coupon, currency)
        for number, coupon in enumerate(found)
        if discounts.is_in(coupon, currency)
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


def _row(line: Doc) -> Row:
    rates = tuple(
        Rate(rate["id"], Decimal(str(rate["percentage"])), rate["inclusive"]) for rate in line.get("_tax_rates") or []
    )
    return Row(line["amount_subtotal"], line["price"]["product"], rates=rates)


def has_trial(data: dict[str, Any]) -> bool:
    """Whether the subscription that is sold begins with a trial."""
    return "trial_end" in data or "trial_period_days" in data


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


def check_total(lines: list[Doc]) -> None:
    """Raises for a single payment that no bank would take. Nothing at all may be due: Stripe docs, "No-cost orders"."""
    total = sum(line["amount_total"] for line in lines)
    if total:
        check_chargeable(total, lines[0]["currency"])


def check_again(ctx: Context, session: Doc) -> None:
    """Raises when a code that was good on the session has come to its end meanwhile."""
    priced(ctx, session["_lines"], session.get("_discounts") or [], session["customer"])


def redeemed(ctx: Context, session: Doc) -> None:
    """A single payment has used its coupons; a subscription does so by itself. What was bought is not asked again."""
    for one in session.get("_discounts") or []:
        code = objects.find(ctx, "promotion_code", one.get("promotion_code"))
        coupon = objects.find(ctx, "coupon", code["promotion"]["coupon"] if code else one.get("coupon"))
        if coupon:
            discounts.redeem(ctx, coupon, code, session["customer"], checkout_session=session["id"])
