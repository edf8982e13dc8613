"""What a pattern says of an event: each operator, alone and with others."""

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.rules.patterns import Notice, compile_pattern, read_event
from tests.ops.rules.strategies import LISTS, SCALARS, TEXTS, WILDCARDS, events, few, patterns


def matches(pattern: dict[str, Any] | str, event: dict[str, Any] | str) -> bool:
    return compile_pattern(pattern).matches(read_event(event) if isinstance(event, str) else event)


def meets(alternative: Any, value: Any) -> bool:
    return matches({"key": [alternative]}, {"key": value})


ALIKE = [
    ("paid", "paid"),
    (None, None),
    (True, True),
    (100, 100.0),
    ({"prefix": "sub_"}, "sub_1"),
    ({"prefix": ""}, "anything"),
    ({"prefix": {"equals-ignore-case": "Sub"}}, "SUBSCRIPTION"),
    ({"suffix": ".paid"}, "invoice.paid"),
    ({"suffix": {"equals-ignore-case": ".PAID"}}, "invoice.Paid"),
    ({"equals-ignore-case": "straße"}, "STRASSE".replace("SS", "ß")),
    ({"equals-ignore-case": "ß"}, "SS"),  # each character by itself, as upper or lower case
    ({"wildcard": "in*.paid"}, "invoice.paid"),
    ({"wildcard": r"5\*5"}, "5*5"),
    ({"anything-but": "paid"}, "open"),
    ({"anything-but": "paid"}, None),  # null is a value too
    ({"anything-but": ["paid", "void"]}, 1),
    ({"anything-but": [1, 2]}, "1"),
    ({"anything-but": {"prefix": ["a", "b"]}}, "c"),
    ({"anything-but": {"suffix": "x"}}, "xy"),
    ({"anything-but": {"wildcard": "*/init/*"}}, "a/b"),
    ({"anything-but": {"equals-ignore-case": ["PAID"]}}, "open"),
    ({"numeric": ["=", 301.8]}, 3.018e2),
    ({"numeric": [">", 0, "<=", 5]}, 5),
    ({"numeric": ["<", 0.1]}, -1e300),
    ({"exists": True}, None),
    ({"cidr": "10.0.0.0/24"}, "10.0.0.255"),
    ({"cidr": "2001:db8::/32"}, "2001:DB8:0:0::1"),
    ("10.0.0.1", "010.0.0.1"),  # a text that is an address means the address
    ("::1", "0:0:0:0:0:0:0:1"),
    ({"exactly": "10.0.0.1"}, "10.0.0.1"),
]
UNALIKE = [
    ("paid", "Paid"),
    ("1", 1),
    (1, True),
    (None, False),
    (0, None),
    ({"prefix": "1"}, 1),
    ({"prefix": {"equals-ignore-case": "k"}}, "\u212a"),  # the Kelvin sign is no upper-case k
    ({"suffix": "paid"}, "paid "),
    ({"equals-ignore-case": "ß"}, "ss"),
    ({"wildcard": "a*b*a"}, "aba"[:2]),
    ({"wildcard": "a*a"}, "a"),
    ({"anything-but": "paid"}, "paid"),
    ({"anything-but": [100]}, 100.0),
    ({"anything-but": {"prefix": ["a", "b"]}}, "bc"),
    ({"anything-but": {"equals-ignore-case": ["PAID"]}}, "paid"),
    ({"numeric": ["=", 5]}, "5"),
    ({"numeric": [">", 0, "<", 5]}, 5),
    ({"numeric": [">=", 0]}, None),
    ({"exists": False}, None),
    ({"exists": True}, {"inner": 1}),  # only what holds no further keys exists
    ({"exists": True}, []),
    ({"cidr": "10.0.0.0/24"}, "10.0.1.0"),
    ({"cidr": "10.0.0.0/24"}, "ten"),
    ({"exactly": "10.0.0.1"}, "010.0.0.1"),
]


@pytest.mark.parametrize(("alternative", "value"), ALIKE)
def test_a_value_meets_its_alternative(alternative, value):
    assert meets(alternative, value)


@pytest.mark.parametrize(("alternative", "value"), UNALIKE)
def test_a_value_does_not_meet_another_alternative(alternative, value):
    assert not meets(alternative, value)


@few
@given(scalar=SCALARS, value=SCALARS)
def test_exact_values_are_compared_as_json(scalar, value):
    as_json = type(scalar) is type(value) or not {type(scalar), type(value)} - {int, float}
    assert meets(scalar, value) == (scalar == value and as_json)


@few
@given(texts=LISTS, inner=st.sampled_from(["prefix", "suffix", "equals-ignore-case", "wildcard"]), value=SCALARS)
def test_anything_but_is_the_negation_of_its_operator(texts, inner, value):
    texts = ["a*", "*b"] if inner == "wildcard" else texts
    positive = any(meets({inner: text}, value) for text in texts)
    assert meets({"anything-but": {inner: texts}}, value) != positive


@few
@given(texts=LISTS, value=SCALARS)
def test_anything_but_a_list_is_the_negation_of_the_list(texts, value):
    assert meets({"anything-but": texts}, value) != matches({"key": [{"exactly": t} for t in texts]}, {"key": value})


@few
@given(wildcard=WILDCARDS, value=TEXTS)
def test_a_wildcard_reads_like_a_shell_pattern(wildcard, value):
    assert meets({"wildcard": wildcard}, value) == fnmatchcase(value, wildcard)


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        # A number that no double holds is compared by its digits.
        ('{"n": [12345678901234567890]}', '{"n": 12345678901234567890}', True),
        ('{"n": [12345678901234567890]}', '{"n": 12345678901234567891}', False),
        ('{"n": [1e400]}', '{"n": 1e400}', True),
        ('{"n": [1e400]}', '{"n": 1E400}', False),
        ('{"n": [0.1]}', '{"n": 0.1000000000000000055}', False),
        ('{"n": [{"numeric": [">", 5]}]}', '{"n": 9007199254740993}', False),
        ('{"n": [10000000000000000000000]}', '{"n": 1e22}', True),
        ('{"n": [-0]}', '{"n": 0.0}', True),
        # Keys that stand twice: of a pattern the last counts, of an event each.
        ('{"a": ["x"], "a": ["y"]}', '{"a": "x"}', False),
        ('{"a": {"b": [1]}, "a": {"c": [2]}}', '{"a": {"b": 1}}', False),
        ('{"a": {"b": [1]}, "a": {"c": [2]}}', '{"a": {"b": 1, "c": 2}}', True),
        ('{"a": ["x"]}', '{"a": "x", "a": "y"}', True),
        ('{"a": {"b": [1], "c": [2]}}', '{"a": {"b": 1}, "a": {"c": 2}}', True),
        # Half a surrogate pair is a question mark, as in the engine's UTF-8.
        ('{"a": ["?"]}', r'{"a": "\ud83d"}', True),
        (r'{"a": ["\ud83d\ude00"]}', '{"a": "😀"}', True),
        (r'{"a": [{"equals-ignore-case": "😀"}]}', '{"a": "😀"}', False),
        (r'{"a": [{"equals-ignore-case": "😀"}]}', '{"a": "??"}', True),
    ],
)
def test_texts_are_read_as_the_engine_reads_them(pattern, event, expected):
    assert matches(pattern, event) is expected


@pytest.mark.parametrize(
    ("pattern", "event"),
    [
        ({"a": {"b": ["x"]}}, {"a.b": "x"}),
        ({"a.b": ["x"]}, {"a": {"b": "x"}}),
        ({"a": {"b.c": ["x"]}}, {"a.b": {"c": "x"}}),
        ({"a.b": {"c": ["x"]}}, {"a": {"b.c": ["y", "x"]}}),
    ],
)
def test_dots_in_names_join_as_nesting_does(pattern, event):
    assert matches(pattern, event)


SONGS = {
    "Songs": [
        {"Name": "Norwegian Wood", "Writers": [{"First": "John", "Last": "Lennon"}, {"First": "Paul"}]},
        {"Name": "Paint It Black", "Writers": [{"First": "Mick", "Last": "Jagger"}, {"First": "Keith"}]},
    ]
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"Songs": {"Name": ["Norwegian Wood"], "Writers": {"First": ["Paul"]}}}, True),
        ({"Songs": {"Name": ["Norwegian Wood"], "Writers": {"First": ["Mick"]}}}, False),
        ({"Songs": {"Writers": {"First": ["John"], "Last": ["Lennon"]}}}, True),
        ({"Songs": {"Writers": {"First": ["Paul"], "Last": ["Lennon"]}}}, False),
        ({"Songs": {"Writers": {"First": ["Paul"], "Last": [{"exists": False}]}}}, True),
        ({"Songs": {"Writers": {"First": ["John"], "Last": [{"exists": False}]}}}, False),
        # Absence that is asked for before an element is chosen is absence everywhere.
        ({"Songs": {"Album": [{"exists": False}], "Name": ["Paint It Black"]}}, True),
        ({"Songs": {"Name": [{"exists": False}], "Writers": {"First": ["Mick"]}}}, False),
        ({"$or": [{"Songs": {"Name": ["Help!"]}}, {"Songs": {"Writers": {"First": ["Keith"]}}}]}, True),
    ],
)
def test_what_stands_together_in_a_pattern_stands_in_one_element(pattern, expected):
    assert matches(pattern, SONGS) is expected


def test_arrays_in_arrays_keep_their_elements_apart():
    event = {
        "employees": [[{"first": "Anna", "last": "Smith"}, {"first": "John", "ids": [1, 2]}], [{"first": "Peter"}]]
    }
    assert matches({"employees": {"first": ["John"], "ids": [2]}}, event)
    assert not matches({"employees": {"first": ["Anna"], "ids": [2]}}, event)
    assert matches({"employees": {"first": ["Anna"], "ids": [{"exists": False}]}}, event)


def test_an_or_that_the_engine_cannot_read_is_the_name_of_a_key():
    assert matches({"$or": {"a": [1]}}, {"$or": {"a": 1}})
    assert not matches({"$or": {"a": [1]}}, {"a": 1})
    assert matches({"$or": ["x", {"prefix": "y"}]}, {"$or": "yes"})


def test_a_pattern_tells_of_an_or_that_is_a_key():
    assert compile_pattern({"$or": {"a": [1]}}).notices == {Notice.OR_IS_A_KEY}
    assert compile_pattern({"$or": [{"a": [1]}, {"b": [1]}]}).notices == set()


@pytest.mark.parametrize(
    ("choices", "event", "expected"),
    [
        # The second choice names the keys of the first and shares an alternative at each: the engine has it already.
        ([{"a": ["x", "y"]}, {"a": ["y", "z"]}], {"a": "z"}, False),
        ([{"a": ["x"], "b": [1, 2]}, {"a": ["x", "y"], "b": [2]}], {"a": "y", "b": 2}, False),
        ([{"a": ["x"]}, {"a": ["x", {"prefix": "z"}]}], {"a": "zz"}, False),
        # It shares none at one of the keys, or names others.
        ([{"a": ["x"], "b": [1]}, {"a": ["x", "y"], "b": [2]}], {"a": "y", "b": 2}, True),
        ([{"a": ["x"]}, {"a": ["x", "y"], "b": [2]}], {"a": "y", "b": 2}, True),
        ([{"a": ["x", "y"]}, {"a": ["z"]}], {"a": "z"}, True),
    ],
)
def test_a_choice_that_the_engine_takes_for_an_earlier_one_is_ignored(choices, event, expected):
    compiled = compile_pattern({"$or": choices})
    assert compiled.matches(event) is expected
    assert compiled.notices == (set() if expected else {Notice.BRANCH_IGNORED})


def test_or_multiplies_with_or():
    pattern = {"$or": [{"a": [1]}, {"b": [1]}], "x": {"$or": [{"c": [1]}, {"d": [1]}]}}
    assert matches(pattern, {"b": 1, "x": {"c": 1}})
    assert not matches(pattern, {"a": 1, "b": 1, "x": {}})


@few
@given(pattern=patterns(), event=events())
def test_the_quick_way_and_the_search_agree(pattern, event):
    compiled = compile_pattern(pattern)
    assert compiled.matches(event) == any(branch.closely(event) for branch in compiled.branches)


@few
@given(pattern=patterns(), event=events())
def test_a_pattern_as_text_is_the_same_as_its_dict(pattern, event):
    assert matches(json.dumps(pattern), json.dumps(event)) == matches(pattern, event)


@few
@given(pattern=patterns(), key=st.sampled_from("abc"), value=SCALARS, event=events())
def test_a_further_demand_narrows(pattern, key, value, event):
    wider = {"outer": pattern}
    narrower = {"outer": pattern, "more": {key: [value]}}
    both = {"outer": event, "more": {key: value}}
    assert matches(narrower, both) == matches(wider, both)
    assert not matches(narrower, {"outer": event})


def test_long_arrays_take_no_exponential_time():
    """Seven keys of 300 elements: 300 ** 7 ways to choose, were they tried one by one."""
    keys = [f"k{n}" for n in range(7)]
    event = {key: [{"x": f"{n}"} for n in range(300)] for key in keys}
    event["last"] = [{"y": 1}]
    pattern = {key: {"x": [{"exists": True}], "z": [{"exists": False}]} for key in keys}
    assert matches({**pattern, "last": {"y": [1]}}, event)
    assert not matches({**pattern, "last": {"y": [2], "z": [{"exists": False}]}}, event)


def test_many_stars_take_no_exponential_time():
    assert not meets({"wildcard": "*a*a*a*b"}, "a" * 100_000)
