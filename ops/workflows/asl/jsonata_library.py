"""Where `jsonata-python` does other than JSONata's documents say, set right: in the library itself, since operators
call its functions by themselves.

docs.jsonata.org, "String functions", "Array functions", "Date/Time functions"; numbers are written as JavaScript writes
them (ECMA-262, "Number::toString").
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

from jsonata.functions import Functions
from jsonata.jexception import JException
from jsonata.jsonata import Jsonata
from jsonata.utils import Utils

Json = Any
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ISO_8601 = re.compile(
    r"\d{4}(-[01]\d(-[0-3]\d(T[0-2]\d:[0-5]\d:[0-5]\d(\.\d+)?)?)?)?([+-][0-2]\d:?[0-5]\d|Z)?", re.ASCII
)


# --- $string, and what & makes of what is no text ---


def text_of(value: Json, prettify: bool) -> str:
    """A value as JSON text, with two blanks for each level where it is to be pretty; a function is an empty text."""
    if is_function(value):
        return ""
    return "".join(pieces(value, "\n" if prettify else ""))


def is_function(value: Any) -> bool:
    return callable(value) or type(value).__name__ in ("JLambda", "JNativeFunction", "JFunction", "Symbol")


def pieces(value: Json, line: str) -> Iterator[str]:
    """`line` is what begins a line of the level that the value stands on; empty where all is one line."""
    if value is None or value is Utils.NULL_VALUE:
        yield "null"
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, int | float):
        yield number_text(value)
    elif isinstance(value, str):
        yield json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict):
        colon = ": " if line else ":"
        members = ([json.dumps(str(key), ensure_ascii=False), colon, inner] for key, inner in value.items())
        yield from enclosed("{}", members, line)
    elif isinstance(value, list | tuple | range):
        yield from enclosed("[]", ([inner] for inner in value), line)
    else:  # a function
        yield '""'


def enclosed(ends: str, members: Iterator[list[Json]], line: str) -> Iterator[str]:
    below = line + "  " if line else ""
    yield ends[0]
    empty = True
    for *before, inner in members:
        yield (below if empty else "," + below) if line else ("" if empty else ",")
        yield from before
        yield from pieces(inner, below)
        empty = False
    yield ends[1] if empty else line + ends[1]


def number_text(number: float) -> str:
    """A number as JavaScript writes it; parts of one are rounded to 15 digits, as $string does."""
    if isinstance(number, int) and abs(number) < 10**21:
        return str(number)
    exact = float(number) if float(number).is_integer() else float(f"{number:.15g}")
    sign, digits, exponent = Decimal(repr(exact)).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + int(exponent)
    if not exact:
        return "0"
    if 0 < point <= 21:
        plain = text.ljust(point, "0")
        written = plain[:point] + ("." + plain[point:] if len(plain) > point else "")
    elif -6 < point <= 0:
        written = "0." + "0" * -point + text
    else:
        written = text[0] + ("." + text[1:] if len(text) > 1 else "") + f"e{point - 1:+d}"
    return "-" * sign + written


# --- $number, and % ---

DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([Ee][-+]?[0-9]+)?", re.ASCII)
OTHER_BASES = re.compile(r"0([xX][0-9A-Fa-f]+|[oO][0-7]+|[bB][01]+)", re.ASCII)


def number(value: Any) -> Any:
    """$number: of a text, a number in decimal digits, or one of base 16, 8 or 2."""
    if not isinstance(value, str):
        return PLAIN_NUMBER(value)
    if OTHER_BASES.fullmatch(value):
        return int(value, 0)
    if not DECIMAL.fullmatch(value) or math.isinf(float(value)):
        raise JException("D3030", -1, value)
    return float(value)


def numeric_expression(expression: Jsonata, left: Any, right: Any, operator: str | None) -> Any:
    """Arithmetic; the rest of a division keeps its fraction and the sign of what is divided."""
    if operator == "%" and Utils.is_numeric(left) and Utils.is_numeric(right):
        return Utils.convert_number(math.fmod(left, right))
    return PLAIN_ARITHMETIC(expression, left, right, operator)


# --- $replace, $split, $match, $contains with a regular expression ---

Pattern = Any  # what the library compiles a regular expression to


def matches_of(pattern: Pattern, text: str) -> Iterator[Any]:
    """Every match. One of nothing is an error: it would be found for ever."""
    for match in pattern.finditer(text):
        if not match.group():
            raise JException("D1004", -1)
        yield match


def replaced(text: str | None, pattern: str | Pattern, replacement: Any, limit: float | None) -> str | None:
    """$replace: at most `limit` times; `replacement` is a text with $N for the groups, or a function of the match."""
    if text is None:
        return None
    if text is Utils.NULL_VALUE:
        raise JException("T0410", -1)
    if pattern == "":
        raise JException("D3010", -1)
    if limit is not None and limit < 0:
        raise JException("D3011", -1)
    found = re.compile(re.escape(pattern)) if isinstance(pattern, str) else pattern
    verbatim = isinstance(pattern, str) and isinstance(replacement, str)
    parts, end = [], 0
    for number, match in enumerate(matches_of(found, text)):
        if limit is not None and number >= limit:
            break
        parts += [text[end : match.start()], replacement if verbatim else put_in(match, replacement)]
        end = match.end()
    return "".join([*parts, text[end:]])


def put_in(match: Any, replacement: Any) -> str:
    if isinstance(replacement, str):
        return with_groups(match, replacement)
    put = Functions.func_apply(replacement, [told(match)])
    if not isinstance(put, str):
        raise JException("D3012", -1)
    return put


def told(match: Any) -> dict[str, Json]:
    """A match as a function sees it."""
    groups = [group if group is not None else "" for group in match.groups()]
    return {"match": match.group(), "start": match.start(), "end": match.end(), "groups": groups}


def with_groups(match: Any, replacement: str) -> str:
    """A replacement with its groups put in: `$$` is a dollar, `$0` the match, `$12` the first where there are ten."""
    groups = match.groups()

    def group(found: re.Match[str]) -> str:
        number = found[1]
        if number in ("$", "0"):
            return "$" if number == "$" else str(match.group())
        longest = number[: max(len(str(len(groups))), 1)]
        if len(longest) > 1 and int(longest) > len(groups):
            longest = longest[:-1]
        chosen = groups[int(longest) - 1] if 0 < int(longest) <= len(groups) else ""
        return (chosen or "") + number[len(longest) :]

    return re.sub(r"\$(\$|0|[1-9][0-9]*)", group, replacement)


def split(text: str | None, pattern: str | Pattern, limit: float | None) -> list[str] | None:
    """$split: the pieces between what matches, at most `limit` of them."""
    if isinstance(pattern, str) or text is None or text is Utils.NULL_VALUE or (limit is not None and limit < 0):
        return PLAIN_SPLIT(text, pattern, limit)  # type: ignore[no-any-return]  # the library is untyped
    parts, end = [], 0
    for match in matches_of(pattern, text):
        parts.append(text[end : match.start()])
        end = match.end()
    parts.append(text[end:])
    return parts if limit is None else parts[: int(limit)]


def matcher(pattern: Pattern, text: str) -> Iterator[Any]:
    for found in PLAIN_MATCHER(pattern, text):
        if not found.match:
            raise JException("D1004", -1)
        yield found


# --- $sort, $toMillis ---


def in_order(array: Any, comparator: Any) -> Any:
    """$sort: `comparator` says of two whether the first comes after the second; those of which neither does stay."""
    if array is None or len(array) <= 1 or comparator is None:
        return PLAIN_SORT(array, comparator)

    def compare(one: Any, other: Any) -> int:
        return -1 if Functions.func_apply(comparator, [other, one]) else 0

    return sorted(array, key=cmp_to_key(compare))


def to_millis(timestamp: str | None, picture: str | None) -> int | None:
    """$toMillis: without a picture, of an ISO 8601 timestamp alone."""
    if timestamp is None or picture is not None:
        return PLAIN_TO_MILLIS(timestamp, picture)  # type: ignore[no-any-return]  # the library is untyped
    if not ISO_8601.fullmatch(timestamp):
        raise JException("D3110", -1, timestamp)
    text = timestamp + "-01-01"[len(timestamp) - 4 :] if len(timestamp) in (4, 7) else timestamp
    at = datetime.fromisoformat(text)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - EPOCH) // timedelta(milliseconds=1)


PLAIN_NUMBER, PLAIN_ARITHMETIC = Functions.number, Jsonata.evaluate_numeric_expression
PLAIN_MATCHER = Functions.evaluate_matcher
PLAIN_SPLIT, PLAIN_SORT, PLAIN_TO_MILLIS = Functions.split, Functions.sort, Functions.datetime_to_millis
CALLED_BY_NAME: dict[str, Callable[..., Any]] = {
    "number": number,
    "replace": replaced,
    "split": split,
    "sort": in_order,
    "toMillis": to_millis,
}


def set_right() -> None:
    Functions._string, Functions.evaluate_matcher = staticmethod(text_of), staticmethod(matcher)
    Jsonata.evaluate_numeric_expression = numeric_expression
    for name, function in CALLED_BY_NAME.items():
        Jsonata.static_frame.lookup(name).method = function
