"""What somebody types into a card form, and what can be said of it before the bank is asked. Pure."""

import re

TEST_CARDS = (
    ("4242 4242 4242 4242", "Pays"),
    ("4000 0039 2000 0003", "Pays (Japanese card)"),
    ("4000 0000 0000 3220", "Asks for 3-D Secure"),
    ("4000 0027 6000 3184", "Asks for 3-D Secure each time"),
    ("4000 0000 0000 0002", "Is declined"),
    ("4000 0000 0000 9995", "Is declined: insufficient funds"),
    ("4000 0000 0000 0069", "Is declined: expired"),
    ("4000 0000 0000 0127", "Is declined: security code"),
    ("4000 0000 0000 0341", "Is accepted, fails at the first charge"),
)
FIELDS = ("email", "number", "expiry", "cvc", "name")
PLACES = {"number": "number", "exp_month": "expiry", "exp_year": "expiry", "cvc": "cvc"}
"""Stripe's parameter names and the fields of the form they stand in."""
EXPIRY = re.compile(r"(\d{1,2})\s*[/.-]?\s*(\d{4}|\d{2})")


def wrong_email(typed: dict[str, str]) -> tuple[str, str] | None:
    if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", typed["email"]):
        return None
    return "email", "Your email is incomplete."


def wrong_card(typed: dict[str, str]) -> tuple[str, str] | None:
    """The first field that cannot be right, and what Stripe says of it."""
    if len(re.sub(r"\D", "", typed["number"])) < 12:
        return "number", "Your card number is incomplete."
    if not EXPIRY.fullmatch(typed["expiry"]):
        return "expiry", "Your card's expiration date is incomplete."
    if not re.fullmatch(r"\d{3,4}", typed["cvc"]):
        return "cvc", "Your card's security code is incomplete."
    return None


def card_data(typed: dict[str, str], *, email: str | None) -> dict[str, object]:
    """`payment_method_data` of fields in which nothing is wrong."""
    expiry = EXPIRY.fullmatch(typed["expiry"])
    if expiry is None:
        raise ValueError(typed["expiry"])
    card = {
        "number": typed["number"],
        "exp_month": int(expiry[1]),
        "exp_year": int(expiry[2]),
        "cvc": typed["cvc"],
    }
    billing = {"email": email or None, "name": typed["name"] or None}
    return {"type": "card", "card": card, "billing_details": billing, "allow_redisplay": "limited"}
