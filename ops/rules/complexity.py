"""How hard wildcards are for EventBridge's engine, which refuses a rule that is too hard.

The engine follows all wildcards of a key at once. The measure is its own: how many beginnings of wildcards some text
could be in the midst of at the same time. Its limit is not documented; 10 is the one that its README names, and agrees
with what AWS is known to take (7, 9) and to refuse (11, 12). Our own matching does not depend on this.
"""

from collections.abc import Iterable, Iterator

MOST_COMPLEX = 10
MOST_STEPS = 5_000  # of the search for the worst text; beyond that the wildcards count as simple enough

STAR = 256  # after the 256 bytes


class State:
    """What has been read of one or more wildcards; equal beginnings are one state."""

    __slots__ = ("after", "owners")

    def __init__(self) -> None:
        self.after: dict[int, State] = {}
        self.owners: set[int] = set()

    def following(self, byte: int) -> Iterator["State"]:
        if byte in self.after:
            yield self.after[byte]
        star = self.after.get(STAR)
        if star is not None:
            yield star
            if byte in star.after:
                yield star.after[byte]


def too_complex(groups: Iterable[Iterable[tuple[str, ...]]]) -> bool:
    """Whether wildcards that one key may meet are too complex together.

    Each group is one entry of the key's array, which holds several wildcards in "anything-but"; each wildcard is given
    as its texts between the stars.
    """
    start = tree_of(groups)
    seen: set[frozenset[State]] = set()
    waiting = [frozenset({start})]
    while waiting and len(seen) < MOST_STEPS:
        states = waiting.pop()
        for byte in {byte for state in states for byte in bytes_after(state)} | {-1}:
            reached = step(states, byte)
            if complexity(reached) > MOST_COMPLEX:
                return True
            if reached and reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    return False


def tree_of(groups: Iterable[Iterable[tuple[str, ...]]]) -> State:
    start = State()
    for owner, group in enumerate(groups):
        end = State()
        end.owners.add(owner)
        for parts in group:
            add(start, parts, owner, end)
    return start


def add(start: State, parts: tuple[str, ...], owner: int, end: State) -> None:
    tokens = [token for part in parts for token in (*part.encode("utf-8", "replace"), STAR)][:-1]
    state = start
    for token in (ord('"'), *tokens):
        state = state.after.setdefault(token, State())
        state.owners.add(owner)
        if token == STAR:
            state.after[STAR] = state  # it stays there for whatever comes
    state.after[ord('"')] = end


def bytes_after(state: State) -> Iterator[int]:
    star = state.after.get(STAR)
    yield from state.after
    if star is not None:
        yield from star.after


def step(states: frozenset[State], byte: int) -> frozenset[State]:
    if byte == STAR:
        return frozenset()
    return frozenset(following for state in states for following in state.following(byte))


def complexity(states: frozenset[State]) -> int:
    here = sum(len(state.owners) for state in states)
    stars = (state.after.get(STAR) for state in states)
    return here + sum(len(star.owners) for star in stars if star is not None and star not in states)
