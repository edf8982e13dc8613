"""Many rules against one event, without asking each.

The names of keys that the rules mention are looked up once an event. For each name there is an index from values to the
branches of rules that such a value satisfies ("$or" makes several branches of one rule), and a branch is kept in one of
two ways:

- A branch that demands a rare value is filed under that value, and asked itself when an event has it.
- All others are bits in masks. A name's mask holds the branches whose demand there is met or who make none; what
  remains set in all masks matches.

So an event costs what its names cost, nearly whatever the number of rules.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from ops.rules.compiled import CompiledBranch, Pattern
from ops.rules.fields import tree_of
from ops.rules.gathering import Gathered, gather
from ops.rules.nameindex import NameIndex, NameIndexBuilder, Probe, probes_of

Id = TypeVar("Id", bound=Hashable)

CROWD_FOR_EACH_RARE = 2000  # of so many branches one may ask for a value for it to be rare, and one in any case


class Matcher(Generic[Id]):
    """The rules that an event matches. It never changes, and threads may share it."""

    def __init__(self, rules: Mapping[Id, Pattern]) -> None:
        """Index the rules; 10,000 take about a second."""
        self.rules = dict(rules)
        owned = [(rule, branch) for rule, pattern in self.rules.items() for branch in pattern.branches]
        filed = filing_names([branch for _, branch in owned])
        self._filed = [own for own, name in zip(owned, filed, strict=True) if name is not None]
        self._crowd = [own for own, name in zip(owned, filed, strict=True) if name is None]
        self._all = (1 << len(self._crowd)) - 1
        self._indexes = self._build_indexes([name for name in filed if name is not None])
        self._tree = tree_of([index.name for index in self._indexes])

    def _build_indexes(self, filing: list[str]) -> list[NameIndex]:
        builders: dict[str, NameIndexBuilder] = {}
        for number, (name, (_, branch)) in enumerate(zip(filing, self._filed, strict=True)):
            builder = builders.setdefault(name, NameIndexBuilder(name))
            builder.file(branch.demands[branch.places[name]], number)
        for bit, (_, branch) in enumerate(self._crowd):
            for demand in branch.demands:
                builders.setdefault(demand.name, NameIndexBuilder(demand.name)).add(demand, bit)
        return [builders[name].build(self._all) for name in sorted(builders)]

    def match(self, event: dict[str, Any]) -> set[Id]:
        """Return the ids of the rules whose patterns the event matches."""
        gathered = gather(event, self._tree, len(self._indexes))
        met, doubtful = self._all, 0
        candidates: list[int] = []
        for index, value in zip(self._indexes, gathered.values, strict=True):
            met &= index.look_up(value, candidates)
        if gathered.in_arrays:
            met, doubtful = self._look_again(gathered)
        return {
            *(self._crowd[bit][0] for bit in bits_of(met & ~doubtful)),
            *(rule for rule, branch in self._uncertain(met & doubtful, candidates) if branch.matches(event)),
        }

    def _look_again(self, gathered: Gathered) -> tuple[int, int]:
        """Return the masks of branches that may match, and of those whose values stand in arrays of objects."""
        met, doubtful = self._all, 0
        for number, (index, value) in enumerate(zip(self._indexes, gathered.values, strict=True)):
            here = index.look_up(value, [])
            if number in gathered.in_arrays:
                here |= index.absent
                doubtful |= index.mentioned
            met &= here
        return met, doubtful

    def _uncertain(self, mask: int, candidates: list[int]) -> Iterator[tuple[Id, CompiledBranch]]:
        for bit in bits_of(mask):
            yield self._crowd[bit]
        for number in candidates:
            yield self._filed[number]

    def changed(self, put: Mapping[Id, Pattern], removed: Collection[Id] = ()) -> "Matcher[Id]":
        """Return a matcher with rules added or replaced, and others taken out. This one stays as it is."""
        return Matcher({rule: pattern for rule, pattern in {**self.rules, **put}.items() if rule not in set(removed)})


def filing_names(branches: list[CompiledBranch]) -> list[str | None]:
    """Return for each branch the name under whose values it is filed, or None where all that it demands is common."""
    demanded = [dict(probes_by_name(branch)) for branch in branches]
    count = Counter((name, probe) for probes in demanded for name, many in probes.items() for probe in many)
    rare = max(1, len(branches) // CROWD_FOR_EACH_RARE)
    return [rarest(probes, count, rare) for probes in demanded]


def probes_by_name(branch: CompiledBranch) -> Iterator[tuple[str, list[Probe]]]:
    for demand in branch.demands:
        probes = probes_of(demand)
        if probes is not None:
            yield demand.name, probes


def rarest(probes: dict[str, list[Probe]], count: Counter[tuple[str, Probe]], rare: int) -> str | None:
    best, fewest = None, rare + 1
    for name, many in probes.items():
        most = max(count[name, probe] for probe in many)
        if most < fewest:
            best, fewest = name, most
    return best


def bits_of(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
