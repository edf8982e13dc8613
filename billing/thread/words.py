"""Dates, amounts, payment methods and banks' reasons as parts of sentences, in the reader's language and zone."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from babel.dates import format_date, format_skeleton, format_time
from django.utils import timezone
from django.utils.translation import gettext as _

from billing.mirror.facts import PaymentFailure, PaymentMethodFacts

NEAR = timedelta(days=6)  # within it a weekday says more than a number
# Day before month, as the text around it is written: Babel's "en" is American.
DATE_LOCALES = {"en": "en_GB", "ja": "ja"}

BRANDS = {
    "visa": "Visa",
    "mastercard": "Mastercard",
    "amex": "American Express",
    "jcb": "JCB",
    "diners": "Diners Club",
    "discover": "Discover",
    "unionpay": "UnionPay",
}


def day_words(at: datetime, *, now: datetime, language: str) -> str:
    """Say a day: with its weekday when near, with its year when it is another one."""
    local, today = timezone.localtime(at), timezone.localtime(now)
    if local.year != today.year:
        return date_words(at, language=language)
    skeleton = weekday_skeleton(language) if abs(local - today) <= NEAR else "MMMMd"
    return format_skeleton(skeleton, local, locale=date_locale(language))


def weekday_skeleton(language: str) -> str:
    """Japanese writes the weekday short and in brackets, 11月22日(日): written out, two characters 日 collide."""
    return "MMMEd" if language.startswith("ja") else "MMMMEEEEd"


def join_sentences(sentences: Iterable[str], language: str) -> str:
    """Put sentences one after another, the empty ones left out; Japanese sets no space between them."""
    return ("" if language.startswith("ja") else " ").join(filter(None, sentences))


def date_words(at: datetime, *, language: str) -> str:
    """Say a day as documents do: in full, with its year."""
    return format_date(timezone.localtime(at), "long", locale=date_locale(language))


def moment_words(at: datetime, *, now: datetime, language: str) -> str:
    """Say a moment: its day, its time and the zone the time is in."""
    day = day_words(at, now=now, language=language)
    return _("%(day)s, %(clock)s") % {"day": day, "clock": clock_words(at, language)}


def clock_words(at: datetime, language: str) -> str:
    """Say the time of day and the zone it is in."""
    local = timezone.localtime(at)
    clock = format_time(local, "HH:mm", locale=date_locale(language))
    return _("%(clock)s (%(zone)s)") % {"clock": clock, "zone": local.tzname()}


def date_locale(language: str) -> str:
    return DATE_LOCALES.get(language.split("-")[0], "en_GB")


def method_words(method: PaymentMethodFacts | None) -> str:
    """Name a payment method as its holder knows it: "Visa ·· 4242"; empty when there is none."""
    if method is None:
        return ""
    name = BRANDS.get(method.brand) or method.brand.replace("_", " ").title() or type_words(method.type)
    return f"{name} ·· {method.last4}" if method.last4 else name


def type_words(kind: str) -> str:
    names = {
        "card": _("card"),
        "konbini": _("convenience store"),
        "customer_balance": _("bank transfer"),
        "sepa_debit": _("SEPA direct debit"),
        "us_bank_account": _("bank account"),
        "link": "Link",
    }
    return names.get(kind) or kind.replace("_", " ")


def reason_words(failure: PaymentFailure | None) -> str:
    """Say why the bank said no: Stripe's words, written out for the codes that people meet; empty when unknown."""
    if failure is None:
        return ""
    if failure.needs_action:
        return _("Your bank wants you to confirm this payment.")
    known = decline_sentences()
    return known.get(failure.decline_code or failure.code) or failure.message or known.get(failure.code, "")


def decline_sentences() -> Mapping[str, str]:
    """Sentences by decline or error code (Stripe docs: "Decline codes").

    Codes that hint at theft or fraud are left out on purpose: Stripe asks that they read like any other decline.
    """
    return {
        "insufficient_funds": _("Your bank declined the card (insufficient funds)."),
        "expired_card": _("The card has expired."),
        "incorrect_cvc": _("The card's security code is incorrect."),
        "invalid_cvc": _("The card's security code is incorrect."),
        "incorrect_number": _("The card number is incorrect."),
        "invalid_number": _("The card number is incorrect."),
        "processing_error": _("The bank could not process the payment just now."),
        "card_velocity_exceeded": _("Your bank declined the card (its limit is reached)."),
        "withdrawal_count_limit_exceeded": _("Your bank declined the card (its limit is reached)."),
        "currency_not_supported": _("The card does not support this currency."),
        "card_not_supported": _("The card does not support this kind of purchase."),
        "generic_decline": _("Your bank declined the card."),
        "do_not_honor": _("Your bank declined the card."),
        "fraudulent": _("Your bank declined the card."),
        "lost_card": _("Your bank declined the card."),
        "stolen_card": _("Your bank declined the card."),
        "card_declined": _("Your bank declined the card."),
    }
