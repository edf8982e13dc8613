"""What a backtest has found so far: how many, when, whose, which money, and what would have been called."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from accounts.models import CustomerLink, Organization
from ops.rules.book import ReadyTarget
from ops.rules.envelopes import STRIPE, Event, Received, rule_arn, written_time
from ops.rules.transform import NoInput, Setting

BY_HOUR_UP_TO = timedelta(days=3)
QUARTER, LONGER_THAN_A_DAY = timedelta(minutes=15), timedelta(hours=26)
EXAMPLES = 20
INPUTS = 3  # shown of each target
ORGANIZATIONS = 20
MOST_OBJECTS = 200_000  # whose money is counted once each; of more than these, each event counts
# What of an object is the money in question (Stripe's API reference, "The Invoice object" and so on).
AMOUNTS = {
    "invoice": "amount_due",
    "charge": "amount",
    "payment_intent": "amount",
    "refund": "amount",
    "dispute": "amount",
    "credit_note": "amount",
}
MONEY_PATHS = [("data", "object", name) for name in ("object", "currency", *sorted(set(AMOUNTS.values())))]


@dataclass(frozen=True, slots=True)
class Fitting:
    """An event that fits the pattern: in the form that fitted, as targets are given it, and as Stripe's object."""

    row: Received
    form: Event


@dataclass(frozen=True)
class Bucket:
    """How many matched in one hour or on one day of the viewer's zone."""

    start: datetime
    matched: int


@dataclass(frozen=True)
class Whose:
    organization: Organization
    matched: int


@dataclass(frozen=True)
class Money:
    """A sum in the currency's minor unit; each object counts once, with what it said last."""

    kind: str
    currency: str
    amount: int
    objects: int


@dataclass(frozen=True)
class Example:
    pk: int
    event_id: str
    type: str
    object_id: str
    customer_id: str
    received_at: datetime


@dataclass(frozen=True)
class Call:
    """What a target would have been called with: how often, some inputs, and what could not be made."""

    name: str
    kind: str
    calls: int
    inputs: tuple[tuple[str, str], ...]  # event id, input
    failed: int
    failure: str  # of the first that failed, in a sentence


@dataclass(frozen=True)
class Snapshot:
    """How far a backtest is, and what it has found until then."""

    total: int  # events of the period and scope
    looked: int
    archived: int  # of those: without a payload here, so that only a restored archive could tell
    read: int  # of those: whose payload had to be read
    matched: int
    by_hour: bool
    buckets: tuple[Bucket, ...]
    organizations: tuple[Whose, ...]
    organization_count: int
    without_organization: int  # matches of customers that no organization has, or of none
    money: tuple[Money, ...]
    money_is_exact: bool
    examples: tuple[Example, ...]
    calls: tuple[Call, ...]
    seconds: float
    done: bool

    @property
    def percent(self) -> int:
        return 100 if self.done else min(99, self.looked * 100 // max(self.total, 1))

    @property
    def busiest(self) -> int:
        return max((bucket.matched for bucket in self.buckets), default=0)


@dataclass
class TargetTally:
    calls: int = 0
    failed: int = 0
    failure: str = ""
    inputs: list[tuple[str, str]] = field(default_factory=list)


class Tally:
    """Counts matches as they are found."""

    def __init__(
        self, since: datetime, until: datetime, zone: tzinfo, rule_name: str, targets: Sequence[ReadyTarget]
    ) -> None:
        self.by_hour = until - since <= BY_HOUR_UP_TO
        self.since, self.until, self.zone = since, until, zone
        self.looked = self.archived = self.read = self.matched = 0
        self.times: Counter[float] = Counter()  # by when they begin, in Unix time: on the clock, an hour may come twice
        self.quarters: dict[int, float] = {}
        self.organizations: Counter[int] = Counter()
        self.without_organization = 0
        self.of_customer: dict[str, int | None] = {}
        self.money: dict[tuple[str, str], dict[str, int]] = {}
        self.money_of_more: Counter[tuple[str, str]] = Counter()
        self.objects = 0
        self.examples: list[Example] = []
        self.rule_name = rule_name
        self.targets = [(target, TargetTally()) for target in targets]

    def add(self, fitting: Sequence[Fitting]) -> None:
        """Count events that fitted, in the order they were received."""
        self.learn_organizations({each.row.customer_id for each in fitting})
        for each in fitting:
            self.matched += 1
            self.times[self.bucket_of_quarter(each.row.received_at)] += 1
            self.count_organization(each.row.customer_id)
            self.count_money(each)
            if len(self.examples) < EXAMPLES:
                self.examples.append(example_of(each.row))
            if self.targets:
                self.count_calls(each)

    def count_calls(self, fitting: Fitting) -> None:
        setting = Setting(rule_arn(self.rule_name), self.rule_name, written_time(fitting.row.received_at))
        for target, tally in self.targets:
            count_call(tally, target, fitting, setting)

    def bucket_of_quarter(self, at: datetime) -> float:
        """When it begins, which is the same for a whole quarter of an hour: no zone's offset is finer."""
        quarter = int(at.timestamp() // QUARTER.total_seconds())
        found = self.quarters.get(quarter)
        if found is None:
            found = self.quarters[quarter] = self.bucket_of(at).timestamp()
        return found

    def bucket_of(self, at: datetime) -> datetime:
        here = at.astimezone(self.zone)
        hour = here.replace(minute=0, second=0, microsecond=0)
        return hour if self.by_hour else hour.replace(hour=0, fold=0)

    def learn_organizations(self, customers: Iterable[str]) -> None:
        new = [customer for customer in customers if customer and customer not in self.of_customer]
        if new:
            links = CustomerLink.objects.filter(customer_id__in=new).values_list("customer_id", "organization_id")
            self.of_customer |= dict.fromkeys(new) | {customer: whose for customer, whose in links if customer}

    def count_organization(self, customer_id: str) -> None:
        organization = self.of_customer.get(customer_id)
        if organization is None:
            self.without_organization += 1
        else:
            self.organizations[organization] += 1

    def count_money(self, fitting: Fitting) -> None:
        found = money_of(fitting)
        if found is None:
            return
        key, amount = found
        amounts = self.money.setdefault(key, {})
        if fitting.row.object_id in amounts:
            amounts[fitting.row.object_id] = amount
        elif self.objects < MOST_OBJECTS:
            self.objects += 1
            amounts[fitting.row.object_id] = amount
        else:
            self.money_of_more[key] += amount

    def buckets(self) -> tuple[Bucket, ...]:
        """Every hour or day of the period, those without a match too."""
        buckets, start = [], self.bucket_of(self.since)
        while start.timestamp() < self.until.timestamp():
            buckets.append(Bucket(start, self.times[start.timestamp()]))
            start = self.bucket_after(start)
        return tuple(buckets)

    def bucket_after(self, start: datetime) -> datetime:
        """Steps are real time: where a clock is put forward or back, an hour or a day is another one's length."""
        step = QUARTER if self.by_hour else LONGER_THAN_A_DAY
        at = start.astimezone(UTC) + step
        while (later := self.bucket_of(at)).timestamp() == start.timestamp():
            at += step
        return later

    def snapshot(self, *, total: int, seconds: float, done: bool) -> Snapshot:
        most = self.organizations.most_common(ORGANIZATIONS)
        names = Organization.objects.in_bulk([pk for pk, _ in most])
        return Snapshot(
            total=max(total, self.looked),
            looked=self.looked,
            archived=self.archived,
            read=self.read,
            matched=self.matched,
            by_hour=self.by_hour,
            buckets=self.buckets(),
            organizations=tuple(Whose(names[pk], matched) for pk, matched in most if pk in names),
            organization_count=len(self.organizations),
            without_organization=self.without_organization,
            money=tuple(self.sums()),
            money_is_exact=not self.money_of_more,
            examples=tuple(self.examples),
            calls=tuple(call_of(target, tally) for target, tally in self.targets),
            seconds=seconds,
            done=done,
        )

    def sums(self) -> Iterable[Money]:
        for (kind, currency), amounts in sorted(self.money.items()):
            whole = sum(amounts.values()) + self.money_of_more[kind, currency]
            yield Money(kind, currency, whole, len(amounts))


def money_of(fitting: Fitting) -> tuple[tuple[str, str], int] | None:
    """Return kind, currency and amount of the object that a Stripe event is about, where it is money."""
    about: Any = fitting.form.get("detail") if fitting.row.source == STRIPE else None
    for step in ("data", "object"):
        about = about.get(step) if isinstance(about, dict) else None
    kind = about.get("object") if isinstance(about, dict) else None
    if not isinstance(kind, str) or kind not in AMOUNTS:
        return None
    amount, currency = about.get(AMOUNTS[kind]), about.get("currency")
    if type(amount) is not int or not isinstance(currency, str):
        return None
    return (kind, currency), amount


def example_of(row: Received) -> Example:
    return Example(row.pk, row.external_id, row.type, row.object_id, row.customer_id, row.received_at)


def count_call(tally: TargetTally, target: ReadyTarget, fitting: Fitting, setting: Setting) -> None:
    """Make the input as the target would get it; an event that gives none is counted, and told."""
    try:
        made = target.make_input(fitting.form, setting)
    except NoInput as error:
        tally.failed += 1
        tally.failure = tally.failure or f"{fitting.row.external_id}: {error}"
        return
    tally.calls += 1
    if len(tally.inputs) < INPUTS:
        tally.inputs.append((fitting.row.external_id, made))


def call_of(target: ReadyTarget, tally: TargetTally) -> Call:
    return Call(target.name, target.kind, tally.calls, tuple(tally.inputs), tally.failed, tally.failure)
