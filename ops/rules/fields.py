"""Where a pattern looks in an event: the names of its keys as a tree, and the values that an event has at each.

A name may be reached in several ways, for a key of an event may have dots in it: `{"a": {"b": 1}}` and `{"a.b": 1}`
both have a value at `a.b`. So the edges of the tree are single steps and also all the ways to take several at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ops.rules.reading import Repeated

# Which element of which array of the event a value stands in, outermost first: pairs of array number and index.
Elements = tuple[tuple[int, int], ...]


class Found(NamedTuple):
    value: Any
    elements: Elements


class Node:
    """A name, or the beginning of one: `field` is its number, `below` those of the names that it begins or is."""

    __slots__ = ("below", "dotted", "edges", "field", "last", "steps")

    def __init__(self) -> None:
        self.field: int | None = None
        self.below: list[int] = []
        self.last = -1
        self.steps: dict[str, Node] = {}
        self.edges: dict[str, Node] = {}
        self.dotted: frozenset[str] = frozenset()


def tree_of(names: Sequence[str]) -> Node:
    """Return the tree of names, which are numbered as they come."""
    root = Node()
    for field, name in enumerate(names):
        node = root
        for step in name.split("."):
            node = node.steps.setdefault(step, Node())
            node.below.append(field)
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


class Shelf:
    """Values sorted by the elements that they stand in, outermost first."""

    __slots__ = ("arrays", "found")

    def __init__(self, found: Iterable[Found] = ()) -> None:
        self.found: list[Found] = []
        self.arrays: dict[int, dict[int, Shelf]] = {}
        for one in found:
            shelf = self
            for array, index in one.elements:
                shelf = shelf.arrays.setdefault(array, {}).setdefault(index, Shelf())
            shelf.found.append(one)

    def beside(self, choice: dict[int, int]) -> Iterator[Found]:
        """The values that stand together with chosen elements: in no other element of an array chosen from."""
        yield from self.found
        for array, elements in self.arrays.items():
            index = choice.get(array)
            inside = elements.values() if index is None else [elements[index]] if index in elements else []
            for shelf in inside:
                yield from shelf.beside(choice)


Chosen = frozenset[tuple[int, int]]
NOTHING_CHOSEN: Chosen = frozenset()


def choices_after(chosen: Iterable[Chosen], demand: "Demand", search: Search, number: int) -> set[Chosen]:
    """Return the choices of elements under which the values chosen so far and one for this demand stand together.

    What no later demand can see is forgotten, which keeps the choices few.
    """
    result: set[Chosen] = set()
    shelf = Shelf(search.found[number])
    for choice in chosen:
        beside = list(shelf.beside(dict(choice)))
        if not beside and demand.absent:
            result.add(choice)
        result.update(choice.union(found.elements) for found in beside if demand.holds(found.value))
    return {frozenset(pair for pair in choice if search.arrays[pair[0]].last > number) for choice in result}


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
