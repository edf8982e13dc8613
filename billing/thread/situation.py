"""Everything that a thread is computed from: facts of one organization at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from billing.entitlements.access import State, SuspensionFacts, suspension_in_force, unsettled
from billing.entitlements.foreseen import Act, OutlookFacts
from billing.mirror.facts import (
    InvoiceFacts,
    PaymentFailure,
    PaymentMethodFacts,
    ScheduleFacts,
    SubscriptionFacts,
)
from billing.provisioning.facts import ProvisionFacts


@dataclass(frozen=True)
class OrderFacts:
    """The unfinished checkout order: `returned` once the viewer has come back from the payment page."""

    plan_name: str
    expires_at: datetime | None
    returned: bool


@dataclass(frozen=True)
class ActivityFacts:
    verb: str
    subject_id: str
    data: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True)
class CoverFacts:
    """Whose subscription covers an organization that has none of its own: an organization above it."""

    payer_id: str  # the public one
    payer_name: str
    plan_name: str
    state: State
    ends_at: datetime | None = None
    contact_name: str = ""
    contact_email: str = ""


@dataclass(frozen=True)
class Situation:
    """`invoices` newest first, all open ones among them; `product_names` and `price_products` by Stripe's ids."""

    now: datetime
    language: str
    subscription: SubscriptionFacts | None = None
    invoices: tuple[InvoiceFacts, ...] = ()
    method: PaymentMethodFacts | None = None
    failure: PaymentFailure | None = None
    order: OrderFacts | None = None
    schedule: ScheduleFacts | None = None
    activities: tuple[ActivityFacts, ...] = ()
    provision: ProvisionFacts | None = None  # what the subscription has at AWS
    suspensions: tuple[SuspensionFacts, ...] = ()
    cover: CoverFacts | None = None
    outlooks: tuple[OutlookFacts, ...] = ()  # what will be done if nothing changes
    product_names: Mapping[str, str] = field(default_factory=dict)
    price_products: Mapping[str, str] = field(default_factory=dict)

    @property
    def owed(self) -> tuple[InvoiceFacts, ...]:
        """The subscription's invoices that wait for money; every one when there is no subscription."""
        sub = self.subscription
        return tuple(i for i in self.invoices if i.owed and (sub is None or i.subscription_id in ("", sub.id)))

    @property
    def waiting(self) -> tuple[InvoiceFacts, ...]:
        """What is paid only if somebody pays it: no further attempt and no day are set."""
        return tuple(
            i for i in self.owed if not any(at and at > self.now for at in (i.next_payment_attempt, i.due_date))
        )

    @property
    def troubled(self) -> InvoiceFacts | None:
        """The invoice whose payment is in question: a failed one first, else the newest that is owed."""
        failed = [invoice for invoice in self.owed if invoice.failed]
        return next(iter(failed or self.owed), None)

    @property
    def suspended(self) -> SuspensionFacts | None:
        """Why access to the subscription rests; None where it does not."""
        return suspension_in_force(self.subscription, self.invoices, self.suspensions) if self.subscription else None

    def foreseen(self, act: Act) -> datetime | None:
        """When this will be done to the subscription if its invoice stays unpaid; None where nobody said so."""
        sub = self.subscription
        if sub is None or not sub.living:
            return None
        owed = {invoice.id for invoice in self.invoices if unsettled(invoice)}
        said = [one for one in self.outlooks if one.subscription_id == sub.id and one.invoice_id in ("", *owed)]
        moments = [at for one in said if (at := one.when(act)) and at > self.now]
        said_then = self.suspended.cancels_at if act is Act.END and self.suspended else None
        if not moments and said_then and said_then > self.now:
            return said_then
        return min(moments, default=None)

    @property
    def last_paid(self) -> InvoiceFacts | None:
        paid = [invoice for invoice in self.invoices if invoice.paid_at and invoice.amount_paid > 0]
        return max(paid, key=lambda invoice: invoice.paid_at or invoice.created, default=None)
