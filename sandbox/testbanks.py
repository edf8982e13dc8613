"""Stripe's test bank accounts: IBANs and American account numbers, and what a debit of each comes to.

Source: Stripe docs, "Accept a SEPA Direct Debit payment" (test IBANs) and "Accept an ACH Direct Debit payment" (test
accounts). Any other account that can exist pays.
"""

import hashlib
from dataclasses import dataclass

from sandbox.documents import BASE62

SOON, THREE_MINUTES = 3, 180
"""Seconds until the answer of a test account."""


@dataclass(frozen=True)
class TestBank:
    """`failure` is the charge's failure code, None when it pays; `answers_after` None when no answer ever comes."""

    __test__ = False

    account: str
    failure: str | None = None
    answers_after: int | None = SOON
    disputed: bool = False


def _ibans(paid: str, paid_late: str, failed: str, failed_late: str, disputed: str) -> tuple[TestBank, ...]:
    code = "generic_could_not_process"
    return (
        TestBank(paid),
        TestBank(paid_late, answers_after=THREE_MINUTES),
        TestBank(failed, code),
        TestBank(failed_late, code, answers_after=THREE_MINUTES),
        TestBank(disputed, disputed=True),
    )


IBANS = (
    *_ibans(
        "AT611904300234573201", "AT321904300235473204", "AT861904300235473202", "AT051904300235473205",
        "AT591904300235473203",
    ),
    *_ibans(
        "DE89370400440532013000", "DE08370400440532013003", "DE62370400440532013001", "DE78370400440532013004",
        "DE35370400440532013002",
    ),
    *_ibans(
        "FR1420041010050500013M02606", "FR3020041010050500013M02609", "FR8420041010050500013M02607",
        "FR7920041010050500013M02600", "FR5720041010050500013M02608",
    ),
    TestBank("IT60X0542811101000000123456", "generic_could_not_process"),
)  # fmt: skip
AMERICAN = {
    "success": TestBank("000123456789"),
    "accountClosed": TestBank("000111111113", "account_closed"),
    "noAccount": TestBank("000111111116", "no_account"),
    "insufficientFunds": TestBank("000222222227", "insufficient_funds"),
    "debitNotAuthorized": TestBank("000333333335", "debit_not_authorized"),
    "invalidCurrency": TestBank("000444444440", "invalid_currency"),
    "dispute": TestBank("000555555559", disputed=True),
    "processing": TestBank("000000000009", answers_after=None),
}
"""By the end of their `pm_usBankAccount_…` names."""
BY_ACCOUNT = {bank.account: bank for bank in (*IBANS, *AMERICAN.values())}
ROUTING_NUMBER = "110000000"
MESSAGES = {
    "account_closed": "The customer's bank account has been closed.",
    "no_account": "The customer's bank account could not be located.",
    "insufficient_funds": "The customer's account has insufficient funds to cover this payment.",
    "debit_not_authorized": "The customer has notified their bank that this payment was unauthorized.",
    "invalid_currency": "The bank could not process this payment due to its currency.",
}


def bank_of(account: str) -> TestBank:
    return BY_ACCOUNT.get(account) or TestBank(account)


def by_name(name: str) -> TestBank | None:
    """`pm_usBankAccount_success`"""
    head = "pm_usBankAccount_"
    return AMERICAN.get(name.removeprefix(head)) if name.startswith(head) else None


def message(failure: str) -> str:
    return MESSAGES.get(failure, "The bank could not process this payment.")


def is_iban(text: str) -> bool:
    """Two letters, two digits, and a remainder of 1 by 97. Source: ISO 13616."""
    if not (15 <= len(text) <= 34 and text.isalnum() and text[:2].isalpha() and text[2:4].isdigit()):
        return False
    return int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1


def fingerprint(account: str) -> str:
    digest = hashlib.sha256(account.encode()).digest()
    return "".join(BASE62[byte % 62] for byte in digest[:16])
