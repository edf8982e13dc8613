"""The console's first page: what flows and what is stuck. Thirteen queries, whatever the size of the tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Aggregate, Count, DurationField, ExpressionWrapper, F, Min, Q, QuerySet
from django.db.models.expressions import Combinable, RawSQL
from django.http import HttpRequest

from billing.models import Activity, CheckoutOrder, InboxEvent, InboxState, OrderState, SubscriptionRow
from billing.stripe_accounts import configured
from billing.stripe_fullness import Fullness, fullness
from ops.console.chart import Column, stack
from ops.console.workflows.counts import summaries_of
from ops.models import Execution, Finding, StateMachine, Status
from ops.remediation.problems import BEAT_SILENT_AFTER, last_sweep

HOURS = 24
OVERDUE_AFTER = timedelta(minutes=1)  # the sweep looks every 15 seconds: what waits longer is stuck
ORDER_STALE_AFTER = timedelta(minutes=30)
SHOWN = 5
ACTIVITIES = 10
CHART_WIDTH, CHART_HEIGHT = 720, 120
SERIES = ("done", "waiting", "failed")


class Percentile(Aggregate):
    """PostgreSQL's `percentile_cont(fraction) WITHIN GROUP (ORDER BY expression)`."""

    template = "percentile_cont(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DurationField()

    def __init__(self, expression: Combinable, *, fraction: float, filter: Q | None = None) -> None:
        super().__init__(expression, fraction=fraction, filter=filter)


@dataclass(frozen=True)
class Hour:
    """What arrived in one hour, by how far it has come."""

    start: datetime
    done: int
    waiting: int
    failed: int

    @property
    def end(self) -> datetime:
        return self.start + timedelta(hours=1)

    @property
    def total(self) -> int:
        return self.done + self.waiting + self.failed


@dataclass(frozen=True)
class Traffic:
    """How many events arrived since a moment and how many of them are dealt with."""

    received: int
    done: int


@dataclass(frozen=True)
class Lag:
    """How long events took from happening at the source to standing in the mirror, in the last hour."""

    median: timedelta | None
    slowest: timedelta | None  # 95 of 100 were faster


@dataclass(frozen=True)
class Waiting:
    """What the mirror is due to look at and has not."""

    due: int
    overdue: int
    oldest: timedelta | None
    again: int  # tried and put off until later


@dataclass(frozen=True)
class Stuck:
    """Rows of one kind that wait for a person: the first few, and how many there are."""

    rows: Sequence[Any]
    count: int

    @property
    def more(self) -> int:
        return self.count - len(self.rows)


@dataclass(frozen=True)
class Budget:
    """How full the budget of calls of one Stripe account is."""

    account: str
    fullness: Fullness


@dataclass(frozen=True)
class Workflows:
    """Executions: how many are under way, how many of those should have been advanced, how many have failed."""

    running: int
    late: int
    failed: int


@dataclass(frozen=True)
class Flow:
    now: datetime
    last_hour: Traffic
    last_day: Traffic
    hours: tuple[Hour, ...]
    columns: tuple[Column, ...]
    lag: Lag
    waiting: Waiting
    failed: Stuck
    stale_orders: Stuck
    statuses: tuple[tuple[str, int], ...]
    activities: Sequence[Activity]
    findings: Stuck
    budgets: tuple[Budget, ...]
    workflows: Workflows
    last_sweep: datetime | None

    @property
    def beat_silent(self) -> bool:
        """Beat has run before and has not for longer than it may."""
        return self.last_sweep is not None and self.now - self.last_sweep > BEAT_SILENT_AFTER

    @property
    def stuck(self) -> bool:
        return bool(
            self.findings.count
            or self.failed.count
            or self.waiting.overdue
            or self.stale_orders.count
            or self.workflows.late
            or self.beat_silent
        )

    @property
    def empty(self) -> bool:
        """Nothing has ever come: the first step is to connect Stripe."""
        return not (self.last_day.received or self.statuses or self.activities or self.failed.count)

    @property
    def busiest(self) -> int:
        return max((hour.total for hour in self.hours), default=0)


def read_flow(now: datetime) -> Flow:
    """Read where events, orders and subscriptions stand at `now`."""
    hours = read_hours(now)
    counts = [{"done": hour.done, "waiting": hour.waiting, "failed": hour.failed} for hour in hours]
    return Flow(
        now=now,
        hours=hours,
        columns=stack(counts, SERIES, width=CHART_WIDTH, height=CHART_HEIGHT),
        last_hour=traffic_of(hours[-1:]),
        last_day=traffic_of(hours),
        lag=read_lag(now),
        waiting=read_waiting(now),
        failed=read_failed(),
        stale_orders=read_stale_orders(now),
        statuses=read_statuses(),
        activities=list(Activity.objects.select_related("organization").order_by("-id")[:ACTIVITIES]),
        findings=read_findings(),
        budgets=tuple(read_budgets()),
        workflows=read_workflows(now),
        last_sweep=last_sweep(),
    )


def read_hours(now: datetime) -> tuple[Hour, ...]:
    """Count arrivals in the 24 hours that end at `now`, hour by hour (index inbox_by_arrival)."""
    ago = RawSQL("floor(extract(epoch from (%s - received_at)) / 3600)::int", [now])
    rows = (
        InboxEvent.objects.filter(received_at__gt=now - timedelta(hours=HOURS), received_at__lte=now)
        .annotate(ago=ago)
        .values("ago")
        .annotate(
            done=Count("pk", filter=Q(state__in=[InboxState.MIRRORED, InboxState.STORED])),
            waiting=Count("pk", filter=Q(state=InboxState.RECEIVED)),
            failed=Count("pk", filter=Q(state=InboxState.FAILED)),
        )
        .order_by()
    )
    by_ago = {row["ago"]: (row["done"], row["waiting"], row["failed"]) for row in rows}
    return tuple(Hour(now - timedelta(hours=back + 1), *by_ago.get(back, (0, 0, 0))) for back in reversed(range(HOURS)))


def traffic_of(hours: Sequence[Hour]) -> Traffic:
    return Traffic(received=sum(hour.total for hour in hours), done=sum(hour.done for hour in hours))


def read_lag(now: datetime) -> Lag:
    took = ExpressionWrapper(F("mirrored_at") - F("occurred_at"), output_field=DurationField())
    facts = InboxEvent.objects.filter(
        received_at__gt=now - timedelta(hours=1), state=InboxState.MIRRORED, mirrored_at__isnull=False
    ).aggregate(median=Percentile(took, fraction=0.5), slowest=Percentile(took, fraction=0.95))
    return Lag(**facts)


def read_waiting(now: datetime) -> Waiting:
    due = Q(due_at__lte=now)
    facts = InboxEvent.objects.filter(state=InboxState.RECEIVED).aggregate(
        due=Count("pk", filter=due),
        overdue=Count("pk", filter=Q(due_at__lt=now - OVERDUE_AFTER)),
        oldest=Min("due_at", filter=due),
        again=Count("pk", filter=Q(due_at__gt=now)),
    )
    oldest = facts.pop("oldest")
    return Waiting(oldest=now - oldest if oldest else None, **facts)


def read_failed() -> Stuck:
    failed = InboxEvent.objects.filter(state=InboxState.FAILED).defer("payload").order_by("-received_at")
    return first_and_count(failed)


def read_stale_orders(now: datetime) -> Stuck:
    unfinished = Q(state__in=[OrderState.OPENING, OrderState.OPEN], created_at__lt=now - ORDER_STALE_AFTER)
    orders = CheckoutOrder.objects.filter(unfinished).select_related("organization").order_by("created_at")
    return first_and_count(orders)


def first_and_count(rows: QuerySet[Any]) -> Stuck:
    """Take the first few; count only where there may be more than these."""
    first = list(rows[: SHOWN + 1])
    count = len(first) if len(first) <= SHOWN else rows.count()
    return Stuck(rows=first[:SHOWN], count=count)


def read_statuses() -> tuple[tuple[str, int], ...]:
    """Count subscriptions by Stripe's status."""
    return tuple(SubscriptionRow.objects.by_status())


def read_findings() -> Stuck:
    open_ones = Finding.objects.filter(closed_at=None).order_by("-severity", "opened_at")
    return first_and_count(open_ones)


def read_workflows(now: datetime) -> Workflows:
    """Count executions by indexes alone."""
    machines = list(StateMachine.objects.values_list("pk", flat=True))
    found = summaries_of(machines, now).values()
    late = Execution.objects.filter(status=Status.RUNNING, due_at__lt=now - OVERDUE_AFTER)
    return Workflows(
        running=sum(summary.running for summary in found),
        late=late.count(),
        failed=sum(summary.failed for summary in found),
    )


def read_budgets() -> Iterator[Budget]:
    for account in configured():
        found = fullness(account.secret_key) if account.secret_key else None
        if found:
            yield Budget(account.name, found)


def failed_events_badge(request: HttpRequest) -> str:
    """How many inbox events failed, for the navigation; nothing when none has."""
    count = InboxEvent.objects.filter(state=InboxState.FAILED)[:100].count()
    return "" if not count else "99+" if count == 100 else str(count)
