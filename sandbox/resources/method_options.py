"""What may be said of each way to pay when a payment is made, and what an intent shows of it."""

import json
import re
from collections.abc import Sequence
from typing import Any

from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.params import Array, Enum, Hash, Ignored, Int, Shape, Str, Timestamp

BUILT = ("card", "konbini", "customer_balance", "sepa_debit", "us_bank_account")
CURRENCIES = {
    "konbini": ("jpy",),
    "customer_balance": ("jpy", "usd", "eur", "gbp"),
    "sepa_debit": ("eur",),
    "us_bank_account": ("usd",),
}
"""A way to pay that is not here takes every currency. Source: Stripe docs, "Payment method support"."""
HOLDS = ("card",)
"""The ways by which money can be held and taken later."""
KEEPS = ("card", "sepa_debit", "us_bank_account")
"""The ways that a customer can keep for later payments. Source: Stripe docs, "Payment method support"."""
USAGE = Enum("none", "off_session", "on_session", unset=True)
REQUESTS = (
    "request_extended_authorization", "request_incremental_authorization", "request_multicapture",
    "request_overcapture",
)  # fmt: skip
"""What a held payment may be able to do; holds.py does it."""
CARD: Shape = {
    "capture_method": Enum("manual", unset=True),
    "request_three_d_secure": Enum("any", "automatic", "challenge"),
    "setup_future_usage": USAGE,
    **dict.fromkeys(REQUESTS, Enum("if_available", "never")),
    **{
        name: Ignored()
        for name in (
            "cvc_token", "installments", "mandate_options", "moto", "network", "require_cvc_recollection",
            "statement_descriptor_suffix_kana", "statement_descriptor_suffix_kanji",
            "three_d_secure",
        )
    },
}  # fmt: skip
"""What is said for cards alone goes before what is said for all."""


class ConfirmationNumber(Str):
    """Ten or eleven digits, not all of them zero."""

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> str:
        number = super().value(raw, path, ignored)
        if not re.fullmatch(r"[0-9]{10,11}", number) or not number.strip("0"):
            raise ApiError("The confirmation number must be 10 to 11 digits, and not zeros alone.", param=path)
        return number


KONBINI: Shape = {
    "confirmation_number": ConfirmationNumber(unset=True, max_length=11),
    "expires_after_days": Int(min=1, max=60, unset=True),
    "expires_at": Timestamp(unset=True),
    "product_description": Str(unset=True, max_length=22),
    "setup_future_usage": Enum("none"),
}
TRANSFERS = ("eu_bank_transfer", "gb_bank_transfer", "jp_bank_transfer", "mx_bank_transfer", "us_bank_transfer")


class TransferType(Enum):
    """Stripe's own command line still says `jp_bank_account`."""

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> str:
        return super().value("jp_bank_transfer" if raw == "jp_bank_account" else raw, path, ignored)


BANK_TRANSFER: Shape = {
    "eu_bank_transfer": Hash({"country": Enum("BE", "DE", "ES", "FR", "IE", "NL", required=True)}),
    "requested_address_types": Array(Enum("aba", "iban", "sepa", "sort_code", "spei", "swift", "zengin")),
    "type": TransferType(*TRANSFERS, required=True),
}
CUSTOMER_BALANCE: Shape = {
    "bank_transfer": Hash(BANK_TRANSFER),
    "funding_type": Enum("bank_transfer"),
    "setup_future_usage": Enum("none"),
}
DEBIT: Shape = {
    "financial_connections": Ignored(),
    "mandate_options": Ignored(),
    "preferred_settlement_speed": Ignored(),
    "setup_future_usage": USAGE,
    "target_date": Ignored(),
    "transaction_purpose": Ignored(),
}
AMERICAN: Shape = {**DEBIT, "verification_method": Enum("automatic", "instant", "microdeposits")}
SHAPES: dict[str, Shape] = {
    "card": CARD, "konbini": KONBINI, "customer_balance": CUSTOMER_BALANCE, "sepa_debit": DEBIT,
    "us_bank_account": AMERICAN,
}  # fmt: skip
OTHERS = (
    "acss_debit", "affirm", "afterpay_clearpay", "alipay", "alma", "amazon_pay", "au_becs_debit", "bacs_debit",
    "bancontact", "billie", "bizum", "blik", "boleto", "card_present", "cashapp", "crypto", "eps", "fpx", "giropay",
    "grabpay", "ideal", "interac_present", "kakao_pay", "klarna", "kr_card", "link", "mb_way", "mobilepay",
    "multibanco", "naver_pay", "nz_bank_account", "oxxo", "p24", "pay_by_bank", "payco", "paynow", "paypal", "payto",
    "pix", "promptpay", "revolut_pay", "samsung_pay", "satispay", "scalapay", "sofort", "sunbit", "swish", "twint",
    "upi", "wechat_pay", "zip",
)  # fmt: skip
METHOD_OPTIONS = Hash(
    {name: Hash(shape, unset=True) for name, shape in SHAPES.items()} | dict.fromkeys(OTHERS, Ignored()), unset=True
)
DEFAULTS: dict[str, Doc] = {
    "card": {"installments": None, "mandate_options": None, "network": None, "request_three_d_secure": "automatic"},
    "konbini": {
        "confirmation_number": None, "expires_after_days": None, "expires_at": None, "product_description": None,
    },
    "customer_balance": {"funding_type": None},
    "sepa_debit": {},
    "us_bank_account": {"verification_method": "automatic"},
}  # fmt: skip


def defaults(types: Sequence[str]) -> Doc:
    """What an intent shows before anything is said."""
    return {name: DEFAULTS[name] for name in sorted(types) if name in DEFAULTS}


def said(shown: Doc, given: dict[str, Any] | None) -> Doc:
    """What an intent showed, with what is said now. What is unset now is shown as before anything was said."""
    told = {name: one for name, one in (given or {}).items() if name in SHAPES and one is not None}
    merged = {name: _merged(name, shown.get(name) or DEFAULTS[name], one) for name, one in told.items()}
    return dict(sorted({**shown, **merged}.items()))


def _merged(name: str, old: Doc, given: dict[str, Any]) -> Doc:
    heard = {key: value for key, value in given.items() if not isinstance(SHAPES[name][key], Ignored)}
    merged = {**old, **heard}
    shown = {key: value for key, value in merged.items() if value is not None or key in DEFAULTS[name]}
    return dict(sorted(shown.items()))


def check_currency(types: Sequence[str], currency: str, *, param: str = "payment_method_types") -> None:
    """Raises ApiError for a way to pay that does not take this currency."""
    for name in types:
        if currency not in CURRENCIES.get(name, (currency,)):
            raise ApiError(
                f"The payment method type `{name}` does not support the currency `{currency}`. It supports: "
                f"{', '.join(CURRENCIES[name])}.",
                param=param,
            )


def check_use(types: Sequence[str], *, capture_method: str | None, usage: str | None, inside: str = "") -> None:
    """Raises ApiError for ways to pay that cannot be held (`capture_method` manual) or kept (`usage`). `inside` is the
    name of the hash in which these are said."""
    prefix = f"{inside}[{{}}]" if inside else "{}"
    _check_able(types, HOLDS if capture_method == "manual" else BUILT, prefix.format("capture_method"))
    _check_able(types, KEEPS if usage else BUILT, prefix.format("setup_future_usage"))


def _check_able(types: Sequence[str], able: Sequence[str], name: str) -> None:
    unable = [type for type in types if type in BUILT and type not in able]
    if unable:
        raise ApiError(
            f"`{name}` cannot be used with one or more of the values you specified in `payment_method_types`. Please "
            f"remove `{name}` or remove these types from `payment_method_types`: {json.dumps(unable)}.",
            param=name,
        )


def for_currency(currency: str) -> list[str]:
    """Every way to pay that takes it, as an account offers them that has all switched on."""
    return [name for name in BUILT if currency in CURRENCIES.get(name, (currency,))]
