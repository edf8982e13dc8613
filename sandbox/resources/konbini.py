"""Konbini: the customer gets a voucher, walks to a convenience store and pays in cash, or does not.

    confirm → requires_action (konbini_display_details) → paid in the shop: succeeded
                                                        → too late: requires_payment_method

Source: Stripe docs, "Konbini payments" and "Accept a payment with Konbini" (limits, expiry, test values). Where
Stripe's test mode pays most vouchers by itself after three minutes, here somebody pays them, on the voucher's page or
by POST /_sandbox/vouchers/{id}, unless the account's setting `vouchers_paid_after` says otherwise. The test values that
decide are heard.
"""

import datetime
import hashlib
from typing import Any

from sandbox import jobs, objects
from sandbox.billing import policy
from sandbox.context import Context
from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc
from sandbox.money import in_words
from sandbox.resources import payments
from sandbox.resources.charges import charge_otherwise

STORES = ("familymart", "lawson", "ministop", "seicomart")
LEAST, MOST = 120, 300_000
"""Yen."""
EXPIRES_AFTER_DAYS = 3
JAPAN = datetime.timezone(datetime.timedelta(hours=9), "JST")
SHORTEST, LONGEST = 30 * 60, 60 * 24 * 3600
"""Seconds from now for an `expires_at` of one's own."""
EXPIRED: Doc = {
    "code": "payment_intent_payment_attempt_expired",
    "message": "The payment attempt expired: the voucher was not paid in time.",
    "type": "invalid_request_error",
}
REJECTED_NUMBER = "01234567890"
"""The test value of a confirmation number that the shops' system refuses."""
TEST_NUMBERS = {
    "11111111110": ("pay", 180), "22222222220": ("pay", 0), "33333333330": ("expire", 0),
    "44444444440": ("expire", 180), "55555555550": ("never", 0),
}  # fmt: skip
TEST_EMAILS = {
    "succeed_immediately": ("pay", 0), "expire_immediately": ("expire", 0), "expire_with_delay": ("expire", 180),
    "fill_never": ("never", 0),
}  # fmt: skip
"""What a confirmation number or the end of an e-mail's local part makes of a voucher, and after how many seconds. It
happens after the answer, as everything that a shop does."""


def confirm(ctx: Context, intent: Doc, payment_method: Doc) -> Doc:
    """Hand out a voucher. Raises ApiError for amounts that shops do not take, for a customer without a name and for a
    confirmation number that is rejected."""
    options = intent["payment_method_options"].get("konbini") or {}
    _check(intent, payment_method, options)
    act, after = _fate(ctx, options, payment_method["billing_details"]["email"])
    expires_at = ctx.now + after if act == "expire" else _expiry(ctx, options)
    intent = objects.update(ctx, intent, {"_vouchers": intent.get("_vouchers", 0) + 1})
    waiting = payments.wait(ctx, intent, _details(ctx, intent, options, expires_at))
    payload = {"intent": intent["id"], "voucher": expires_at}
    jobs.schedule(ctx, "voucher.expire", due_at=expires_at, name=intent["id"], payload=payload)
    if act == "pay" and ctx.now + after < expires_at:
        jobs.schedule(ctx, "voucher.pay", due_at=ctx.now + after, name=intent["id"], payload=payload)
    return waiting


payments.WAYS["konbini"] = confirm


def _fate(ctx: Context, options: Doc, email: str) -> tuple[str, int]:
    """`pay`, `expire` or `never`, and after how many seconds. A confirmation number outweighs an e-mail."""
    endings = [what for word, what in TEST_EMAILS.items() if email.split("@")[0].endswith(word)]
    decided = TEST_NUMBERS.get(options.get("confirmation_number") or "") or next(iter(endings), None)
    paid_after = policy.of(ctx).vouchers_paid_after
    return decided or (("pay", paid_after) if paid_after else ("never", 0))


def _check(intent: Doc, payment_method: Doc, options: Doc) -> None:
    for name in ("email", "name"):
        if not payment_method["billing_details"][name]:
            raise missing(f"payment_method_data[billing_details][{name}]")
    for fits, code, words in (
        (intent["amount"] >= LEAST, "amount_too_small", f"at least {in_words(LEAST, 'jpy')}"),
        (intent["amount"] <= MOST, "amount_too_large", f"no more than {in_words(MOST, 'jpy')}"),
    ):
        if not fits:
            raise ApiError(f"Amount must be {words} jpy for konbini payments.", code=code, param="amount")
    if options.get("confirmation_number") == REJECTED_NUMBER:
        raise ApiError(
            "The confirmation number was rejected. Please use another one, or none.",
            code="payment_intent_konbini_rejected_confirmation_number",
            param="payment_method_options[konbini][confirmation_number]",
        )


def _expiry(ctx: Context, options: Doc) -> int:
    """The end of the last day in Japan, or the moment that was asked for."""
    at, days = options.get("expires_at"), options.get("expires_after_days")
    if at and days:
        raise ApiError(
            "Only one of `expires_after_days` or `expires_at` may be set.",
            param="payment_method_options[konbini][expires_at]",
        )
    if at:
        if not ctx.now + SHORTEST <= at <= ctx.now + LONGEST:
            raise ApiError(
                "`expires_at` must be between 30 minutes and 60 days from now.",
                param="payment_method_options[konbini][expires_at]",
            )
        return int(at)
    today = datetime.datetime.fromtimestamp(ctx.now, JAPAN).replace(hour=23, minute=59, second=59)
    return int((today + datetime.timedelta(days=days or EXPIRES_AFTER_DAYS)).timestamp())


def _details(ctx: Context, intent: Doc, options: Doc, expires_at: int) -> Doc:
    given = options.get("confirmation_number")
    codes = {store: _code(intent, store) for store in STORES}
    stores = {
        store: {"confirmation_number": given or code[:11], "payment_code": code[11:]} for store, code in codes.items()
    }
    shown = {"expires_at": expires_at, "hosted_voucher_url": voucher_url(ctx, intent), "stores": stores}
    return {payments.VOUCHER: shown, "type": payments.VOUCHER}


def _code(intent: Doc, store: str) -> str:
    """Seventeen digits of this voucher's own."""
    digest = hashlib.sha256(f"{intent['id']}:{store}:{intent['_vouchers']}".encode()).hexdigest()
    return f"{int(digest[:24], 16):017d}"[-17:]


def voucher_url(ctx: Context, intent: Doc) -> str:
    """A page for each voucher: one that was called off has another address than the one that took its place."""
    number = intent["_vouchers"]
    return f"{ctx.base_url}/vouchers/{intent['id']}?client_secret={intent['client_secret']}&voucher={number}"


is_open = payments.is_voucher


def pay(ctx: Context, intent: Doc, store: str = "familymart") -> Doc:
    """Somebody paid in this shop."""
    _forget(ctx, intent)
    payment_method = objects.load(ctx, "payment_method", intent["payment_method"])
    payment_method = objects.update(ctx, payment_method, {"_detached": True})
    charge = charge_otherwise(ctx, intent, payment_method, {"store": {"chain": store}}, "succeeded")
    return payments.succeed(ctx, intent, charge)


def expire(ctx: Context, intent: Doc) -> Doc:
    """Too late: the voucher is worth nothing any more."""
    _forget(ctx, intent)
    payment_method = objects.load(ctx, "payment_method", intent["payment_method"])
    return payments.fail(ctx, intent, payment_method, EXPIRED, charge=None)


def _forget(ctx: Context, intent: Doc) -> None:
    for kind in ("voucher.expire", "voucher.pay"):
        jobs.cancel(ctx, kind, name=intent["id"])


payments.CLEAR.append(_forget)


@jobs.job("voucher.pay")
def pay_planned(ctx: Context, payload: dict[str, Any]) -> None:
    intent = objects.find(ctx, "payment_intent", payload["intent"])
    if intent and is_open(intent):
        pay(ctx, intent)


@jobs.job("voucher.expire")
def expire_planned(ctx: Context, payload: dict[str, Any]) -> None:
    intent = objects.find(ctx, "payment_intent", payload["intent"])
    if intent and is_open(intent):
        expire(ctx, intent)
