"""Patterns from events by ticking, and where in a text a path stands."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.rules.building import CannotBuild, fields_of, leaves, tick, written_pattern
from ops.rules.patterns import compile_pattern
from ops.rules.places import place_of, values_in

EVENT = {
    "source": "stripe.com",
    "detail-type": "invoice.paid",
    "resources": [],
    "detail": {
        "livemode": True,
        "data": {"object": {"total": 5000, "lines": {"data": [{"price": "a"}, {"price": "b"}]}, "note": "決済"}},
    },
}


def number_of(path: str, value: object) -> int:
    return next(
        leaf.number for leaf in leaves(fields_of(EVENT, "")) if ".".join(leaf.path) == path and leaf.value == value
    )


def test_ticking_a_field_writes_a_pattern_that_the_event_fits():
    text = tick("", EVENT, number_of("detail-type", "invoice.paid"), on=True)
    text = tick(text, EVENT, number_of("detail.data.object.total", 5000), on=True)
    assert json.loads(text) == {"detail-type": ["invoice.paid"], "detail": {"data": {"object": {"total": [5000]}}}}
    assert compile_pattern(text).matches(EVENT)


def test_two_elements_of_an_array_are_alternatives_of_one_key():
    text = ""
    for value in ("a", "b"):
        text = tick(text, EVENT, number_of("detail.data.object.lines.data.price", value), on=True)
    assert json.loads(text)["detail"]["data"]["object"]["lines"] == {"data": {"price": ["a", "b"]}}


def test_unticking_leaves_no_empty_keys_behind_and_nothing_else_is_touched():
    written = '{"detail": {"livemode": [true], "data": {"object": {"total": [5000]}}}, "source": [{"prefix": "s"}]}'
    text = tick(written, EVENT, number_of("detail.data.object.total", 5000), on=False)
    assert json.loads(text) == {"detail": {"livemode": [True]}, "source": [{"prefix": "s"}]}
    assert tick('{"detail": {"livemode": [true]}}', EVENT, number_of("detail.livemode", True), on=False) == ""


def test_what_the_pattern_wants_is_ticked_and_true_is_not_one():
    ticked = {
        leaf.label
        for leaf in leaves(fields_of(EVENT, '{"detail": {"livemode": [1]}, "source": ["stripe.com"]}'))
        if leaf.ticked
    }
    assert ticked == {"source"}


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_a_text_that_is_no_pattern_is_not_overwritten(text):
    with pytest.raises(CannotBuild):
        tick(text, EVENT, 0, on=True)


UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
TREES = st.recursive(
    st.lists(st.integers() | st.text(max_size=3) | st.booleans() | st.none(), max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@UNHURRIED
@given(st.dictionaries(st.text(max_size=3), TREES, max_size=3))
def test_a_pattern_is_written_as_the_json_it_is(pattern):
    assert json.loads(written_pattern(pattern)) == pattern


TEXT = """{
  "source": ["stripe.com"],
  "detail": {
    "status": [{"prefix": 5}, "x"],
    "a.b": {"c": []}
  }
}"""


# a path of a refusal, and the line and column at which its value begins
@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", (1, 1)),
        ("source", (2, 13)),
        ("source[0]", (2, 14)),
        ("detail.status[0].prefix", (4, 27)),
        ("detail.status[1]", (4, 31)),
        ("detail.a.b.c", (5, 18)),
    ],
)
def test_a_path_is_found_in_the_text(path, place):
    found = place_of(TEXT, path)
    assert found and (found.line, found.column) == place
    assert found.excerpt == TEXT.split("\n")[found.line - 1]


@pytest.mark.parametrize("text", ["", "{", '{"a": ', '{"a": [1}', "nul", '{"a" 1}'])
def test_in_what_is_no_json_nothing_is_found(text):
    assert place_of(text, "nowhere") is None


@UNHURRIED
@given(TREES, st.sampled_from([None, 1, 2]))
def test_every_value_of_a_json_text_is_where_it_is_said_to_be(tree, indent):
    text = json.dumps(tree, indent=indent)
    offsets = [at for _path, at in values_in(text, 0, "")]
    read = [json.JSONDecoder().raw_decode(text, at)[0] for at in offsets]
    assert read == list(every_value(tree))


def every_value(value):
    yield value
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inside:
        yield from every_value(each)


def test_of_a_name_that_stands_twice_the_last_counts():
    found = place_of('{"a": [1],\n "a": [2]}', "a")
    assert found and found.line == 2
