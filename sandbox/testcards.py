"""Stripe's test cards: numbers, `pm_card_…` and `tok_…` names, and what each does.

Source: Stripe docs, "Testing" (cards by brand and country, declined payments, fraud, invalid data, disputes,
refunds, available balance, 3D Secure authentication).
"""

from dataclasses import dataclass
from enum import StrEnum


class Authentication(StrEnum):
    """When the bank wants to see the cardholder."""

    NONE = "none"
    """Never."""
    ON_REQUEST = "on_request"
    """Only when the intent asks for it."""
    UNLESS_SET_UP = "unless_set_up"
    """Until the card was set up for off-session use with a challenge once."""
    ON_SESSION = "on_session"
    """On-session always; off-session payments are let through as already set up."""
    ALWAYS = "always"
    """For each payment, off-session too, where it cannot be given."""


@dataclass(frozen=True)
class TestCard:
    """`code` and `decline_code` are the answer to a charge; `attachable` is false where attaching is declined too."""

    __test__ = False

    number: str
    names: tuple[str, ...] = ()
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    code: str | None = None
    decline_code: str | None = None
    attachable: bool = True
    authentication: Authentication = Authentication.NONE
    cvc_check: str = "pass"
    line1_check: str = "pass"
    zip_check: str = "pass"
    refund: str = "succeeded"
    """succeeded, pending (then succeeds) or failed (after it looked succeeded)."""
    dispute: str | None = None
    """The reason of the dispute that follows a successful charge; `warning` is an inquiry."""
    disputes: int = 1
    """How many disputes follow, each over an equal part."""
    enhanced: str | None = None
    """The kind of enhanced evidence that such a dispute takes."""
    reported: bool = False
    """The network reports a successful charge as fraud."""
    risk_level: str = "normal"
    immediately_available: bool = False

    @property
    def last4(self) -> str:
        return self.number[-4:]


def _decline(number: str, decline_code: str, *names: str, code: str = "card_declined") -> TestCard:
    return TestCard(
        number, tuple(f"{prefix}{name}" for name in names for prefix in ("", "visa_")),
        code=code, decline_code=decline_code, attachable=False,
    )  # fmt: skip


def _blocked(number: str, *names: str) -> TestCard:
    """Radar's own rule blocks what has the highest risk."""
    return TestCard(number, names, code="card_declined", decline_code="fraudulent", risk_level="highest")


BRANDS = (
    TestCard("4242424242424242", ("visa", "us")),
    TestCard("4000056655665556", ("visa_debit",), funding="debit"),
    TestCard("4000000000000077", ("bypassPending",), immediately_available=True),
    TestCard("5555555555554444", ("mastercard",), brand="mastercard"),
    TestCard("2223003122003222", ("mastercard_2series",), brand="mastercard"),
    TestCard("5200828282828210", ("mastercard_debit",), brand="mastercard", funding="debit"),
    TestCard("5105105105105100", ("mastercard_prepaid",), brand="mastercard", funding="prepaid"),
    TestCard("378282246310005", ("amex",), brand="amex"),
    TestCard("371449635398431", brand="amex"),
    TestCard("6011111111111117", ("discover",), brand="discover"),
    TestCard("6011000990139424", brand="discover"),
    TestCard("6011981111111113", ("discover_debit",), brand="discover", funding="debit"),
    TestCard("3056930009020004", ("diners", "dinersclub"), brand="diners"),
    TestCard("36227206271667", brand="diners"),
    TestCard("3566002020360505", ("jcb",), brand="jcb", country="JP"),
    TestCard("6200000000000005", ("unionpay",), brand="unionpay", country="CN"),
    TestCard("6200000000000047", ("unionpay_debit",), brand="unionpay", funding="debit", country="CN"),
)
COUNTRIES = tuple(
    TestCard(number, (country.lower(),), country=country)
    for country, number in {
        "AR": "4000000320000021", "BR": "4000000760000002", "CA": "4000001240000000", "CL": "4000001520000001",
        "CO": "4000001700000003", "MX": "4000004840008001", "AT": "4000000400000008", "BE": "4000000560000004",
        "DK": "4000002080000001", "FI": "4000002460000001", "FR": "4000002500000003", "DE": "4000002760000016",
        "IE": "4000003720000005", "IT": "4000003800000008", "NL": "4000005280000002", "NO": "4000005780000007",
        "PL": "4000006160000005", "PT": "4000006200000007", "ES": "4000007240000007", "SE": "4000007520000008",
        "CH": "4000007560000009", "GB": "4000008260000000", "AU": "4000000360000006", "CN": "4000001560000002",
        "HK": "4000003440000004", "IN": "4000003560000008", "JP": "4000003920000003", "MY": "4000004580000002",
        "NZ": "4000005540000008", "SG": "4000007020000003", "TW": "4000001580000008", "TH": "4000007640000003",
    }.items()
)  # fmt: skip
DECLINES = (
    _decline("4000000000000002", "generic_decline", "chargeDeclined"),
    _decline("4000000000009995", "insufficient_funds", "chargeDeclinedInsufficientFunds"),
    _decline("4000000000009987", "lost_card", "chargeDeclinedLostCard"),
    _decline("4000000000009979", "stolen_card", "chargeDeclinedStolenCard"),
    _decline("4000000000000069", "expired_card", "chargeDeclinedExpiredCard", code="expired_card"),
    _decline("4000000000000127", "incorrect_cvc", "chargeDeclinedIncorrectCvc", code="incorrect_cvc"),
    _decline("4000000000000119", "processing_error", "chargeDeclinedProcessingError", code="processing_error"),
    _decline("4000000000006975", "card_velocity_exceeded", "chargeDeclinedVelocityLimitExceeded"),
    _decline("4100000000000019", "fraudulent", "radarBlock", "chargeDeclinedFraudulent"),
    TestCard(
        "4000000000000341", ("chargeCustomerFail",), code="card_declined", decline_code="generic_decline"
    ),
)  # fmt: skip
AUTHENTICATED = (
    TestCard(
        "4000002500003155", ("authenticationRequiredOnSetup",), authentication=Authentication.UNLESS_SET_UP,
        country="FR",
    ),
    TestCard(
        "4000002760003184", ("authenticationRequired",), authentication=Authentication.ALWAYS, country="DE",
    ),
    TestCard(
        "4000003800000446", ("authenticationRequiredSetupForOffSession",), authentication=Authentication.ON_SESSION,
        country="IT",
    ),
    TestCard(
        "4000008260003178", ("authenticationRequiredChargeDeclinedInsufficientFunds",), country="GB",
        authentication=Authentication.ALWAYS, code="card_declined", decline_code="insufficient_funds",
    ),
    TestCard(
        "4000000000003220", ("threeDSecure2Required", "three_d_secure_2_required"),
        authentication=Authentication.ALWAYS,
    ),
    TestCard(
        "4000000000003063", ("threeDSecureRequired", "three_d_secure_required"),
        authentication=Authentication.ALWAYS,
    ),
    TestCard(
        "4000008400001629", ("threeDSecureRequiredChargeDeclined",), authentication=Authentication.ALWAYS,
        code="card_declined", decline_code="generic_decline",
    ),
    TestCard("4000000000003055", ("threeDSecureOptional",), authentication=Authentication.ON_REQUEST),
    TestCard("378282246310005", ("amex_threeDSecureNotSupported",), brand="amex"),
)  # fmt: skip
AFTERWARDS = (
    TestCard("4000000000000259", ("createDispute",), dispute="fraudulent"),
    TestCard("4000000000002685", ("createDisputeProductNotReceived",), dispute="product_not_received"),
    TestCard("4000000000001976", ("createDisputeInquiry",), dispute="warning"),
    TestCard("4000000404000079", ("createMultipleDisputes",), dispute="fraudulent", disputes=2),
    TestCard(
        "4000000404000038", ("createCe3EligibleDispute",), dispute="fraudulent", enhanced="visa_compelling_evidence_3"
    ),
    TestCard("4000008400000779", ("createComplianceDispute",), dispute="noncompliant", enhanced="visa_compliance"),
    TestCard("4000000000005423", ("createIssuerFraudRecord",), reported=True),
    TestCard("4000000000007726", ("pendingRefund",), refund="pending"),
    TestCard("4000000000005126", ("refundFail",), refund="failed"),
    TestCard("4000000000000101", ("cvcCheckFail",), cvc_check="fail"),
    TestCard("4000000000009235", ("riskLevelElevated",), risk_level="elevated"),
    TestCard("4000000000000036", ("avsZipFail",), zip_check="fail"),
    TestCard("4000000000000028", ("avsLine1Fail",), line1_check="fail"),
    TestCard("4000000000000010", ("avsFail",), line1_check="fail", zip_check="fail"),
    TestCard("4000000000000044", ("avsUnchecked",), line1_check="unavailable", zip_check="unavailable"),
    _blocked("4000000000004954", "riskLevelHighest"),
    _blocked("4000000000004916"),
)
CARDS = (*BRANDS, *COUNTRIES, *DECLINES, *AUTHENTICATED, *AFTERWARDS)
BY_NUMBER = {card.number: card for card in reversed(CARDS)}
BY_NAME = {name: card for card in CARDS for name in card.names}

MESSAGES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "card_velocity_exceeded": "Your card was declined for making repeated attempts too frequently or exceeding its "
    "amount limit.",
    "test_mode_live_card": "Your card was declined. Your request was in test mode, but used a non test card. For a "
    "list of valid test cards, visit: https://stripe.com/docs/testing.",
}
PREFIXES = {
    "4": "visa", "5": "mastercard", "2": "mastercard", "34": "amex", "37": "amex", "6": "discover", "62": "unionpay",
    "30": "diners", "36": "diners", "38": "diners", "35": "jcb",
}  # fmt: skip


def by_number(number: str) -> TestCard:
    """The card's behaviour; a number that is no test card is declined when it is charged."""
    known = BY_NUMBER.get(number)
    if known:
        return known
    brand = PREFIXES.get(number[:2]) or PREFIXES.get(number[:1]) or "unknown"
    return TestCard(number, brand=brand, code="card_declined", decline_code="test_mode_live_card")


def by_name(name: str) -> TestCard | None:
    """`pm_card_visa` or `tok_visa`."""
    for prefix in ("pm_card_", "tok_"):
        if name.startswith(prefix):
            return BY_NAME.get(name.removeprefix(prefix))
    return None


ADVICE: dict[str | None, dict[str, str]] = {
    "generic_decline": {"advice_code": "try_again_later", "network_decline_code": "01"},
    "insufficient_funds": {"advice_code": "try_again_later"},
}
"""What a decline says of what to do about it, by its decline code. Source: Stripe docs, "Declines"; test mode."""


def decline_message(card: TestCard) -> str:
    return MESSAGES.get(card.decline_code or "", "Your card was declined.")


def is_card_number(number: str) -> bool:
    """The check digit (Luhn) fits."""
    if not number.isdigit() or not 12 <= len(number) <= 19:
        return False
    digits = [int(digit) for digit in reversed(number)]
    return sum(digits[0::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0
