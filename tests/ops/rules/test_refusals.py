"""What EventBridge refuses is refused: where, why, and with what would be right."""

import json

import pytest

from ops.rules import refusals
from ops.rules.patterns import InvalidPattern, compile_pattern


def key(*entries: object) -> str:
    return json.dumps({"detail": {"status": list(entries)}})


REFUSED = [
    ("{'a': ['b']}", "", refusals.NOT_JSON),
    ('{"a": [NaN]}', "", refusals.NOT_JSON),
    ('{"a": ["b"]} more', "", refusals.NOT_JSON),
    ("[1]", "", refusals.NOT_AN_OBJECT),
    ('"text"', "", refusals.NOT_AN_OBJECT),
    ("{}", "", refusals.EMPTY_OBJECT),
    ('{"detail": {}}', "detail", refusals.EMPTY_OBJECT),
    ('{"detail": {"status": []}}', "detail.status", refusals.EMPTY_ARRAY),
    ('{"detail": {"status": "paid"}}', "detail.status", refusals.NOT_ARRAY_OR_OBJECT),
    (key(["paid"]), "detail.status[0]", refusals.NOT_A_VALUE),
    (key("paid", {}), "detail.status[1]", refusals.ONE_OPERATOR),
    (key({"prefix": "a", "suffix": "b"}), "detail.status[0]", refusals.ONE_OPERATOR),
    ('{"a": [{"prefix": "a", "prefix": "b"}]}', "a[0]", refusals.ONE_OPERATOR),
    (key({"Prefix": "a"}), "detail.status[0]", refusals.UNKNOWN_OPERATOR),
    (key({"prefix": 5}), "detail.status[0].prefix", refusals.MUST_BE_TEXT),
    (key({"suffix": ["a"]}), "detail.status[0].suffix", refusals.MUST_BE_TEXT),
    (key({"prefix": {"wildcard": "a"}}), "detail.status[0].prefix", refusals.ONLY_IGNORE_CASE),
    (key({"prefix": {"equals-ignore-case": 1}}), "detail.status[0].prefix.equals-ignore-case", refusals.MUST_BE_TEXT),
    (key({"exists": "true"}), "detail.status[0].exists", refusals.EXISTS_TAKES_BOOLEAN),
    (key({"wildcard": "a**"}), "detail.status[0].wildcard", refusals.WILDCARDS_SIDE_BY_SIDE),
    (key({"wildcard": "a\\b"}), "detail.status[0].wildcard", refusals.BAD_ESCAPE),
    (key({"wildcard": "*:*:*:*:*:event-bus/*"}), "detail.status", refusals.TOO_COMPLEX),
    (key({"anything-but": None}), "detail.status[0].anything-but", refusals.ANYTHING_BUT_TAKES),
    (key({"anything-but": []}), "detail.status[0].anything-but", refusals.ANYTHING_BUT_MIXED),
    (key({"anything-but": ["a", 1]}), "detail.status[0].anything-but", refusals.ANYTHING_BUT_MIXED),
    (key({"anything-but": {"cidr": "10.0.0.0/8"}}), "detail.status[0].anything-but", refusals.ANYTHING_BUT_OPERATOR),
    (key({"anything-but": {"prefix": ""}}), "detail.status[0].anything-but.prefix", refusals.EMPTY_AFFIX),
    (key({"anything-but": {"suffix": []}}), "detail.status", refusals.EMPTY_ARRAY),
    (key({"numeric": 5}), "detail.status[0].numeric", refusals.NUMERIC_TAKES_ARRAY),
    (key({"numeric": []}), "detail.status[0].numeric", refusals.NUMERIC_OPERATOR),
    (key({"numeric": ["~", 5]}), "detail.status[0].numeric", refusals.NUMERIC_OPERATOR),
    (key({"numeric": [">"]}), "detail.status[0].numeric", refusals.NUMERIC_TAKES_NUMBER),
    (key({"numeric": [">", "5"]}), "detail.status[0].numeric", refusals.NUMERIC_TAKES_NUMBER),
    (key({"numeric": [">", True]}), "detail.status[0].numeric", refusals.NUMERIC_TAKES_NUMBER),
    (key({"numeric": ["<", 5, ">", 1]}), "detail.status[0].numeric", refusals.NUMERIC_TOO_MANY),
    (key({"numeric": [">", 0, ">", 5]}), "detail.status[0].numeric", refusals.NUMERIC_UPPER),
    (key({"numeric": [">=", 5, "<=", 5]}), "detail.status[0].numeric", refusals.NUMERIC_ORDER),
    ('{"a": [{"numeric": ["=", 1e309]}]}', "a[0].numeric", refusals.NOT_COMPARABLE),
    (key({"cidr": "10.0.0.0"}), "detail.status[0].cidr", refusals.CIDR_SHAPE),
    (key({"cidr": "300.0.0.0/8"}), "detail.status[0].cidr", refusals.CIDR_ADDRESS),
    (key({"cidr": "10.0.0.0/32"}), "detail.status[0].cidr", refusals.CIDR_BITS),
    (key({"cidr": "::/128"}), "detail.status[0].cidr", refusals.CIDR_BITS),
    ('{"$or": [{"a": [1]}]}', "$or", refusals.OR_TAKES_OBJECTS),
    ('{"$or": [{"a": [1]}, {"prefix": [{"numeric": 1}]}]}', "$or[1].prefix", refusals.OR_RESERVED),
]


@pytest.mark.parametrize(("text", "path", "refusal"), REFUSED)
def test_a_pattern_is_refused_with_path_and_reason(text, path, refusal):
    with pytest.raises(InvalidPattern) as refused:
        compile_pattern(text)
    assert (refused.value.path, refused.value.refusal) == (path, refusal)
    assert refused.value.reason.endswith((".", ")"))
    assert "%" not in refused.value.reason


@pytest.mark.parametrize("refusal", {id(row[2]): row[2] for row in REFUSED}.values(), ids=lambda it: it.sentence[:30])
def test_the_example_of_a_refusal_is_right(refusal):
    """Each example stands in a pattern, in an array of alternatives, or as one alternative."""
    if refusal.example:
        example = json.loads(refusal.example % {"operator": "prefix"})
        ways = [{"key": [example]}, {"key": example}, example]
        assert any(accepted(way) for way in ways)


def accepted(pattern: object) -> bool:
    try:
        return bool(compile_pattern(json.dumps(pattern)))
    except InvalidPattern:
        return False


def test_a_thousand_combinations_are_the_most():
    four = {"$or": [{key: [1]} for key in "abcd"]}
    pattern: dict[str, object] = {f"part{n}": four for n in range(4)}  # 256
    compile_pattern(pattern)
    with pytest.raises(InvalidPattern) as refused:
        compile_pattern({**pattern, "part4": four})
    assert refused.value.refusal is refusals.OR_TOO_MANY


@pytest.mark.parametrize("depth", [200, 600])
def test_a_pattern_nested_too_deeply_is_refused(depth):
    with pytest.raises(InvalidPattern) as refused:
        compile_pattern('{"a":' * depth + "[1]" + "}" * depth)
    assert refused.value.refusal is refusals.TOO_DEEP


@pytest.mark.parametrize("pattern", [{"a": ["x" * 4096]}, json.dumps({"a": ["x" * 4096]})])
def test_a_pattern_longer_than_eventbridge_takes_is_refused(pattern):
    with pytest.raises(InvalidPattern) as refused:
        compile_pattern(pattern)
    assert refused.value.refusal is refusals.TOO_LONG


def test_bad_json_is_told_by_line_and_column():
    with pytest.raises(InvalidPattern, match=r"line 2, column 9"):
        compile_pattern('{"a": ["x"],\n "b": [ y]}')


def test_wildcards_of_one_key_are_judged_together():
    stacks = [{"wildcard": f"*:stack/{name}/*"} for name in ("Shared", "Data", "Service", "Monitoring")]
    compile_pattern({"a": stacks[:3]})
    compile_pattern({"a": stacks[:2], "b": stacks[2:]})
    with pytest.raises(InvalidPattern):
        compile_pattern({"a": stacks})
