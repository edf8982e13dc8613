"""A pattern ready to be asked."""

from typing import Any

from ops.rules.alternatives import Branch, question_of
from ops.rules.fields import NOTHING_CHOSEN, Demand, Node, Search, choices_after, tree_of
from ops.rules.grammar import Meaning
from ops.rules.quick import UNSURE, Check, quick_check


class Pattern:
    """A compiled pattern. It never changes, and threads may share it.

    `source` is the pattern as it was given; `notices` tell what EventBridge makes of it that is hardly meant.
    """

    __slots__ = ("_checks", "branches", "notices", "source")

    def __init__(self, source: dict[str, Any] | str, meaning: Meaning) -> None:
        self.source = source
        self.notices = meaning.notices
        self.branches = tuple(map(CompiledBranch, meaning.branches))
        self._checks: tuple[tuple[Check, Check], ...] = ()

    def matches(self, event: dict[str, Any]) -> bool:
        """Whether the event, as `json.loads` or `read_event` gives it, matches. No key of the envelope is required."""
        for quickly, closely in self._checks or self._prepare():
            verdict = quickly(event)
            if verdict is True or (verdict is UNSURE and closely(event)):
                return True
        return False

    def _prepare(self) -> tuple[tuple[Check, Check], ...]:
        self._checks = tuple((branch.quickly, branch.closely) for branch in self.branches)
        return self._checks


class CompiledBranch:
    """What must be met together. It is made ready when it is first asked: of many rules, most never are."""

    __slots__ = ("_ready", "demands", "places", "written")

    def __init__(self, branch: Branch) -> None:
        self.written = tuple(branch)
        self.demands = tuple(demand_of(name, branch[name]) for name in sorted(branch, key=utf16))
        self.places = {demand.name: place for place, demand in enumerate(self.demands)}
        self._ready: tuple[Node, Check] | None = None

    def _prepare(self) -> tuple[Node, Check]:
        tree = tree_of([demand.name for demand in self.demands])
        self._ready = (tree, quick_check(tree, self.demands))
        return self._ready

    @property
    def tree(self) -> Node:
        return (self._ready or self._prepare())[0]

    @property
    def quickly(self) -> Check:
        """Whether an event matches: True, False or UNSURE."""
        return (self._ready or self._prepare())[1]

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
