"""JSON texts read as EventBridge's engine reads them: repeated keys count, numbers are exact, lone surrogates are "?".

`json.loads` alone would keep only the last of repeated keys and round numbers that no double can hold.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

LARGEST_EXACT_INT = 2**53
LONE_SURROGATE_LIKELY = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


class NumberText:
    """A number that no double holds exactly, such as 1e400: the engine compares these digit for digit, as text."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NumberText) and other.text == self.text

    def __hash__(self) -> int:
        return hash((NumberText, self.text))

    def __repr__(self) -> str:
        return self.text


class Members:
    """The members of an object of a pattern in their order, repeated names included."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


class Repeated(list[Any]):
    """The values of a key that an event's object names more than once. Each counts; together they are no array."""


def read_pattern_text(text: str) -> Any:
    """Return the JSON value in `text`, its objects as `Members`. Raises JSONDecodeError or RecursionError."""
    return loads(text, Members)


def read_event(text: str) -> dict[str, Any]:
    """Return the event in `text` for `Pattern.matches`, equal to `json.loads` where that loses nothing.

    Raises ValueError, with json's own words, when the text is no JSON object.
    """
    event = loads(text, object_of)
    if isinstance(event, dict):
        return event
    raise ValueError("An event is a JSON object.")


def loads(text: str, build: Any) -> Any:
    value = json.loads(
        text, object_pairs_hook=build, parse_int=number_of, parse_float=number_of, parse_constant=refuse_constant
    )
    return well_formed(value) if LONE_SURROGATE_LIKELY.search(text) else value


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        for name in result:
            values = [value for key, value in pairs if key == name]
            if len(values) > 1:
                result[name] = Repeated(values)
    return result


def number_of(text: str) -> int | float | NumberText:
    """Return the number that `text` writes, exactly."""
    if len(text) < 16 and text.lstrip("-").isdigit():
        return int(text)
    number = float(text)
    if not is_exactly(number, text):
        return NumberText(text)
    return int(number) if number.is_integer() and abs(number) <= LARGEST_EXACT_INT else number


def comparable(number: int | float | Decimal) -> int | float | NumberText:
    """Return a number of an event in the form in which numbers are compared."""
    if type(number) is float or (-LARGEST_EXACT_INT <= number <= LARGEST_EXACT_INT and type(number) is int):
        return number
    return number_of(str(number))


def is_exactly(number: float, text: str) -> bool:
    """Whether the shortest digits that mean this double are the number in `text`: what the engine calls comparable."""
    try:
        return Decimal(repr(number)) == Decimal(text)
    except ArithmeticError:  # an exponent beyond even Decimal
        return False


def refuse_constant(text: str) -> Any:
    raise json.JSONDecodeError(f"{text} is no JSON number", text, 0)


def well_formed(value: Any) -> Any:
    """Return `value` with lone surrogates in its texts replaced as UTF-8 encoders of the engine do; names stay."""
    if isinstance(value, str):
        return well_formed_text(value)
    if isinstance(value, list):
        return type(value)(well_formed(item) for item in value)
    if isinstance(value, Members):
        return Members([(name, well_formed(item)) for name, item in value.pairs])
    if isinstance(value, dict):
        return {name: well_formed(item) for name, item in value.items()}
    return value


def well_formed_text(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def members_of(value: Any) -> Iterator[tuple[str, Any]]:
    """The members of an object of a pattern, whether it was read from a text or given as a dict."""
    return iter(value.pairs if isinstance(value, Members) else value.items())


def is_object(value: Any) -> bool:
    return isinstance(value, Members | dict)
