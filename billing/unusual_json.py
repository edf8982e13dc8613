"""JSON as others write it, into what PostgreSQL keeps. Pure.

Stripe's is plain nearly always, and orjson reads it. What it does not read (half a surrogate pair) and what jsonb does
not keep (NUL) is JSON all the same: one character less is better than no object.
"""

import json
import math
from typing import Any, NoReturn

import orjson

NUL = "\\u0000"
TOO_DEEP = "nested deeper than any object"


def read_json(text: str | bytes) -> Any:
    """Return what the text says, as it can be stored. Raises ValueError when it is no JSON, or nested too deep."""
    unusual = NUL in text if isinstance(text, str) else NUL.encode() in text
    try:
        value = orjson.loads(text)
    except ValueError:
        value, unusual = read_slowly(text), True
    try:
        return storable(value) if unusual else value
    except RecursionError:
        raise ValueError(TOO_DEEP)


def read_slowly(text: str | bytes) -> Any:
    """What the text says, unchanged, where orjson does not read it. Raises ValueError."""
    try:
        return json.loads(text, parse_constant=refuse_constant, parse_float=finite)
    except RecursionError:
        raise ValueError(TOO_DEEP)


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's JSON, not JSON


def finite(written: str) -> float:
    number = float(written)
    if math.isinf(number):
        raise ValueError(written)
    return number


def storable(value: Any) -> Any:
    """Replace the characters that PostgreSQL cannot store by U+FFFD, in every string and key."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode(errors="surrogatepass").decode(errors="replace")
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return value
