"""JSONata as its documents have it, and as Step Functions changes it: what JSONata's own suite does not ask."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.workflows.asl.errors import StateFailed
from ops.workflows.asl.jsonata import InvalidJsonata, compile_jsonata, evaluate_freely
from ops.workflows.asl.jsonata_library import number_text, text_of


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        # $string and &: numbers as JavaScript writes them, no escapes of what is no ASCII
        ("$string({'a': 0.1 + 0.2})", '{"a":0.3}'),
        ("$string({'a': '日本'})", '{"a":"日本"}'),
        ("$string([1, {}], true)", "[\n  1,\n  {}\n]"),
        ("$string([])", "[]"),
        ("5890840712243076 & ''", "5890840712243076"),
        ("1e21 & ''", "1e+21"),
        ("0.0000001 & ' ' & 0.000001", "1e-7 0.000001"),
        ("100 / 3 & ''", "33.3333333333333"),
        # $replace: groups, dollars, limits
        ("$replace('265USD', /([0-9]+)USD/, '$$$1')", "$265"),
        ("$replace('aaa', /a/, 'ab', 2)", "ababa"),
        ("$replace('aaa', 'a', '$1')", "$1$1$1"),
        ("$replace('x', /(x)/, '$12')", "x2"),
        # $split leaves out what separates
        ("$split('a1b2c', /([0-9])/)", ["a", "b", "c"]),
        ("$split('a, b; c', /[,;] */, 2)", ["a", "b"]),
        # $sort keeps the order of equals
        ("$sort(['bb', 'a', 'cc', 'd'], function($x, $y) { $length($x) > $length($y) })", ["a", "d", "bb", "cc"]),
        ("$toMillis('2018-02-03T11:15:33.001Z')", 1517656533001),
        ("$toMillis('2018-02')", 1517443200000),
        ("5.5 % 2", 1.5),
        ("-5 % 3", -2),
        ("$number('0b11')", 3),
    ],
)
def test_an_expression_gives_what_its_documents_say(expression: str, result: Any) -> None:
    found = evaluate_freely(expression, {}, {})
    assert (found, type(found)) == (result, type(result))


@pytest.mark.parametrize(
    "expression",
    ["$number('1_000')", "$number(' 1')", "$number('nan')", "$toMillis('2018-02-03 11:15:33')", "$match('a', /b*/)"],
)
def test_what_is_no_number_no_timestamp_and_no_match_is_an_error(expression: str) -> None:
    with pytest.raises(InvalidJsonata):
        evaluate_freely(expression, {}, {})


def test_states_have_no_eval() -> None:
    with pytest.raises(StateFailed, match="T1006"):
        compile_jsonata("$eval('1')").evaluate({}, "Output")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_written_is_that_number_to_fifteen_digits(number: float) -> None:
    assert float(number_text(number)) == pytest.approx(number, rel=1e-14, abs=1e-320)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values, st.booleans())
def test_a_value_written_is_its_json(value: Any, pretty: bool) -> None:
    assert text_of(value, pretty) == (
        json.dumps(value, ensure_ascii=False, indent=2)
        if pretty
        else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    )
