"""State machines: made and changed by versions, compiled once a process."""

import json
import random
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from ops.audit import CHANGE_MACHINE, record_act
from ops.workflows.asl.definition import Machine, compile_machine
from ops.workflows.asl.timestamps import write_timestamp
from ops.workflows.asl.validate import read_definition
from ops.workflows.models import StateMachine, StateMachineVersion

ARN = "arn:aws:states:local:000000000000:stateMachine:"
ROLE = "arn:aws:iam::000000000000:role/local"  # of machines that name none


class ChangedMeanwhile(Exception):
    """Somebody has saved another version since this one was begun."""


def save_version(
    name: str,
    definition: str,
    *,
    reason: str,
    now: datetime,
    actor: User | None = None,
    notes: str = "",
    percent: int = 100,
    seen_version: int | None = None,
    path: str = "",
    role_arn: str | None = None,
) -> StateMachineVersion:
    """Make a definition the current version of the state machine of this name; one that is current already stays.

    With fewer than 100 `percent` it is tried on that part of new executions, beside the current version. `path` is the
    file that says so, below the playbooks; `role_arn` what executions tell of their role (None: as before). Executions
    that run keep the version that they began with.
    Raises InvalidDefinition with every fault, ChangedMeanwhile where `seen_version` is not the latest.
    """
    read_definition(definition)
    with transaction.atomic():
        machine, _ = StateMachine.objects.select_for_update().get_or_create(name=name, defaults={"notes": notes})
        if role_arn is not None and role_arn != machine.role_arn:
            machine.role_arn = role_arn
            machine.save(update_fields=["role_arn"])
        current = machine.current
        last = machine.versions.order_by("-number").values_list("number", flat=True).first() or 0
        if seen_version is not None and seen_version != last:
            raise ChangedMeanwhile(ChangedMeanwhile.__doc__)
        if current and current.definition == definition:
            return current
        version = StateMachineVersion.objects.create(
            machine=machine,
            number=last + 1,
            definition=definition,
            changed_by=actor,
            reason=reason,
            changed_at=now,
            path=path,
        )
        share(machine, version, percent if current else 100)
        if actor:  # at the command line the version itself says all that is known
            tell_change(machine, actor, reason, now=now, before=current)
    return version


def set_share(
    machine: StateMachine, version: StateMachineVersion, percent: int, *, reason: str, now: datetime, actor: User
) -> None:
    """Let a version run that many percent of new executions: 100 makes it current, 0 ends its trial."""
    with transaction.atomic():
        row = StateMachine.objects.select_for_update().get(pk=machine.pk)
        before = row.current
        share(row, version, percent)
        tell_change(row, actor, reason, now=now, before=before)


def share(machine: StateMachine, version: StateMachineVersion, percent: int) -> None:
    if percent >= 100:
        machine.current, machine.tried, machine.tried_percent = version, None, 0
    elif percent > 0 and version != machine.current:
        machine.tried, machine.tried_percent = version, percent
    else:
        machine.tried, machine.tried_percent = None, 0
    machine.save(update_fields=["current", "tried", "tried_percent"])


def tell_change(
    machine: StateMachine, actor: User, reason: str, *, now: datetime, before: StateMachineVersion | None
) -> None:
    tried = {"tried": machine.tried.number, "percent": machine.tried_percent} if machine.tried else {}
    record_act(
        actor,
        CHANGE_MACHINE,
        subject_kind="state-machine",
        subject_id=machine.name,
        reason=reason,
        before={"version": before.number} if before else {},
        after={"version": machine.current.number if machine.current else None, **tried},
        now=now,
    )


class NoVersion(LookupError):
    """The state machine has no version that may be started."""


def version_to_start(machine: StateMachine) -> int:
    """Return the id of the version that the next execution runs: the current one, or by its share the tried one."""
    if machine.tried_id and random.uniform(0, 100) < machine.tried_percent:  # noqa: S311 - not a secret
        return machine.tried_id
    if machine.current_id is None:
        raise NoVersion(_("The state machine has no version that may be started."))
    return machine.current_id


@lru_cache(maxsize=256)
def compiled(version_id: int) -> Machine:
    """The machine of a version. Versions never change, so a process compiles each once."""
    definition = StateMachineVersion.objects.values_list("definition", flat=True).get(pk=version_id)
    return compile_machine(json.loads(definition))


def context_of(
    machine: str,
    name: str,
    given: Any,
    *,
    role_arn: str,
    started_at: datetime,
    redrives: int,
    redriven_at: datetime | None,
) -> dict[str, Any]:
    """The context object of an execution, without its state (Step Functions docs, "Context object")."""
    return {
        "Execution": {
            "Id": f"arn:aws:states:local:000000000000:execution:{machine}:{name}",
            "Input": given,
            "Name": name,
            "RoleArn": role_arn or ROLE,
            "StartTime": write_timestamp(started_at),
            "RedriveCount": redrives,
            **({"RedriveTime": write_timestamp(redriven_at)} if redriven_at else {}),
        },
        "StateMachine": {"Id": ARN + machine, "Name": machine},
    }
