"""Where a pattern looks in an event: the names of its keys as a tree, and the values that an event has at each.

A name may be reached in several ways, for a key of an event may have dots in it: `{"a": {"b": 1}}` and `{"a.b": 1}`
both have a value at `a.b`. So the edges of the tree are single steps and also all the ways to take several at once.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ops.rules.reading import Repeated

# Which element of which array of the event a value stands in, outermost first: pairs of array number and index.
Elements = tuple[tuple[int, int], ...]


class Found(NamedTuple):
    value: Any
    elements: Elements


class Node:
    """A name, or the beginning of one. `field` is the place of the name in the sorted names, `last` of those below."""

    __slots__ = ("dotted", "edges", "field", "last", "steps")

    def __init__(self) -> None:
        self.field: int | None = None
        self.last = -1
        self.steps: dict[str, Node] = {}
        self.edges: dict[str, Node] = {}
        self.dotted: frozenset[str] = frozenset()


def tree_of(names: Sequence[str]) -> Node:
    """Return the tree of names, which come sorted."""
    root = Node()
    for field, name in enumerate(names):
        node = root
        for step in name.split("."):
            node.last = field
            node = node.steps.setdefault(step, Node())
        node.last = max(node.last, field)
        node.field = field
    add_edges(root)
    return root


def add_edges(node: Node) -> None:
    for child in node.steps.values():
        add_edges(child)
    node.edges = dict(node.steps)
    for step, child in node.steps.items():
        node.edges.update({f"{step}.{further}": below for further, below in child.edges.items()})
    node.dotted = frozenset(node.edges.keys() - node.steps.keys())


class Search:
    """All values of an event at the names of a tree, each with the elements of arrays that it stands in."""

    def __init__(self, event: dict[str, Any], root: Node, size: int) -> None:
        self.found: list[list[Found]] = [[] for _ in range(size)]
        self.arrays: list[Node] = []  # by their number: the node at which each array stands
        self.look_into(event, root, ())

    def look_into(self, value: Any, node: Node, elements: Elements) -> None:
        if isinstance(value, dict):
            for key, child in node.edges.items():
                if key in value:
                    self.look_into(value[key], child, elements)
        elif isinstance(value, Repeated):
            for one in value:
                self.look_into(one, node, elements)
        elif isinstance(value, list):
            self.look_into_array(value, node, elements)
        elif node.field is not None:
            self.found[node.field].append(Found(value, elements))

    def look_into_array(self, array: list[Any], node: Node, elements: Elements) -> None:
        number = len(self.arrays)
        self.arrays.append(node)
        for index, value in enumerate(array):
            inside = (*elements, (number, index)) if isinstance(value, dict | list) else elements
            self.look_into(value, node, inside)


Chosen = frozenset[tuple[int, int]]


def choices_after(chosen: Iterable[Chosen], field: "Demand", search: Search, number: int) -> set[Chosen]:
    """Return the choices of elements under which the values chosen so far and one of this field stand together.

    Values stand together when no array is entered at two of its elements. What no later field can see is forgotten,
    which keeps the choices few.
    """
    result: set[Chosen] = set()
    for choice in chosen:
        by_array = dict(choice)
        together = [found for found in search.found[number] if fits(found.elements, by_array)]
        if not together and field.absent:
            result.add(choice)
        for found in together:
            if field.holds(found.value):
                later = {pair for pair in choice.union(found.elements) if search.arrays[pair[0]].last > number}
                result.add(frozenset(later))
    return result


def fits(elements: Elements, by_array: dict[int, int]) -> bool:
    return all(by_array.get(array, index) == index for array, index in elements)


class Demand:
    """What a branch demands of one name: a value that meets an alternative, or that the name is absent."""

    __slots__ = ("absent", "alternatives", "holds", "name")

    def __init__(self, name: str, alternatives: Sequence[Any], holds: Any, absent: bool) -> None:
        self.name = name
        self.alternatives = alternatives
        self.holds = holds
        self.absent = absent

    @property
    def only_absent(self) -> bool:
        return all(alternative.kind == "absent" for alternative in self.alternatives)
