"""Which variables each scope assigns: a machine's own states are one, each branch and each Map's flow another. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from ops.workflows.asl.reasons import SHADOWS, Reason

Json = Any


def shadowing(flow: Json, path: str = "", outer: frozenset[str] = frozenset()) -> Iterator[tuple[str, Reason]]:
    """Return where a variable is assigned that a scope around it assigns too, each with the reason.

    Step Functions docs, "Passing data between states with variables": they cannot have the same name. AWS has taken
    definitions that do so; what they mean is seldom what was meant.
    """
    states = flow.get("States") if isinstance(flow, dict) else None
    if not isinstance(states, dict):
        return
    places = [place for name, state in states.items() for place in assigned(state, f"{path}/States/{name}")]
    for place, name in places:
        if name in outer:
            yield place, SHADOWS.of(name=name)
    seen = outer | {name for _, name in places}
    for name, state in states.items():
        for inside, place in flows_in(state, f"{path}/States/{name}"):
            yield from shadowing(inside, place, seen)


def assigned(state: Json, path: str) -> Iterator[tuple[str, str]]:
    """The variables that a state, its rules and its catchers assign, each with its place."""
    if not isinstance(state, dict):
        return
    yield from names_in(state, path)
    for field in ("Choices", "Catch"):
        entries = state.get(field)
        for number, entry in enumerate(entries if isinstance(entries, list) else []):
            yield from names_in(entry, f"{path}/{field}/{number}")


def names_in(entry: Json, path: str) -> Iterator[tuple[str, str]]:
    given = entry.get("Assign") if isinstance(entry, dict) else None
    for name in given if isinstance(given, dict) else ():
        yield f"{path}/Assign/{name}", name.removesuffix(".$")


def flows_in(state: Json, path: str) -> Iterator[tuple[Mapping[str, Json], str]]:
    if not isinstance(state, dict):
        return
    branches = state.get("Branches")
    for number, branch in enumerate(branches if isinstance(branches, list) else []):
        yield branch, f"{path}/Branches/{number}"
    for field in ("ItemProcessor", "Iterator"):
        if isinstance(state.get(field), dict):
            yield state[field], f"{path}/{field}"
