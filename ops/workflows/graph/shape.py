"""What a definition joins to what: states, the flows inside them, and the arrows between. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ops.workflows.asl.definition import JSONATA, JSONPATH
from ops.workflows.asl.reach import ends
from ops.workflows.graph.conditions import condition_words

Json = Any
# No state can have these names: control characters are not allowed in them.
START, END = "\0start", "\0end"


class Way(StrEnum):
    """Why one goes from a state to the next."""

    NEXT = "next"
    CHOICE = "choice"
    DEFAULT = "default"
    CATCH = "catch"


@dataclass(frozen=True, slots=True)
class Arrow:
    """One may go from `source` to `target`. `label` says when, as the definition does; empty: always."""

    source: str
    target: str
    way: Way
    label: str = ""


@dataclass(frozen=True, slots=True)
class Vertex:
    """A state. `branches` are the flows inside it (Parallel, Map)."""

    name: str
    kind: str  # the state's Type; empty for the two ends of a machine
    resource: str = ""
    branches: tuple["Flow", ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """States of one level, and how they are joined."""

    start: str
    vertices: Mapping[str, Vertex]
    arrows: tuple[Arrow, ...]


def machine_flow(definition: Mapping[str, Json]) -> Flow:
    """Read a checked definition; the machine's own level begins at START and ends at END."""
    flow = flow_of(definition, definition.get("QueryLanguage", JSONPATH))
    last = [Arrow(name, END, Way.NEXT) for name, state in definition["States"].items() if ends(state)]
    arrows = (Arrow(START, flow.start, Way.NEXT), *flow.arrows, *last)
    return Flow(START, {START: Vertex(START, ""), **flow.vertices, END: Vertex(END, "")}, arrows)


def flow_of(raw: Mapping[str, Json], language: str) -> Flow:
    states = raw["States"]
    vertices = {name: vertex_of(name, state, language) for name, state in states.items()}
    arrows = [arrow for name, state in states.items() for arrow in merged(arrows_of(name, state, language))]
    return Flow(raw["StartAt"], vertices, tuple(arrows))


def vertex_of(name: str, state: Mapping[str, Json], language: str) -> Vertex:
    branches = tuple(flow_of(flow, language) for flow in inner_flows(state))
    return Vertex(name, state["Type"], state.get("Resource", ""), branches)


def inner_flows(state: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """The flows inside a state, as the definition writes them."""
    match state["Type"]:
        case "Parallel":
            return list(state["Branches"])
        case "Map":
            return [state.get("ItemProcessor") or state["Iterator"]]
    return []


def arrows_of(name: str, state: Mapping[str, Json], language: str) -> Iterator[Arrow]:
    jsonata = state.get("QueryLanguage", language) == JSONATA
    for rule in state.get("Choices", ()):
        yield Arrow(name, rule["Next"], Way.CHOICE, condition_words(rule, jsonata=jsonata))
    if "Default" in state:
        yield Arrow(name, state["Default"], Way.DEFAULT, "Default")
    if "Next" in state:
        yield Arrow(name, state["Next"], Way.NEXT)
    for catcher in state.get("Catch", ()):
        yield Arrow(name, catcher["Next"], Way.CATCH, ", ".join(catcher["ErrorEquals"]))


def merged(arrows: Iterator[Arrow]) -> list[Arrow]:
    """Arrows of one way between the same two states as one, with all their labels."""
    found: dict[tuple[str, str, Way], Arrow] = {}
    for arrow in arrows:
        key = arrow.source, arrow.target, arrow.way
        before = found.get(key)
        label = f"{before.label} | {arrow.label}" if before else arrow.label
        found[key] = Arrow(*key, label)
    return list(found.values())
