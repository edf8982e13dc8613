"""Stripe's test bank accounts: IBANs and American account numbers, and what a debit of each comes to.

Source: Stripe docs, "Testing" (SEPA and ACH Direct Debit) and "Accept a SEPA Direct Debit payment". Any other account
that can exist pays.
"""

import hashlib
from dataclasses import dataclass, replace

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


EUROPEAN = {
    "success": TestBank(""),
    "successDelayed": TestBank("", answers_after=THREE_MINUTES),
    "failed": TestBank("", "generic_could_not_process"),
    "failedDelayed": TestBank("", "generic_could_not_process", answers_after=THREE_MINUTES),
    "disputed": TestBank("", disputed=True),
    "exceedsWeeklyVolumeLimit": TestBank("", "charge_exceeds_source_limit"),
    "exceedsWeeklyTransactionLimit": TestBank("", "charge_exceeds_weekly_limit"),
    "insufficientFunds": TestBank("", "insufficient_funds"),
}
"""What a debit comes to, by the middle of `pm_sepaDebit_success_de`; each country has an account for each."""
IBANS = {
    "at": ("AT611904300234573201", "AT321904300235473204", "AT861904300235473202", "AT051904300235473205",
           "AT591904300235473203", "AT981904300000343434", "AT601904300000121212", "AT981904300002222227"),
    "be": ("BE62510007547061", "BE78510007547064", "BE68539007547034", "BE51510007547065", "BE08510007547063",
           "BE90510000343434", "BE52510000121212", "BE90510002222227"),
    "de": ("DE89370400440532013000", "DE08370400440532013003", "DE62370400440532013001", "DE78370400440532013004",
           "DE35370400440532013002", "DE65370400440000343434", "DE27370400440000121212", "DE65370400440002222227"),
    "ee": ("EE382200221020145685", "EE222200221020145682", "EE762200221020145680", "EE922200221020145683",
           "EE492200221020145681", "EE672200000000343434", "EE292200000000121212", "EE672200000002222227"),
    "fi": ("FI2112345600000785", "FI3712345600000788", "FI9112345600000786", "FI1012345600000789",
           "FI6412345600000787", "FI6712345600343434", "FI2912345600121212", "FI6712345602222227"),
    "fr": ("FR1420041010050500013M02606", "FR3020041010050500013M02609", "FR8420041010050500013M02607",
           "FR7920041010050500013M02600", "FR5720041010050500013M02608", "FR9720041010050000000343434",
           "FR5920041010050000000121212", "FR9720041010050000002222227"),
    "ie": ("IE29AIBK93115212345678", "IE24AIBK93115212345671", "IE02AIBK93115212345679", "IE94AIBK93115212345672",
           "IE51AIBK93115212345670", "IE10AIBK93115200343434", "IE69AIBK93115200121212", "IE10AIBK93115202222227"),
    "lt": ("LT121000011101001000", "LT281000011101001003", "LT821000011101001001", "LT981000011101001004",
           "LT551000011101001002", "LT591000000000343434", "LT211000000000121212", "LT591000000002222227"),
    "lu": ("LU280019400644750000", "LU440019400644750003", "LU980019400644750001", "LU170019400644750004",
           "LU710019400644750002", "LU900010000000343434", "LU520010000000121212", "LU900010000002222227"),
    "nl": ("NL39RABO0300065264", "NL55RABO0300065267", "NL91ABNA0417164300", "NL28RABO0300065268",
           "NL82RABO0300065266", "NL27RABO0000343434", "NL86RABO0000121212", "NL27RABO0002222227"),
    "no": ("NO9386011117947", "NO8886011117940", "NO6686011117948", "NO6186011117941", "NO3986011117949",
           "NO0586010343434", "NO6486010121212", "NO0586012222227"),
}  # fmt: skip
"""The accounts of a country, in the order above."""
NOT_A_MEMBER, NOT_DEBITED = "00055555", "00066666"
"""How the accounts end whose bank takes no part in SEPA debits, and those that cannot be debited."""
AMERICAN = {
    "success": TestBank("000123456789"),
    "accountClosed": TestBank("000111111113", "account_closed"),
    "noAccount": TestBank("000111111116", "no_account"),
    "insufficientFunds": TestBank("000222222227", "insufficient_funds"),
    "debitNotAuthorized": TestBank("000333333335", "debit_not_authorized"),
    "invalidCurrency": TestBank("000444444440", "invalid_currency"),
    "dispute": TestBank("000555555559", disputed=True),
    "weeklyLimitExceeded": TestBank("000777777771", "charge_exceeds_weekly_limit"),
    "processing": TestBank("000000000009", answers_after=None),
}
"""By the end of their `pm_usBankAccount_…` names."""
BY_NAME = {
    f"pm_sepaDebit_{name}_{country}": replace(bank, account=account)
    for country, accounts in IBANS.items()
    for (name, bank), account in zip(EUROPEAN.items(), accounts, strict=True)
} | {f"pm_usBankAccount_{name}": bank for name, bank in AMERICAN.items()}
ITALIAN = TestBank("IT60X0542811101000000123456", "generic_could_not_process")
BY_ACCOUNT = {bank.account: bank for bank in (*BY_NAME.values(), ITALIAN)}
ROUTING_NUMBER = "110000000"
MESSAGES = {
    "account_closed": "The customer's bank account has been closed.",
    "no_account": "The customer's bank account could not be located.",
    "insufficient_funds": "The customer's account has insufficient funds to cover this payment.",
    "debit_not_authorized": "The customer has notified their bank that this payment was unauthorized.",
    "invalid_currency": "The bank could not process this payment due to its currency.",
    "charge_exceeds_source_limit": "This payment exceeds what can be taken from the account in a week.",
    "charge_exceeds_weekly_limit": "This payment exceeds the account's limit for payments in a week.",
}


def bank_of(account: str) -> TestBank:
    return BY_ACCOUNT.get(account) or TestBank(account)


def by_name(name: str) -> TestBank | None:
    """`pm_usBankAccount_success`, `pm_sepaDebit_failed_de`"""
    return BY_NAME.get(name)


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
