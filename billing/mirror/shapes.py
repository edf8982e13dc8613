"""The small shapes that recur in Stripe's objects: lists, references that may be expanded, times in seconds.

Whatever stands where one of them is looked for, reading it never fails: what has another shape counts as missing, and
stays as it is in the object.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Data = Mapping[str, Any]

MOST = 2**63 - 1  # as a column takes it
LAST_SECOND = 253_402_300_799  # of the year 9999
LONG_AGO = datetime.fromtimestamp(0, UTC)  # when something was made that does not say when


def listed(value: Any) -> Sequence[Data]:
    """Return the rows of Stripe's list object; none when it is absent or only a name."""
    return objects_in(value.get("data")) if isinstance(value, (dict, Mapping)) else ()


def objects_in(value: Any) -> Sequence[Data]:
    """Return the objects that stand in a plain list."""
    return [one for one in value if isinstance(one, (dict, Mapping))] if isinstance(value, (list, tuple)) else ()


def inner(value: Any) -> Data:
    """Return the object that stands inside another one, an empty one when there is none."""
    return value if isinstance(value, (dict, Mapping)) else {}


def id_of(value: Any) -> str:
    """Return the id of a reference that may be expanded, empty when there is none."""
    if isinstance(value, (dict, Mapping)):  # a plain dictionary is told much faster than an abstract one
        value = value.get("id")
    return value if isinstance(value, str) else ""


def word(value: Any) -> str:
    """Return a text, empty when there is none."""
    return value if isinstance(value, str) else ""


def whole(value: Any) -> int | None:
    """Return a whole number that a column takes, None when there is none."""
    return value if type(value) is int and -MOST <= value <= MOST else None


def number(value: Any) -> int:
    """Return a whole number that a column takes, 0 when there is none."""
    return whole(value) or 0


def clipped(value: int, most: int = MOST) -> int:
    """Return a sum as far as a column takes it."""
    return max(-most, min(value, most))


def is_cut_short(data: Data) -> bool:
    """Whether a nested list goes on at Stripe (an invoice shows its first ten lines)."""
    for value in data.values():  # noqa: SIM110 - asked several times of each object, and twice as fast
        if value.__class__ is dict and value.get("has_more"):
            return True
    return False


def sum_of(amounts: Any) -> int:
    return clipped(sum(number(entry.get("amount")) for entry in objects_in(amounts)))


def time_of(seconds: Any) -> datetime | None:
    in_time = isinstance(seconds, (int, float)) and type(seconds) is not bool and 0 <= seconds <= LAST_SECOND
    return datetime.fromtimestamp(seconds, UTC) if in_time else None


def made_at(data: Data, *others: Any) -> datetime:
    """Return when an object was made: by itself or, where it does not say, by the first of the other times.

    Stripe's oldest objects say nothing of it. Then it was long ago.
    """
    times = (time_of(seconds) for seconds in (data.get("created"), *others))
    return next((time for time in times if time), LONG_AGO)
