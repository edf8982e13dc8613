"""The quick way to ask a pattern: straight to each key, no list of what the event holds.

It is UNSURE where a key of the event has dots in it or stands twice, and where the elements of an array matter in more
ways than "one of them meets all": then the values must be searched for.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ops.rules.alternatives import Question
from ops.rules.fields import Demand, Node
from ops.rules.reading import Repeated

UNSURE = 2
Verdict = int  # False, True or UNSURE
Check = Callable[[Any], Verdict]


class Missing:
    """The value of a key that an object does not have."""


MISSING = Missing()


def quick_check(node: Node, demands: Sequence[Demand]) -> Check:
    """Return the check of all demands below a node against the object that the event has there."""
    leaves = [(step, demands[child.field]) for step, child in node.steps.items() if child.field is not None]
    inner = tuple((step, check_below(child, demands)) for step, child in node.steps.items() if child.steps)
    simple = tuple((step, demand.holds, demand.absent) for step, demand in leaves if not node.steps[step].steps)
    both = tuple((step, check_beside(demand)) for step, demand in leaves if node.steps[step].steps)
    return check_object(node.dotted, simple, inner + both)


def check_object(
    dotted: frozenset[str], simple: tuple[tuple[str, Question, bool], ...], inner: tuple[tuple[str, Check], ...]
) -> Check:
    one_dotted = next(iter(dotted)) if len(dotted) == 1 else None

    def check(value: Any) -> Verdict:
        if dotted and (one_dotted in value if one_dotted is not None else not value.keys().isdisjoint(dotted)):
            return UNSURE
        get = value.get
        for step, holds, absent in simple:
            held = get(step, MISSING)
            if type(held) is str:
                if not holds(held):
                    return False
            elif (verdict := check_value(held, holds, absent)) is not True:
                return verdict
        for step, below in inner:
            if (verdict := below(get(step, MISSING))) is not True:
                return verdict
        return True

    return check


def check_value(value: Any, holds: Question, absent: bool) -> Verdict:
    """Ask about the value of a key below which the pattern names no other."""
    if value is MISSING:
        return absent
    kind = type(value)
    if kind is list:
        return check_values(value, holds, absent)
    if kind is dict:
        return absent
    return UNSURE if kind is Repeated else holds(value)


def check_values(values: list[Any], holds: Question, absent: bool) -> Verdict:
    for value in values:
        if type(value) is list or type(value) is dict:
            return check_nested(values, holds, absent)
        if holds(value):
            return True
    return absent and not values


def check_nested(values: list[Any], holds: Question, absent: bool) -> Verdict:
    """Arrays in arrays are one to a key that stands alone; objects in them are other keys."""
    held = list(scalars_in(values))
    return any(map(holds, held)) or (absent and not held)


def scalars_in(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from scalars_in(value)
        elif not isinstance(value, dict):
            yield value


def check_below(node: Node, demands: Sequence[Demand]) -> Check:
    """Return the check of what the event has at a node against all demands below it."""
    inside = quick_check(node, demands)
    below = demands_below(node, demands)
    all_absent = all(demand.absent for demand in below)
    one_element_is_enough = node.field is None and not any(demand.absent for demand in below)

    def check(value: Any) -> Verdict:
        kind = type(value)
        if kind is dict:
            return inside(value)
        if kind is list:
            return check_elements(value)
        return UNSURE if kind is Repeated else all_absent

    def check_elements(values: list[Any]) -> Verdict:
        for value in values:
            if type(value) is dict or type(value) is list:
                if not one_element_is_enough:
                    return UNSURE
                if verdict := check(value):
                    return verdict
        return all_absent

    return check


def demands_below(node: Node, demands: Sequence[Demand]) -> list[Demand]:
    result: list[Demand] = []
    for child in node.steps.values():
        if child.field is not None:
            result.append(demands[child.field])
        result += demands_below(child, demands)
    return result


def check_beside(demand: Demand) -> Check:
    """Return the check of the value of a key below which the pattern names others, too."""

    def check(value: Any) -> Verdict:
        if type(value) is list and any(isinstance(item, dict | list) for item in value):
            return UNSURE
        return check_value(value, demand.holds, demand.absent)

    return check
