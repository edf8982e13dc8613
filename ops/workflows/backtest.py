"""Rule and workflow together, tried on the past: who would have been touched, when, with what money, ending where.

Each event that fits the rule starts an execution in memory, on a clock that begins at the event's own time. Waits
for events are answered by what was received since; effects are not called but answered as `Assumed` says. What an
effect would have changed (a plan cancelled early) is not played on into the later events: the past went as it went.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from accounts.customers import organization_of
from billing.stripe_accounts import UnknownAccount
from ops.effects.registry import ARN
from ops.rules.backtest import SHOW_EVERY, chunks, fit, look, read_whole, scope_of, windows
from ops.rules.backtest import Trial as RuleTrial
from ops.rules.book import ReadyTarget
from ops.rules.envelopes import Event, Received, rule_arn, written_time
from ops.rules.matches import parameters_of
from ops.rules.narrowing import narrow, types_between
from ops.rules.resources import resource_of
from ops.rules.tally import Fitting, money_of
from ops.rules.transform import NoInput, Setting
from ops.workflows.asl import inline
from ops.workflows.asl.definition import Machine
from ops.workflows.asl.errors import Failure
from ops.workflows.asl.history import Event as HistoryEvent
from ops.workflows.asl.running import Answer, Ended
from ops.workflows.asl.step import Call
from ops.workflows.assumed import ASSUMED
from ops.workflows.mocks import MockedStates
from ops.workflows.waits import wanted as waits
from ops.workflows.waits.past import Began
from ops.workflows.waits.register import whose

Json = Any
NEVER = timedelta(days=3650).total_seconds()
MOST_RUNS = 100_000
ENTERED = "StateEntered"


@dataclass(frozen=True)
class Trial:
    """What is tried: a rule in its scope, the target of it that starts a workflow, and that workflow."""

    rule: RuleTrial
    target: ReadyTarget
    machine: Machine
    states: MockedStates | None = None  # what states answer, by their names
    name: str = ""  # the machine's


@dataclass(frozen=True)
class Touched:
    """An effect that would have been called, and when."""

    state: str
    effect: str
    at: datetime


@dataclass(frozen=True)
class Run:
    """One execution as it would have gone. `ending` is the last state it was in; amounts in minor units."""

    name: str
    event_id: str
    customer_id: str
    organization: str
    started_at: datetime
    ended_at: datetime
    status: str
    ending: str
    error: str
    amount: int | None
    currency: str
    touched: tuple[Touched, ...]


@dataclass
class Found:
    """What a backtest has found so far."""

    looked: int = 0
    archived: int = 0  # of those: without a payload here
    matched: int = 0
    repeated: int = 0  # matches whose execution had been started by an earlier event
    without_input: int = 0
    runs: list[Run] = field(default_factory=list)
    seconds: float = 0.0
    done: bool = False

    def endings(self) -> dict[str, int]:
        return dict(Counter(run.ending for run in self.runs).most_common())

    def money(self) -> dict[str, dict[str, int]]:
        """The sums of each ending by currency, in minor units."""
        sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for run in self.runs:
            if run.amount is not None:
                sums[run.ending][run.currency] += run.amount
        return {ending: dict(by_currency) for ending, by_currency in sums.items()}

    def effects(self) -> dict[str, int]:
        return dict(Counter(each.effect for run in self.runs for each in run.touched).most_common())


def backtest(trial: Trial) -> Generator[Found, None, None]:
    """Walk through the period, yielding what was found so far; the last one is `done`. Nothing is written or called."""
    began = shown = time.monotonic()
    found, names = Found(), set[str]()
    for fitting in fittings(trial.rule, found):
        if time.monotonic() - shown > SHOW_EVERY:
            shown = time.monotonic()
            found.seconds = shown - began
            yield found
        if fitting is None:
            continue
        found.matched += 1
        name = name_of(trial, fitting)
        if name in names:
            found.repeated += 1
            continue
        names.add(name)
        run = run_of(trial, fitting, name)
        if run is None:
            found.without_input += 1
        else:
            found.runs.append(run)
        if len(found.runs) >= MOST_RUNS:
            break
    found.seconds, found.done = time.monotonic() - began, True
    yield found


def fittings(trial: RuleTrial, found: Found) -> Iterator[Fitting | None]:
    """The events of the period that fit, in the order they were received; None after each window, so that who waits
    hears of it.
    """
    scope, values = scope_of(trial)
    narrowing = narrow(trial.pattern, types_between(trial.since, trial.until))
    for start, end in windows(trial.since, trial.until):
        looked, archived, pks = look(scope, narrowing, values | {"start": start, "end": end})
        found.looked += looked
        found.archived += archived
        for part in chunks(pks):
            if part:
                rows = list(read_whole(part))
                yield from (one for row, forms in rows if (one := fit(trial.pattern, row, forms)))
        yield None


def name_of(trial: Trial, fitting: Fitting) -> str:
    """What the rule would name the execution: by what it is about, or by the event."""
    given = parameters_of(trial.target, fitting.form).get("StateMachineParameters") or {}
    return str(given.get("ExecutionName") or fitting.row.external_id)


def run_of(trial: Trial, fitting: Fitting, name: str) -> Run | None:
    """Run one execution to its end; None where the event gives no input."""
    row = fitting.row
    setting = Setting(rule_arn(trial.rule.rule_name), trial.rule.rule_name, written_time(row.received_at))
    try:
        given = json.loads(trial.target.make_input(fitting.form, setting))
    except (NoInput, ValueError):
        return None
    world = Past(row, trial.states)
    execution = inline.Execution(trial.machine, given, world, now=row.occurred_at, execution={"Name": name})
    world.clock = execution
    ended = execution.run()
    return told(name, fitting, ended, world, at=execution.now)


def told(name: str, fitting: Fitting, ended: Ended, world: "Past", *, at: datetime) -> Run:
    row, money = fitting.row, money_of(fitting)
    organization = organization_of(row.customer_id) if row.customer_id else None
    return Run(
        name=name,
        event_id=row.external_id,
        customer_id=row.customer_id,
        organization=organization.name if organization else "",
        started_at=row.occurred_at,
        ended_at=at,
        status=ended.status,
        ending=last_state(ended.history) or ended.status,
        error=ended.failure.error or "",
        amount=money[1] if money else None,
        currency=money[0][1] if money else "",
        touched=tuple(world.touched),
    )


def last_state(history: tuple[HistoryEvent, ...]) -> str:
    return next((event.name or "" for event in reversed(history) if event.type.endswith(ENTERED)), "")


class Past:
    """Answers an execution's calls: waits by the events that came, effects by what is assumed of them."""

    def __init__(self, row: Received, states: MockedStates | None) -> None:
        self.row, self.states = row, states
        self.touched: list[Touched] = []
        self.clock: inline.Execution | None = None
        self._since: dict[str, list[tuple[datetime, Event]]] = {}

    @property
    def now(self) -> datetime:
        return self.clock.now if self.clock else self.row.occurred_at

    def call(self, call: Call, *, state: str, attempt: int) -> Answer:
        if call.resource == waits.ARN:
            return self.wait(call.arguments)
        effect = call.resource.removeprefix(ARN)
        self.touched.append(Touched(state, effect, self.now))
        if self.states and state in self.states.states:
            return self.states.call(call, state=state, attempt=attempt)
        if effect == "pay-invoice":
            return self.paid(call.arguments)
        return Answer(ASSUMED.get(effect, {}))

    def wait(self, arguments: Json) -> Answer:
        """The first event that came since the execution began, where it has come; else when it will."""
        try:
            wanted = waits.read_wanted(arguments)
        except ValueError as error:
            return Answer(failure=Failure("InvalidInput", str(error)))
        try:
            met = self.events(wanted)
        except UnknownAccount as error:
            return Answer(failure=Failure("UnknownAccount", str(error)))
        for at, event in met:
            return Answer(event, seconds=max(0.0, (at - self.now).total_seconds()))
        return Answer(seconds=NEVER)

    def paid(self, arguments: Json) -> Answer:
        """A last try succeeds only where the invoice was paid by then."""
        invoice = (arguments or {}).get("invoice", "")
        pattern = {"detail-type": ["invoice.paid"], "detail": {"data": {"object": {"id": [invoice]}}}}
        if any(at <= self.now for at, _ in self.events(waits.Wanted(pattern))):
            return Answer({"invoice": invoice, "status": "paid"})
        return Answer(failure=Failure("Stripe.card_declined", "Assumed: nothing has changed since the last attempt."))

    def events(self, wanted: waits.Wanted) -> list[tuple[datetime, Event]]:
        """What came since the execution's own event and fits, by when it happened."""
        key = json.dumps([wanted.pattern, wanted.object, wanted.account], sort_keys=True)
        if key not in self._since:
            self._since[key] = sorted(later_events(self.row, wanted), key=lambda each: each[0])
        return self._since[key]


def later_events(row: Received, wanted: waits.Wanted) -> Iterator[tuple[datetime, Event]]:
    pattern = json.dumps(wanted.pattern)
    for_ever = datetime.max.replace(tzinfo=row.received_at.tzinfo)
    narrowing = narrow(waits.compiled(pattern), types_between(row.received_at, for_ever))
    values = narrowing.values | {"since": row.received_at, "object": wanted.object}
    sql = f"""
        SELECT id FROM billing_inboxevent
        WHERE received_at >= %(since)s AND payload IS NOT NULL AND (%(object)s = '' OR object_id = %(object)s)
            AND ({narrowing.sql})
    """  # noqa: S608 - the text is ours, the values are parameters
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        pks = [pk for (pk,) in cursor.fetchall()]
    owner, livemode = whose(wanted, Began(row.source, row.owner, row.livemode, row.received_at))
    wait = waits.Wait(0, pattern, wanted.object, row.received_at, row.external_id, owner, livemode)
    for part in chunks(pks):
        for each, forms in read_whole(part) if part else ():
            met = next((form for form in forms if wait.is_met_by(each, form)), None)
            if met is not None and each.occurred_at >= row.occurred_at:
                yield each.occurred_at, met


def starts_machine(target: ReadyTarget, machine: str) -> bool:
    """Whether a rule's target starts this state machine of the portal's."""
    resource = resource_of(target.arn)
    return resource.kind == "state-machine" and resource.is_local and resource.name == machine
