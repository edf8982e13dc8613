"""JSONPath as Step Functions has it: Jayway's dialect, rooted at `$` (input), `$$` (context) or `$name` (a variable).

Step Functions docs, "Using JSONPath paths". A definite path leads to one place and fails where there is none; an
indefinite one (`*`, `..`, slices, filters, several names) gives a list, which may be empty.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ops.workflows.asl import reasons
from ops.workflows.asl.filters import COMPARISONS, MISSING, compared, constant

Json = Any
Select = Callable[[Json], Iterator[Json]]

NAME = re.compile(r"[^\s.\[\]()'\"?*@,:]+")
NAME_IN_FILTER = re.compile(r"[^\s.\[\](){}'\"=<>!&|,*?@]+")  # an operator may follow at once
VARIABLE = re.compile(r"[^\W\d]\w*")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
INTEGER = re.compile(r"-?\d+")


class InvalidPath(ValueError):
    """This is no JSONPath."""


class NoResult(LookupError):
    """The path leads nowhere in what it was asked of; the text is the path up to there, in brackets."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path. `key` is the single name or index of a definite one."""

    select: Select
    key: str | int | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """A path that was read: where it begins, and its steps."""

    text: str
    root: str  # "$", "$$", or a variable's name
    steps: tuple[Step, ...]
    length_of: bool = False  # ends in .length()

    @property
    def definite(self) -> bool:
        return all(step.key is not None for step in self.steps)

    def find(self, root: Json) -> Json:
        """Return what is there. Raises NoResult."""
        if not self.definite:
            found = self.matches(root)
            return len(found) if self.length_of else found
        value = root
        for number, step in enumerate(self.steps):
            try:
                value = descend(value, step.key)
            except LookupError:
                raise NoResult(self.bracketed(number + 1))
        return len(value) if self.length_of and isinstance(value, list | dict | str) else value

    def matches(self, root: Json) -> list[Json]:
        values = [root]
        for step in self.steps:
            values = [found for value in values for found in step.select(value)]
        return values

    def bracketed(self, steps: int) -> str:
        keys = [step.key for step in self.steps[:steps]]
        return "$" + "".join(f"['{key}']" if isinstance(key, str) else f"[{key}]" for key in keys)


def descend(value: Json, key: str | int | None) -> Json:
    if isinstance(key, str):
        if isinstance(value, dict):
            return value[key]
    elif isinstance(value, list) and key is not None:
        return value[key]
    raise LookupError(key)


@lru_cache(maxsize=4096)
def parse_path(text: str) -> Path:
    """Read a path. Raises InvalidPath with what is wrong."""
    return Reader(text).path()


class Reader:
    """Reads one path from left to right."""

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at
        self.name = NAME

    def path(self) -> Path:
        found = self.prefix()
        if self.at < len(self.text):
            raise self.wrong()
        return found

    def prefix(self) -> Path:
        """Read the longest path that begins here, and stop behind it."""
        begin = self.at
        self.expect("$")
        root = "$"
        if self.take("$"):
            root = "$$"
        elif name := VARIABLE.match(self.text, self.at):
            root, self.at = name[0], name.end()
        steps, length_of = self.steps()
        return Path(self.text[begin : self.at], root, tuple(steps), length_of)

    def steps(self) -> tuple[list[Step], bool]:
        steps: list[Step] = []
        while True:
            if self.take(".."):
                steps.append(Step(descendants))
                if not self.peek("["):
                    steps.append(self.dotted())
            elif self.take("."):
                if self.take("length()"):
                    return steps, True
                if not self.peek("["):
                    steps.append(self.dotted())
            elif self.take("["):
                steps.append(self.bracket())
            else:
                return steps, False

    def dotted(self) -> Step:
        if self.take("*"):
            return Step(children)
        name = self.name.match(self.text, self.at)
        if not name:
            raise self.wrong()
        self.at = name.end()
        return named(name[0])

    def bracket(self) -> Step:
        self.space()
        if self.take("*"):
            step = Step(children)
        elif self.take("?"):
            self.expect("(")
            around, self.name = self.name, NAME_IN_FILTER
            step = filtered(self.either())
            self.name = around
            self.space()
            self.expect(")")
        elif self.peek("'") or self.peek('"'):
            step = self.names()
        else:
            step = self.numbers()
        self.space()
        self.expect("]")
        return step

    def names(self) -> Step:
        names = [self.quoted()]
        while self.take_comma():
            names.append(self.quoted())
        return named(names[0]) if len(names) == 1 else Step(several(names))

    def quoted(self) -> str:
        self.space()
        quote = self.text[self.at : self.at + 1]
        if quote not in ("'", '"'):
            raise self.wrong()
        self.at += 1
        letters: list[str] = []
        while self.at < len(self.text):
            letter = self.text[self.at]
            self.at += 1
            if letter == quote:
                return "".join(letters)
            if letter == "\\" and self.at < len(self.text):
                letter = self.text[self.at]
                self.at += 1
            letters.append(letter)
        raise self.wrong()

    def numbers(self) -> Step:
        first = self.integer()
        if self.take_colon():
            last = self.integer()
            stride = self.integer() if self.take_colon() else None
            return Step(sliced(first, last, stride))
        if first is None:
            raise self.wrong()
        numbers = [first]
        while self.take_comma():
            number = self.integer()
            if number is None:
                raise self.wrong()
            numbers.append(number)
        return indexed(first) if len(numbers) == 1 else Step(several(numbers))

    def integer(self) -> int | None:
        self.space()
        number = INTEGER.match(self.text, self.at)
        if not number:
            return None
        self.at = number.end()
        return int(number[0])

    # --- filters: [?(@.price < 10 && @.kind == 'a')] ---

    def either(self) -> Callable[[Json], bool]:
        tests = [self.both()]
        while self.take_word("||"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else lambda item: any(test(item) for test in tests)

    def both(self) -> Callable[[Json], bool]:
        tests = [self.comparison()]
        while self.take_word("&&"):
            tests.append(self.comparison())
        return tests[0] if len(tests) == 1 else lambda item: all(test(item) for test in tests)

    def comparison(self) -> Callable[[Json], bool]:
        if self.take_word("!"):
            test = self.comparison()
            return lambda item: not test(item)
        if self.take_word("("):
            inner = self.either()
            self.space()
            self.expect(")")
            return inner
        left = self.operand()
        for sign, compare in COMPARISONS:
            if self.take_word(sign):
                return compared(left, compare, self.operand())
        return lambda item: left(item) is not MISSING

    def operand(self) -> Callable[[Json], Json]:
        self.space()
        if self.take("@"):
            steps, length_of = self.steps()
            path = Path("@", "$", tuple(steps), length_of)
            return lambda item: found_or_missing(path, item)
        if self.peek("'") or self.peek('"'):
            text = self.quoted()
            return lambda _item: text
        if number := NUMBER.match(self.text, self.at):
            self.at = number.end()
            value = float(number[0]) if number[1] or number[2] else int(number[0])
            return lambda _item: value
        for word, literal in (("true", True), ("false", False), ("null", None)):
            if self.take(word):
                return constant(literal)
        raise self.wrong()

    # --- letters ---

    def peek(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def take(self, text: str) -> bool:
        if self.peek(text):
            self.at += len(text)
            return True
        return False

    def take_word(self, text: str) -> bool:
        self.space()
        return self.take(text)

    def take_comma(self) -> bool:
        return self.take_word(",")

    def take_colon(self) -> bool:
        return self.take_word(":")

    def expect(self, text: str) -> None:
        if not self.take(text):
            raise self.wrong()

    def space(self) -> None:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1

    def wrong(self) -> InvalidPath:
        return InvalidPath(reasons.PATH.of(path=self.text, at=self.at + 1))


def found_or_missing(path: Path, item: Json) -> Json:
    try:
        return path.find(item)
    except NoResult:
        return MISSING


def named(name: str) -> Step:
    def select(value: Json) -> Iterator[Json]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return Step(select, name)


def indexed(index: int) -> Step:
    def select(value: Json) -> Iterator[Json]:
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield value[index]

    return Step(select, index)


def several(keys: Sequence[str | int]) -> Select:
    steps = [named(key) if isinstance(key, str) else indexed(key) for key in keys]
    return lambda value: (found for step in steps for found in step.select(value))


def sliced(first: int | None, last: int | None, stride: int | None) -> Select:
    return lambda value: iter(value[first:last:stride]) if isinstance(value, list) else iter(())


def filtered(test: Callable[[Json], bool]) -> Step:
    return Step(lambda value: (item for item in (value if isinstance(value, list) else [value]) if test(item)))


def children(value: Json) -> Iterator[Json]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def descendants(value: Json) -> Iterator[Json]:
    """The value itself and everything inside it."""
    yield value
    for child in children(value):
        yield from descendants(child)


def is_reference(path: Path) -> bool:
    """Whether it names one place that a value can be put at (ASL, "Reference Paths")."""
    return path.definite and not path.length_of


def put(path: Path, root: Json, value: Json) -> Json:
    """Return `root` with `value` at a reference path; what is missing on the way is made. Raises InvalidPath."""
    if not path.steps:
        return value
    return put_at(root, [step.key for step in path.steps], value, path)


def put_at(root: Json, keys: list[str | int | None], value: Json, path: Path) -> Json:
    key, rest = keys[0], keys[1:]
    if isinstance(key, str):
        holder: Mapping[str, Json] = root if isinstance(root, dict) else {}
        if root is not None and not isinstance(root, dict):
            raise InvalidPath(f"Unable to apply step '{key}' to input: '{path.text}' needs an object there.")
        inner = put_at(holder.get(key), rest, value, path) if rest else value
        return {**holder, key: inner}
    if not isinstance(root, list) or not isinstance(key, int) or not -len(root) <= key < len(root):
        raise InvalidPath(f"Unable to apply step [{key}] to input: '{path.text}' needs a list there.")
    copy = list(root)
    copy[key] = put_at(copy[key], rest, value, path) if rest else value
    return copy
