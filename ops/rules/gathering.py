"""The values that an event has at the names of a tree: one walk, which looks at nothing else."""

from typing import Any, NamedTuple

from ops.rules.fields import Node, Search
from ops.rules.quick import MISSING, scalars_in
from ops.rules.reading import Repeated


class Gathered(NamedTuple):
    """`values` by the number of the name: a value, a list of values (of an array), or MISSING.

    At the names `in_arrays` the values are those of all elements of an array together: which stand in one element is
    not told.
    """

    values: list[Any]
    in_arrays: set[int]


class Unsure(Exception):
    """A key with dots in it, or one that stands twice: the walk would miss values."""


def gather(event: dict[str, Any], tree: Node, size: int) -> Gathered:
    gathered = Gathered([MISSING] * size, set())
    try:
        gather_object(event, tree, gathered)
    except Unsure:
        found = Search(event, tree, size).found
        return Gathered([[one.value for one in many] or MISSING for many in found], set(range(size)))
    return gathered


def gather_object(held: dict[str, Any], node: Node, gathered: Gathered) -> None:
    if node.dotted and not held.keys().isdisjoint(node.dotted):
        raise Unsure
    values = gathered.values
    get = held.get
    for step, child in node.steps.items():
        value = get(step, MISSING)
        if value is MISSING:
            continue
        kind = type(value)
        if kind is dict:
            if child.steps:
                gather_object(value, child, gathered)
        elif kind is list:
            gather_array(value, child, gathered)
        elif kind is Repeated:
            raise Unsure
        elif child.field is not None:
            values[child.field] = value


def gather_array(array: list[Any], node: Node, gathered: Gathered) -> None:
    nested = any(type(value) is dict or type(value) is list for value in array)
    if node.field is not None:
        gathered.values[node.field] = list(scalars_in(array)) if nested else array
    if nested and node.steps:
        search = Search({}, node, len(gathered.values))
        search.look_into(array, node, ())
        for number in node.below:
            gathered.in_arrays.add(number)
            if found := search.found[number]:
                gathered.values[number] = [one.value for one in found]
