"""The promotion code on the checkout page: http://HOST/c/pay/cs_test_…/code"""

from starlette.responses import RedirectResponse, Response

from sandbox.billing import checkout_codes
from sandbox.billing.redeeming import Reason, Refused
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.hosted import checkout
from sandbox.hosted.missing import missing_page
from sandbox.kinds import Doc
from sandbox.routes import PageRequest, page

SENTENCES = {
    Reason.EXPIRED: "This code has expired. Nothing was taken off.",
    Reason.USED_UP: "This code was used as often as it may be. Nothing was taken off.",
    Reason.INACTIVE: "This code is not valid any more. Nothing was taken off.",
    Reason.OTHERS: "This code belongs to another customer. Nothing was taken off.",
    Reason.NOT_FIRST: "This code is for a first purchase only. Nothing was taken off.",
    Reason.TOO_LITTLE: "This code is for larger purchases. Nothing was taken off.",
    Reason.NOTHING_OFF: "This code is not for what you buy here. Nothing was taken off.",
}
UNKNOWN = "There is no such code. Look at its letters and try again."
UNDER_WAY = "Your payment is under way, so its amount cannot change any more."
TOO_SMALL = "With this code too little would be left to pay. Nothing was taken off."
EMPTY = "Write the code first."


@page("POST", "/c/pay/{id}/code")
def change_code(ctx: Context, request: PageRequest, id: str) -> Response:
    """Take a code's discount off, or take the code back"""
    session = checkout.enter(ctx, id)
    if session is None:
        return missing_page(request)
    address = RedirectResponse(f"/c/pay/{id}", status_code=303)
    if session["status"] != "open" or not session["allow_promotion_codes"]:
        return address
    typed = str(request.form.get("code", "")).strip()
    wrong = _wrong(ctx, session, typed, removing=request.form.get("act") == "remove")
    return checkout.show_open(ctx, request, session, code=typed, code_error=wrong) if wrong else address


def _wrong(ctx: Context, session: Doc, typed: str, *, removing: bool) -> str | None:
    """Do it, or say why not."""
    if not typed and not removing:
        return EMPTY
    ctx.tx.sql("SAVEPOINT code")
    try:
        if removing:
            checkout_codes.remove(ctx, session)
        else:
            checkout_codes.apply(ctx, session, typed)
    except ApiError as error:
        ctx.tx.sql("ROLLBACK TO code")
        return _sentence(error)
    return None


def _sentence(error: ApiError) -> str:
    if isinstance(error, Refused):
        return SENTENCES[error.reason]
    if isinstance(error, checkout_codes.UnknownCode):
        return UNKNOWN
    if isinstance(error, checkout_codes.PaymentUnderWay):
        return UNDER_WAY
    known = {"amount_too_small": TOO_SMALL, "coupon_expired": SENTENCES[Reason.EXPIRED]}
    return known.get(error.code or "", SENTENCES[Reason.USED_UP])
