"""Timestamps as the States Language has them: RFC 3339 with a capital T and Z (ASL, "Timestamps")."""

import re
from datetime import UTC, datetime
from typing import Any

FORM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


def read_timestamp(value: Any) -> datetime | None:
    """Return the moment that a text names, or None where it names none. Fractions beyond microseconds are cut."""
    form = FORM.fullmatch(value) if isinstance(value, str) else None
    if not form:
        return None
    zone = "+00:00" if form[3] == "Z" else form[3]
    try:
        return datetime.fromisoformat(f"{form[1]}{(form[2] or '')[:7]}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def write_timestamp(moment: datetime) -> str:
    """Return a moment with milliseconds, as the context object has it."""
    at = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return at.isoformat(timespec="milliseconds")[:23] + "Z"
