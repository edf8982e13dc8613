"""Why an event does not match: the first key that fails, what was wanted, what was there."""

import pytest
from hypothesis import given

from ops.rules.patterns import Failure, compile_pattern, explain
from tests.ops.rules.strategies import events, few, patterns

PAST_DUE = {
    "source": ["stripe.com"],
    "detail": {"status": ["past_due", {"prefix": "un"}], "trial_end": [{"exists": False}]},
}


@pytest.mark.parametrize(
    ("detail", "failure", "path", "found"),
    [
        ({"status": "active"}, Failure.DIFFERENT, "detail.status", ("active",)),
        ({"status": ["active", 1]}, Failure.DIFFERENT, "detail.status", ("active", 1)),
        ({}, Failure.MISSING, "detail.status", ()),
        ({"status": "unpaid", "trial_end": None}, Failure.PRESENT, "detail.trial_end", (None,)),
    ],
)
def test_the_first_key_that_fails_is_told(detail, failure, path, found):
    explanation = explain(compile_pattern(PAST_DUE), {"source": "stripe.com", "detail": detail})
    assert not explanation.matches
    assert (explanation.failure, explanation.path, explanation.found) == (failure, path, found)
    assert explanation.met[0] == "source"


def test_alternatives_are_told_as_they_were_written():
    explanation = explain(compile_pattern(PAST_DUE), {"source": "stripe.com", "detail": {"status": "active"}})
    assert explanation.wanted == ("past_due", {"prefix": "un"})


def test_keys_that_no_element_meets_together_are_told():
    pattern = compile_pattern({"type": ["x"], "lines": {"price": ["p1"], "quantity": [2]}})
    event = {"type": "x", "lines": [{"price": "p1", "quantity": 1}, {"price": "p2", "quantity": 2}]}
    explanation = explain(pattern, event)
    assert explanation.failure is Failure.APART
    assert explanation.together == ("lines.price", "lines.quantity")
    assert explanation.met == ("type",)


def test_of_an_or_the_branch_that_came_furthest_is_told():
    pattern = compile_pattern({"$or": [{"a": [1]}, {"b": [1], "c": [1]}]})
    explanation = explain(pattern, {"b": 1, "c": 2})
    assert (explanation.path, explanation.branch, explanation.branches) == ("c", 1, 2)


@few
@given(pattern=patterns(), event=events())
def test_an_explanation_agrees_with_the_match(pattern, event):
    compiled = compile_pattern(pattern)
    explanation = explain(compiled, event)
    assert explanation.matches == compiled.matches(event)
    assert explanation.matches or explanation.path
