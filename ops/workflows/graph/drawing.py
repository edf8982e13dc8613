"""A state machine drawn: boxes, states and lines with their places, in pixels from the top left corner. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ops.workflows.graph.layers import Layers, Part, Stop, layers_of
from ops.workflows.graph.letters import cut, lines_of, width_of
from ops.workflows.graph.places import Places, Size, places_of
from ops.workflows.graph.shape import END, START, Arrow, Flow, Vertex, Way, machine_flow

NAME_SIZE, WORD_SIZE = 13.0, 11.0  # of letters
WIDEST, NARROWEST = 190.0, 104.0  # what a state's name may take
PADDING, LINE, HEAD = 12.0, 17.0, 34.0
INSIDE = 18.0  # between a box's edge and what is in it
DOT = 18.0  # where a machine begins and ends
LABEL = Size(0.0, 16.0)
LABEL_WIDEST = 150.0
PORTS = 90.0  # the part of a state's edge where lines begin and end; states are at least NARROWEST wide
LOOP = 26.0  # room beside a state for a line back to itself
MOST_STATES = 400  # what a person still reads; more cost seconds


@dataclass(frozen=True, slots=True)
class Node:
    """A state, or one of the machine's two ends. A state with flows inside is a box: `box` is how deep it lies."""

    name: str
    kind: str
    resource: str
    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    box: int | None = None

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Label:
    text: str
    x: float  # its middle
    y: float  # its top
    width: float
    height: float = LABEL.height


@dataclass(frozen=True, slots=True)
class Line:
    """An arrow with its way as an SVG path."""

    arrow: Arrow
    path: str
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    width: float
    height: float
    nodes: tuple[Node, ...]  # a box before what is in it
    lines: tuple[Line, ...]


class TooLarge(ValueError):
    """The definition has more states than can be drawn."""


def draw(definition: Mapping[str, Any]) -> Drawing:
    """Draw a checked definition. Raises TooLarge."""
    flow = machine_flow(definition)
    if count_of(flow) > MOST_STATES:
        raise TooLarge(TooLarge.__doc__)
    return draw_flow(flow, depth=0)


def count_of(flow: Flow) -> int:
    return sum(1 + sum(map(count_of, vertex.branches)) for vertex in flow.vertices.values())


def draw_flow(flow: Flow, *, depth: int) -> Drawing:
    inside = {
        name: beside(vertex, [draw_flow(branch, depth=depth + 1) for branch in vertex.branches])
        for name, vertex in flow.vertices.items()
        if vertex.branches
    }
    sizes: dict[Part, Size] = {
        name: size_of(vertex, inside.get(name), loops=has_loop(flow, name)) for name, vertex in flow.vertices.items()
    }
    labels = {arrow: text for arrow in flow.arrows if (text := label_of(arrow))}
    layers = layers_of(flow, labels)
    sizes |= stop_sizes(layers, labels)
    places = places_of(layers, sizes)
    ranks = {part: rank for rank, layer in enumerate(layers.ranks) for part in layer}
    nodes = {
        name: node_of(vertex, places, ranks[name], inside.get(name), depth) for name, vertex in flow.vertices.items()
    }
    ports = ports_of(layers, places)
    lines = [line_of(arrow, layers, places, nodes, ports, labels) for arrow in layers.chains]
    loops = [loop_of(arrow, nodes[arrow.source]) for arrow in flow.arrows if arrow.source == arrow.target]
    drawn = Drawing(places.width, places.height, tuple(nodes.values()), (*lines, *loops))
    return with_insides(drawn, nodes, inside)


def beside(vertex: Vertex, drawings: list[Drawing]) -> Drawing:
    """The flows inside a state, side by side."""
    at = 0.0
    nodes: list[Node] = []
    lines: list[Line] = []
    for drawing in drawings:
        moved = shifted(drawing, at, 0.0)
        nodes += moved.nodes
        lines += moved.lines
        at += drawing.width + INSIDE * 1.5
    width = max(at - INSIDE * 1.5, width_of(vertex.name, size=NAME_SIZE) if len(vertex.name) < 24 else WIDEST)
    return Drawing(width, max((drawing.height for drawing in drawings), default=0.0), tuple(nodes), tuple(lines))


def shifted(drawing: Drawing, x: float, y: float) -> Drawing:
    nodes = tuple(replace(node, x=node.x + x, y=node.y + y) for node in drawing.nodes)
    return replace(drawing, nodes=nodes, lines=tuple(moved(line, x, y) for line in drawing.lines))


def moved(line: Line, x: float, y: float) -> Line:
    """A path is letters and pairs of numbers: every pair moves."""
    words: list[str] = []
    across = True
    for word in line.path.split():
        if word.isalpha():
            words.append(word)
            continue
        words.append(number(float(word) + (x if across else y)))
        across = not across
    label = line.label and replace(line.label, x=line.label.x + x, y=line.label.y + y)
    return Line(line.arrow, " ".join(words), label)


def number(value: float) -> str:
    return f"{value:.1f}"


def has_loop(flow: Flow, name: str) -> bool:
    return any(arrow.source == name == arrow.target for arrow in flow.arrows)


def size_of(vertex: Vertex, inside: Drawing | None, *, loops: bool) -> Size:
    if vertex.name in (START, END):
        return Size(DOT, DOT)
    room = 2 * LOOP if loops else 0.0
    if inside:
        return Size(inside.width + 2 * INSIDE + room, inside.height + HEAD + 2 * INSIDE)
    lines = lines_of(vertex.name, WIDEST, size=NAME_SIZE, most=2)
    widest = max([NARROWEST, *(width_of(line, size=NAME_SIZE) for line in lines)])
    return Size(min(widest, WIDEST) + 2 * PADDING + room, LINE * len(lines) + LINE + 2 * PADDING - 4)


def label_of(arrow: Arrow) -> str:
    """What stands at a line. That a catcher takes every error, its dashes say."""
    if arrow.way is Way.CATCH and arrow.label == "States.ALL":
        return ""
    return cut(arrow.label, LABEL_WIDEST, size=WORD_SIZE)


def stop_sizes(layers: Layers, labels: Mapping[Arrow, str]) -> dict[Part, Size]:
    sizes: dict[Part, Size] = {}
    for arrow, chain in layers.chains.items():
        sizes |= dict.fromkeys(chain[1:-1], Size(2.0, 0.0))
        if arrow in labels:
            sizes[chain[1]] = Size(width_of(labels[arrow], size=WORD_SIZE) + 12, LABEL.height)
    return sizes


def node_of(vertex: Vertex, places: Places, rank: int, inside: Drawing | None, depth: int) -> Node:
    name, size = vertex.name, size_of(vertex, inside, loops=False)
    lines: tuple[str, ...] = (cut(name, size.width - 2 * PADDING, size=NAME_SIZE),)
    if inside is None:
        lines = () if name in (START, END) else lines_of(name, WIDEST, size=NAME_SIZE, most=2)
    return Node(
        name=name,
        kind=vertex.kind,
        resource=vertex.resource,
        x=places.x[name] - size.width / 2,
        y=places.tops[rank],
        width=size.width,
        height=size.height,
        lines=lines,
        box=depth if inside else None,
    )


Ports = Mapping[tuple[Part, Part], float]


def ports_of(layers: Layers, places: Places) -> Ports:
    """Where on a state's edge each of its lines begins or ends: side by side, in the order of where they go."""
    ports: dict[tuple[Part, Part], float] = {}
    for joined in (layers.above, layers.below):
        for part, others in joined.items():
            if isinstance(part, Stop):
                continue
            near = sorted(others, key=lambda other: places.x[other])
            step = min(18.0, PORTS / (len(near) + 1))
            middle = straight_one([places.x[other] - places.x[part] for other in near])
            ports |= {(part, other): places.x[part] + step * (place - middle) for place, other in enumerate(near)}
    return ports


def straight_one(distances: Sequence[float]) -> float:
    """Which of a state's lines begins in its middle: the one that goes straight on, else none is nearer than others."""
    between = (len(distances) - 1) / 2
    straight = [place for place, distance in enumerate(distances) if abs(distance) < 6.0]
    return straight[0] if straight and abs(straight[0] - between) <= 1 else between


def line_of(
    arrow: Arrow,
    layers: Layers,
    places: Places,
    nodes: Mapping[str, Node],
    ports: Ports,
    labels: Mapping[Arrow, str],
) -> Line:
    """Down, or up, through the layers between: straight through each, turning in the gaps."""
    chain = layers.chains[arrow]
    source, target, first, last = nodes[arrow.source], nodes[arrow.target], chain[1], chain[-2]
    upwards = isinstance(first, Stop) and first.upwards
    points: list[tuple[float, float]] = []
    begin, arrive = ports[arrow.source, first], ports[arrow.target, last]
    rank = rank_of(first) + (1 if upwards else -1)
    points += [(begin, source.y)] if upwards else [(begin, source.bottom), (begin, places.bottoms[rank])]
    for stop in chain[1:-1]:
        edges = [places.tops[rank_of(stop)], places.bottoms[rank_of(stop)]]
        points += [(places.x[stop], y) for y in (reversed(edges) if upwards else edges)]
    rank = rank_of(last) + (-1 if upwards else 1)
    points += [(arrive, places.bottoms[rank]), (arrive, target.bottom)] if upwards else [(arrive, target.y)]
    label = None
    if arrow in labels:
        at = rank_of(first)
        width = width_of(labels[arrow], size=WORD_SIZE) + 8
        middle = (places.tops[at] + places.bottoms[at] - LABEL.height) / 2
        label = Label(labels[arrow], places.x[first], middle, width)
    return Line(arrow, path_of(points), label)


def rank_of(part: Part) -> int:
    assert isinstance(part, Stop)  # noqa: S101 - between its ends a chain has stops alone
    return part.rank


def path_of(points: Sequence[tuple[float, float]]) -> str:
    """Straight where x stays, an even curve where it does not."""
    (x, y), *rest = points
    words = ["M", number(x), number(y)]
    straight = False
    for to_x, to_y in rest:
        if abs(to_x - x) >= 0.5:
            middle = number((y + to_y) / 2)
            words += ["C", number(x), middle, number(to_x), middle, number(to_x), number(to_y)]
            straight = False
        elif straight:
            words[-1] = number(to_y)
        elif abs(to_y - y) >= 0.05:
            words += ["L", number(to_x), number(to_y)]
            straight = True
        x, y = to_x, to_y
    return " ".join(words)


def loop_of(arrow: Arrow, node: Node) -> Line:
    """From a state's side back to it."""
    x, top, low = node.right, node.y + node.height * 0.3, node.y + node.height * 0.7
    far = x + LOOP - 4
    words = [
        "M",
        number(x),
        number(low),
        "C",
        number(far),
        number(low),
        number(far),
        number(top),
        number(x),
        number(top),
    ]
    return Line(arrow, " ".join(words))


def with_insides(drawn: Drawing, nodes: Mapping[str, Node], inside: Mapping[str, Drawing]) -> Drawing:
    """Put what is inside of boxes behind the level that they stand in."""
    more_nodes: list[Node] = []
    more_lines: list[Line] = []
    for name, drawing in inside.items():
        node = nodes[name]
        room = node.width - 2 * INSIDE - drawing.width
        moved_in = shifted(drawing, node.x + INSIDE + room / 2, node.y + HEAD + INSIDE)
        more_nodes += moved_in.nodes
        more_lines += moved_in.lines
    return replace(drawn, nodes=(*drawn.nodes, *more_nodes), lines=(*drawn.lines, *more_lines))
