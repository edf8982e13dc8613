"""Which layer each part of a flow stands in, and in which order, so that few lines cross. Pure.

After Sugiyama: cycles are turned, states get ranks by their longest way from the start, lines that pass a layer stand
in it like states, and orders are swept by barycentres. States have even ranks; odd ranks lie between, for labels.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ops.workflows.graph.shape import Arrow, Flow, Way

SWEEPS = 12


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a line passes a layer. Lines of one way to one target share their stops: they run together.

    `of` is the source where the stop is one line's own, since it has a label there.
    """

    target: str
    way: Way
    rank: int
    upwards: bool
    of: str = ""


Part = str | Stop  # what stands in a layer: a state, by its name, or where a line passes


@dataclass
class Layers:
    """Parts by rank, in their order; each line's parts from its source to its target."""

    ranks: list[list[Part]]
    chains: dict[Arrow, list[Part]]
    above: dict[Part, list[Part]] = field(default_factory=lambda: defaultdict(list))
    below: dict[Part, list[Part]] = field(default_factory=lambda: defaultdict(list))


def layers_of(flow: Flow, labelled: Iterable[Arrow]) -> Layers:
    """Put a flow into layers. An arrow to its own source has no chain; one that is `labelled` a stop of its own."""
    arrows = [arrow for arrow in flow.arrows if arrow.source != arrow.target]
    turned = turned_arrows(flow, arrows)
    ranks = ranks_of(flow, arrows, turned)
    own = set(labelled)
    stops: dict[Stop, Stop] = {}
    chains = {
        arrow: [stops.setdefault(part, part) if isinstance(part, Stop) else part for part in chain]
        for arrow in arrows
        for chain in (chain_of(arrow, ranks, alone=arrow in own),)
    }
    layers = Layers(first_order(flow, ranks, chains), chains)
    for chain in chains.values():
        join(layers, chain)
    improve(layers)
    return layers


def turned_arrows(flow: Flow, arrows: Sequence[Arrow]) -> set[Arrow]:
    """The arrows that lead back to a state on the way to their own source: without them nothing goes in circles."""
    leading: dict[str, list[Arrow]] = defaultdict(list)
    for arrow in arrows:
        leading[arrow.source].append(arrow)
    turned: set[Arrow] = set()
    done: set[str] = set()
    for root in (flow.start, *flow.vertices):
        if root in done:
            continue
        way, on_way = [(root, iter(leading[root]))], {root}
        while way:
            name, ahead = way[-1]
            following = next(ahead, None)
            if following is None:
                way.pop()
                on_way.discard(name)
                done.add(name)
            elif following.target in on_way:
                turned.add(following)
            elif following.target not in done:
                on_way.add(following.target)
                way.append((following.target, iter(leading[following.target])))
    return turned


def ranks_of(flow: Flow, arrows: Sequence[Arrow], turned: set[Arrow]) -> dict[str, int]:
    """Each state's layer: two below the lowest of those that lead to it."""
    down = [(a.target, a.source) if a in turned else (a.source, a.target) for a in arrows]
    following: dict[str, list[str]] = defaultdict(list)
    before = dict.fromkeys(flow.vertices, 0)
    for upper, lower in down:
        following[upper].append(lower)
        before[lower] += 1
    ranks = dict.fromkeys(flow.vertices, 0)
    free = [name for name, count in before.items() if not count]
    while free:
        name = free.pop()
        for lower in following[name]:
            ranks[lower] = max(ranks[lower], ranks[name] + 2)
            before[lower] -= 1
            if not before[lower]:
                free.append(lower)
    return ranks


def chain_of(arrow: Arrow, ranks: Mapping[str, int], *, alone: bool) -> list[Part]:
    first, last = ranks[arrow.source], ranks[arrow.target]
    upwards = last < first
    step = -1 if upwards else 1
    stops = [Stop(arrow.target, arrow.way, rank, upwards) for rank in range(first + step, last, step)]
    if alone:
        stops[0] = Stop(arrow.target, arrow.way, first + step, upwards, of=arrow.source)
    return [arrow.source, *stops, arrow.target]


def first_order(flow: Flow, ranks: Mapping[str, int], chains: Mapping[Arrow, list[Part]]) -> list[list[Part]]:
    """The parts of each layer in the order in which the definition names what they belong to."""
    layers: list[list[Part]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    for name in flow.vertices:
        layers[ranks[name]].append(name)
    seen: set[Part] = set()
    for chain in chains.values():
        for part in chain[1:-1]:
            if part not in seen and isinstance(part, Stop):
                seen.add(part)
                layers[part.rank].append(part)
    return layers


def join(layers: Layers, chain: list[Part]) -> None:
    first = chain[1]
    downwards = chain if isinstance(first, Stop) and not first.upwards else chain[::-1]
    for upper, lower in pairwise(downwards):
        if lower not in layers.below[upper]:
            layers.below[upper].append(lower)
            layers.above[lower].append(upper)


def improve(layers: Layers) -> None:
    """Sweep down and up by barycentres, and keep the order with the fewest crossings."""
    best, fewest = [list(layer) for layer in layers.ranks], crossings(layers)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        order = range(1, len(layers.ranks)) if down else range(len(layers.ranks) - 2, -1, -1)
        for rank in order:
            settle(layers, rank, down=down)
        found = crossings(layers)
        if found < fewest:
            best, fewest = [list(layer) for layer in layers.ranks], found
    layers.ranks = best


def settle(layers: Layers, rank: int, *, down: bool) -> None:
    joined = layers.above if down else layers.below
    places = {part: place for place, part in enumerate(layers.ranks[rank - 1 if down else rank + 1])}
    own = {part: place for place, part in enumerate(layers.ranks[rank])}

    def centre(part: Part) -> float:
        near = [places[other] for other in joined[part] if other in places]
        return sum(near) / len(near) if near else float(own[part])

    layers.ranks[rank].sort(key=centre)


def crossings(layers: Layers) -> int:
    """How often lines cross, over all pairs of neighbouring layers."""
    total = 0
    for upper, lower in pairwise(layers.ranks):
        places = {part: place for place, part in enumerate(lower)}
        seen: list[int] = []
        for part in upper:
            ends = sorted(places[other] for other in layers.below[part] if other in places)
            total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return total
