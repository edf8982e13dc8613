"""Where in a pattern's text a path stands, so that a refusal can point at it. Pure."""

import json
import re
from collections.abc import Generator
from dataclasses import dataclass

SPACE = re.compile(r"[ \t\r\n]*")
SCALAR = re.compile(r"[^\s,\]}]+")
DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Place:
    """A place in a text: line and column count from 1; `excerpt` is its line."""

    line: int
    column: int
    excerpt: str

    @property
    def before(self) -> str:
        return self.excerpt[: self.column - 1]

    @property
    def after(self) -> str:
        return self.excerpt[self.column - 1 :]


def place_at(text: str, offset: int) -> Place:
    begins = text.rfind("\n", 0, offset) + 1
    ends = text.find("\n", offset)
    excerpt = text[begins : ends if ends >= 0 else len(text)]
    return Place(text.count("\n", 0, offset) + 1, offset - begins + 1, excerpt)


def place_of(text: str, path: str) -> Place | None:
    """Return where the value at a path like `detail.status[0].prefix` stands; of repeated names, the last.

    None where the text is no JSON or has no such path.
    """
    found: int | None = None
    try:
        for name, offset in values_in(text, 0, ""):
            if name == path:
                found = offset
    except (ValueError, IndexError, RecursionError):
        return None
    return None if found is None else place_at(text, found)


Walk = Generator[tuple[str, int], None, int]


def values_in(text: str, at: int, name: str) -> Walk:
    """Yield the path and offset of each value in the JSON text; return where it ends."""
    at = after_space(text, at)
    yield name, at
    if text[at] == "{":
        at = yield from members(text, at + 1, name)
    elif text[at] == "[":
        at = yield from elements(text, at + 1, name)
    elif text[at] == '"':
        at = DECODER.raw_decode(text, at)[1]
    else:
        at = scalar_end(text, at)
    return at


def members(text: str, at: int, name: str) -> Walk:
    at = after_space(text, at)
    while text[at] != "}":
        key, at = DECODER.raw_decode(text, after_space(text, at))
        at = after_space(text, at)
        at = yield from values_in(text, at + 1, f"{name}.{key}" if name else key)
        at = after_space(text, at)
        at += text[at] == ","
        at = after_space(text, at)
    return at + 1


def elements(text: str, at: int, name: str) -> Walk:
    at, index = after_space(text, at), 0
    while text[at] != "]":
        at = yield from values_in(text, at, f"{name}[{index}]")
        at, index = after_space(text, at), index + 1
        at += text[at] == ","
        at = after_space(text, at)
    return at + 1


def after_space(text: str, at: int) -> int:
    found = SPACE.match(text, at)
    return found.end() if found else at


def scalar_end(text: str, at: int) -> int:
    found = SCALAR.match(text, at)
    if found is None:
        raise ValueError("This is not JSON.")
    return found.end()
