"""The virtual bank accounts that customers send transfers to: one for a customer and currency, always the same. Pure.

Source: Stripe docs, "Customer balance funding instructions", API reference "Funding instructions".
"""

import hashlib
from typing import Any

from sandbox.kinds import Doc

TYPES = {"jpy": "jp_bank_transfer", "usd": "us_bank_transfer", "eur": "eu_bank_transfer", "gbp": "gb_bank_transfer"}
COUNTRIES = {"jp_bank_transfer": "JP", "us_bank_transfer": "US", "gb_bank_transfer": "GB", "eu_bank_transfer": "DE"}
HOLDER = "Sandbox"
ADDRESS = {"city": "Chuo-ku", "line1": "1-1 Nihonbashi", "line2": None, "postal_code": "103-0027", "state": "Tokyo"}


def funding(customer: str, currency: str, type: str, country: str | None = None) -> Doc:
    """`bank_transfer` as funding instructions show it: the country, the addresses, the type."""
    country = country or COUNTRIES[type]
    return {"country": country, "financial_addresses": addresses(customer, currency, type, country), "type": type}


def addresses(customer: str, currency: str, type: str, country: str) -> list[Doc]:
    """Where the money can be sent."""
    digits = _digits(f"{customer}:{currency}")
    place = ADDRESS | {"country": country}
    shared: Doc = {"account_holder_address": place, "account_holder_name": HOLDER, "bank_address": place}
    if type == "jp_bank_transfer":
        return [_address("zengin", ["zengin"], shared | _zengin(digits))]
    if type == "gb_bank_transfer":
        code = {"account_number": digits[:8], "sort_code": "200000"}
        return [_address("sort_code", ["bacs", "fps"], shared | code)]
    if type == "eu_bank_transfer":
        code = {"bic": f"SANDBX{country}XXX"[:11], "country": country, "iban": _iban(country, digits)}
        return [_address("iban", ["sepa"], shared | code)]
    account = {"account_number": digits[:12], "account_type": "checking", "bank_name": "Sandbox Bank"}
    return [
        _address("aba", ["ach", "domestic_wire_us"], shared | account | {"routing_number": "110000000"}),
        _address("swift", ["swift"], shared | account | {"swift_code": "SANDUS33XXX"}),
    ]


def _address(type: str, networks: list[str], details: dict[str, Any]) -> Doc:
    return {"supported_networks": networks, "type": type, type: dict(sorted(details.items()))}


def _zengin(digits: str) -> Doc:
    return {
        "account_holder_name": "サンドボックス(カ",
        "account_number": digits[:7],
        "account_type": "futsu",
        "bank_code": "9900",
        "bank_name": "サンドボックス銀行",
        "branch_code": digits[7:10],
        "branch_name": "振込専用支店",
    }


def _iban(country: str, digits: str) -> str:
    """With its check digits right."""
    body = digits[:18]
    rest = int("".join(str(int(letter, 36)) for letter in f"{body}{country}00")) % 97
    return f"{country}{98 - rest:02d}{body}"


def _digits(text: str) -> str:
    return f"{int(hashlib.sha256(text.encode()).hexdigest()[:24], 16):029d}"[-20:]
