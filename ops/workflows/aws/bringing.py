"""State machines of a template or a stack saved as versions: all of them, or none."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import unified_diff
from pathlib import Path
from typing import Any

from django.db import transaction

from accounts.models import User
from ops.effects import aws
from ops.rules.cloudformation.resolving import Unresolved
from ops.workflows.asl.validate import check_text
from ops.workflows.aws.moving import back
from ops.workflows.aws.places import place_of
from ops.workflows.aws.template_reading import MACHINE, Told
from ops.workflows.machines import save_version
from ops.workflows.models import StateMachine

Json = Any


class Unbringable(Exception):
    """Nothing was saved. `sentences` say everything that stands against it."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


@dataclass(frozen=True)
class Brought:
    """What became of one machine: made, changed (another version), kept (it said the same before)."""

    name: str
    did: str
    version: int | None
    diff: str


def machines_of_stack(stack: str, region: str) -> list[Told]:
    """The state machines of a stack as they are on AWS, with all that it has filled in. Raises what boto3 raises."""
    told = []
    for arn in arns_of(stack, region):
        said = aws.patient("stepfunctions", region).describe_state_machine(stateMachineArn=arn)
        told.append(Told(str(said["name"]), back(json.loads(said["definition"]), place_of(arn))))
    return told


def arns_of(stack: str, region: str) -> Iterator[str]:
    pages = aws.patient("cloudformation", region).get_paginator("list_stack_resources").paginate(StackName=stack)
    for page in pages:
        for resource in page["StackResourceSummaries"]:
            if resource["ResourceType"] == MACHINE and resource.get("PhysicalResourceId"):
                yield str(resource["PhysicalResourceId"])


def fetch_from(folder: Path, region: str) -> Any:
    """What reads definitions that are not in the template: files beside it, and objects of S3."""

    def fetch(place: Mapping[str, str]) -> str:
        return read_file(folder / place["path"]) if "path" in place else read_object(place, region)

    return fetch


def read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Unresolved(f"its definition {path.name} cannot be read: {error}") from error


def read_object(place: Mapping[str, str], region: str) -> str:
    version = {"VersionId": place["version"]} if "version" in place else {}
    try:
        answer = aws.patient("s3", region).get_object(Bucket=place["bucket"], Key=place["key"], **version)
        return str(answer["Body"].read().decode())
    except (*aws.AwsTrouble, ValueError) as error:
        raise Unresolved(f"its definition s3://{place['bucket']}/{place['key']} cannot be read: {error}") from error


def bring(
    told: Sequence[Told], *, reason: str, actor: User | None, now: datetime, percent: int = 100, dry_run: bool = False
) -> list[Brought]:
    """Save these machines in one transaction; return what became of each. Again at once it does nothing.

    Raises Unbringable where a definition has flaws, or two machines have one name.
    """
    names = [each.name for each in told]
    against = [f"{name}: two state machines have this name." for name in sorted(set(names)) if names.count(name) > 1]
    for each in told:
        faults, _ = check_text(written(each.definition))
        against += [f"{each.name}: {fault}" for fault in faults if fault.severity == "ERROR"]
    if against:
        raise Unbringable(against)
    with transaction.atomic():
        return [one(each, reason=reason, actor=actor, now=now, percent=percent, dry_run=dry_run) for each in told]


def one(told: Told, *, reason: str, actor: User | None, now: datetime, percent: int, dry_run: bool) -> Brought:
    machine = StateMachine.objects.filter(name=told.name).select_related("current").first()
    current = machine.current if machine else None
    if current and json.loads(current.definition) == told.definition:
        return Brought(told.name, "kept", current.number, "")
    did = "changed" if machine else "made"
    diff = difference(current.definition if current else "", told)
    if dry_run:
        return Brought(told.name, did, None, diff)
    text = written(told.definition)
    version = save_version(told.name, text, reason=reason, now=now, actor=actor, percent=percent)
    return Brought(told.name, did, version.number, diff)


def written(definition: Json) -> str:
    return json.dumps(definition, indent=2, ensure_ascii=False)


def difference(here: str, told: Told) -> str:
    before = written(json.loads(here)).splitlines(True) if here else []
    return "".join(unified_diff(before, written(told.definition).splitlines(True), "here", "the template"))
