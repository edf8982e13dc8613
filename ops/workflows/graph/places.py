"""Where the parts of a layered flow stand, in pixels: nothing overlaps, lines run as straight as order allows. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ops.workflows.graph.layers import Layers, Part, Stop
from ops.workflows.graph.shape import Way

SPACE = 22.0  # between two parts of a layer
LINES_APART = 12.0  # between two lines that pass
GAP = 20.0  # between two layers: room for a line to turn
ROUNDS, FEW_ROUNDS, MANY = 24, 8, 2_000  # a flow of many parts gets few rounds: they cost seconds
STRAIGHT = 4.0  # how much more a line that passes a layer pulls
BACK = 0.5
PULLS = {Way.NEXT: 16.0, Way.DEFAULT: 2.0, Way.CHOICE: 2.0, Way.CATCH: 1.0}


@dataclass(frozen=True, slots=True)
class Size:
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Places:
    """The centre of each part, and each layer's top and bottom."""

    x: Mapping[Part, float]
    tops: Sequence[float]
    bottoms: Sequence[float]
    width: float
    height: float


def places_of(layers: Layers, sizes: Mapping[Part, Size]) -> Places:
    """Place the parts; the leftmost begins at 0, the first layer at 0."""
    tops, bottoms, at = [], [], 0.0
    for rank, layer in enumerate(layers.ranks):
        at += GAP if rank else 0.0
        tops.append(at)
        at += max((sizes[part].height for part in layer), default=0.0)
        bottoms.append(at)
    x = columns(layers, sizes)
    left = min((x[part] - sizes[part].width / 2 for part in x), default=0.0)
    right = max((x[part] + sizes[part].width / 2 for part in x), default=0.0)
    return Places({part: at - left for part, at in x.items()}, tops, bottoms, right - left, at)


def columns(layers: Layers, sizes: Mapping[Part, Size]) -> dict[Part, float]:
    """Pull each part to the middle of those that it is joined to, as near as its neighbours in the layer allow."""
    x: dict[Part, float] = {}
    for layer in layers.ranks:
        x.update(zip(layer, spread(layer, [(0.0, 1.0)] * len(layer), sizes), strict=True))
    downwards, upwards = range(len(layers.ranks)), range(len(layers.ranks) - 1, -1, -1)
    rounds = ROUNDS if len(x) < MANY else FEW_ROUNDS
    for number in range(rounds):
        both = rounds / 2 < number < rounds - 1
        down = number % 2 == 0 or number == rounds - 1  # at last down once more: a row of states stands straight
        above, below = both or down, both or not down
        for rank in downwards if down else upwards:
            layer = layers.ranks[rank]
            wanted = [middle(part, x, layers, above=above, below=below) for part in layer]
            x.update(zip(layer, spread(layer, wanted, sizes), strict=True))
    return x


def middle(part: Part, x: Mapping[Part, float], layers: Layers, *, above: bool, below: bool) -> tuple[float, float]:
    """Where a part wants to stand, and how much: the strongest of its lines decide: the usual way is straight."""
    near = [*(layers.above[part] if above else ()), *(layers.below[part] if below else ())]
    if not near:
        return x[part], 0.1
    pulls = [(pull(part, other), other) for other in near]
    most = max(weight for weight, _ in pulls)
    strongest = [other for weight, other in pulls if weight == most]
    return sum(x[other] for other in strongest) / len(strongest), most


def pull(one: Part, other: Part) -> float:
    """How straight the line between two parts ought to be: the usual way first, what was caught and ways back last."""
    ways = [BACK if part.upwards else PULLS[part.way] for part in (one, other) if isinstance(part, Stop)]
    return min(ways) * (STRAIGHT if len(ways) == 2 else 1.0)


def spread(layer: Sequence[Part], wanted: Sequence[tuple[float, float]], sizes: Mapping[Part, Size]) -> list[float]:
    """The centres nearest to those wanted, by weighted least squares, that keep the order and the distances.

    Pool adjacent violators: parts that press on each other move together.
    """
    offsets = [0.0]
    for left, right in pairwise(layer):
        offsets.append(offsets[-1] + apart(left, right, sizes))
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for (want, weight), offset in zip(wanted, offsets, strict=False):
        mean, count = want - offset, 1
        while pools and pools[-1][0] > mean:
            before, heavy, many = pools.pop()
            mean = (before * heavy + mean * weight) / (heavy + weight)
            weight, count = weight + heavy, count + many
        pools.append((mean, weight, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]


def apart(left: Part, right: Part, sizes: Mapping[Part, Size]) -> float:
    lines = isinstance(left, Stop) and isinstance(right, Stop)
    return (sizes[left].width + sizes[right].width) / 2 + (LINES_APART if lines else SPACE)
