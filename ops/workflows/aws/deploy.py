"""State machines brought to AWS, with all that they need there: planned wholly, refused wholly, then done in order."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import Any

from botocore.exceptions import ClientError

from ops.effects import aws
from ops.effects.known import EFFECTS
from ops.effects.registry import ARN as EFFECT
from ops.workflows.aws.moving import Move, move_of
from ops.workflows.aws.permissions import Unknown, policy_of, trust_of
from ops.workflows.aws.places import LOCAL_CONNECTION, Place
from ops.workflows.aws.there import GONE, Activities, Kind, LogGroups, Machines, NotOurs, Roles, code_of, ordered
from ops.workflows.models import StateMachine, StateMachineVersion
from ops.workflows.waits.wanted import ARN as AWAIT_EVENT

Json = Any
RETENTION_DAYS = 30
LEVELS = ("ALL", "ERROR", "FATAL", "OFF")


class CannotDeploy(Exception):
    """Nothing was done. `sentences` say everything that stands against it."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = list(sentences)


@dataclass(frozen=True)
class Part:
    """One thing at AWS, as it is wanted (None: away) and as it was found (None: not there)."""

    kind: Kind
    name: str
    wanted: Json | None
    found: Json | None

    @property
    def act(self) -> str:
        if self.wanted is None:
            return "delete"
        if self.found is None:
            return "make"
        return "keep" if self.wanted == self.found else "change"

    def diff(self) -> str:
        """What differs between AWS and what is wanted, as a unified diff of JSON."""
        there, here = shown(self.found), shown(self.wanted)
        return "".join(unified_diff(there, here, f"{self.kind.word} {self.name} on AWS", "as it is here"))

    def do(self) -> None:
        match self.act:
            case "make":
                self.kind.make(self.name, self.wanted)
            case "change":
                self.kind.change(self.name, self.wanted)
            case "delete":
                self.kind.delete(self.name)


def shown(value: Json | None) -> list[str]:
    if value is None:
        return []
    return (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n").splitlines(True)


@dataclass(frozen=True)
class Plan:
    """Parts in the order in which they are done; `said` is what is otherwise there, or was left."""

    place: Place
    parts: list[Part]
    said: list[str] = field(default_factory=list)

    def do(self, done: Callable[[Part], None] = lambda part: None) -> None:
        """Do it, part by part. What raises leaves the parts before it done; doing it again goes on."""
        for part in self.parts:
            if part.act != "keep":
                part.do()
                done(part)


def here(region: str) -> Place:
    """The place that AWS's usual variables name: whose account, in which partition."""
    arn = aws.patient("sts", region).get_caller_identity()["Arn"]
    _, partition, _, _, account, _ = arn.split(":", 5)
    return Place(region, account, partition)


def plan_of(
    machines: Sequence[StateMachine],
    place: Place,
    *,
    log_level: str = "ALL",
    prune: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Plan:
    """Plan the deployment of these machines' current versions, and those that are tried, at a place.

    `prune` takes away what was made from here before and is none of these. Raises CannotDeploy with every reason, of
    which nothing was done, and what boto3 raises.
    """
    kinds = Kinds(place, sleep)
    moves, against = moves_of(machines, place, kinds)
    if against:
        raise CannotDeploy(against)
    try:
        parts = [part for machine in machines for part in parts_of(machine, moves, place, kinds, log_level)]
        activities = sorted({name for move in moves.values() for name in move.activities})
        parts = [kinds.part(kinds.activities, name, {"arn": place.activity(name)}) for name in activities] + parts
    except (Unknown, NotOurs) as error:
        raise CannotDeploy([str(error)])
    said = [sentence for move in moves.values() for sentence in move.said]
    if prune:
        names = {machine.name for machine in machines}
        away, left = superfluous(names, set(activities), kinds)
        parts, said = parts + away, said + left
    return Plan(place, parts, list(dict.fromkeys(said)))


class Kinds:
    """The kinds of parts at one place."""

    def __init__(self, place: Place, sleep: Callable[[float], None]) -> None:
        self.roles, self.groups, self.activities = Roles(place), LogGroups(place), Activities(place)
        self.machines = Machines(place, sleep=sleep)

    def part(self, kind: Kind, name: str, wanted: Json | None) -> Part:
        return Part(kind, name, wanted, kind.read(name))


def moves_of(machines: Sequence[StateMachine], place: Place, kinds: Kinds) -> tuple[dict[int, Move], list[str]]:
    """What becomes of each version that can be started, by its id; and everything that stands against it."""
    versions = {version.pk: (machine, version) for machine in machines for version, _ in startable(machine)}
    text = "".join(version.definition for _, version in versions.values())
    going = {machine.name for machine in machines}
    known = set(StateMachine.objects.values_list("name", flat=True)) - going
    there = going | {name for name in known if f":stateMachine:{name}" in text and kinds.machines.is_there(name)}
    connections = connections_there({found["name"] for found in LOCAL_CONNECTION.finditer(text)}, place)
    moves = {
        pk: move_of(
            machine.name,
            json.loads(version.definition),
            place,
            effects=served(),
            machines=there,
            connections=connections,
        )
        for pk, (machine, version) in versions.items()
    }
    against = [f"{machine.name}: it has no version." for machine in machines if machine.current is None]
    against += [sentence for move in moves.values() for sentence in move.cannot]
    return moves, list(dict.fromkeys(against))


def served() -> set[str]:
    """The names of the activities that `manage.py work_activities` serves: all effects, and waiting for an event."""
    return {*EFFECTS, AWAIT_EVENT.removeprefix(EFFECT)}


def startable(machine: StateMachine) -> list[tuple[StateMachineVersion, int]]:
    """The versions that new executions run, the current one first, each with its share in percent."""
    if machine.current is None:
        return []
    if machine.tried is None or machine.tried_percent == 0:
        return [(machine.current, 100)]
    return [(machine.current, 100 - machine.tried_percent), (machine.tried, machine.tried_percent)]


def connections_there(names: set[str], place: Place) -> Mapping[str, str]:
    """The ARNs of EventBridge's connections of these names, of those that are there."""
    events = aws.patient("events", place.region)
    found = {}
    for name in sorted(names):
        try:
            found[name] = str(events.describe_connection(Name=name)["ConnectionArn"])
        except ClientError as error:
            if code_of(error) not in GONE:
                raise
    return found


def parts_of(
    machine: StateMachine, moves: Mapping[int, Move], place: Place, kinds: Kinds, log_level: str
) -> list[Part]:
    """A machine's log group, its role and itself."""
    versions = startable(machine)
    definitions = [moves[version.pk].definition for version, _ in versions]
    policies = [policy_of(machine.name, definition, place) for definition in definitions]
    role = {"trust": trust_of(place), "policy": joined(policies)}
    logging = {
        "level": log_level,
        "includeExecutionData": False,
        "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": place.log_group(machine.name)}}],
    }
    shares = [
        {"weight": share, "definition": definition, "role": place.role(machine.name), "logging": logging}
        for (_, share), definition in zip(versions, definitions, strict=True)
    ]
    return [
        kinds.part(kinds.groups, machine.name, {"retention_days": RETENTION_DAYS}),
        kinds.part(kinds.roles, machine.name, role),
        kinds.part(kinds.machines, machine.name, {"head": definitions[0], "versions": ordered(shares)}),
    ]


def joined(policies: Sequence[Json]) -> Json:
    """One policy for all versions that may be started."""
    first, *others = policies
    more = [each for policy in others for each in policy["Statement"] if each not in first["Statement"]]
    return {**first, "Statement": [*first["Statement"], *more]}


def superfluous(names: set[str], activities: set[str], kinds: Kinds) -> tuple[list[Part], list[str]]:
    """What was made from here and serves none of these machines. A machine with executions that run is left."""
    parts, left = [], []
    for name in sorted(set(kinds.machines.ours()) - names):
        if kinds.machines.is_running(name):
            left.append(f"{name}: it is not here any more, and was left, because executions of it run.")
            continue
        for kind in (kinds.machines, kinds.roles, kinds.groups):
            part = kinds.part(kind, name, None)
            parts += [part] if part.found is not None else []
    if not left:  # those that run may yet call their effects
        parts += [
            kinds.part(kinds.activities, name, None) for name in sorted(set(kinds.activities.ours()) - activities)
        ]
    return parts, left
