"""`payment_settings` of invoices and subscriptions: which ways to pay are offered, and what is said of each.

Sources: API reference "Create an invoice", "Create a subscription"; Stripe docs, "Pay an invoice by bank transfer". An
invoice of a subscription begins with what the subscription says.
"""

from typing import Any

from sandbox.kinds import Doc
from sandbox.params import Enum, Hash, Ignored, MethodTypes, Shape, Str
from sandbox.resources.method_options import BANK_TRANSFER

SHOWN = (
    "acss_debit", "bancontact", "billie", "card", "customer_balance", "konbini", "payto", "pix", "sepa_debit", "upi",
    "us_bank_account",
)  # fmt: skip
"""The ways to pay of which an invoice or a subscription tells what is said."""
HEARD: dict[str, Shape] = {
    "card": {
        "installments": Ignored(), "mandate_options": Ignored(), "network": Ignored(),
        "request_three_d_secure": Enum("any", "automatic", "challenge"),
    },
    "customer_balance": {"bank_transfer": Hash(BANK_TRANSFER), "funding_type": Enum("bank_transfer")},
    "konbini": {},
    "sepa_debit": {},
}  # fmt: skip
OPTIONS = Hash(
    dict.fromkeys(SHOWN, Ignored()) | {name: Hash(shape, unset=True) for name, shape in HEARD.items()}, unset=True
)
OF_SUBSCRIPTION: Shape = {
    "payment_method_options": OPTIONS,
    "payment_method_types": MethodTypes(unset=True),
    "save_default_payment_method": Enum("off", "on_subscription"),
}
OF_INVOICE: Shape = {
    "default_mandate": Str(unset=True),
    "payment_method_options": OPTIONS,
    "payment_method_types": MethodTypes(unset=True),
}
NOTHING: Doc = {"payment_method_options": None, "payment_method_types": None}


def said(shown: Doc, given: dict[str, Any] | None) -> Doc:
    """What was shown, with what is said now."""
    told = dict(given or {})
    if "payment_method_options" in told:
        options = told["payment_method_options"]
        before = shown.get("payment_method_options") or {}
        told["payment_method_options"] = None if options is None else _merged(before, options)
    return {**shown, **told}


def _merged(before: Doc, options: dict[str, Any]) -> Doc:
    heard = {name: options[name] and _heard(name, options[name]) for name in HEARD if name in options}
    return dict.fromkeys(SHOWN) | before | heard


def _heard(name: str, option: dict[str, Any]) -> Doc:
    return {key: value for key, value in option.items() if not isinstance(HEARD[name][key], Ignored)}


def taken_over(subscription: Doc) -> Doc:
    """What an invoice has from its subscription."""
    return {"default_mandate": None} | {name: subscription["payment_settings"].get(name) for name in NOTHING}


def options_of(owner: Doc) -> Doc:
    """What is said of each way to pay, as far as anything is."""
    told = owner["payment_settings"].get("payment_method_options") or {}
    return {name: one for name, one in told.items() if one}
