"""Why something that came to a door is not let in."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Reason(TextChoices):
    """The kinds of refusals: counted by them, and shown with messages that are kept aside."""

    TOO_LONG = "too-long", _("Longer than any event")
    TOO_SLOW = "too-slow", _("Not wholly sent in time")
    ENCODING = "encoding", _("Not UTF-8")  # or with characters that PostgreSQL has no place for
    NO_SIGNATURE = "no-signature", _("Not signed")
    SIGNATURE = "signature", _("Signed by somebody else, or changed on the way")
    STALE = "stale", _("Signed too long ago, or not yet")  # an old request sent again, or a clock that is wrong
    NOT_JSON = "not-json", _("Not JSON")
    NOT_AN_EVENT = "not-an-event", _("Not an event")
    VERSION = "version", _("Of a version that nobody knows")
    ACCOUNT = "account", _("Of another Stripe account")
    MODE = "mode", _("Of the other mode, live or test")
    UNSTORABLE = "unstorable", _("PostgreSQL cannot keep it")
    BUSY = "busy", _("More than could be stored at once")  # answered with 503: it comes again
    DATABASE = "database", _("The database did not answer")  # answered with 503: it comes again


class Refused(ValueError):
    """This is not let in. The sentence goes to whoever brought it: it must tell nothing secret."""

    def __init__(self, sentence: str, *, reason: Reason = Reason.NOT_AN_EVENT, status: int = 400) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.status = status


class NotAnEvent(Refused):
    """This is not an event: its parts are missing or of the wrong kind."""
