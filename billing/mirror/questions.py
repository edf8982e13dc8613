"""Business questions to the read model. Each is answered from an index, however many rows there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import connection
from django.db.models import Count, F, Func, IntegerField, Q, QuerySet, Sum, Value

from billing.mirror.facts import ENDED, SubscriptionStatus

EARNING = (SubscriptionStatus.ACTIVE.value, SubscriptionStatus.PAST_DUE.value)
RENEWING = (SubscriptionStatus.ACTIVE.value, SubscriptionStatus.TRIALING.value, SubscriptionStatus.PAST_DUE.value)
LIVING = tuple(status.value for status in SubscriptionStatus if status not in ENDED and status.name != "UNKNOWN")
# The first half is answered from an index alone; of combined subscriptions each item counts for its own product.
INCOME = """
    SELECT owner, currency, product_id, sum(amount)::bigint, sum(count)::bigint FROM (
        SELECT owner, currency, product_id, sum(monthly_amount) AS amount, count(*) AS count
        FROM billing_subscriptionrow
        WHERE status IN ('active', 'past_due') AND item_count <= 1 AND livemode = %(livemode)s
        GROUP BY owner, currency, product_id
        UNION ALL
        SELECT owner, currency, item.product_id, sum(item.amount), count(*)
        FROM billing_subscriptionrow, unnest(product_ids, item_amounts) AS item (product_id, amount)
        WHERE status IN ('active', 'past_due') AND item_count > 1 AND livemode = %(livemode)s
        GROUP BY owner, currency, item.product_id
    ) AS half GROUP BY owner, currency, product_id
    ORDER BY owner, currency, sum(amount) DESC, product_id
"""
AGES = (7, 30, 60, 90)  # days: the ages by which open invoices are usually told apart


@dataclass(frozen=True)
class Income:
    """What a month brings of one plan in one currency, in its minor unit, before discounts, tax and usage."""

    owner: str
    currency: str
    product_id: str
    amount: int
    subscriptions: int


@dataclass(frozen=True)
class Owed:
    """Open invoices of one age in one currency: how many, and what remains to be paid, in its minor unit."""

    older_than: int  # days since they were made
    currency: str
    invoices: int
    amount: int


class SubscriptionQuestions(QuerySet[Any]):
    def living(self) -> Self:
        """Those that have not ended."""
        return self.filter(status__in=LIVING)

    def past_due(self) -> Self:
        """Those whose renewal was not paid and is tried again."""
        return self.filter(status=SubscriptionStatus.PAST_DUE.value)

    def in_trouble(self) -> Self:
        """Those that are used and not paid for."""
        return self.filter(status__in=[SubscriptionStatus.PAST_DUE.value, SubscriptionStatus.UNPAID.value])

    def renewing(self) -> Self:
        """Those that go on after this period as things stand."""
        return self.filter(status__in=RENEWING, ends_at=None)

    def ending(self, *, now: datetime, within: timedelta | None = None) -> Self:
        """Those that will end by themselves, soonest first; all of them when `within` is not given."""
        going = self.filter(status__in=RENEWING, ends_at__isnull=False)
        return (going if within is None else going.filter(ends_at__range=(now, now + within))).order_by("ends_at")

    def trials_ending(self, *, now: datetime, within: timedelta) -> Self:
        """Those whose trial ends soon, soonest first."""
        soon = (now, now + within)
        return self.filter(status=SubscriptionStatus.TRIALING.value, trial_ends_at__range=soon).order_by(
            "trial_ends_at"
        )

    def renewals(self, *, now: datetime, within: timedelta) -> Self:
        """Those that are charged again soon, soonest first."""
        return self.renewing().filter(period_ends_at__range=(now, now + within)).order_by("period_ends_at")

    def of_plan(self, product_id: str) -> Self:
        """Those with this product among their items as Stripe says them now."""
        several = Q(item_count__gt=1, product_ids__contains=[product_id])
        return self.filter(Q(product_id=product_id) | several)

    def by_status(self) -> list[tuple[str, int]]:
        """Count them by Stripe's status, the most frequent first."""
        counts = self.order_by().values_list("status").annotate(count=Count("*")).order_by("-count", "status")
        return list(counts)


class InvoiceQuestions(QuerySet[Any]):
    def published(self) -> Self:
        """Those that a customer may see: drafts may still change."""
        return self.exclude(status__in=["draft", "deleted"])

    def open(self) -> Self:
        """Those to be paid."""
        return self.filter(status="open")

    def unsettled(self) -> Self:
        """Those that lack money: to be paid, or given up."""
        return self.filter(status__in=["open", "uncollectible"], amount_remaining__gt=0)

    def overdue(self, *, now: datetime) -> Self:
        """Open ones whose due date is over, the longest first."""
        return self.open().filter(due_at__lt=now).order_by("due_at")

    def tried_again(self, *, now: datetime, within: timedelta) -> Self:
        """Open ones whose payment Stripe tries again soon, soonest first."""
        soon = (now, now + within)
        return self.open().filter(next_payment_attempt_at__range=soon).order_by("next_payment_attempt_at")

    def failing(self) -> Self:
        """Open ones of which a payment was tried and none succeeded."""
        return self.open().filter(attempt_count__gt=0, amount_remaining__gt=0)

    def owed_by_age(self, *, now: datetime, ages: Sequence[int] = AGES) -> list[Owed]:
        """Sum what open invoices leave to be paid, by currency and by days since they were made, the newest first."""
        edges = [now - timedelta(days=days) for days in reversed(ages)]
        age = Func(F("created_at"), Value(edges), function="width_bucket", output_field=IntegerField())
        rows = self.open().order_by().annotate(age=age).values_list("age", "currency")
        sums = rows.annotate(invoices=Count("*"), amount=Sum("amount_remaining")).order_by("-age", "currency")
        older = [*ages[::-1], 0]
        return [Owed(older[bucket], currency, count, amount) for bucket, currency, count, amount in sums]


def monthly_income(*, livemode: bool) -> list[Income]:
    """Return what a month brings (MRR) by account, currency and plan, the largest first.

    Active and past-due subscriptions count, as in Stripe's own figure (Stripe docs: "Monthly recurring revenue");
    a subscription of several plans counts once for each.
    """
    with connection.cursor() as cursor:
        cursor.execute(INCOME, {"livemode": livemode})
        return [Income(*row) for row in cursor.fetchall()]
