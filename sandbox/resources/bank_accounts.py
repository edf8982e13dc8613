"""The fields of payment methods that are bank accounts. Pure."""

from typing import Any

from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc
from sandbox.testbanks import NOT_A_MEMBER, NOT_DEBITED, ROUTING_NUMBER, TestBank, fingerprint, is_iban

BANK_CODE = {"DE": slice(4, 12), "AT": slice(4, 9), "FR": slice(4, 9), "NL": slice(4, 8), "ES": slice(4, 8)}
"""Where the bank's own number stands in an IBAN. Source: SWIFT's IBAN registry."""


UNFIT = (
    (NOT_A_MEMBER, "sepa_debit_bank_not_supported", "The bank of this account does not take part in SEPA debits."),
    (NOT_DEBITED, "sepa_debit_debits_not_supported", "This account cannot be debited by SEPA Direct Debit."),
)
"""Ends of test accounts that make no payment method. Source: Stripe docs, "Testing" (SEPA Direct Debit)."""


def iban_fields(given: dict[str, Any]) -> Doc:
    """A European account. Raises ApiError for an IBAN that cannot be."""
    if "iban" not in given:
        raise missing("sepa_debit[iban]")
    iban = given["iban"].replace(" ", "").upper()
    if not is_iban(iban):
        raise ApiError(
            "The IBAN you have provided is invalid.", code="invalid_bank_account_iban", param="sepa_debit[iban]"
        )
    for ending, code, words in UNFIT:
        if iban.endswith(ending):
            raise ApiError(words, code=code, param="sepa_debit[iban]")
    account = {
        "bank_code": iban[BANK_CODE.get(iban[:2], slice(4, 8))],
        "branch_code": iban[9:14] if iban.startswith("FR") else "",
        "country": iban[:2],
        "fingerprint": fingerprint(iban),
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": iban[-4:],
    }
    return {"sepa_debit": account, "type": "sepa_debit", "_account": iban}


def american_fields(given: dict[str, Any]) -> Doc:
    """An American account. Raises ApiError for what is no number."""
    for name in ("account_number", "routing_number"):
        if name not in given:
            raise missing(f"us_bank_account[{name}]")
        if not given[name].isdecimal():
            raise ApiError(f"Invalid {name}.", code=f"{name}_invalid", param=f"us_bank_account[{name}]")
    account = {
        "account_holder_type": given.get("account_holder_type", "individual"),
        "account_type": given.get("account_type", "checking"),
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": fingerprint(given["routing_number"] + given["account_number"]),
        "last4": given["account_number"][-4:],
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": given["routing_number"],
        "status_details": None,
    }
    return {"type": "us_bank_account", "us_bank_account": account, "_account": given["account_number"]}


def named_fields(bank: TestBank) -> Doc:
    """The fields of one of the test accounts that have a name."""
    if bank.account[:2].isalpha():
        return iban_fields({"iban": bank.account})
    return american_fields({"account_number": bank.account, "routing_number": ROUTING_NUMBER})
