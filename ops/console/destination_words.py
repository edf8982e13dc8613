"""What the errors of destinations say to operators: one sentence for each name, in their language.

Rows keep "Name: sentence" in English, with the particulars of the case.
"""

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

SENTENCES: Mapping[str, Any] = {
    "AddressRefused": gettext_lazy("The host stands at a private or reserved address, which is not called."),
    "AddressMalformed": gettext_lazy("The endpoint with its path values is no web address."),
    "AnswerMalformed": gettext_lazy("What came back is no HTTP answer."),
    "BodyIsNoObject": gettext_lazy("The connection adds body parameters, and the body is no JSON object."),
    "BodyTooLong": gettext_lazy("The body is longer than a call may be."),
    "CertificateRefused": gettext_lazy("The host's certificate is not trusted."),
    "ConnectionBroken": gettext_lazy("The connection broke off before the answer."),
    "ConnectionRefused": gettext_lazy("The host takes no connections."),
    "DestinationAway": gettext_lazy("It failed too often in a row and is left alone for a while."),
    "HeaderMalformed": gettext_lazy("A header holds what HTTP does not allow."),
    "LookupTimedOut": gettext_lazy("The host's name could not be looked up in time."),
    "NameNotFound": gettext_lazy("The host's name is not known."),
    "PathValuesDiffer": gettext_lazy("The endpoint has another number of places than the target gives path values."),
    "RateLimited": gettext_lazy("It is called as often as it may be; this call waits its turn."),
    "SecretMissing": gettext_lazy("The connection came without its secret: set it in the console."),
    "SecretUnreadable": gettext_lazy("A stored secret can be read with none of the ENCRYPTION_KEYS."),
    "SigningSecretMissing": gettext_lazy("The destination is signed, and has no signing secret yet."),
    "TimedOut": gettext_lazy("There was no answer within the time-out."),
    "TlsFailed": gettext_lazy("No encrypted connection could be made."),
    "TokenAwaited": gettext_lazy("Another worker is asking for a token."),
}
STATUS = re.compile(r"^(Token)?Http(\d{3})$")


def said(error: str) -> str:
    """Say an error ("Name: sentence") in the language of who reads it; in English as it was written down."""
    name, _colon, sentence = error.partition(": ")
    if (get_language() or "en").startswith("en") or not sentence:
        return sentence or error
    if status := STATUS.match(name):
        answered = _("The authorization server answered %(status)s.") if status[1] else _("It answered %(status)s.")
        return answered % {"status": status[2]}
    if name.startswith("Token") and name not in SENTENCES:
        return _("The authorization server gave no token.")
    return str(SENTENCES.get(name, sentence))
