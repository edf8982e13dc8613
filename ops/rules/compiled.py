"""A pattern ready to be asked."""

from typing import Any

from ops.rules.alternatives import Branch, question_of
from ops.rules.fields import NOTHING_CHOSEN, Demand, Search, choices_after, tree_of
from ops.rules.grammar import Meaning
from ops.rules.quick import UNSURE, quick_check


class Pattern:
    """A compiled pattern. It never changes, and threads may share it."""

    __slots__ = ("_checks", "branches", "notices", "source")

    def __init__(self, source: dict[str, Any] | str, meaning: Meaning) -> None:
        self.source = source
        self.notices = meaning.notices
        self.branches = tuple(map(CompiledBranch, meaning.branches))
        self._checks = tuple((branch.quickly, branch.closely) for branch in self.branches)

    def matches(self, event: dict[str, Any]) -> bool:
        """Whether the event, as `json.loads` or `read_event` gives it, matches. No key of the envelope is required."""
        for quickly, closely in self._checks:
            verdict = quickly(event)
            if verdict is True or (verdict is UNSURE and closely(event)):
                return True
        return False


class CompiledBranch:
    __slots__ = ("demands", "places", "quickly", "tree", "written")

    def __init__(self, branch: Branch) -> None:
        self.written = tuple(branch)
        self.demands = tuple(demand_of(name, branch[name]) for name in sorted(branch, key=utf16))
        self.places = {demand.name: place for place, demand in enumerate(self.demands)}
        self.tree = tree_of([demand.name for demand in self.demands])
        self.quickly = quick_check(self.tree, self.demands)

    def matches(self, event: dict[str, Any]) -> bool:
        verdict = self.quickly(event)
        return self.closely(event) if verdict is UNSURE else bool(verdict)

    def closely(self, event: dict[str, Any]) -> bool:
        """Whether the event matches, arrays of objects and all."""
        search = Search(event, self.tree, len(self.demands))
        choices = {NOTHING_CHOSEN}
        for number, demand in enumerate(self.demands):
            choices = choices_after(choices, demand, search, number)
            if not choices:
                return False
        return True


def demand_of(name: str, alternatives: Any) -> Demand:
    absent = any(alternative.kind == "absent" for alternative in alternatives)
    return Demand(name, alternatives, question_of(alternatives), absent)


def utf16(name: str) -> bytes:
    """The order in which the engine looks at keys; it matters where an absent key is asked for inside arrays."""
    return name.encode("utf-16-be", "surrogatepass")
