"""Patterns and events that Hypothesis makes up: few keys and few values, so that they meet often."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

few = settings(max_examples=40, deadline=None)  # the clock of a busy machine is no verdict

KEYS = st.sampled_from(["a", "b", "c", "a.b"])
TEXTS = st.sampled_from(["", "a", "ab", "abc", "b", "B", "é", "É", "10.0.0.1", "10.0.0.77", "1"])
NUMBERS = st.sampled_from([-1, 0, 1, 1.0, 2.5, 10, 2**53 + 1])
SCALARS = st.one_of(TEXTS, NUMBERS, st.sampled_from([True, False, None]))


def operator(name: str, arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return arguments.map(lambda argument: {name: argument})


def ranges() -> st.SearchStrategy[list[Any]]:
    one = st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), st.integers(-1, 10)).map(list)
    both = st.tuples(st.sampled_from([">", ">="]), st.integers(-2, 4), st.sampled_from(["<", "<="]), st.integers(5, 10))
    return st.one_of(one, both.map(list))


LISTS = st.lists(TEXTS.filter(bool), min_size=1, max_size=3)
WILDCARDS = st.sampled_from(["*", "a*", "*b", "a*c", "*a*"])
ALTERNATIVES = st.one_of(
    SCALARS,
    operator("prefix", TEXTS),
    operator("suffix", TEXTS),
    operator("equals-ignore-case", TEXTS),
    operator("prefix", operator("equals-ignore-case", TEXTS)),
    operator("suffix", operator("equals-ignore-case", TEXTS)),
    operator("wildcard", WILDCARDS),
    operator("exists", st.booleans()),
    operator("numeric", ranges()),
    operator("cidr", st.sampled_from(["10.0.0.0/24", "10.0.0.64/26", "::/0"])),
    operator("anything-but", st.one_of(TEXTS, st.integers(-1, 3), LISTS)),
    operator("anything-but", st.one_of(operator("prefix", LISTS), operator("suffix", LISTS))),
    operator("anything-but", st.one_of(operator("equals-ignore-case", LISTS), operator("wildcard", WILDCARDS))),
)
ENTRIES = st.lists(ALTERNATIVES, min_size=1, max_size=3)


def patterns() -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        st.dictionaries(KEYS, ENTRIES, min_size=1, max_size=3),
        lambda inner: st.one_of(
            st.dictionaries(KEYS, st.one_of(ENTRIES, inner), min_size=1, max_size=3),
            st.lists(inner, min_size=2, max_size=3).map(lambda choices: {"$or": choices}),
        ),
        max_leaves=4,
    )


def events() -> st.SearchStrategy[dict[str, Any]]:
    values = st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3), st.lists(objects(inner), max_size=3)
        ),
        max_leaves=10,
    )
    return st.dictionaries(KEYS, values, max_size=4)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(KEYS, inner, max_size=3)
