"""What will be done about a subscription if nothing changes, as frozen values. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Act(StrEnum):
    """What will be done."""

    TRY = "try"  # the payment is tried again, beside Stripe's own attempts
    REST = "rest"  # access rests
    END = "end"  # the subscription ends


@dataclass(frozen=True)
class Step:
    act: Act
    at: datetime


@dataclass(frozen=True)
class OutlookFacts:
    """`steps` soonest first. With an invoice it holds while that is owed."""

    subscription_id: str
    invoice_id: str
    steps: tuple[Step, ...]

    def when(self, act: Act) -> datetime | None:
        return next((step.at for step in self.steps if step.act is act), None)
