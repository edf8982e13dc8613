"""The small shapes that recur in Stripe's objects: lists, references that may be expanded, times in seconds."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Data = Mapping[str, Any]


def listed(value: Any) -> Sequence[Data]:
    """Return the rows of Stripe's list object; none when it is absent or only a name."""
    return value.get("data") or () if isinstance(value, (dict, Mapping)) else ()


def id_of(value: Any) -> str:
    """Return the id of a reference that may be expanded, empty when there is none."""
    if isinstance(value, (dict, Mapping)):  # a plain dictionary is told much faster than an abstract one
        return str(value.get("id") or "")
    return str(value or "")


def is_cut_short(data: Data) -> bool:
    """Whether a nested list goes on at Stripe (an invoice shows its first ten lines)."""
    for value in data.values():  # noqa: SIM110 - asked several times of each object, and twice as fast
        if value.__class__ is dict and value.get("has_more"):
            return True
    return False


def sum_of(amounts: Any) -> int:
    return sum(entry.get("amount") or 0 for entry in amounts or ())


def time_of(seconds: Any) -> datetime | None:
    return None if seconds is None else required_time(seconds)


def required_time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
