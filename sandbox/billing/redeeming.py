"""Whether a coupon or a promotion code can be redeemed: by whom, until when, how often, for how much.

What is refused is refused wherever codes are taken: subscriptions and their items, invoices, invoice items, Checkout,
the portal. Sources: Stripe docs, "Coupons and promotion codes" (redemption limits, restrictions); API reference,
"The Promotion Code object" (`restrictions`), "Error codes".
"""

from dataclasses import dataclass
from typing import Any

from sandbox import jobs, objects
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc


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
        raise ApiError("This promotion code has expired.", code="coupon_expired", param=param)
    if code["max_redemptions"] and code["times_redeemed"] >= code["max_redemptions"]:
        raise _not("it has been used the maximum number of times", param)
    if not code["active"]:
        raise _not("it is not active", param)
    if code["customer"] and code["customer"] != customer:
        raise _not("it belongs to another customer", param)
    _check_first_time(ctx, code, customer, param)
    if purchase:
        _check_minimum(code, purchase, param)


def _check_first_time(ctx: Context, code: Doc, customer: str | None, param: str) -> None:
    if code["restrictions"]["first_time_transaction"] and customer and _has_paid(ctx, customer):
        raise _not(
            "the associated customer has prior transactions", param, code="promotion_code_customer_not_first_time"
        )


def _not(reason: str, param: str, **more: Any) -> ApiError:
    return ApiError(f"This promotion code cannot be redeemed because {reason}.", param=param, **more)


def _has_paid(ctx: Context, customer: str) -> bool:
    paid = any(charge["status"] == "succeeded" for charge in objects.query(ctx, "charge", customer=customer))
    return paid or bool(objects.query(ctx, "invoice", customer=customer, status="paid"))


def _check_minimum(code: Doc, purchase: Purchase, param: str) -> None:
    least = _minimums(code)
    if least and purchase.amount < least.get(purchase.currency, purchase.amount + 1):
        raise _not("the associated purchase does not meet the minimum amount requirement", param)


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
