"""Many rules against one event: the same as asking each."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.rules import matcher as matcher_module
from ops.rules.matcher import Matcher
from ops.rules.patterns import compile_pattern, read_event
from tests.ops.rules.strategies import events, few, patterns
from tests.vectors import vectors


@settings(few, max_examples=20)
@given(
    written=st.lists(patterns(), max_size=8),
    many=st.lists(events(), min_size=1, max_size=2),
    crowd_for_each_rare=st.sampled_from([1, 4, 2000]),
)
def test_it_finds_what_asking_each_rule_finds(written, many, crowd_for_each_rare):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matcher_module, "CROWD_FOR_EACH_RARE", crowd_for_each_rare)
        rules = {number: compile_pattern(pattern) for number, pattern in enumerate(written)}
        matcher = Matcher(rules)
    for event in many:
        assert matcher.match(event) == {number for number, rule in rules.items() if rule.matches(event)}


# One event that every rule here has an opinion on, and what each would say of it.
EVENT = read_event(
    '{"type": "invoice.paid", "amount": 100, "big": 12345678901234567890, "live": true, "ip": "10.0.0.7", "none": null,'
    ' "lines": [{"price": "p1", "n": 1}, {"price": "p2", "n": 2}], "tags": ["x", "y"], "a.b": "dotted", "twice": 1,'
    ' "twice": 2, "quote": "ab"}'
)
EXPECTED = {
    "text": ({"type": ["invoice.paid"]}, True),
    "prefix and suffix": ({"type": [{"prefix": "invoice."}], "quote": [{"suffix": "b"}]}, True),
    "ignoring case": ({"type": [{"equals-ignore-case": "INVOICE.PAID"}]}, True),
    "wildcard": ({"type": [{"wildcard": "in*.paid"}]}, True),
    "another wildcard": ({"type": [{"wildcard": "in*.void"}]}, False),
    "unlike": ({"type": [{"anything-but": ["invoice.void", "x"]}]}, True),
    "unlike itself": ({"type": [{"anything-but": ["invoice.paid", "x"]}]}, False),
    "unlike twice": ({"type": [{"anything-but": "invoice.paid"}, {"anything-but": "x"}]}, True),
    "number": ({"amount": [100.0]}, True),
    "range": ({"amount": [{"numeric": [">=", 100, "<", 101]}]}, True),
    "open range": ({"amount": [{"numeric": [">", 100, "<", 101]}]}, False),
    "long number": ({"big": [12345678901234567890]}, True),
    "long number in a range": ({"big": [{"numeric": [">", 0]}]}, False),
    "true": ({"live": [True]}, True),
    "true is not one": ({"live": [1]}, False),
    "null": ({"none": [None]}, True),
    "address": ({"ip": [{"cidr": "10.0.0.0/29"}]}, True),
    "absent": ({"missing": [{"exists": False}], "type": [{"exists": True}]}, True),
    "present": ({"type": [{"exists": False}]}, False),
    "together": ({"lines": {"price": ["p2"], "n": [2]}}, True),
    "apart": ({"lines": {"price": ["p1"], "n": [2]}}, False),
    "absent in one element": ({"lines": {"price": ["p1"], "tax": [{"exists": False}]}}, True),
    "one of an array": ({"tags": ["y"]}, True),
    "dotted": ({"a": {"b": ["dotted"]}}, True),
    "standing twice": ({"twice": [2]}, True),
    "or": ({"$or": [{"type": ["x"]}, {"tags": ["x"]}]}, True),
    "a prefix with a quote": ({"quote": [{"prefix": 'ab"'}]}, True),
}


@pytest.mark.parametrize("copies", [1, 40])
def test_rules_of_every_kind_are_found(copies):
    """Copies make each value common, so that rules are kept as bits in masks and not filed under values."""
    rules = {(name, n): compile_pattern(pattern) for name, (pattern, _) in EXPECTED.items() for n in range(copies)}
    found = {(name, n) for name, (_, expected) in EXPECTED.items() if expected for n in range(copies)}
    assert Matcher(rules).match(EVENT) == found


def test_no_rules_match_nothing():
    assert Matcher({}).match(EVENT) == set()


def test_a_changed_matcher_is_another_one():
    paid, void = (compile_pattern({"type": [text]}) for text in ("invoice.paid", "invoice.void"))
    before = Matcher({"one": paid, "two": paid})
    after = before.changed({"two": void, "three": paid}, removed=["one"])
    assert before.match(EVENT) == {"one", "two"}
    assert after.match(EVENT) == {"three"}


def test_threads_share_a_matcher():
    rules = {n: compile_pattern({"id": [f"e{n}"], "type": [{"prefix": f"t{n % 7}"}]}) for n in range(700)}
    matcher = Matcher(rules)

    def match_all(offset: int) -> list[set[int]]:
        order = [(n + offset) % 700 for n in range(700)]
        found = {n: matcher.match({"id": f"e{n}", "type": f"t{n % 7}.x"}) for n in order}
        return [found[n] for n in range(700)]

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(match_all, range(0, 700, 100)):
            assert found == [{n} for n in range(700)]


def test_it_remembers_no_more_than_so_many_texts():
    matcher = Matcher({n: compile_pattern({"type": [{"prefix": "a"}, {"suffix": "b"}]}) for n in range(5)})
    for n in range(2000):
        assert matcher.match({"type": f"a{n}"}) == set(range(5))
    assert all(len(index.known) <= 512 for index in matcher._indexes)


def test_a_thousand_rules_match_as_expected_on_stripe_events():
    folder = vectors("bench")
    lines = {
        name: (folder / f"{name}.jsonl").read_text().splitlines()
        for name in ("rules_1000", "events_200", "expected_matches")
    }
    rules = map(read_event, lines["rules_1000"])
    matcher = Matcher({rule["id"]: compile_pattern(rule["pattern"]) for rule in rules})
    for event, expected in zip(lines["events_200"], lines["expected_matches"], strict=True):
        assert matcher.match(read_event(event)) == set(read_event(expected)["rules"])
