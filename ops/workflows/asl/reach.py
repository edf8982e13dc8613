"""Which states lead where: targets that are missing, states that nothing leads to, flows that never end. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from ops.workflows.asl import reasons
from ops.workflows.asl.reasons import Reason

Json = Any
Reached = tuple[str, Reason, str]  # path, why, severity
TERMINAL = ("Succeed", "Fail")


def reach_faults(flow: Mapping[str, Json], path: str) -> Iterator[Reached]:
    """Return what is wrong with the transitions of one flow."""
    states = {name: state for name, state in flow["States"].items() if isinstance(state, dict)}
    start = flow.get("StartAt")
    if isinstance(start, str) and start not in flow["States"]:
        yield f"{path}/StartAt", reasons.MISSING_START.of(target=start), "ERROR"
    edges = {name: list(targets(state)) for name, state in states.items()}
    for name, leading in edges.items():
        for place, target in leading:
            if target not in flow["States"]:
                yield f"{path}/States/{name}/{place}", reasons.MISSING_NEXT.of(target=target), "ERROR"
    if not any(ends(state) for state in states.values()):
        yield f"{path}/States", reasons.NO_END, "ERROR"
    if isinstance(start, str) and start in states:
        reached = reachable(start, edges)
        for name in states:
            if name not in reached:
                yield f"{path}/States/{name}", reasons.UNREACHED, "WARNING"


def targets(state: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Every transition out of a state: its place in the state, and the name that it says."""
    for name in ("Next", "Default"):
        if isinstance(state.get(name), str):
            yield name, state[name]
    for name in ("Choices", "Catch"):
        entries = state.get(name)
        for number, entry in enumerate(entries if isinstance(entries, list) else []):
            if isinstance(entry, dict) and isinstance(entry.get("Next"), str):
                yield f"{name}/{number}/Next", entry["Next"]


def ends(state: Mapping[str, Json]) -> bool:
    return state.get("Type") in TERMINAL or state.get("End") is True


def reachable(start: str, edges: Mapping[str, list[tuple[str, str]]]) -> set[str]:
    reached, ahead = {start}, [start]
    while ahead:
        for _, target in edges.get(ahead.pop(), ()):
            if target not in reached:
                reached.add(target)
                ahead.append(target)
    return reached
