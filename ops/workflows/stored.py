"""JSON on its way into the database: fast where it can be, right where it cannot."""

import json
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any

import orjson


def stored(value: Any) -> str:
    """Return a value as JSON text; dataclasses as objects, moments in ISO 8601.

    Raises ValueError for text that is none (half a surrogate pair). NUL characters are left to PostgreSQL, which
    takes none.
    """
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a whole number of more than 64 bits
        return json.dumps(value, default=plain, ensure_ascii=False)


def plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise ValueError(f"{type(value).__name__} is no JSON.")


def can_be_stored(value: Any) -> bool:
    """Whether PostgreSQL takes a value as jsonb."""
    try:
        text = stored(value)
        text.encode()
    except (ValueError, UnicodeEncodeError):
        return False
    return "\\u0000" not in text
