"""Promotion codes on Checkout's page: typed, taken off, taken back. Source: Stripe docs, "Add discounts" (Checkout,
`allow_promotion_codes`): one code at a time, in any case of letters.
"""

from typing import Any

from sandbox import objects
from sandbox.billing import checkout_sums
from sandbox.billing.redeeming import Reason, Refused
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc

UNDER_WAY = ("processing", "requires_action", "requires_capture", "succeeded")


class UnknownCode(ApiError):
    """There is no such promotion code."""

    def __init__(self, typed: str) -> None:
        super().__init__(f"There is no promotion code {typed}.", param="code")


class PaymentUnderWay(ApiError):
    """The amount cannot change any more: the bank was asked for it."""

    def __init__(self) -> None:
        super().__init__("The payment is under way; its amount cannot change.", param="code")


def apply(ctx: Context, session: Doc, typed: str) -> Doc:
    """The session with the code that somebody typed. Raises UnknownCode, Refused, PaymentUnderWay, and ApiError for a
    total that no bank would take."""
    code = meant(ctx, typed, session["customer"])
    changed = _repriced(ctx, session, [{"promotion_code": code["id"]}])
    if not any(line["amount_discount"] for line in changed["_lines"]):
        raise Refused(Reason.NOTHING_OFF, "code")
    return changed


def meant(ctx: Context, typed: str, customer: str | None) -> Doc:
    """The promotion code that somebody typed: an active code before one that is over, one's own before everybody's."""
    known = [code for code in objects.query(ctx, "promotion_code") if code["code"].lower() == typed.lower()]
    if not known:
        raise UnknownCode(typed)
    return min(known, key=lambda code: (not code["active"], code["customer"] != customer, bool(code["customer"])))


def remove(ctx: Context, session: Doc) -> Doc:
    """The session at its full price."""
    return _repriced(ctx, session, [])


def _repriced(ctx: Context, session: Doc, given: list[dict[str, str]]) -> Doc:
    _check_open(ctx, session)
    lines = checkout_sums.priced(ctx, session["_lines"], given, session["customer"])
    if session["mode"] == "payment":
        checkout_sums.check_total(lines)
    trial = session["mode"] == "subscription" and checkout_sums.has_trial(session["_data"])
    changes = checkout_sums.sums(lines, trial=trial) | {"_discounts": given, "_lines": lines}
    changes |= {
        "discounts": checkout_sums.shown(given),
        "payment_status": "unpaid" if changes["amount_total"] else "no_payment_required",
    }
    _change_intent(ctx, session, changes["amount_total"])
    return objects.update(ctx, session, changes)


def _check_open(ctx: Context, session: Doc) -> None:
    intent = objects.find(ctx, "payment_intent", session["payment_intent"])
    if session.get("_subscription") or session.get("_setup") or (intent and intent["status"] in UNDER_WAY):
        raise PaymentUnderWay


def _change_intent(ctx: Context, session: Doc, amount: int) -> None:
    """A card was refused before: the next one is asked for the new amount."""
    intent = objects.find(ctx, "payment_intent", session["payment_intent"])
    if intent and amount:
        objects.update(ctx, intent, {"amount": amount})


def applied(ctx: Context, session: Doc) -> list[dict[str, Any]]:
    """The session's discounts for its page: what was typed (None for a coupon of the seller's), and the coupon."""
    found = []
    for one in session.get("_discounts") or []:
        code = objects.find(ctx, "promotion_code", one.get("promotion_code"))
        coupon = objects.find(ctx, "coupon", code["promotion"]["coupon"] if code else one.get("coupon"))
        if coupon:
            found.append({"code": code["code"] if code else None, "coupon": coupon})
    return found
