"""Access: what the portal grants an organization, derived from facts. Pure.

Facts are subscriptions, what is owed, and suspensions. Stripe's status alone does not say it: `past_due` may be the
first hour or the last week, and how long each company waits is its own affair (Stripe docs, "How subscriptions work").
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from billing.mirror.facts import InvoiceFacts, InvoiceStatus, SubscriptionFacts, SubscriptionStatus


class State(StrEnum):
    """What is granted, the most first."""

    ACTIVE = "active"  # everything that the plan says
    GRACE = "grace"  # the same, but something is to be settled
    SUSPENDED = "suspended"  # nothing, until something is settled; data are kept
    REVOKED = "revoked"  # nothing: there is no subscription, or it has ended


class Why(StrEnum):
    """The fact that decides."""

    PAID = "paid"
    TRIAL = "trial"
    PAYMENT_FAILED = "payment-failed"  # and is tried again
    SUSPENDED = "suspended"  # somebody said so: see `by`
    UNPAID = "unpaid"  # Stripe has stopped trying
    PAUSED = "paused"  # a trial ended without a payment method
    NOT_PAID_YET = "not-paid-yet"  # the first payment has not succeeded
    ENDED = "ended"
    NO_PLAN = "no-plan"
    UNKNOWN = "unknown"  # a status that Stripe added later


@dataclass(frozen=True)
class SuspensionFacts:
    customer_id: str
    subscription_id: str
    invoice_id: str
    reason: str
    since: datetime
    by: str
    cancels_at: datetime | None = None


@dataclass(frozen=True)
class Access:
    """`since` and `by` where a suspension decides; `subscription_id` is the one that gives it."""

    state: State
    why: Why
    subscription_id: str = ""
    since: datetime | None = None
    by: str = ""

    @property
    def granted(self) -> bool:
        """Whether the product is to serve."""
        return self.state in (State.ACTIVE, State.GRACE)


BY_STATUS: dict[SubscriptionStatus, tuple[State, Why]] = {
    SubscriptionStatus.ACTIVE: (State.ACTIVE, Why.PAID),
    SubscriptionStatus.TRIALING: (State.ACTIVE, Why.TRIAL),
    SubscriptionStatus.PAST_DUE: (State.GRACE, Why.PAYMENT_FAILED),
    SubscriptionStatus.UNKNOWN: (State.GRACE, Why.UNKNOWN),
    SubscriptionStatus.UNPAID: (State.SUSPENDED, Why.UNPAID),
    SubscriptionStatus.PAUSED: (State.SUSPENDED, Why.PAUSED),
    SubscriptionStatus.INCOMPLETE: (State.REVOKED, Why.NOT_PAID_YET),
    SubscriptionStatus.INCOMPLETE_EXPIRED: (State.REVOKED, Why.ENDED),
    SubscriptionStatus.CANCELED: (State.REVOKED, Why.ENDED),
}
ORDER = tuple(State)


def access_from(
    subscriptions: Sequence[SubscriptionFacts], owed: Sequence[InvoiceFacts], suspensions: Sequence[SuspensionFacts]
) -> Access:
    """Say what is granted: by the subscription that grants the most. `owed` are the invoices that wait for money."""
    each = [access_by(subscription, owed, suspensions) for subscription in subscriptions]
    return min(each, key=lambda access: ORDER.index(access.state), default=Access(State.REVOKED, Why.NO_PLAN))


def access_by(
    subscription: SubscriptionFacts, owed: Sequence[InvoiceFacts], suspensions: Sequence[SuspensionFacts]
) -> Access:
    state, why = BY_STATUS[subscription.status]
    if state is State.REVOKED:
        return Access(state, why, subscription.id)
    suspension = suspension_in_force(subscription, owed, suspensions)
    if suspension:
        return Access(State.SUSPENDED, Why.SUSPENDED, subscription.id, suspension.since, suspension.by)
    if state is State.ACTIVE and any(invoice.failed for invoice in owed if invoice.subscription_id == subscription.id):
        return Access(State.GRACE, Why.PAYMENT_FAILED, subscription.id)
    return Access(state, why, subscription.id)


def suspension_in_force(
    subscription: SubscriptionFacts, owed: Sequence[InvoiceFacts], suspensions: Sequence[SuspensionFacts]
) -> SuspensionFacts | None:
    """Return the first suspension that holds for a living subscription."""
    if not subscription.living:
        return None
    ids = {invoice.id for invoice in owed if unsettled(invoice)}
    holding = [each for each in suspensions if holds(each, subscription, ids)]
    return min(holding, key=lambda each: each.since, default=None)


def unsettled(invoice: InvoiceFacts) -> bool:
    """Whether an invoice still lacks money: one that was given up (`uncollectible`) is not paid by that."""
    return invoice.status in (InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE) and invoice.amount_remaining > 0


def holds(suspension: SuspensionFacts, subscription: SubscriptionFacts, owed_ids: Collection[str]) -> bool:
    """Whether a suspension's cause is still there."""
    if suspension.customer_id != subscription.customer_id:
        return False
    if suspension.subscription_id not in ("", subscription.id):
        return False
    return not suspension.invoice_id or suspension.invoice_id in owed_ids
