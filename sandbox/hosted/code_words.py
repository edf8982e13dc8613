"""What a customer is told about a promotion code that cannot be used. Pure."""

from sandbox.billing import checkout_codes
from sandbox.billing.redeeming import Reason, Refused
from sandbox.errors import ApiError

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


def sentence(error: ApiError) -> str:
    if isinstance(error, Refused):
        return SENTENCES[error.reason]
    if isinstance(error, checkout_codes.UnknownCode):
        return UNKNOWN
    if isinstance(error, checkout_codes.PaymentUnderWay):
        return UNDER_WAY
    known = {"amount_too_small": TOO_SMALL, "coupon_expired": SENTENCES[Reason.EXPIRED]}
    return known.get(error.code or "", SENTENCES[Reason.USED_UP])
