"""The paths by which EventBridge takes values out of an event: its part of JSONPath. Pure.

AWS docs, "Amazon EventBridge input transformation": dot notation, dashes, underscores, slashes, array indices,
wildcards; "InputTransformer": no bracket notation for names. So `$.detail.lines.data[0].price`, `$.detail.lines[*].id`.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

LONGEST = 256
STEP = re.compile(r"""\.(?P<name>[^.\[\]*?()'"@,$<>\s]+)|(?P<any>\.\*|\[\*\])|\[(?P<index>\d{1,6})\]""")


class Missing:
    """What a path that selects nothing gives: JSON has no value for it."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()
ANY: Final = None  # the step of a wildcard


class InvalidPath(ValueError):
    """A path that EventBridge does not understand; `at` is the position of what is wrong."""

    def __init__(self, text: str, at: int) -> None:
        super().__init__(f"“{text}” is no path at character {at + 1}.")
        self.text = text
        self.at = at


@dataclass(frozen=True, slots=True)
class Path:
    """A path ready to be used; with a wildcard it selects a list, otherwise one value or MISSING."""

    steps: tuple[str | int | None, ...]

    @property
    def selects_many(self) -> bool:
        return ANY in self.steps

    def of(self, event: Any) -> Any:
        return gather([event], self.steps) if self.selects_many else follow(event, self.steps)


def compile_path(text: str) -> Path:
    """Raises InvalidPath."""
    if not text.startswith("$") or len(text) > LONGEST:
        raise InvalidPath(text[:LONGEST], 0)
    at = 1
    steps: list[str | int | None] = []
    while at < len(text):
        step = STEP.match(text, at)
        if step is None:
            raise InvalidPath(text, at)
        name, index = step["name"], step["index"]
        steps.append(name if name is not None else int(index) if index is not None else ANY)
        at = step.end()
    return Path(tuple(steps))


def follow(value: Any, steps: tuple[str | int | None, ...]) -> Any:
    for step in steps:
        named = isinstance(step, str) and isinstance(value, dict) and step in value
        numbered = isinstance(step, int) and isinstance(value, list) and step < len(value)
        if not (named or numbered):
            return MISSING
        value = value[step]
    return value


def gather(values: list[Any], steps: tuple[str | int | None, ...]) -> list[Any]:
    for step in steps:
        if step is ANY:
            values = [inner for value in values for inner in children(value)]
        else:
            found = (follow(value, (step,)) for value in values)
            values = [value for value in found if value is not MISSING]
    return values


def children(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, dict) else []
