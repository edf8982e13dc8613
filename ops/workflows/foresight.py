"""What an execution will do if nothing it waits for comes: read from where it stands and from its definition.

It is walked on in memory from its own walkers, on a clock that jumps to whatever is due next: each wait runs out at the
very moment at which the engine will let it run out. Effects are assumed to be done, and those that a customer must know
of beforehand are noted. Customers read it as an outlook (`billing.entitlements.outlook`); it is written anew each time
the execution is laid down, in the same transaction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import count
from typing import Any

import structlog
from django.db import transaction

from billing.entitlements import outlook
from billing.entitlements.foreseen import Act, Step
from billing.entitlements.models import Outlook
from ops.effects.registry import ARN
from ops.workflows.asl.errors import Failure
from ops.workflows.asl.history import submits
from ops.workflows.asl.running import Phase, from_json
from ops.workflows.asl.walking import Walking
from ops.workflows.assumed import ASSUMED
from ops.workflows.machines import compiled, context_of
from ops.workflows.models import CallState, Execution, StateMachineVersion, Status, TaskCall
from ops.workflows.waits import wanted as waits

log = structlog.get_logger(__name__)

FORETELL = f"{ARN}foretell"
ACTS = {"pay-invoice": Act.TRY, "suspend-access": Act.REST, "cancel-subscription": Act.END}
UNANSWERED = frozenset({waits.ARN, f"{ARN}ask-approval", f"{ARN}ask-customer"})
HORIZON = timedelta(days=400)  # later than anybody wants to know
MOST_STEPS = 2_000

Json = Any


@lru_cache(maxsize=256)
def foretells(version_id: int) -> bool:
    """Whether a definition lets customers know what it will do; versions never change."""
    definition = StateMachineVersion.objects.values_list("definition", flat=True).get(pk=version_id)
    return FORETELL in definition


def source_of(execution: int) -> str:
    """How an outlook names the execution that will act."""
    return f"execution:{execution}"


def refresh(executions: Sequence[int], *, now: datetime) -> None:
    """Say anew what these executions will do, of those of which something is said; in the caller's transaction.

    What cannot be foreseen is not said; the executions go on all the same.
    """
    rows = Outlook.objects.select_for_update().filter(source__in=[source_of(pk) for pk in executions])
    by_source = {row.source: row for row in rows} if executions else {}
    for pk in executions:
        row = by_source.get(source_of(pk))
        if row is None:
            continue
        with transaction.atomic():
            outlook.change(row, steps_of(pk, now=now), now=now)


def steps_of(execution: int, *, now: datetime) -> list[Step]:
    """What an execution will do, soonest first; nothing where it has ended, is paused, or cannot be walked through."""
    row = Execution.objects.select_related("machine").get(pk=execution)
    if row.status != Status.RUNNING or row.paused_at or row.arn:
        return []
    try:
        return list(foresee(row, now=now))
    except Exception:  # a mistake of ours, or an expression that cannot take what is assumed
        log.exception("foresight:cannot_see", execution=execution)
        return []


def foresee(row: Execution, *, now: datetime) -> Iterator[Step]:
    """Walk on from where an execution stands; yield what customers must know of, each act once."""
    walking = walking_of(row, now=now)
    pending = TaskCall.objects.filter(execution=row, state__in=[CallState.DUE, CallState.WAITING])
    waits_for = {walker.call_number for walker in walking.walkers.values() if walker.phase is Phase.CALL}
    began = [Begun(each.number, each.resource, each.arguments) for each in pending if each.number in waits_for]
    seen: set[Act] = set()
    for at, call in calls_of(walking, began, until=now + HORIZON):
        act = act_of(call)
        if act and act not in seen:
            seen.add(act)
            yield Step(act, at)


@dataclass(frozen=True)
class Begun:
    """A call that has been begun, or would be."""

    number: int
    resource: str
    arguments: Json


def walking_of(row: Execution, *, now: datetime) -> Walking:
    numbers = count(row.events + 1)
    return Walking(
        machine=compiled(row.version_id),
        context=context_of(
            row.machine.name,
            row.name,
            row.input,
            role_arn=row.machine.role_arn,
            started_at=row.started_at,
            redrives=row.redrives,
            redriven_at=row.redriven_at,
        ),
        record=lambda *_args, **_more: next(numbers),
        draw=lambda: 1.0,
        token=lambda number: f"foreseen-{number}",
        now=now,
        walkers={walker.id: walker for walker in map(from_json, row.walkers)},
        next_walker=row.next_walker,
        calls=row.calls,
    )


def calls_of(walking: Walking, began: Sequence[Begun], *, until: datetime) -> Iterator[tuple[datetime, Begun]]:
    """The calls that would be made, with when; those that wait for somebody are never answered."""
    for _ in range(MOST_STEPS):
        for call in began:
            yield walking.now, call
            if not waits_for_somebody(call.resource):
                walking.answer(call.number, **assumed(call.resource))
        walking.advance(most=MOST_STEPS)
        asked, walking.asked = walking.asked, []
        began = [Begun(each.number, each.call.resource, each.call.arguments) for each in asked]
        if began:
            continue
        due = walking.due_at()
        if walking.ended or due is None or due > until:
            return
        walking.now = max(walking.now, due)


def waits_for_somebody(resource: str) -> bool:
    return resource in UNANSWERED or submits(resource)


def assumed(resource: str) -> dict[str, Any]:
    name = resource.removeprefix(ARN)
    if name == "pay-invoice":
        return {"failure": Failure("Stripe.card_declined", "Assumed: nothing has changed since the last attempt.")}
    return {"result": ASSUMED.get(name, {})}


def act_of(call: Begun) -> Act | None:
    """What a call means to the customer; a plan that is cancelled for later ends by Stripe's word, not by ours."""
    act = ACTS.get(call.resource.removeprefix(ARN)) if call.resource.startswith(ARN) else None
    if act is Act.END and (call.arguments or {}).get("when", "now") != "now":
        return None
    return act
