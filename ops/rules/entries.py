"""The entries of a key's array: one value or one operator each, read or refused."""

import re
import sys
from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import Any

from ops.rules import refusals
from ops.rules.addresses import AddressRange, digits_of, range_around
from ops.rules.alternatives import Alternative, NumberRange
from ops.rules.reading import (
    Members,
    NumberText,
    comparable,
    is_object,
    members_of,
    well_formed_text,
)
from ops.rules.refusals import InvalidPattern

CONSTANTS = {True: "true", False: "false", None: "null"}
NOTHING = "nothing"  # an empty list in "anything-but": to the engine an alternative that no value meets
LARGEST = sys.float_info.max
MASK = re.compile(r"[+-]?\d{1,9}")


def alternative_of(entry: Any, place: str, *, old: bool) -> Alternative:
    """Return what an entry means. `old`: read with the operators of the engine's older reader only."""
    if isinstance(entry, str):
        return text_or_address(entry)
    if entry is None or isinstance(entry, bool):
        return Alternative(CONSTANTS[entry], entry, entry)
    if is_number(entry):
        number = exact_number(entry)
        return Alternative("long number" if isinstance(number, NumberText) else "number", number, entry)
    if not is_object(entry):
        raise InvalidPattern(place, refusals.NOT_A_VALUE)
    operator, argument = only_member(entry, place)
    if operator not in OPERATORS:
        raise InvalidPattern(place, refusals.UNKNOWN_OPERATOR, operator=operator)
    kind, meaning = OPERATORS[operator](argument, f"{place}.{operator}", old)
    return Alternative(kind, meaning, {operator: plain(argument)})


def text_or_address(entry: str) -> Alternative:
    """A text that is an IP address means the address, in whichever way an event writes it."""
    digits = digits_of(entry)
    if digits is not None:
        return Alternative("address", AddressRange(digits, digits), entry)
    return Alternative("text", well_formed_text(entry), entry)


def is_number(value: Any) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, int | Decimal | NumberText) and not isinstance(value, bool)


def exact_number(value: Any) -> float | NumberText:
    return value if isinstance(value, NumberText) else comparable(value)


def only_member(node: Any, place: str) -> tuple[str, Any]:
    members = list(members_of(node))
    if len(members) != 1:
        raise InvalidPattern(place, refusals.ONE_OPERATOR)
    return members[0]


def plain(value: Any) -> Any:
    """Return a part of a pattern as dicts and lists, to show it."""
    if isinstance(value, Members | dict):
        return {name: plain(member) for name, member in members_of(value)}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


Meaning = tuple[str, Any]


def exactly(argument: Any, place: str, old: bool) -> Meaning:
    return "text", text_in(argument, place)


def prefix(argument: Any, place: str, old: bool) -> Meaning:
    return affix(argument, place, "prefix")


def suffix(argument: Any, place: str, old: bool) -> Meaning:
    return affix(argument, place, "suffix")


def affix(argument: Any, place: str, operator: str) -> Meaning:
    if not is_object(argument):
        return operator, text_in(argument, place)
    inner, text = only_member(argument, place)
    if inner != "equals-ignore-case":
        raise InvalidPattern(place, refusals.ONLY_IGNORE_CASE, operator=operator)
    return f"{operator}-ignore-case", text_in(text, f"{place}.{inner}")


def equals_ignore_case(argument: Any, place: str, old: bool) -> Meaning:
    return "equals-ignore-case", text_in(argument, place)


def wildcard(argument: Any, place: str, old: bool) -> Meaning:
    return "wildcard", parts_of_wildcard(text_in(argument, place), place)


def text_in(argument: Any, place: str) -> str:
    if not isinstance(argument, str):
        raise InvalidPattern(place, refusals.MUST_BE_TEXT, operator=operator_at(place))
    return well_formed_text(argument)


def operator_at(place: str) -> str:
    return re.sub(r"\[\d+\]$", "", place).rpartition(".")[2]


def parts_of_wildcard(text: str, place: str) -> tuple[str, ...]:
    """Return the texts between the stars, with what is escaped as it is meant."""
    if "**" in re.sub(r"\\[\\*]", "", text):
        raise InvalidPattern(place, refusals.WILDCARDS_SIDE_BY_SIDE)
    if "\\" in re.sub(r"\\[\\*]", "", text):
        raise InvalidPattern(place, refusals.BAD_ESCAPE)
    parts = [""]
    for piece in re.findall(r"\\[\\*]|\*|[^\\*]+", text):
        if piece == "*":
            parts.append("")
        else:
            parts[-1] += piece[1:] if piece.startswith("\\") else piece
    return tuple(parts)


def exists(argument: Any, place: str, old: bool) -> Meaning:
    if not isinstance(argument, bool):
        raise InvalidPattern(place, refusals.EXISTS_TAKES_BOOLEAN)
    return ("exists" if argument else "absent"), None


def anything_but(argument: Any, place: str, old: bool) -> Meaning:
    if is_object(argument):
        return anything_but_operator(argument, place, old)
    values = list(argument) if isinstance(argument, list | tuple) else [argument]
    if all(isinstance(value, str) for value in values) and values:
        return "anything-but", frozenset(map(well_formed_text, values))
    if all(map(is_number, values)) and values:
        return "anything-but-numbers", frozenset(comparable_number(value, place) for value in values)
    if isinstance(argument, list | tuple) and all(isinstance(value, str) or is_number(value) for value in values):
        raise InvalidPattern(place, refusals.ANYTHING_BUT_MIXED)
    raise InvalidPattern(place, refusals.ANYTHING_BUT_TAKES)


def anything_but_operator(argument: Any, place: str, old: bool) -> Meaning:
    inner, value = only_member(argument, place)
    at = f"{place}.{inner}"
    many = isinstance(value, list | tuple)
    if inner not in INNER_OPERATORS or (old and (inner == "wildcard" or (many and inner != "equals-ignore-case"))):
        raise InvalidPattern(place, refusals.ANYTHING_BUT_OPERATOR, operator=inner)
    texts = [text_in(text, at) for text in (value if many else [value])]
    if not texts:
        return NOTHING, None
    if inner in ("prefix", "suffix") and "" in texts:
        raise InvalidPattern(at, refusals.EMPTY_AFFIX, operator=inner)
    if inner == "wildcard":
        return INNER_OPERATORS[inner], frozenset(parts_of_wildcard(text, at) for text in texts)
    return INNER_OPERATORS[inner], frozenset(texts)


def numeric(argument: Any, place: str, old: bool) -> Meaning:
    if not isinstance(argument, list | tuple):
        raise InvalidPattern(place, refusals.NUMERIC_TAKES_ARRAY)
    operators, numbers = list(argument[::2]), list(argument[1::2])
    first = operators[0] if operators else None
    if first not in ("=", "<", "<=", ">", ">="):
        raise InvalidPattern(place, refusals.NUMERIC_OPERATOR, operator=plain(first))
    if (len(argument) > 2 and first in ("=", "<", "<=")) or len(argument) > 4:
        raise InvalidPattern(place, refusals.NUMERIC_TOO_MANY)
    if len(operators) == 2 and operators[1] not in ("<", "<="):
        raise InvalidPattern(place, refusals.NUMERIC_UPPER, operator=plain(operators[1]))
    if len(numbers) < len(operators):
        raise InvalidPattern(place, refusals.NUMERIC_TAKES_NUMBER, operator=operators[-1])
    bounds = [
        comparable_number(number, place, operator=operator) for operator, number in zip(operators, numbers, strict=True)
    ]
    if first == "=":
        return "number", bounds[0]
    if first in ("<", "<="):
        numbers_between = NumberRange(-LARGEST, True, bounds[0], first == "<=")
    elif len(bounds) == 1:
        numbers_between = NumberRange(bounds[0], first == ">=", LARGEST, True)
    else:
        numbers_between = NumberRange(bounds[0], first == ">=", bounds[1], operators[1] == "<=")
    if numbers_between.bottom >= numbers_between.top:
        raise InvalidPattern(place, refusals.NUMERIC_ORDER)
    return "numeric", numbers_between


def comparable_number(value: Any, place: str, *, operator: str = "anything-but") -> float:
    if not is_number(value):
        raise InvalidPattern(place, refusals.NUMERIC_TAKES_NUMBER, operator=operator)
    number = exact_number(value)
    if isinstance(number, NumberText):
        raise InvalidPattern(place, refusals.NOT_COMPARABLE, number=str(number)[:60])
    return number


def cidr(argument: Any, place: str, old: bool) -> Meaning:
    address, slash, mask = text_in(argument, place).rstrip("/").partition("/")
    if not slash or not MASK.fullmatch(mask) or int(mask) < 0:
        raise InvalidPattern(place, refusals.CIDR_SHAPE)
    digits = digits_of(address)
    if digits is None:
        raise InvalidPattern(place, refusals.CIDR_ADDRESS, address=address[:60])
    version, limit = (4, 31) if len(digits) == 8 else (6, 127)
    if int(mask) > limit:
        raise InvalidPattern(place, refusals.CIDR_BITS, version=version, limit=limit)
    return "address", range_around(digits, int(mask))


OPERATORS: dict[str, Callable[[Any, str, bool], Meaning]] = {
    "exactly": exactly,
    "prefix": prefix,
    "suffix": suffix,
    "equals-ignore-case": equals_ignore_case,
    "wildcard": wildcard,
    "anything-but": anything_but,
    "numeric": numeric,
    "cidr": cidr,
    "exists": exists,
}
INNER_OPERATORS = {
    "prefix": "anything-but-prefix",
    "suffix": "anything-but-suffix",
    "wildcard": "anything-but-wildcard",
    "equals-ignore-case": "anything-but-ignore-case",
}
