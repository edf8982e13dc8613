"""State machines: made and changed by versions, compiled once a process."""

import json
import random
from datetime import datetime
from functools import lru_cache

from django.db import transaction

from accounts.models import User
from ops.workflows.asl.definition import Machine, compile_machine
from ops.workflows.asl.validate import read_definition
from ops.workflows.models import StateMachine, StateMachineVersion

ARN = "arn:aws:states:local:000000000000:stateMachine:"


def save_version(
    name: str,
    definition: str,
    *,
    reason: str,
    now: datetime,
    actor: User | None = None,
    notes: str = "",
    path: str = "",
) -> StateMachineVersion:
    """Make a definition the current version of the state machine of this name; one that is current already stays.

    `path` is the file that says so, below the playbooks. Raises InvalidDefinition with every fault. Executions that run
    keep the version that they began with.
    """
    read_definition(definition)
    with transaction.atomic():
        machine, _ = StateMachine.objects.select_for_update().get_or_create(name=name, defaults={"notes": notes})
        current = machine.current
        if current and current.definition == definition:
            return current
        last = machine.versions.order_by("-number").values_list("number", flat=True).first() or 0
        version = StateMachineVersion.objects.create(
            machine=machine,
            number=last + 1,
            definition=definition,
            changed_by=actor,
            reason=reason,
            changed_at=now,
            path=path,
        )
        machine.current, machine.tried, machine.tried_percent = version, None, 0
        machine.save(update_fields=["current", "tried", "tried_percent"])
    return version


class NoVersion(LookupError):
    """The state machine has no version that may be started."""


def version_to_start(machine: StateMachine) -> int:
    """Return the id of the version that the next execution runs: the current one, or by its share the tried one."""
    if machine.tried_id and random.uniform(0, 100) < machine.tried_percent:  # noqa: S311 - not a secret
        return machine.tried_id
    if machine.current_id is None:
        raise NoVersion(NoVersion.__doc__)
    return machine.current_id


@lru_cache(maxsize=256)
def compiled(version_id: int) -> Machine:
    """The machine of a version. Versions never change, so a process compiles each once."""
    definition = StateMachineVersion.objects.values_list("definition", flat=True).get(pk=version_id)
    return compile_machine(json.loads(definition))
