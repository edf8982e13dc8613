"""Tests in JSONPath filters: what stands on both sides of a comparison. Pure."""

from collections.abc import Callable, Sequence
from typing import Any

Json = Any
Test = Callable[[Json], bool]
Operand = Callable[[Json], Json]

MISSING = object()


def constant(value: Json) -> Operand:
    return lambda _item: value


def compared(
    left: Callable[[Json], Json], compare: Callable[[Json, Json], bool], right: Callable[[Json], Json]
) -> Test:
    def test(item: Json) -> bool:
        try:
            return compare(left(item), right(item))
        except TypeError:
            return False

    return test


def same(left: Json, right: Json) -> bool:
    return bool(left == right and (isinstance(left, bool) is isinstance(right, bool)))


def ordered(left: Json, right: Json) -> bool:
    """Whether two values can be put in order: numbers, or texts."""
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    return (isinstance(left, int | float) and isinstance(right, int | float)) or (
        isinstance(left, str) and isinstance(right, str)
    )


COMPARISONS: Sequence[tuple[str, Callable[[Json, Json], bool]]] = (
    ("==", same),
    ("!=", lambda left, right: not same(left, right)),
    ("<=", lambda left, right: ordered(left, right) and left <= right),
    (">=", lambda left, right: ordered(left, right) and left >= right),
    ("<", lambda left, right: ordered(left, right) and left < right),
    (">", lambda left, right: ordered(left, right) and left > right),
)
