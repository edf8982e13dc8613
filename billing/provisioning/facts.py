"""What pages need to know of a provision, as a frozen value. Pure."""

from dataclasses import dataclass
from datetime import datetime

from billing.provisioning.states import State


@dataclass(frozen=True)
class ProvisionFacts:
    """`refunded` in the minor unit of `currency`; None while it is not known what went back."""

    state: State
    since: datetime
    attempt: int = 1
    address: str = ""
    stop_at: datetime | None = None
    delete_at: datetime | None = None
    held: bool = False
    refunded: int | None = None
    currency: str = ""
