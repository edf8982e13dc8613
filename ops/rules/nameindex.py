"""For one name of a key: from the value that an event has there to the branches of rules that it satisfies."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ops.rules.alternatives import NUMBER_TYPES, QUESTIONS, Alternative, NumberRange, Question, lies_in, number_or_text
from ops.rules.entries import NOTHING
from ops.rules.fields import Demand
from ops.rules.quick import MISSING
from ops.rules.reading import NumberText

# A kind of question and what a value must be to be answered yes: looked up instead of asked.
Probe = tuple[str, Any]

PLAIN = {"text": "text", "number": "number", "long number": "number", "null": "null", "true": "true", "false": "false"}


def probe_of(alternative: Alternative) -> Probe | None:
    """Return where an alternative is looked up, or None for one that must be asked."""
    kind, argument, _ = alternative
    if kind in PLAIN:
        return PLAIN[kind], argument
    if kind == "prefix" and argument and not argument.endswith('"'):
        return kind, argument
    if kind == "suffix" and argument and not argument.startswith('"'):
        return kind, argument
    if kind == "equals-ignore-case" and argument.isascii():
        return kind, argument.lower()
    return None


def probes_of(demand: Demand) -> list[Probe] | None:
    """Return the probes of a demand that is met through probes only."""
    probes = [probe_of(alternative) for alternative in demand.alternatives]
    return None if None in probes else [probe for probe in probes if probe is not None]


class Entry:
    """The branches that a probe satisfies: bits of those in the crowd, numbers of those filed."""

    __slots__ = ("filed", "mask")

    def __init__(self) -> None:
        self.mask = 0
        self.filed: list[int] = []


MOST_KNOWN = 512  # texts of which a name remembers the answer: types, currencies and states come again and again


class NameIndexBuilder:
    def __init__(self, name: str) -> None:
        self.name = name
        self.entries: defaultdict[Probe, Entry] = defaultdict(Entry)
        self.asked: defaultdict[tuple[str, Any, bool], int] = defaultdict(int)
        self.questions: dict[tuple[str, Any, bool], Question] = {}
        self.ranges: list[tuple[NumberRange, int]] = []
        self.unlike: list[tuple[frozenset[str], int]] = []
        self.exists = self.absent = self.mentioned = 0

    def file(self, demand: Demand, number: int) -> None:
        for probe in set(probes_of(demand) or ()):
            self.entries[probe].filed.append(number)

    def add(self, demand: Demand, bit: int) -> None:
        mask = 1 << bit
        self.mentioned |= mask
        numeric = any(alternative.kind in ("number", "numeric") for alternative in demand.alternatives)
        unlike = [alternative for alternative in demand.alternatives if alternative.kind == "anything-but"]
        for alternative in demand.alternatives:
            if alternative.kind == "exists":
                self.exists |= mask
            elif alternative.kind == "absent":
                self.absent |= mask
            elif (probe := probe_of(alternative)) is not None:
                self.entries[probe].mask |= mask
            elif alternative.kind == "numeric":
                self.ranges.append((alternative.argument, mask))
            elif alternative.kind == "anything-but" and len(unlike) == 1:
                self.unlike.append((alternative.argument, mask))
            elif alternative.kind != NOTHING:
                self.ask(alternative, mask, numeric=numeric)

    def ask(self, alternative: Alternative, mask: int, *, numeric: bool) -> None:
        """Keep a question that must be asked; equal ones once. `numeric` changes what "cidr" makes of a number."""
        kind, argument, _ = alternative
        key = (kind, argument, numeric and kind == "address")
        if key not in self.questions and kind == "address":
            self.questions[key] = lies_in(argument, numbers_too=not numeric)
        elif key not in self.questions:
            self.questions[key] = QUESTIONS[kind](argument)
        self.asked[key] |= mask

    def build(self, everybody: int) -> "NameIndex":
        return NameIndex(self, everybody)


class NameIndex:
    """Immutable but for what it remembers, which changes no answer."""

    __slots__ = (
        "absent", "asked", "by_text", "ends", "if_absent", "if_present", "known", "lowered", "mentioned", "name",
        "numbers", "others", "prefixes", "ranges", "suffixes", "unlike", "unlike_at",
    )  # fmt: skip

    def __init__(self, builder: NameIndexBuilder, everybody: int) -> None:
        self.name = builder.name
        self.absent, self.mentioned = builder.absent, builder.mentioned
        others = everybody & ~builder.mentioned
        self.if_absent = others | builder.absent
        self.if_present = others | builder.exists
        self.by_text = {wanted: entry for (kind, wanted), entry in builder.entries.items() if kind == "text"}
        self.lowered = {
            wanted: entry for (kind, wanted), entry in builder.entries.items() if kind == "equals-ignore-case"
        }
        self.numbers = {wanted: entry for (kind, wanted), entry in builder.entries.items() if kind == "number"}
        self.others = {
            wanted: entry for (kind, wanted), entry in builder.entries.items() if kind in ("null", "true", "false")
        }
        self.prefixes = by_length(builder, "prefix")
        self.suffixes = by_length(builder, "suffix")
        self.asked = tuple((builder.questions[key], mask) for key, mask in builder.asked.items())
        self.known: dict[str, tuple[int, list[int]]] = {}
        self.unlike, self.unlike_at = unlike_masks(builder.unlike)
        self.ends, self.ranges = range_masks(builder.ranges)

    def look_up(self, value: Any, candidates: list[int]) -> int:
        """Return the mask of branches that a value satisfies or that demand nothing here; add the filed ones."""
        if value is MISSING:
            return self.if_absent
        if type(value) is str:
            return self.if_present | self.look_up_text(value, candidates)
        if type(value) is not list:
            return self.if_present | self.look_up_other(value, candidates)
        if not value:
            return self.if_absent
        mask = self.if_present
        for one in value:
            look_up = self.look_up_text if type(one) is str else self.look_up_other
            mask |= look_up(one, candidates)
        return mask

    def look_up_text(self, value: str, candidates: list[int]) -> int:
        known = self.known.get(value)
        if known is None:
            known = self.search(value)
            if len(self.known) < MOST_KNOWN:
                self.known[value] = known
        mask, filed = known
        if filed:
            candidates += filed
        return mask

    def search(self, value: str) -> tuple[int, list[int]]:
        """Return the mask of the branches in the crowd that a text satisfies, and the numbers of those filed."""
        entries = [self.by_text.get(value)]
        entries += [table.get(value[:size]) for size, table in self.prefixes]
        entries += [table.get(value[-size:]) for size, table in self.suffixes]
        if self.lowered and value.isascii():
            entries.append(self.lowered.get(value.lower()))
        mask, filed = self.ask(value), list[int]()
        for entry in entries:
            if entry is not None:
                mask |= entry.mask
                filed += entry.filed
        return mask, filed

    def look_up_other(self, value: Any, candidates: list[int]) -> int:
        mask = self.ask(value)
        if type(value) in NUMBER_TYPES:
            number = number_or_text(value)
            entry = self.numbers.get(number)
            if self.ends and not isinstance(number, NumberText):
                mask |= self.ranges[place_among(self.ends, number)]
        else:
            entry = self.others.get(value)
        if entry:
            mask |= entry.mask
            candidates += entry.filed
        return mask

    def ask(self, value: Any) -> int:
        mask = self.unlike & ~self.unlike_at.get(value, 0) if self.unlike else 0
        for question, asking in self.asked:
            if question(value):
                mask |= asking
        return mask


def by_length(builder: NameIndexBuilder, kind: str) -> tuple[tuple[int, dict[str, Entry]], ...]:
    tables: defaultdict[int, dict[str, Entry]] = defaultdict(dict)
    for (probe, wanted), entry in builder.entries.items():
        if probe == kind:
            tables[len(wanted)][wanted] = entry
    return tuple(tables.items())


def unlike_masks(unlike: Iterable[tuple[frozenset[str], int]]) -> tuple[int, dict[str, int]]:
    """Return the mask of all demands to be unlike some texts, and for each text those that it fails."""
    everybody = 0
    failing: defaultdict[str, int] = defaultdict(int)
    for texts, mask in unlike:
        everybody |= mask
        for text in texts:
            failing[text] |= mask
    return everybody, dict(failing)


def range_masks(ranges: list[tuple[NumberRange, int]]) -> tuple[list[float], list[int]]:
    """Return the ends of all ranges, sorted, and a mask for each place among them: see `place_among`."""
    ends = sorted({end for numbers, _ in ranges for end in (numbers.bottom, numbers.top)})
    masks = [0] * (2 * len(ends) + 1)
    for numbers, mask in ranges:
        first = place_among(ends, numbers.bottom) + (not numbers.bottom_included)
        last = place_among(ends, numbers.top) - (not numbers.top_included)
        for place in range(first, last + 1):
            masks[place] |= mask
    return ends, masks


def place_among(ends: list[float], number: float) -> int:
    """Return 2n + 1 where a number is the nth end, 2n where it lies before the nth."""
    place = bisect_left(ends, number)
    return 2 * place + (place < len(ends) and ends[place] == number)
