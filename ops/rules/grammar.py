"""What a pattern says: its JSON as branches of keys with alternatives, or why EventBridge refuses it."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Any

from ops.rules import refusals
from ops.rules.alternatives import Alternative, Branch
from ops.rules.complexity import too_complex
from ops.rules.entries import NOTHING, alternative_of
from ops.rules.ignored import without_ignored
from ops.rules.reading import is_object, members_of
from ops.rules.refusals import InvalidPattern

OR = "$or"
MOST_COMBINATIONS = 1000
DEEPEST = 150

# Names that the engine keeps for operators, known and to come: no key inside "$or" may have one.
RESERVED_IN_OR = frozenset(
    {
        *("exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr"),
        *("=", "<", "<=", ">", ">="),
        *("regex", "not-wildcard", "not-equals-ignore-case"),
        *("date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range"),
        *("ip-address-in-range", "ip-address-not-in-range"),
    }
)

# What no older way to read a pattern makes good.
FINAL = (refusals.OR_TOO_MANY, refusals.TOO_DEEP, refusals.TOO_COMPLEX)


class Within(Enum):
    """Where an object of a pattern stands."""

    PATTERN = auto()
    OR = auto()  # somewhere inside an element of "$or"
    OLD_PATTERN = auto()  # read as before "$or" was invented: it is a key like any other


class Notice(StrEnum):
    """What a pattern hardly means and EventBridge makes of it. The value is a name for it, not words for people."""

    OR_IS_A_KEY = "or-is-a-key"  # an "$or" that the engine cannot read is to it the name of a key
    BRANCH_IGNORED = "branch-ignored"  # a choice of "$or" that the engine takes for an earlier one: see ignored.py


@dataclass(frozen=True)
class Meaning:
    """What a pattern demands: all keys of at least one branch, each with one of its alternatives.

    Keys are full names joined with dots, so `{"a": {"b": …}}` and `{"a.b": …}` are the same; of two entries for one
    name the later one counts.
    """

    branches: tuple[Branch, ...]
    notices: frozenset[Notice]


def meaning_of(pattern: Any) -> Meaning:
    """Return what a pattern, read as JSON, demands. Raises InvalidPattern."""
    branches, notices = branches_of(pattern)
    kept = without_ignored(branches)
    return Meaning(tuple(kept), notices | ({Notice.BRANCH_IGNORED} if len(kept) < len(branches) else set()))


def branches_of(pattern: Any) -> tuple[list[Branch], frozenset[Notice]]:
    try:
        return read_pattern(pattern, Within.PATTERN), frozenset()
    except InvalidPattern as refused:
        if refused.refusal in FINAL or not names_or(pattern):
            raise
        try:
            return read_pattern(pattern, Within.OLD_PATTERN), frozenset({Notice.OR_IS_A_KEY})
        except InvalidPattern:
            raise refused


def names_or(node: Any) -> bool:
    if is_object(node):
        return any(name == OR or names_or(value) for name, value in members_of(node))
    return isinstance(node, list | tuple) and any(names_or(value) for value in node)


def read_pattern(pattern: Any, within: Within) -> list[Branch]:
    if not is_object(pattern):
        raise InvalidPattern("", refusals.NOT_AN_OBJECT)
    branches: list[Branch] = [{}]
    read_object(pattern, (), "", branches, within)
    refuse_empty_beginnings(branches)
    refuse_too_complex(branches)
    return branches


def read_object(node: Any, steps: tuple[str, ...], place: str, branches: list[Branch], within: Within) -> None:
    """Add what an object demands to each of the branches, splitting them where it says "$or"."""
    members = list(members_of(node))
    if not members:
        raise InvalidPattern(place, refusals.EMPTY_OBJECT)
    if len(steps) > DEEPEST:
        raise InvalidPattern(place, refusals.TOO_DEEP, limit=DEEPEST)
    for name, value in members:
        here = f"{place}.{name}" if place else name
        if name == OR and within is not Within.OLD_PATTERN:
            read_or(value, steps, here, branches)
        elif name in RESERVED_IN_OR and within is Within.OR:
            raise InvalidPattern(here, refusals.OR_RESERVED, key=name)
        elif is_object(value):
            read_object(value, (*steps, name), here, branches, within)
        elif isinstance(value, list | tuple):
            alternatives = read_alternatives(value, here, old=within is Within.OLD_PATTERN)
            for branch in branches:
                branch[full_name(steps, name)] = alternatives
        else:
            raise InvalidPattern(here, refusals.NOT_ARRAY_OR_OBJECT, key=name)


def full_name(steps: tuple[str, ...], name: str) -> str:
    base = ".".join(steps)
    return f"{base}.{name}" if base else name


def read_or(value: Any, steps: tuple[str, ...], place: str, branches: list[Branch]) -> None:
    if not isinstance(value, list | tuple) or len(value) < 2:
        raise InvalidPattern(place, refusals.OR_TAKES_OBJECTS)
    split: list[Branch] = []
    for index, choice in enumerate(value):
        here = f"{place}[{index}]"
        if not is_object(choice):
            raise InvalidPattern(here, refusals.OR_TAKES_OBJECTS)
        chosen = [dict(branch) for branch in branches]
        read_object(choice, steps, here, chosen, Within.OR)
        split += chosen
        if len(split) > MOST_COMBINATIONS:
            raise InvalidPattern(place, refusals.OR_TOO_MANY, limit=MOST_COMBINATIONS)
    branches[:] = split


def read_alternatives(entries: Any, place: str, *, old: bool) -> tuple[Alternative, ...]:
    if not entries:
        raise InvalidPattern(place, refusals.EMPTY_ARRAY)
    return tuple(alternative_of(entry, f"{place}[{index}]", old=old) for index, entry in enumerate(entries))


def refuse_empty_beginnings(branches: list[Branch]) -> None:
    """The engine fails where the first alternative of a key is an empty list, and ignores one further on."""
    for branch in branches:
        for name, alternatives in branch.items():
            if alternatives[0].kind == NOTHING:
                raise InvalidPattern(name, refusals.EMPTY_ARRAY)


def refuse_too_complex(branches: list[Branch]) -> None:
    """Refuse wildcards that the engine would have to follow all at once: those of one key, reached in the same way."""
    followed: dict[Any, set[frozenset[tuple[str, ...]]]] = {}
    for branch in branches:
        before: tuple[Any, ...] = ()
        for name in sorted(branch):
            meanings = [(alternative.kind, alternative.argument) for alternative in branch[name]]
            wildcards = {wildcards_of(kind, argument) for kind, argument in meanings if "wildcard" in kind}
            if wildcards:
                followed.setdefault((before, name), set()).update(wildcards)
            before = (*before, name, *meanings)
    for (_, name), wildcards in followed.items():
        if too_complex(wildcards):
            raise InvalidPattern(name, refusals.TOO_COMPLEX)


def wildcards_of(kind: str, argument: Any) -> frozenset[tuple[str, ...]]:
    return argument if kind == "anything-but-wildcard" else frozenset({argument})
