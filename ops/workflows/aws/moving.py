"""A definition as AWS takes it, what of it cannot move, and the way back. Pure.

Two things change: names of the portal's own resources get a real region and account; and each call of an effect takes
along where it was made, because an activity's task tells only its input (Step Functions API reference,
"GetActivityTask") and the effect's key must be the same however often the task is handed out.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from ops.effects.registry import ARN as EFFECT
from ops.workflows.asl.definition import JSONATA, JSONPATH
from ops.workflows.aws.places import LOCAL, LOCAL_CONNECTION, Place

Json = Any
FROM, INPUT = "kessai", "input"  # the two keys of what an activity is given on AWS


@dataclass(frozen=True)
class Task:
    """A Task state, wherever in the definition it stands; or what a distributed Map reads from or writes to."""

    path: str  # /States/Pay
    state: dict[str, Json]
    language: str

    @property
    def resource(self) -> str:
        return str(self.state.get("Resource", ""))

    @property
    def effect(self) -> str:
        """The name of the portal's effect that it calls, or nothing."""
        return self.resource.removeprefix(EFFECT) if self.resource.startswith(EFFECT) else ""

    @property
    def given(self) -> Mapping[str, Json]:
        """What it calls with, as written."""
        written = self.state.get("Arguments" if self.language == JSONATA else "Parameters")
        return written if isinstance(written, dict) else {}

    def literal(self, name: str) -> str | None:
        """An argument that stands in the definition itself; None where only a run tells it."""
        value = self.given.get(name)
        return value if isinstance(value, str) and not value.startswith("{%") else None


@dataclass(frozen=True)
class Move:
    """One state machine: `definition` is what AWS is given, `activities` the names of effects that it calls.

    `cannot` says, in sentences, why it cannot move; `said` what is otherwise there.
    """

    name: str
    definition: dict[str, Json]
    activities: list[str]
    cannot: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return json.dumps(self.definition, ensure_ascii=False)


def move_of(
    name: str,
    definition: Mapping[str, Json],
    place: Place,
    *,
    effects: Set[str],
    machines: Set[str],
    connections: Mapping[str, str],
) -> Move:
    """Say what becomes of a valid definition at a place.

    `effects` are those that the portal has, `machines` those that are there or move along, and `connections` the ARNs
    there of the portal's connections, by name.
    """
    tasks = list(tasks_of(definition))
    moved = with_origins(definition)
    moved = each_text(moved, lambda text: with_connections(place.here(text), connections))
    named = sorted({task.effect for task in tasks if task.effect})
    return Move(
        name,
        moved,
        named,
        why_not(name, definition, tasks, effects=effects, machines=machines, connections=connections),
        differences(name, tasks),
    )


def tasks_of(definition: Mapping[str, Json]) -> Iterator[Task]:
    """Every Task of a definition, inside branches and maps too, with the readers and writers of maps."""
    return tasks_in(definition, definition.get("QueryLanguage", JSONPATH), "")


def tasks_in(flow: Mapping[str, Json], language: str, path: str) -> Iterator[Task]:
    for name, state in flow.get("States", {}).items():
        own = state.get("QueryLanguage", language)
        here = f"{path}/States/{name}"
        if state.get("Type") == "Task":
            yield Task(here, state, own)
        for side in ("ItemReader", "ResultWriter"):
            if state.get(side, {}).get("Resource"):
                yield Task(f"{here}/{side}", state[side], own)
        for number, branch in enumerate(state.get("Branches", ())):
            yield from tasks_in(branch, own, f"{here}/Branches/{number}")
        for inner in ("ItemProcessor", "Iterator"):
            if inner in state:
                yield from tasks_in(state[inner], own, f"{here}/{inner}")


def with_origins(definition: Mapping[str, Json]) -> dict[str, Json]:
    """A copy of a definition in which every call of an effect takes along where it was made."""
    moved: dict[str, Json] = json.loads(json.dumps(definition))
    for task in tasks_of(moved):
        if task.effect:
            task.state.update(wrapped(task))
    return moved


def wrapped(task: Task) -> dict[str, Json]:
    if task.language == JSONATA:
        origin = {key: f"{{% $states.context.{path} %}}" for key, path in ORIGIN.items()}
        return {"Arguments": {FROM: origin, INPUT: task.state.get("Arguments", "{% $states.input %}")}}
    origin = {f"{key}.$": f"$$.{path}" for key, path in ORIGIN.items()}
    given = {INPUT: task.state["Parameters"]} if "Parameters" in task.state else {f"{INPUT}.$": "$"}
    return {"Parameters": {FROM: origin, **given}}


# What tells a call from every other and stays when the state is tried again; and how often it was tried before. The
# number of a Map's item is not among it: AWS tells that to the Map alone ("Context object data for Map states").
ORIGIN = {
    "execution": "Execution.Id",
    "state": "State.Name",
    "entered": "State.EnteredTime",
    "tried": "State.RetryCount",
}


def each_text(value: Json, change: Callable[[str], str]) -> Json:
    """A copy with every text in it changed; keys are left alone."""
    if isinstance(value, dict):
        return {key: each_text(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [each_text(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value


def with_connections(text: str, connections: Mapping[str, str]) -> str:
    return LOCAL_CONNECTION.sub(lambda found: connections.get(found["name"], found[0]), text)


def why_not(
    name: str,
    definition: Mapping[str, Json],
    tasks: list[Task],
    *,
    effects: Set[str],
    machines: Set[str],
    connections: Mapping[str, str],
) -> list[str]:
    text = json.dumps(definition, ensure_ascii=False)
    said = [
        f"{name}: {task.path} calls the effect {task.effect}, which is not registered here: nobody would answer it."
        for task in tasks
        if task.effect and task.effect not in effects
    ]
    said += [
        f"{name}: {task.path} calls {task.resource}, which neither the portal nor AWS has."
        for task in tasks
        if not task.resource.startswith("arn:")
    ]
    started = {found["name"] for found in LOCAL.finditer(text) if found["kind"] == "stateMachine"}
    said += [
        f"{name}: it starts {other}, which is not there: deploy it too."
        for other in sorted(started - machines - {name})
    ]
    wanted = {found["name"] for found in LOCAL_CONNECTION.finditer(text)}
    said += [
        f"{name}: it calls with the connection {other}, which is not there: make it first (its secret is in no "
        "template), for example by a rule's destination (manage.py rules to-cloudformation)."
        for other in sorted(wanted - set(connections))
    ]
    if "{{resolve:" in text:
        said.append(f"{name}: it holds {{{{resolve:, which CloudFormation would replace.")
    return said


def differences(name: str, tasks: list[Task]) -> list[str]:
    """What is otherwise on AWS, in sentences."""
    forever = [task.path for task in tasks if task.effect and not has_end(task.state)]
    if not forever:
        return []
    return [
        f"{name}: without TimeoutSeconds, {', '.join(forever)} wait on AWS for as long as no worker answers "
        "(manage.py work_activities)."
    ]


def has_end(state: Mapping[str, Json]) -> bool:
    return any(key in state for key in ("TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds"))


def back(definition: Mapping[str, Json], place: Place) -> dict[str, Json]:
    """The definition that `move_of` was given, from what AWS has at that place; or one that was written there."""
    home: dict[str, Json] = each_text(dict(definition), place.at_home)
    for task in tasks_of(home):
        if task.effect and FROM in task.given:
            unwrap(task)
    return home


def unwrap(task: Task) -> None:
    key = "Arguments" if task.language == JSONATA else "Parameters"
    given = task.state.pop(key)
    if INPUT in given and given[INPUT] != "{% $states.input %}":
        task.state[key] = given[INPUT]
