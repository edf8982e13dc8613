"""A pattern built from an event: its fields as a tree, each value to be put into the pattern or taken out. Pure.

What the pattern says otherwise, operators and keys that the event has not, stays as it is.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST_LEAVES = 600
MOST_ELEMENTS = 10  # shown of one array
LONGEST_VALUE = 1_000  # characters; no pattern wants longer texts


class CannotBuild(ValueError):
    """The pattern's text is no JSON object: mend it first, or empty it."""


@dataclass(frozen=True)
class Leaf:
    """One value of the event. `number` names it among the event's values; `path` has no places in arrays."""

    number: int
    label: str
    path: tuple[str, ...]
    value: Any
    ticked: bool
    children: None = None  # what a group has

    @property
    def shown(self) -> str:
        return json.dumps(self.value, ensure_ascii=False)


@dataclass(frozen=True)
class Group:
    """An object or an array of the event."""

    label: str
    children: "tuple[Leaf | Group, ...]"
    left_out: int = 0  # elements of a long array

    @property
    def ticked(self) -> int:
        return sum(child.ticked for child in self.children)


def fields_of(event: Mapping[str, Any], pattern_text: str) -> Group:
    """Return the event as a tree; ticked is what the pattern wants as it is."""
    try:
        pattern = read_pattern(pattern_text)
    except CannotBuild:
        pattern = {}
    numbers = iter(range(MOST_LEAVES))
    return group("", event, (), pattern, numbers)


def group(label: str, value: Any, path: tuple[str, ...], pattern: Any, numbers: Iterator[int]) -> Group:
    inside: list[Leaf | Group] = []
    entries = list(value.items()) if isinstance(value, Mapping) else list(enumerate(value))[:MOST_ELEMENTS]
    for name, entry in entries:
        below = (*path, name) if isinstance(name, str) else path
        shown = name if isinstance(name, str) else f"[{name}]"
        if isinstance(entry, Mapping | list):
            if entry:
                inside.append(group(shown, entry, below, pattern, numbers))
        elif not isinstance(entry, str) or len(entry) <= LONGEST_VALUE:
            number = next(numbers, None)
            if number is not None:
                inside.append(Leaf(number, shown, below, entry, holds(alternatives_at(pattern, below), entry)))
    return Group(label, tuple(inside), len(value) - len(entries))


def leaves(tree: Group) -> Iterator[Leaf]:
    for child in tree.children:
        if isinstance(child, Leaf):
            yield child
        else:
            yield from leaves(child)


def tick(pattern_text: str, event: Mapping[str, Any], number: int, *, on: bool) -> str:
    """Return the pattern's text with the event's value of that number put in, or taken out. Raises CannotBuild."""
    pattern = read_pattern(pattern_text)
    leaf = next((leaf for leaf in leaves(fields_of(event, "")) if leaf.number == number), None)
    if leaf is not None:
        (put if on else take)(pattern, leaf.path, leaf.value)
    return written_pattern(pattern) if pattern else ""


def read_pattern(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        pattern = json.loads(text)
    except (ValueError, RecursionError):
        raise CannotBuild
    if not isinstance(pattern, dict):
        raise CannotBuild
    return pattern


def alternatives_at(pattern: Any, path: tuple[str, ...]) -> list[Any]:
    for step in path:
        pattern = pattern.get(step) if isinstance(pattern, dict) else None
    return pattern if isinstance(pattern, list) else []


def holds(alternatives: list[Any], value: Any) -> bool:
    """Whether the value is among them; to JSON, true is not 1."""
    return any(type(each) is type(value) and each == value for each in alternatives)


def put(pattern: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *above, last = path
    for step in above:
        if not isinstance(pattern.get(step), dict):
            pattern[step] = {}
        pattern = pattern[step]
    alternatives = pattern.setdefault(last, [])
    if not isinstance(alternatives, list):
        pattern[last] = [value]
    elif not holds(alternatives, value):
        alternatives.append(value)


def take(pattern: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Take the value out, and the keys that are left empty by it."""
    first, *rest = path
    inside = pattern.get(first)
    if rest and isinstance(inside, dict):
        take(inside, tuple(rest), value)
    elif not rest and isinstance(inside, list):
        inside[:] = [each for each in inside if not holds([each], value)]
    if inside in ({}, []):
        del pattern[first]


def written_pattern(value: Any, indent: int = 0) -> str:
    """Write a pattern as people do: objects over several lines, the alternatives of a key on one."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    space = "  " * (indent + 1)
    members = (f"{space}{json.dumps(name)}: {written_pattern(inside, indent + 1)}" for name, inside in value.items())
    return "{\n" + ",\n".join(members) + "\n" + "  " * indent + "}"
