"""What a click on "subscribe" can come to."""

from dataclasses import dataclass

from billing.stripe_answers import Refused, Unreachable


@dataclass(frozen=True)
class Started:
    """A payment page is open under `url`."""

    url: str
    session_id: str


@dataclass(frozen=True)
class AlreadySubscribed:
    """The organization has a subscription that has not ended; no second one is sold."""

    subscription_id: str


@dataclass(frozen=True)
class AwaitingConfirmation:
    """The first page has been paid; its subscription is on its way to the mirror."""

    session_id: str


@dataclass(frozen=True)
class NotOffered:
    """The price is not, or no longer, on offer."""


@dataclass(frozen=True)
class Superseded:
    """Another tab chose another price at the same moment, and its choice is the one that stands."""


Outcome = Started | AlreadySubscribed | AwaitingConfirmation | NotOffered | Superseded | Refused | Unreachable
