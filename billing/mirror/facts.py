"""What Stripe's objects say, as frozen values: read from `stripe_data` alone, no database, no clock.

Shapes are those of the pinned API version (periods on subscription items, `invoice.parent`, `total_taxes`);
a field that may be expanded is read whether it is an id or an object. Money is in the currency's minor unit.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from billing.mirror.shapes import Data, id_of, inner, listed, made_at, number, objects_in, sum_of, time_of, whole, word


class SubscriptionStatus(StrEnum):
    """Stripe's statuses of a subscription (Stripe docs: "How subscriptions work")."""

    TRIALING = "trialing"  # in use, not yet charged
    ACTIVE = "active"  # in good standing
    INCOMPLETE = "incomplete"  # the first payment has not succeeded; 23 hours to pay it
    INCOMPLETE_EXPIRED = "incomplete_expired"  # the first payment never succeeded; the end
    PAST_DUE = "past_due"  # a renewal was not paid; Stripe tries again
    UNPAID = "unpaid"  # Stripe has stopped trying; invoices wait
    PAUSED = "paused"  # a trial ended without a payment method; no invoices are made
    CANCELED = "canceled"  # the end
    UNKNOWN = "unknown"  # a status that Stripe added after this was written

    @classmethod
    def _missing_(cls, value: object) -> "SubscriptionStatus":
        return cls.UNKNOWN


ENDED = frozenset({SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED})


class InvoiceStatus(StrEnum):
    """Stripe's statuses of an invoice (Stripe docs: "Status transitions and finalization")."""

    DRAFT = "draft"  # still being written; Stripe finalises it after about an hour
    OPEN = "open"  # to be paid
    PAID = "paid"
    VOID = "void"  # taken back; nothing is owed
    UNCOLLECTIBLE = "uncollectible"  # given up; still payable
    UNKNOWN = "unknown"  # a status that Stripe added after this was written

    @classmethod
    def _missing_(cls, value: object) -> "InvoiceStatus":
        return cls.UNKNOWN


@dataclass(frozen=True)
class ItemFacts:
    """One priced line of a subscription. `unit_amount` is None where usage, tiers or fractions decide."""

    price_id: str
    product_id: str
    quantity: int
    unit_amount: int | None
    currency: str
    interval: str
    interval_count: int
    metered: bool
    period_start: datetime | None
    period_end: datetime | None

    @property
    def amount(self) -> int | None:
        """What one period of this item costs, in minor units, before discounts and tax."""
        return None if self.unit_amount is None or self.metered else self.unit_amount * self.quantity


@dataclass(frozen=True)
class SubscriptionFacts:
    id: str
    customer_id: str
    status: SubscriptionStatus
    currency: str
    items: tuple[ItemFacts, ...]
    created: datetime
    cancel_at: datetime | None
    cancel_at_period_end: bool
    canceled_at: datetime | None
    ended_at: datetime | None
    trial_end: datetime | None
    trial_without_method: str  # create_invoice, cancel or pause: what a trial without payment method ends in
    collection_method: str
    collection_paused: bool
    collection_resumes_at: datetime | None
    default_payment_method_id: str
    latest_invoice_id: str
    schedule_id: str
    discounted: bool
    taxed: bool  # tax is added or may be: its amount is known only when the invoice is made
    order_key: str  # metadata: the checkout order that it came from

    @property
    def living(self) -> bool:
        return self.status not in ENDED

    @property
    def period_end(self) -> datetime | None:
        """The first end among the items' periods."""
        return min((item.period_end for item in self.items if item.period_end), default=None)

    @property
    def ends_at(self) -> datetime | None:
        """When it is going to end as things stand, None when it goes on or has ended."""
        if not self.living:
            return None
        return self.cancel_at or (self.last_period_end if self.cancel_at_period_end else None)

    @property
    def last_period_end(self) -> datetime | None:
        return max((item.period_end for item in self.items if item.period_end), default=None)

    @property
    def product_id(self) -> str:
        return self.items[0].product_id if self.items else ""

    @property
    def price_id(self) -> str:
        return self.items[0].price_id if self.items else ""


@dataclass(frozen=True)
class LineFacts:
    description: str
    amount: int
    currency: str
    quantity: int | None
    period_start: datetime | None
    period_end: datetime | None
    proration: bool


@dataclass(frozen=True)
class InvoiceFacts:
    id: str
    number: str
    customer_id: str
    subscription_id: str
    status: InvoiceStatus
    currency: str
    subtotal: int
    discount: int
    tax: int
    total: int
    starting_balance: int
    amount_due: int
    amount_paid: int
    amount_remaining: int
    created: datetime
    due_date: datetime | None
    finalized_at: datetime | None
    paid_at: datetime | None
    period_start: datetime | None
    period_end: datetime | None
    next_payment_attempt: datetime | None
    finalizes_at: datetime | None
    attempt_count: int
    attempted: bool
    auto_advance: bool
    billing_reason: str
    collection_method: str
    hosted_url: str
    pdf_url: str
    lines: tuple[LineFacts, ...]
    more_lines: bool  # Stripe lists the first ten or so; the document has them all
    payment_intent_ids: tuple[str, ...]

    @property
    def owed(self) -> bool:
        return self.status is InvoiceStatus.OPEN and self.amount_remaining > 0

    @property
    def discount_taken(self) -> int:
        """The discount as it stands in a sum: negative."""
        return -self.discount

    @property
    def credit_applied(self) -> int:
        """What the customer's balance paid of it: positive. Stripe counts credit as a negative balance."""
        return max(0, self.total - self.amount_due)

    @property
    def failed(self) -> bool:
        """A payment was tried and none has succeeded."""
        return self.owed and self.attempted and self.attempt_count > 0


@dataclass(frozen=True)
class PaymentMethodFacts:
    id: str
    type: str
    brand: str
    last4: str
    exp_month: int | None
    exp_year: int | None


@dataclass(frozen=True)
class PaymentFailure:
    """Why a payment did not succeed, in Stripe's codes and words."""

    code: str
    decline_code: str
    message: str
    needs_action: bool  # the bank wants the customer to confirm (3-D Secure)


@dataclass(frozen=True)
class PhaseFacts:
    start: datetime
    end: datetime | None
    price_ids: tuple[str, ...]


@dataclass(frozen=True)
class ScheduleFacts:
    id: str
    subscription_id: str
    running: bool
    end_behavior: str
    phases: tuple[PhaseFacts, ...]


def subscription_facts(data: Data) -> SubscriptionFacts:
    """Read a subscription; `KeyError` when it has no id."""
    pause = inner(data.get("pause_collection"))
    trial_settings = inner(inner(data.get("trial_settings")).get("end_behavior"))
    items = tuple(item_facts(item) for item in listed(data.get("items")))
    return SubscriptionFacts(
        id=data["id"],
        customer_id=id_of(data.get("customer")),
        status=SubscriptionStatus(word(data.get("status"))),
        currency=word(data.get("currency")) or (items[0].currency if items else ""),
        items=items,
        created=made_at(data, data.get("start_date"), *(item.get("created") for item in listed(data.get("items")))),
        cancel_at=time_of(data.get("cancel_at")),
        cancel_at_period_end=bool(data.get("cancel_at_period_end")),
        canceled_at=time_of(data.get("canceled_at")),
        ended_at=time_of(data.get("ended_at")),
        trial_end=time_of(data.get("trial_end")),
        trial_without_method=word(trial_settings.get("missing_payment_method")) or "create_invoice",
        collection_method=word(data.get("collection_method")) or "charge_automatically",
        collection_paused=bool(pause),
        collection_resumes_at=time_of(pause.get("resumes_at")),
        default_payment_method_id=id_of(data.get("default_payment_method")),
        latest_invoice_id=id_of(data.get("latest_invoice")),
        schedule_id=id_of(data.get("schedule")),
        discounted=bool(data.get("discounts") or data.get("discount")),
        taxed=is_taxed(data),
        order_key=order_key(data),
    )


def order_key(subscription: Data) -> str:
    """The checkout order that a subscription came from, by its metadata; empty when it says none."""
    return word(inner(subscription.get("metadata")).get("kessai_order"))


def item_facts(item: Data) -> ItemFacts:
    price = inner(item.get("price"))
    recurring = inner(price.get("recurring"))
    flat = price.get("billing_scheme", "per_unit") == "per_unit" and not price.get("transform_quantity")
    quantity = whole(item.get("quantity"))
    return ItemFacts(
        price_id=id_of(price),
        product_id=id_of(price.get("product")),
        quantity=1 if quantity is None else quantity,
        unit_amount=whole(price.get("unit_amount")) if flat else None,
        currency=word(price.get("currency")),
        interval=word(recurring.get("interval")),
        interval_count=number(recurring.get("interval_count")) or 1,
        metered=recurring.get("usage_type") == "metered",
        period_start=time_of(item.get("current_period_start")),
        period_end=time_of(item.get("current_period_end")),
    )


def is_taxed(data: Data) -> bool:
    automatic = inner(data.get("automatic_tax")).get("enabled")
    return bool(
        automatic or data.get("default_tax_rates") or any(i.get("tax_rates") for i in listed(data.get("items")))
    )


def invoice_facts(data: Data) -> InvoiceFacts:
    """Read an invoice; `KeyError` when it has no id."""
    changes = inner(data.get("status_transitions"))
    subscription = inner(inner(data.get("parent")).get("subscription_details")).get("subscription")
    return InvoiceFacts(
        id=data["id"],
        number=word(data.get("number")),
        customer_id=id_of(data.get("customer")),
        subscription_id=id_of(subscription),
        status=InvoiceStatus(word(data.get("status"))),
        currency=word(data.get("currency")),
        subtotal=number(data.get("subtotal")),
        discount=sum_of(data.get("total_discount_amounts")),
        tax=sum_of(data.get("total_taxes")),
        total=number(data.get("total")),
        starting_balance=number(data.get("starting_balance")),
        amount_due=number(data.get("amount_due")),
        amount_paid=number(data.get("amount_paid")),
        amount_remaining=number(data.get("amount_remaining")),
        created=made_at(data, changes.get("finalized_at"), data.get("period_end")),
        due_date=time_of(data.get("due_date")),
        finalized_at=time_of(changes.get("finalized_at")),
        paid_at=time_of(changes.get("paid_at")),
        period_start=time_of(data.get("period_start")),
        period_end=time_of(data.get("period_end")),
        next_payment_attempt=time_of(data.get("next_payment_attempt")),
        finalizes_at=time_of(data.get("automatically_finalizes_at")),
        attempt_count=number(data.get("attempt_count")),
        attempted=bool(data.get("attempted")),
        auto_advance=bool(data.get("auto_advance")),
        billing_reason=word(data.get("billing_reason")),
        collection_method=word(data.get("collection_method")) or "charge_automatically",
        hosted_url=word(data.get("hosted_invoice_url")),
        pdf_url=word(data.get("invoice_pdf")),
        lines=tuple(line_facts(line) for line in listed(data.get("lines"))),
        more_lines=bool(inner(data.get("lines")).get("has_more")),
        payment_intent_ids=payment_intents_of(data),
    )


def line_facts(line: Data) -> LineFacts:
    period = inner(line.get("period"))
    parent = inner(line.get("parent"))
    details = inner(parent.get("subscription_item_details")) or inner(parent.get("invoice_item_details"))
    return LineFacts(
        description=word(line.get("description")),
        amount=number(line.get("amount")),
        currency=word(line.get("currency")),
        quantity=whole(line.get("quantity")),
        period_start=time_of(period.get("start")),
        period_end=time_of(period.get("end")),
        proration=bool(details.get("proration")),
    )


def payment_intents_of(invoice: Data) -> tuple[str, ...]:
    """Return the payment intents that an invoice says it is paid by; empty when `payments` was not expanded."""
    payments = (inner(payment.get("payment")) for payment in listed(invoice.get("payments")))
    return tuple(filter(None, (id_of(payment.get("payment_intent")) for payment in payments)))


def payment_method_facts(data: Data) -> PaymentMethodFacts:
    kind = word(data.get("type"))
    details = inner(data.get(kind))
    return PaymentMethodFacts(
        id=data["id"],
        type=kind,
        brand=word(details.get("display_brand")) or word(details.get("brand")),
        last4=word(details.get("last4")),
        exp_month=whole(details.get("exp_month")),
        exp_year=whole(details.get("exp_year")),
    )


def payment_failure(intent: Data) -> PaymentFailure | None:
    """Read why a payment intent waits for another try; None when nothing has gone wrong with it."""
    error = inner(intent.get("last_payment_error"))
    needs_action = intent.get("status") == "requires_action"
    if not needs_action and not (error and intent.get("status") in ("requires_payment_method", "canceled")):
        return None
    return PaymentFailure(
        code=word(error.get("code")),
        decline_code=word(error.get("decline_code")),
        message=word(error.get("message")),
        needs_action=needs_action or error.get("code") == "authentication_required",
    )


def schedule_facts(data: Data) -> ScheduleFacts:
    phases = filter(None, map(phase_facts, objects_in(data.get("phases"))))
    return ScheduleFacts(
        id=data["id"],
        subscription_id=id_of(data.get("subscription")),
        running=data.get("status") in ("active", "not_started"),
        end_behavior=word(data.get("end_behavior")) or "release",
        phases=tuple(sorted(phases, key=lambda phase: phase.start)),
    )


def phase_facts(phase: Data) -> PhaseFacts | None:
    """Read a phase; None when it does not say when it begins."""
    start = time_of(phase.get("start_date"))
    if start is None:
        return None
    return PhaseFacts(
        start=start,
        end=time_of(phase.get("end_date")),
        price_ids=tuple(id_of(item.get("price")) for item in objects_in(phase.get("items"))),
    )
