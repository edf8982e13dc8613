"""Why an event does not match: the first key that fails, what was wanted there, and what was there."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ops.rules.compiled import CompiledBranch, Pattern
from ops.rules.fields import NOTHING_CHOSEN, Search, choices_after


class Failure(StrEnum):
    """How a key fails. The value is a name for it, not words for people."""

    DIFFERENT = "different"  # it has values, and none meets an alternative
    MISSING = "missing"  # it has no value
    PRESENT = "present"  # it has a value, and was to be absent
    APART = "apart"  # each key is met, but by different elements of one array


@dataclass(frozen=True)
class Explanation:
    """Whether an event matches and, if not, the first key that fails.

    Where a pattern says "$or", it is told of the branch that came furthest: `branch` of `branches`, counted from 0.
    """

    matches: bool
    failure: Failure | None = None
    path: str = ""  # the full name of the key, joined with dots
    wanted: tuple[Any, ...] = ()  # its alternatives, as written in the pattern
    found: tuple[Any, ...] = ()  # its values in the event, at most MOST_FOUND of them
    together: tuple[str, ...] = ()  # for APART: the keys that no single element meets, this one last
    branch: int = 0
    branches: int = 1
    met: tuple[str, ...] = field(default=(), compare=False)  # keys that were met before


MOST_FOUND = 20


def explain(pattern: Pattern, event: dict[str, Any]) -> Explanation:
    """Say whether an event matches and, if not, why. Slower than `Pattern.matches`, which it always agrees with."""
    explanations = [
        explain_branch(branch, event, number, len(pattern.branches)) for number, branch in enumerate(pattern.branches)
    ]
    matching = [explanation for explanation in explanations if explanation.matches]
    return matching[0] if matching else max(explanations, key=lambda explanation: len(explanation.met))


def explain_branch(branch: CompiledBranch, event: dict[str, Any], number: int, branches: int) -> Explanation:
    search = Search(event, branch.tree, len(branch.demands))
    met: list[str] = []
    for name in branch.written:
        place = branch.places[name]
        demand = branch.demands[place]
        found = search.found[place]
        values = tuple(one.value for one in found)
        may_be_absent = demand.absent and all(one.elements for one in found)  # from one element of an array
        if may_be_absent or any(map(demand.holds, values)):
            met.append(name)
            continue
        failure = Failure.MISSING
        if values:
            failure = Failure.PRESENT if demand.only_absent else Failure.DIFFERENT
        wanted = tuple(alternative.written for alternative in demand.alternatives)
        return Explanation(False, failure, name, wanted, values[:MOST_FOUND], (), number, branches, tuple(met))
    return explain_arrays(branch, search, number, branches)


def explain_arrays(branch: CompiledBranch, search: Search, number: int, branches: int) -> Explanation:
    """Each key for itself is met: find the first that is not met together with those before it."""
    choices = {NOTHING_CHOSEN}
    for place, demand in enumerate(branch.demands):
        choices = choices_after(choices, demand, search, place)
        if not choices:
            wanted = tuple(alternative.written for alternative in demand.alternatives)
            values = tuple(found.value for found in search.found[place])
            beside = together_with(branch, search, place)
            return Explanation(
                False,
                Failure.APART,
                demand.name,
                wanted,
                values[:MOST_FOUND],
                beside,
                number,
                branches,
                tuple(name for name in branch.written if name not in beside),
            )
    return Explanation(True, branch=number, branches=branches, met=tuple(branch.written))


def together_with(branch: CompiledBranch, search: Search, place: int) -> tuple[str, ...]:
    """The names up to `place` whose values stand in an array that the values at `place` stand in too."""
    arrays = arrays_at(search, place)
    return tuple(
        branch.demands[earlier].name
        for earlier in range(place + 1)
        if earlier == place or arrays & arrays_at(search, earlier)
    )


def arrays_at(search: Search, place: int) -> set[int]:
    return {array for found in search.found[place] for array, _ in found.elements}
