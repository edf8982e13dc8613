"""JSONPath: what is put at a reference path is found there, and nothing else has changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.workflows.asl.paths import InvalidPath, NoResult, is_reference, parse_path, put

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.lists(st.sampled_from(["a", "b", "long name", "with'quote"]), min_size=1, max_size=4)


def bracketed(keys: list[str]) -> str:
    escaped = [key.replace("'", "\\'") for key in keys]
    return "$" + "".join(f"['{key}']" for key in escaped)


@given(root=st.dictionaries(st.sampled_from("abc"), st.none()), keys=KEYS, value=JSON)
def test_what_is_put_is_found(root, keys, value):
    path = parse_path(bracketed(keys))
    try:
        changed = put(path, {key: {} for key in root}, value)
    except InvalidPath:
        pytest.fail("objects can be put into objects")
    assert path.find(changed) == value


@given(root=JSON, keys=KEYS, value=JSON)
def test_putting_leaves_the_root_as_it_was(root, keys, value):
    before = repr(root)
    try:
        put(parse_path(bracketed(keys)), root, value)
    except InvalidPath:
        assert root is not None
    assert repr(root) == before


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", {"a": [{"n": 1, "t": "x"}, {"n": 2, "t": "y"}, {"n": 3}], "b": {"n": 4}}),
        ("$.a[0].n", 1),
        ("$['a'][-1]['n']", 3),
        ("$.a[*].n", [1, 2, 3]),
        ("$.a[0,2].n", [1, 3]),
        ("$.a[1:].n", [2, 3]),
        ("$.a[:-1].n", [1, 2]),
        ("$..n", [1, 2, 3, 4]),
        ("$.a[?(@.n > 1)].n", [2, 3]),
        ("$.a[?(@.n > 1 && @.t == 'y')].n", [2]),
        ("$.a[?(@.n == 1 || !(@.t))].n", [1, 3]),
        ("$.a[?(@.t)].t", ["x", "y"]),
        ("$.a[7:]", []),
        ("$.a.length()", 3),
        ("$.b['n','m']", [4]),
    ],
)
def test_it_finds(path, found):
    root = {"a": [{"n": 1, "t": "x"}, {"n": 2, "t": "y"}, {"n": 3}], "b": {"n": 4}}
    assert parse_path(path).find(root) == found


def test_a_definite_path_that_leads_nowhere_says_where():
    with pytest.raises(NoResult, match=r"\$\['a'\]\['b'\]"):
        parse_path("$.a.b.c").find({"a": {}})


@pytest.mark.parametrize("text", ["", "a", "$.", "$[", "$['a'", "$.a[?(@.b ==)]", "$.a b", "$[a]", "$.a[1", "$$$"])
def test_it_refuses_what_is_no_path(text):
    with pytest.raises(InvalidPath, match="cannot be read at character"):
        parse_path(text)


@pytest.mark.parametrize(("text", "reference"), [("$.a[0]", True), ("$", True), ("$.a[*]", False), ("$..a", False)])
def test_a_reference_names_one_place(text, reference):
    assert is_reference(parse_path(text)) is reference
