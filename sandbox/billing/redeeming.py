"""Whether a coupon or a promotion code can be redeemed: by whom, until when, how often, for how much.

What is refused is refused wherever codes are taken: subscriptions and their items, invoices, invoice items, Checkout,
the portal. Sources: Stripe docs, "Coupons and promotion codes" (redemption limits, restrictions); API reference,
"The Promotion Code object" (`restrictions`), "Error codes".
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sandbox import jobs, objects
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc


class Reason(StrEnum):
    """Why a promotion code cannot be redeemed, as Stripe's message goes on."""

    EXPIRED = "it has expired"
    """Its last day, or its coupon's, is over."""
    USED_UP = "it has been used the maximum number of times"
    """It was redeemed as often as it, or its coupon, may be."""
    INACTIVE = "it is not active"
    """It was switched off."""
    OTHERS = "it belongs to another customer"
    """It is for one customer, and not this one."""
    NOT_FIRST = "the associated customer has prior transactions"
    """It is for first purchases."""
    TOO_LITTLE = "the associated purchase does not meet the minimum amount requirement"
    """It is for larger purchases, or for other currencies."""
    NOTHING_OFF = "the associated coupon is not valid for any of the items"
    """Its coupon takes nothing off what is bought."""


class Refused(ApiError):
    """A coupon or promotion code cannot be redeemed."""

    def __init__(self, reason: Reason, param: str, *, code: str | None = None) -> None:
        message = f"This promotion code cannot be redeemed because {reason}."
        super().__init__(message, code=code, param=param)
        self.reason = reason


@dataclass(frozen=True)
class Purchase:
    """What a discount is for: an amount before discounts, in the minor unit of its currency."""

    amount: int
    currency: str


def named(
    ctx: Context, one: dict[str, Any], customer: str | None, path: str, purchase: Purchase | None
) -> tuple[Doc, Doc | None]:
    """The coupon that a coupon or promotion code means, and the code. Raises when it cannot be redeemed."""
    if "coupon" in one:
        return usable_coupon(ctx, one["coupon"], f"{path}[coupon]"), None
    param = f"{path}[promotion_code]"
    code = objects.load(ctx, "promotion_code", one["promotion_code"], param=param)
    check_code(ctx, code, customer, param, purchase)
    return usable_coupon(ctx, code["promotion"]["coupon"], param), code


def usable_coupon(ctx: Context, id: str, param: str) -> Doc:
    """The coupon, if it can be redeemed now."""
    coupon = objects.load(ctx, "coupon", id, param=param)
    if coupon["redeem_by"] and coupon["redeem_by"] <= ctx.now:
        raise ApiError(f"Coupon expired: {id}", code="coupon_expired", param=param)
    if not coupon["valid"]:
        raise ApiError(f"Coupon {id} is used up and cannot be applied.", param=param)
    return coupon


def check_code(ctx: Context, code: Doc, customer: str | None, param: str, purchase: Purchase | None) -> None:
    """Raises when this customer may not use the promotion code now, or not for this purchase."""
    if code["expires_at"] and code["expires_at"] <= ctx.now:
        raise Refused(Reason.EXPIRED, param, code="coupon_expired")
    if code["max_redemptions"] and code["times_redeemed"] >= code["max_redemptions"]:
        raise Refused(Reason.USED_UP, param)
    if not code["active"]:
        raise Refused(Reason.INACTIVE, param)
    if code["customer"] and code["customer"] != customer:
        raise Refused(Reason.OTHERS, param)
    if code["restrictions"]["first_time_transaction"] and customer and _has_paid(ctx, customer):
        raise Refused(Reason.NOT_FIRST, param, code="promotion_code_customer_not_first_time")
    if purchase:
        _check_minimum(code, purchase, param)


def _has_paid(ctx: Context, customer: str) -> bool:
    paid = any(charge["status"] == "succeeded" for charge in objects.query(ctx, "charge", customer=customer))
    return paid or bool(objects.query(ctx, "invoice", customer=customer, status="paid"))


def _check_minimum(code: Doc, purchase: Purchase, param: str) -> None:
    least = _minimums(code)
    if least and purchase.amount < least.get(purchase.currency, purchase.amount + 1):
        raise Refused(Reason.TOO_LITTLE, param)


def _minimums(code: Doc) -> dict[str, int]:
    """The least amount by currency; a currency that is not named is refused when any is."""
    restrictions = code["restrictions"]
    named = {currency: option["minimum_amount"] for currency, option in (code.get("_currency_options") or {}).items()}
    if restrictions["minimum_amount"]:
        named[restrictions["minimum_amount_currency"]] = restrictions["minimum_amount"]
    return named


def count(ctx: Context, used: Doc) -> None:
    """One redemption more of a coupon or a code; after the last one nobody else can."""
    times, most = used["times_redeemed"] + 1, used["max_redemptions"]
    changed = objects.update(ctx, used, {"times_redeemed": times}, event=f"{used['object']}.updated")
    if most and times >= most:
        _close(ctx, changed)


def _close(ctx: Context, used: Doc) -> None:
    """No more redemptions. A promotion code is only active while its coupon is valid (API reference)."""
    if used["object"] == "promotion_code":
        objects.update(ctx, used, {"active": False}, event="promotion_code.updated")
        return
    coupon = objects.update(ctx, used, {"valid": False}, event="coupon.updated")
    close_codes(ctx, coupon)


def close_codes(ctx: Context, coupon: Doc) -> None:
    for code in ctx.tx.page(ctx.scope, "promotion_code", {"promotion.coupon": coupon["id"], "active": True}):
        objects.update(ctx, code, {"active": False}, event="promotion_code.updated")


def plan_closing(ctx: Context, made: Doc) -> None:
    """A coupon and a code are over by themselves at their last moment."""
    last = made["redeem_by"] if made["object"] == "coupon" else made["expires_at"]
    if last:
        payload = {"kind": made["object"], "id": made["id"]}
        jobs.schedule(ctx, "coupon.close", due_at=last, name=f"{made['object']}:{made['id']}", payload=payload)


@jobs.job("coupon.close")
def close_later(ctx: Context, payload: Doc) -> None:
    found = objects.find(ctx, payload["kind"], payload["id"])
    if found:
        _close(ctx, found)
