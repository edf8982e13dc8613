"""Intrinsic functions: States.Format('{} of {}', $.a, States.ArrayLength($.b)).

Step Functions docs, "Intrinsic functions for JSONPath states".
"""

import base64
import hashlib
import json
import math
import random
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ops.workflows.asl import reasons
from ops.workflows.asl.errors import StateFailed, runtime
from ops.workflows.asl.paths import InvalidPath, Path, Reader
from ops.workflows.asl.written import same_json, written

Json = Any
Value = Callable[[Callable[[Path], Json]], Json]  # how to look paths up → the value

CALL = re.compile(r"States\.(\w+)\(")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
LONGEST_ARRAY = 1_000  # items that States.ArrayRange makes; docs: "up to 1000 elements"
LONGEST_TEXT = 10_000  # characters that are encoded, decoded or hashed


class InvalidIntrinsic(ValueError):
    """This is no call of an intrinsic function."""


@dataclass(frozen=True, slots=True)
class Intrinsic:
    """A call that was read; `evaluate` is given how paths are looked up."""

    text: str
    evaluate: Value
    paths: tuple[Path, ...]


@lru_cache(maxsize=1024)
def parse_intrinsic(text: str) -> Intrinsic:
    """Read a call. Raises InvalidIntrinsic with what is wrong."""
    reader = Calls(text)
    value = reader.call()
    if reader.at < len(text):
        raise reader.wrong()
    return Intrinsic(text, value, tuple(reader.paths))


class Calls:
    """Reads one call and those inside it, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.paths: list[Path] = []

    def call(self) -> Value:
        name = CALL.match(self.text, self.at)
        if not name or name[1] not in FUNCTIONS:
            raise InvalidIntrinsic(reasons.INTRINSIC.of(text=self.text))
        self.at = name.end()
        arguments = self.arguments()
        function, least, most = FUNCTIONS[name[1]]
        if not least <= len(arguments) <= most:
            raise InvalidIntrinsic(reasons.INTRINSIC_ARGUMENTS.of(function=name[1], text=self.text))
        return lambda look: function(*[argument(look) for argument in arguments])

    def arguments(self) -> list[Value]:
        self.space()
        if self.take(")"):
            return []
        arguments = [self.argument()]
        while True:
            self.space()
            if self.take(")"):
                return arguments
            if not self.take(","):
                raise self.wrong()
            arguments.append(self.argument())

    def argument(self) -> Value:
        self.space()
        if self.text.startswith("'", self.at):
            text = self.quoted()
            return lambda _look: text
        if self.text.startswith("$", self.at):
            return self.path()
        if CALL.match(self.text, self.at):
            return self.call()
        if number := NUMBER.match(self.text, self.at):
            self.at = number.end()
            value: Json = float(number[0]) if number[1] or number[2] else int(number[0])
            return lambda _look: value
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self.take(word):
                return literal(value)
        raise self.wrong()

    def path(self) -> Value:
        reader = Reader(self.text, self.at)
        try:
            path = reader.prefix()
        except InvalidPath as error:
            raise InvalidIntrinsic(reasons.reason_in(error))
        self.at = reader.at
        self.paths.append(path)
        return lambda look: look(path)

    def quoted(self) -> str:
        """A text in single quotes, in which a backslash makes ' { } and \\ mean themselves; States.Format sees it."""
        self.at += 1
        letters: list[str] = []
        while self.at < len(self.text):
            letter = self.text[self.at]
            self.at += 1
            if letter == "'":
                return "".join(letters)
            if letter == "\\" and self.at < len(self.text):
                following = self.text[self.at]
                self.at += 1
                letter = ESCAPED.get(following, letter + following)
            letters.append(letter)
        raise self.wrong()

    def take(self, text: str) -> bool:
        if self.text.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def space(self) -> None:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1

    def wrong(self) -> InvalidIntrinsic:
        return InvalidIntrinsic(reasons.INTRINSIC_SHAPE.of(text=self.text, at=self.at + 1))


# Braces that were escaped are kept apart from those that are places, until the text is formatted or used.
OPEN, CLOSE = "\ue000", "\ue001"
ESCAPED = {"'": "'", "\\": "\\", "{": OPEN, "}": CLOSE, "n": "\n", "t": "\t", "r": "\r"}


def literal(value: Json) -> Value:
    return lambda _look: value


def plain(value: Json) -> Json:
    """A text with its escaped braces as they are meant."""
    return value.replace(OPEN, "{").replace(CLOSE, "}") if isinstance(value, str) else value


def fail(cause: str) -> StateFailed:
    return runtime(cause)


def text_of(value: Json, function: str) -> str:
    if not isinstance(value, str):
        raise fail(f"Invalid arguments in States.{function}: a string is needed, but it was {written(value)}.")
    return str(plain(value))


def list_of(value: Json, function: str) -> list[Json]:
    if not isinstance(value, list):
        raise fail(f"Invalid arguments in States.{function}: an array is needed, but it was {written(value)}.")
    return value


def integer_of(value: Json, function: str) -> int:
    """Numbers are rounded to the next integer, as Step Functions does; halves towards plus infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fail(f"Invalid arguments in States.{function}: a number is needed, but it was {written(value)}.")
    return value if isinstance(value, int) else math.floor(value + 0.5)


def format_text(template: Json, *values: Json) -> str:
    if not isinstance(template, str):
        raise fail("Invalid arguments in States.Format: the first one must be a string.")
    parts = template.split("{}")
    if len(parts) - 1 != len(values):
        raise fail(
            "Invalid arguments in States.Format: number of arguments do not match the occurrences of {} in "
            f"'{template}'."
        )
    filled = parts[0]
    for value, part in zip(values, parts[1:], strict=True):
        if isinstance(value, str):
            filled += str(plain(value))
        else:
            filled += written(value)
        filled += part
    return str(plain(filled))


def json_of(text: Json) -> Json:
    if text is None or text == "":
        return None
    try:
        return json.loads(text_of(text, "StringToJson"))
    except ValueError:
        raise fail("Invalid arguments in States.StringToJson: the string is not JSON.")


def make_array(*values: Json) -> list[Json]:
    return [plain(value) for value in values]


def partition(array: Json, size: Json) -> list[list[Json]]:
    items, length = list_of(array, "ArrayPartition"), integer_of(size, "ArrayPartition")
    if length <= 0:
        raise fail("Invalid arguments in States.ArrayPartition: the chunk size must be positive.")
    return [items[start : start + length] for start in range(0, len(items), length)]


def contains(array: Json, item: Json) -> bool:
    return any(same_json(plain(item), other) for other in list_of(array, "ArrayContains"))


def array_range(first: Json, last: Json, stride: Json) -> list[int]:
    begin, end, by = (integer_of(value, "ArrayRange") for value in (first, last, stride))
    if by == 0:
        raise fail("Invalid arguments in States.ArrayRange: the step must not be 0.")
    numbers = range(begin, end + (1 if by > 0 else -1), by)
    if len(numbers) > LONGEST_ARRAY:
        raise fail(f"Invalid arguments in States.ArrayRange: it would make more than {LONGEST_ARRAY} elements.")
    return list(numbers)


def get_item(array: Json, index: Json) -> Json:
    items, number = list_of(array, "ArrayGetItem"), integer_of(index, "ArrayGetItem")
    if not 0 <= number < len(items):
        raise fail(f"Invalid arguments in States.ArrayGetItem: there is no element {number}.")
    return items[number]


def unique(array: Json) -> list[Json]:
    seen: dict[str, Json] = {}
    for item in list_of(array, "ArrayUnique"):
        seen.setdefault(written(item), item)
    return list(seen.values())


def encode(text: Json) -> str:
    return base64.b64encode(short(text, "Base64Encode").encode()).decode()


def decode(text: Json) -> str:
    try:
        return base64.b64decode(short(text, "Base64Decode"), validate=True).decode()
    except ValueError:
        raise fail("Invalid arguments in States.Base64Decode: the string is not base64 of UTF-8.")


def short(text: Json, function: str) -> str:
    if len(found := text_of(text, function)) > LONGEST_TEXT:
        raise fail(f"Invalid arguments in States.{function}: the string is longer than {LONGEST_TEXT} characters.")
    return found


DIGESTS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


def digest(data: Json, algorithm: Json) -> str:
    name = DIGESTS.get(algorithm) if isinstance(algorithm, str) else None
    if name is None:
        raise fail(f"Invalid arguments in States.Hash: the algorithm must be one of {', '.join(DIGESTS)}.")
    text = plain(data) if isinstance(data, str) else written(data)
    if len(text) > LONGEST_TEXT:
        raise fail(f"Invalid arguments in States.Hash: the data is longer than {LONGEST_TEXT} characters.")
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def merge(first: Json, second: Json, deep: Json) -> dict[str, Json]:
    if not isinstance(first, dict) or not isinstance(second, dict) or deep is not False:
        raise fail(
            "Invalid arguments in States.JsonMerge: it takes two objects, and false: deep merging is not supported."
        )
    return {**first, **second}


def math_random(first: Json, last: Json, seed: Json = None) -> int:
    begin, end = integer_of(first, "MathRandom"), integer_of(last, "MathRandom")
    if begin >= end:
        raise fail("Invalid arguments in States.MathRandom: the end must be greater than the start.")
    chooser = random.Random(seed) if seed is not None else random  # noqa: S311 - not for secrets, by its definition
    return chooser.randrange(begin, end)


def math_add(first: Json, second: Json) -> int:
    return integer_of(first, "MathAdd") + integer_of(second, "MathAdd")


def split(text: Json, splitter: Json) -> list[str]:
    """Split at every one of the splitter's characters; nothing is made of what is empty."""
    letters = text_of(splitter, "StringSplit")
    whole = text_of(text, "StringSplit")
    if not letters:
        return [whole]
    return [part for part in re.split("[" + re.escape(letters) + "]", whole) if part]


def new_uuid() -> str:
    return str(uuid.uuid4())


MANY = 10_000
Function = Callable[..., Json]
FUNCTIONS: dict[str, tuple[Function, int, int]] = {
    "Format": (format_text, 1, MANY),
    "StringToJson": (json_of, 1, 1),
    "JsonToString": (written, 1, 1),
    "Array": (make_array, 0, MANY),
    "ArrayPartition": (partition, 2, 2),
    "ArrayContains": (contains, 2, 2),
    "ArrayRange": (array_range, 3, 3),
    "ArrayGetItem": (get_item, 2, 2),
    "ArrayLength": (lambda array: len(list_of(array, "ArrayLength")), 1, 1),
    "ArrayUnique": (unique, 1, 1),
    "Base64Encode": (encode, 1, 1),
    "Base64Decode": (decode, 1, 1),
    "Hash": (digest, 2, 2),
    "JsonMerge": (merge, 3, 3),
    "MathRandom": (math_random, 2, 3),
    "MathAdd": (math_add, 2, 2),
    "StringSplit": (split, 2, 2),
    "UUID": (new_uuid, 0, 0),
}


def is_intrinsic(text: str) -> bool:
    return text.startswith("States.")
