"""The choices of an "$or" that EventBridge's engine ignores, for it takes them for choices that it has already.

The engine adds the branches of a pattern one after the other to an automaton and asks at the end of each whether it is
there. It asks too little: a branch that names just the keys of an earlier one, and at each key shares an alternative
with it, counts as there. So `{"$or": [{"a": ["x", "y"]}, {"a": ["y", "z"]}]}` is not met by z. That is hardly meant,
but it is what AWS does, and so do we; a pattern's notices tell.

Where the engine's answer depends on the order of a hash table, the branch is kept.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ops.rules.alternatives import Branch

Mark = tuple[str, Any]  # kind and argument of an alternative
State = int


def without_ignored(branches: Sequence[Branch]) -> list[Branch]:
    if len(branches) < 2:
        return list(branches)
    automaton = Automaton()
    return [branch for branch in branches if automaton.add(branch)]


class Automaton:
    """From state to state by the alternatives of one key after the other; each knows the branches that came by it."""

    def __init__(self) -> None:
        self.states = 1
        self.steps: defaultdict[tuple[State, str], dict[Mark, State]] = defaultdict(dict)
        self.passed: defaultdict[tuple[State, Mark, bool], set[int]] = defaultdict(set)
        self.branches = 0

    def add(self, branch: Branch) -> bool:
        """Add a branch, and return whether it was new."""
        path = [(name, [(kind, argument) for kind, argument, _ in branch[name]]) for name in sorted(branch)]
        walk = Walk(self, path)
        if walk.like_it(0, 0):
            return False
        for place, (_, marks) in enumerate(path):
            for state in walk.reached[place]:
                for mark in marks:
                    self.passed[state, mark, place + 1 == len(path)].add(self.branches)
        self.branches += 1
        return True

    def next_states(self, state: State, name: str, marks: list[Mark]) -> list[State]:
        steps = self.steps[state, name]
        following: State | None = None
        result: list[State] = []
        for mark in marks:
            following = steps.get(mark, following)
            if following is None:
                following, self.states = self.states, self.states + 1
            steps[mark] = following
            result.append(following)
        return list(dict.fromkeys(result))


class Walk:
    """One branch on its way through the automaton."""

    def __init__(self, automaton: Automaton, path: list[tuple[str, list[Mark]]]) -> None:
        self.automaton = automaton
        self.path = path
        self.reached: list[set[State]] = [set() for _ in path]
        self.known: dict[tuple[State, int], set[int]] = {}

    def like_it(self, state: State, place: int) -> set[int]:
        """Return the earlier branches that look the same from a state on."""
        if (state, place) not in self.known:
            self.known[state, place] = self.find(state, place)
        return self.known[state, place]

    def find(self, state: State, place: int) -> set[int]:
        name, marks = self.path[place]
        last = place + 1 == len(self.path)
        found = []
        for following in self.automaton.next_states(state, name, marks):
            self.reached[place].add(following)
            here = set[int]().union(*(self.automaton.passed.get((following, mark, last), set()) for mark in marks))
            found.append(here if last else here & self.like_it(following, place + 1))
        return set.intersection(*found)
