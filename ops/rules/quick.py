"""The quick way to ask a pattern: straight to each key. Right unless an event nests objects in arrays on the way.

Then, and where a key of the event has dots in it, the answer is UNSURE, and the values must be searched for.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ops.rules.fields import Demand, Node
from ops.rules.reading import Repeated

UNSURE = 2
MISSING = object()
Verdict = int  # False, True or UNSURE
Check = Callable[[Any], Verdict]


def quick_check(node: Node, demands: Sequence[Demand]) -> Check:
    """Return the check of all demands under a node against the object that the event has there."""
    checks = [(step, check_below(child, demands)) for step, child in node.steps.items()]
    dotted = node.dotted

    def check(value: Any) -> Verdict:
        if dotted and not dotted.isdisjoint(value):
            return UNSURE
        get = value.get
        for step, below in checks:
            verdict = below(get(step, MISSING))
            if verdict is not True:
                return verdict
        return True

    return check


def check_below(node: Node, demands: Sequence[Demand]) -> Check:
    here = demands[node.field] if node.field is not None else None
    if here is not None and not node.steps:
        return check_value(here)
    inside = quick_check(node, demands)
    if here is None:
        return check_object(inside, absent=all_absent(node, demands))
    return check_both(check_value(here), check_object(inside, absent=all_absent(node, demands)))


def all_absent(node: Node, demands: Sequence[Demand]) -> bool:
    return all(
        (child.field is None or demands[child.field].absent) and all_absent(child, demands)
        for child in node.steps.values()
    )


def check_value(demand: Demand) -> Check:
    holds, absent = demand.holds, demand.absent

    def check(value: Any) -> Verdict:
        kind = type(value)
        if kind is str:
            return holds(value)
        if kind is dict or value is MISSING:
            return absent
        if kind is list:
            return check_values(value)
        return UNSURE if kind is Repeated else holds(value)

    def check_values(values: list[Any]) -> Verdict:
        if not values:
            return absent
        verdict = False
        for value in values:
            if isinstance(value, dict | list):
                return UNSURE
            verdict = verdict or holds(value)
        return verdict

    return check


def check_object(inside: Check, *, absent: bool) -> Check:
    def check(value: Any) -> Verdict:
        kind = type(value)
        if kind is dict:
            return inside(value)
        if kind is list and any(isinstance(item, dict | list) for item in value):
            return UNSURE
        return UNSURE if kind is Repeated else absent

    return check


def check_both(one: Check, two: Check) -> Check:
    def check(value: Any) -> Verdict:
        verdict = one(value)
        return two(value) if verdict is True else verdict

    return check
