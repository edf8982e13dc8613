"""What somebody types to pay otherwise than by card, and what can be said of it before it is tried. Pure."""

from typing import Any

from sandbox.hosted import card_form
from sandbox.hosted.card_form import card_data, wrong_card

FIELDS = (
    *card_form.FIELDS, "method", "konbini_name", "sepa_debit_name", "us_bank_account_name", "iban", "account_number",
    "routing_number",
)  # fmt: skip
LABELS = {
    "card": "Card", "konbini": "Convenience store", "customer_balance": "Bank transfer",
    "sepa_debit": "SEPA direct debit", "us_bank_account": "US bank account",
}  # fmt: skip
PLACES = card_form.PLACES | {
    "sepa_debit[iban]": "iban",
    "us_bank_account[account_number]": "account_number",
    "us_bank_account[routing_number]": "routing_number",
}
NEEDED = {
    "konbini": (("konbini_name", "Write the name of the person who pays."),),
    "customer_balance": (),
    "sepa_debit": (("sepa_debit_name", "Write the name of the account's holder."), ("iban", "Write the IBAN.")),
    "us_bank_account": (
        ("us_bank_account_name", "Write the name of the account's holder."),
        ("routing_number", "Write the routing number."),
        ("account_number", "Write the account number."),
    ),
}


def offered(types: list[str]) -> list[str]:
    """The ways that the page shows, in the order of the session; Link is a card here."""
    return [name for name in types if name in LABELS] or ["card"]


def chosen(typed: dict[str, str], types: list[str]) -> str:
    ways = offered(types)
    return typed["method"] if typed["method"] in ways else ways[0]


def wrong(typed: dict[str, str], type: str) -> tuple[str, str] | None:
    """The first field that cannot be right, and why."""
    if type == "card":
        return wrong_card(typed)
    return next(((field, words) for field, words in NEEDED[type] if not _said(typed, field)), None)


def _said(typed: dict[str, str], field: str) -> str:
    """Each way has a name of its own on the form; where only one was sent, it is `name`."""
    return typed[field] or (typed["name"] if field.endswith("_name") else "")


def data(typed: dict[str, str], type: str, *, email: str | None) -> dict[str, Any]:
    """`payment_method_data` of fields in which nothing is wrong."""
    if type == "card":
        return card_data(typed, email=email)
    name = typed["name"] if type == "customer_balance" else _said(typed, f"{type}_name")
    billing = {"email": email or None, "name": name or None}
    details = {
        "sepa_debit": {"iban": typed["iban"]},
        "us_bank_account": {name: typed[name] for name in ("account_number", "routing_number")},
    }.get(type, {})
    return {"type": type, type: details, "billing_details": billing}
