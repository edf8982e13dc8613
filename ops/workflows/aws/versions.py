"""Which version here an execution on AWS runs. AWS is asked seldom: no question of it has a smaller bucket."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from ops.workflows.aws.models import DeployedMachine
from ops.workflows.aws.moving import back
from ops.workflows.aws.pace import Allowance
from ops.workflows.aws.places import Place, place_of
from ops.workflows.models import StateMachine, StateMachineVersion

Json = Any


@dataclass
class Versions:
    """What is known of a machine's versions during one round.

    A published version never changes: it is asked for once for ever. One execution tells of all that started after
    the machine's last update and not after itself (API reference, "DescribeStateMachineForExecution": updateDate).
    """

    deployed: DeployedMachine
    states: Any
    spans: list[tuple[datetime, datetime, int]] = field(default_factory=list)

    def of(self, each: Mapping[str, Json], allowance: Allowance) -> int | None:
        """The id of the version that an execution runs, as ListExecutions tells of it. None: no leave to ask."""
        published, at = each.get("stateMachineVersionArn", ""), each["startDate"]
        if published in self.deployed.versions:
            return self.deployed.versions[published]
        for since, until, version in self.spans:
            if not published and since < at <= until:
                return version
        if not allowance.take():
            return None
        said = self.states.describe_state_machine_for_execution(executionArn=each["executionArn"])
        place = place_of(self.deployed.arn)
        version = version_that_says(self.deployed.machine, back(json.loads(said["definition"]), place), place, at)
        if published:
            self.deployed.versions[published] = version
        elif said.get("updateDate"):
            self.spans.append((said["updateDate"], at, version))
        return version


def version_that_says(machine: StateMachine, definition: Json, place: Place, at: datetime) -> int:
    """The latest version with this definition; one that is not known here is kept as it came from AWS."""
    with transaction.atomic():
        locked = StateMachine.objects.select_for_update().get(pk=machine.pk)
        versions = list(locked.versions.order_by("-number"))
        for version in versions:
            if json.loads(version.definition) == definition:
                return version.pk
        made = StateMachineVersion.objects.create(
            machine=locked,
            number=versions[0].number + 1 if versions else 1,
            definition=json.dumps(definition, indent=2, ensure_ascii=False),
            reason=f"As an execution on AWS runs it ({place.region}).",
            changed_at=at,
        )
    return made.pk
