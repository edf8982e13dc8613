"""What Stripe's refusals and silences become: named results that pages can say, not exceptions that fly."""

from dataclasses import dataclass

from stripe import CardError, InvalidRequestError, StripeError


@dataclass(frozen=True)
class Refused:
    """Stripe said no, and nothing happened; `message` is what Stripe said."""

    message: str


@dataclass(frozen=True)
class Unreachable:
    """Stripe did not answer, or not sensibly: the same call may be repeated, under the same key."""


def answer_of(error: StripeError) -> Refused | Unreachable:
    """Tell a refusal, which repeating would not change, from a silence.

    Only words about the request are for customers; those about our key or our program are not theirs to read.
    """
    if isinstance(error, (InvalidRequestError, CardError)):
        return Refused(error.user_message or str(error))
    return Unreachable()
