"""Executions advance: those that are due are locked, take as many steps as need no waiting, and are laid down again.

One transaction takes a batch, walks through each in memory, and writes where it stands, what happened, and the calls
that it has begun: their intents, committed before anything is called (`calls`). Killed before the commit, nothing has
happened; killed after it, rows say what is due.
"""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import structlog
from django.db import DataError, IntegrityError, connection, transaction

from ops import metrics
from ops.workflows import calls, children, foresight, resources
from ops.workflows.asl.errors import RUNTIME, Failure
from ops.workflows.asl.history import HistoryFull
from ops.workflows.asl.running import Ended, Phase, from_json, states_of
from ops.workflows.asl.walking import Walking
from ops.workflows.history import Pages
from ops.workflows.machines import compiled, context_of
from ops.workflows.models import CallState, Execution, Status, TaskCall, written_states
from ops.workflows.settling import settle
from ops.workflows.stored import stored
from ops.workflows.tokens import token_of

log = structlog.get_logger(__name__)

BATCH = 100  # executions a transaction
MOST_STEPS = 500  # of one execution in one transaction: the others of its batch do not wait for one that loops

TAKE = """
    SELECT id FROM ops_execution WHERE status = 'RUNNING' AND due_at <= %s
    ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
"""
READ = """
    SELECT execution.id, execution.name, machine.name, execution.version_id, execution.input,
        execution.walkers, execution.next_walker, execution.calls, execution.events, execution.ends_by,
        execution.redrives, execution.started_at, execution.redriven_at, machine.role_arn
    FROM ops_execution AS execution JOIN ops_statemachine AS machine ON machine.id = execution.machine_id
    WHERE execution.id = ANY(%s) ORDER BY execution.id
"""
ANSWERS = """
    SELECT execution_id, number, answer::text FROM ops_taskcall
    WHERE execution_id = ANY(%s) AND state = 'answered' ORDER BY number
"""
WRITE = """
    UPDATE ops_execution AS execution
    SET status = new.status, output = new.output, error = new.error, cause = new.cause, walkers = new.walkers,
        standing = new.standing, next_walker = new.next_walker, calls = new.calls, events = new.events,
        due_at = new.due_at, finished_at = new.finished_at,
        untold = new.status <> 'RUNNING' AND execution.parent_call_id IS NOT NULL
    FROM jsonb_to_recordset(%s::jsonb) AS new (
        id bigint, status text, output jsonb, error text, cause text, walkers jsonb, standing text, next_walker int,
        calls int, events int, due_at timestamptz, finished_at timestamptz)
    WHERE execution.id = new.id
"""

Clock = Callable[[], datetime]


def advance_due(
    clock: Clock,
    *,
    budget_seconds: float,
    on_full_batch: Callable[[], object] = lambda: None,
    make: calls.Make = resources.make,
) -> int:
    """Advance executions and make their calls until nothing is due or the budget is used up; return steps taken.

    Any number may run. Must not be called in a transaction.
    """
    end = time.monotonic() + budget_seconds
    steps = 0
    while time.monotonic() < end:
        taken = advance_batch(clock)
        if taken.executions == BATCH:
            on_full_batch()
        made = calls.make_due(clock, make=make)
        told = children.go_on(now=clock())
        steps += taken.steps
        if not taken.executions and not made and not told:
            break
    return steps


def waiting(now: datetime) -> bool:
    """Whether an execution or one of its calls is due."""
    due = Execution.objects.filter(status=Status.RUNNING, due_at__lte=now).exists()
    return due or TaskCall.objects.filter(state=CallState.DUE, due_at__lte=now).exists() or children.waiting(now)


@dataclass
class Taken:
    """What one transaction did."""

    executions: int = 0
    steps: int = 0


@dataclass(slots=True)
class InHand:
    """An execution's row while it is advanced. Plain: a batch has a hundred of them, many times a second."""

    pk: int
    name: str
    machine_name: str
    version_id: int
    input: Any
    walkers: Any
    next_walker: int
    calls: int
    events: int
    ends_by: datetime | None
    redrives: int
    started_at: datetime
    redriven_at: datetime | None
    role_arn: str


def advance_batch(clock: Clock, *, limit: int = BATCH) -> Taken:
    """Lock up to `limit` due executions and walk through each as far as it goes without waiting.

    Where what one of them has come to cannot be written down, each is taken alone, and that one fails.
    """
    pks: list[int] = []
    try:
        return walk_batch(clock, pks, limit=limit)
    except (DataError, IntegrityError, ValueError) as error:
        if len(pks) > 1:
            each = [advance_batch(clock, limit=1) for _ in pks]
            return Taken(len(pks), sum(taken.steps for taken in each))
        if not pks:
            raise
        log.error("workflows:cannot_write", execution=pks[0], error=str(error)[:200])
        cause = CONTRADICTION if isinstance(error, IntegrityError) else CANNOT_BE_KEPT
    spoil(pks[0], cause, now=clock())
    return Taken(1)


def walk_batch(clock: Clock, pks: list[int], *, limit: int) -> Taken:
    """Take, walk, lay down, in one transaction; `pks` is filled with what was taken."""
    with transaction.atomic():
        now = clock()
        batch = take(limit=limit, now=now)
        if not batch:
            return Taken()
        pks += [execution.pk for execution, _ in batch]
        written = Written()
        steps = sum(advance_one(execution, answers, written, now=now) for execution, answers in batch)
        written.write(now=now)
    metrics.workflow_steps.inc(steps)
    return Taken(len(batch), steps)


CANNOT_BE_KEPT = "The execution came to data that cannot be kept: a NUL character, or half of a surrogate pair."
CONTRADICTION = "The execution's next steps contradict rows that are there already: somebody has changed these by hand."


def spoil(pk: int, cause: str, *, now: datetime) -> None:
    """End an execution of which the database cannot hold what its next steps make."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(READ, [[pk]])
            execution = in_hand(cursor.fetchone())
        written = Written()
        walking = walking_of(execution, written, now=now)
        fail(walking, cause, kept=execution.walkers)
        lay_down(execution, walking, written, now=now)
        written.write(now=now)


Answers = list[tuple[int, Any]]


def take(*, limit: int, now: datetime) -> list[tuple[InHand, Answers]]:
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [now, limit])
        pks = [pk for (pk,) in cursor.fetchall()]
        if not pks:
            return []
        cursor.execute(READ, [pks])
        rows = cursor.fetchall()
    answered = answers_for(pks)
    return [(in_hand(row), answered.get(row[0], [])) for row in rows]


def in_hand(row: Sequence[Any]) -> InHand:
    pk, name, machine, version, given, walkers, *rest = row
    return InHand(pk, name, machine, version, loaded(given), loaded(walkers), *rest)


def loaded(value: Any) -> Any:
    """jsonb comes as text where Django's cursor reads it."""
    return orjson.loads(value) if isinstance(value, str) else value


def answers_for(pks: Sequence[int]) -> dict[int, Answers]:
    """Answers that have come and that no walker has taken, of each execution, in the order of their calls."""
    answered: dict[int, Answers] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(ANSWERS, [list(pks)])
        for pk, number, answer in cursor.fetchall():
            answered[pk].append((number, orjson.loads(answer)))
    return answered


@dataclass
class Written:
    """What a batch writes: a statement for each kind of row."""

    pages: Pages = field(default_factory=Pages)
    executions: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    taken: list[tuple[int, int]] = field(default_factory=list)  # calls whose answers were taken
    dropped: list[tuple[int, int]] = field(default_factory=list)  # calls that nobody waits for any more
    ended: list[int] = field(default_factory=list)
    foretelling: list[int] = field(default_factory=list)  # of which customers are told what they will do

    def write(self, *, now: datetime) -> None:
        self.pages.write()
        with connection.cursor() as cursor:
            cursor.execute(WRITE, [stored(self.executions)])
        settle(self.taken, self.dropped, self.ended, now=now)
        calls.write(self.asked)  # after what they try again has been settled
        foresight.refresh(self.foretelling, now=now)


def advance_one(execution: InHand, answers: Answers, written: Written, *, now: datetime) -> int:
    """Walk through one execution; return how many steps it took. One that cannot be walked through fails alone."""
    before = execution.events, len(written.pages.rows)
    walking = walking_of(execution, written, now=now)
    steps = 0
    waited: set[int] = set()
    try:
        walking.walkers = {walker.id: walker for walker in map(from_json, execution.walkers)}
        waited = walking.waited()
        for number, answer in answers:
            walking.answer(number, **answer_of(answer))
        if execution.ends_by and execution.ends_by <= now:
            walking.end("TIMED_OUT")
        steps = walking.advance(most=MOST_STEPS)
    except HistoryFull:
        fail(walking, "The execution reached the maximum number of history events (25000).")
    except Exception as error:  # a mistake of ours: this execution ends with it, and no other
        log.exception("workflows:cannot_advance", execution=execution.pk)
        execution.events = before[0]
        del written.pages.rows[before[1] :]
        walking.ended = None
        fail(walking, f"The engine could not go on: {type(error).__name__}.", kept=laid_down(execution, answers))
    lay_down(execution, walking, written, now=now)
    taken = {number for number, _ in answers}
    written.taken += [(execution.pk, number) for number in sorted(taken)]
    if not walking.ended:
        written.dropped += [(execution.pk, number) for number in waited - walking.waited() - taken]
    return steps


def fail(walking: Walking, cause: str, *, kept: Any = ()) -> None:
    """End an execution that cannot go on; what its last walk began is not called. `kept`: where a redrive begins."""
    walking.failed_in = states_of(walking.walkers.values())
    walking.walkers.clear()
    walking.end("FAILED", failure=Failure(RUNTIME, cause))
    walking.kept = list(kept)


def laid_down(execution: InHand, answers: Answers) -> list[dict[str, Any]]:
    """Where an execution stood before the walk in hand, which has spoilt ours, with the answers that it was given.

    Nothing, where that is what could not be read.
    """
    kept: list[dict[str, Any]] = Execution.objects.values_list("walkers", flat=True).get(pk=execution.pk)
    given = {number: answer for number, answer in answers if "result" in answer}
    for walker in kept:
        if walker.get("phase") == Phase.CALL and walker.get("call_number") in given:
            walker |= {"phase": Phase.ANSWER.value, "answer": given[walker["call_number"]]}
    return kept if all("phase" in walker for walker in kept) else []


def walking_of(execution: InHand, written: Written, *, now: datetime) -> Walking:
    return Walking(
        machine=compiled(execution.version_id),
        context=context_of(
            execution.machine_name,
            execution.name,
            execution.input,
            role_arn=execution.role_arn,
            started_at=execution.started_at,
            redrives=execution.redrives,
            redriven_at=execution.redriven_at,
        ),
        record=written.pages.of(execution).record,
        draw=random.random,
        token=lambda number: token_of(execution.pk, number),
        now=now,
        next_walker=execution.next_walker,
        apart=True,
        calls=execution.calls,
    )


def answer_of(answer: Any) -> dict[str, Any]:
    if "error" in answer or "cause" in answer:
        return {"failure": Failure(answer.get("error"), answer.get("cause"))}
    return {"result": answer.get("result")}


def lay_down(execution: InHand, walking: Walking, written: Written, *, now: datetime) -> None:
    """Write where the execution stands after its steps."""
    ended = walking.ended
    if foresight.foretells(execution.version_id):
        written.foretelling.append(execution.pk)
    if ended:
        written.ended.append(execution.pk)
    else:
        waited = walking.waited() if walking.asked else ()
        asked = [asked for asked in walking.asked if asked.number in waited]
        written.asked += [calls.intent(execution.pk, each, now=now) for each in asked]
    due = None if ended else soonest(walking.due_at(), execution.ends_by)
    written.executions.append(
        {
            "id": execution.pk,
            "walkers": walking.kept if ended else list(walking.walkers.values()),
            "standing": written_states(ended.states if ended else states_of(walking.walkers.values())),
            "next_walker": walking.next_walker,
            "calls": walking.calls,
            "events": execution.events,
            "due_at": due,
            **outcome_of(ended),
            "finished_at": now if ended else None,
        }
    )


def soonest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def outcome_of(ended: Ended | None) -> dict[str, Any]:
    if ended is None:
        return {"status": Status.RUNNING.value, "output": None, "error": "", "cause": ""}
    failure = ended.failure
    error, cause = (failure.error or "")[:256], failure.cause or ""
    return {"status": ended.status, "output": ended.output, "error": error, "cause": cause}
