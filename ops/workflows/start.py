"""Starting executions: once by name, however often it is asked for."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from ops.workflows import history
from ops.workflows.asl.running import Phase, Walker, to_json
from ops.workflows.asl.written import LARGEST_PAYLOAD, size
from ops.workflows.machines import compiled, version_to_start
from ops.workflows.models import Execution, StateMachine
from ops.workflows.nudge import ADVANCE

Json = Any


@dataclass(frozen=True)
class Cause:
    """What an execution goes back to."""

    event_id: str = ""
    customer_id: str = ""
    depth: int = 0


class InputTooLarge(ValueError):
    """The input is larger than 256 KiB."""


def start(
    machine: StateMachine,
    name: str,
    given: Json,
    *,
    now: datetime,
    cause: Cause | None = None,
    parent_call: int | None = None,
) -> Execution:
    """Start an execution, or return the one of this name that was started before, whatever its input.

    `parent_call`: the call that is answered when it has ended. It runs once the caller's transaction has committed.
    Raises InputTooLarge, NoVersion.
    """
    if size(given) > LARGEST_PAYLOAD:
        raise InputTooLarge(InputTooLarge.__doc__)
    cause = cause or Cause()
    version = version_to_start(machine)
    flow = compiled(version)
    walker = Walker(0, [], flow.flow.start_at, given, {}, Phase.ENTER, now, last_id=1)
    row = Execution(
        version_id=version,
        machine=machine,
        name=name,
        input=given,
        walkers=[jsonable(walker)],
        standing=flow.flow.start_at,
        events=1,
        due_at=now,
        ends_by=now + timedelta(seconds=flow.timeout_seconds) if flow.timeout_seconds else None,
        event_id=cause.event_id,
        customer_id=cause.customer_id,
        depth=cause.depth,
        parent_call_id=parent_call,
        started_at=now,
    )
    with transaction.atomic():
        Execution.objects.bulk_create([row], ignore_conflicts=True)
        started = Execution.objects.get(machine=machine, name=name, arn="")
        history.begin(started, now=now)
        transaction.on_commit(ADVANCE.soon)
    return started


def jsonable(walker: Walker) -> dict[str, Json]:
    data = to_json(walker)
    for name in ("due", "entered_at"):
        data[name] = data[name].isoformat() if data[name] else None
    return data
