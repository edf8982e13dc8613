"""Form parameters: parsing and checking, without a server."""

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.errors import ApiError
from sandbox.params import Array, Bool, Dec, Enum, Hash, Int, Map, Metadata, OneOf, Str, Timestamp, check, parse_form

SHAPE = {
    "name": Str(required=True, max_length=10),
    "description": Str(unset=True),
    "quantity": Int(min=1, max=100),
    "active": Bool(),
    "interval": Enum("day", "week", "month"),
    "rate": Dec(),
    "metadata": Metadata(),
    "until": Timestamp(words=("now",)),
    "items": Array(Hash({"price": Str(required=True), "quantity": Int()})),
    "options": Map(Hash({"amount": Int()})),
    "up_to": OneOf(Enum("inf"), Int()),
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1&b=", {"a": "1", "b": ""}),
        ("a[b][c]=1", {"a": {"b": {"c": "1"}}}),
        ("a[]=1&a[]=2", {"a": {"0": "1", "1": "2"}}),
        ("a[0][b]=1&a[0][c]=2&a[1][b]=3", {"a": {"0": {"b": "1", "c": "2"}, "1": {"b": "3"}}}),
        # without indices a repeated key begins the next element
        ("a[][b]=1&a[][c]=2&a[][b]=3", {"a": {"0": {"b": "1", "c": "2"}, "1": {"b": "3"}}}),
        ("name=%E6%B1%BA%E6%B8%88+1", {"name": "決済 1"}),
    ],
)
def test_it_reads_nested_forms(text: str, value: dict[str, Any]) -> None:
    assert parse_form(text) == value


TEXTS = st.text(max_size=8)
KEYS = st.text("abcdefgh_0123456789", min_size=1, max_size=5)


@settings(max_examples=40)
@given(
    items=st.lists(
        st.dictionaries(st.sampled_from(["price", "quantity"]), TEXTS.filter(bool), min_size=1), max_size=12
    ),
    pairs=st.dictionaries(KEYS, TEXTS, max_size=5),
    indexed=st.booleans(),
)
def test_what_a_client_encodes_comes_out_the_same(
    items: list[dict[str, str]], pairs: dict[str, str], indexed: bool
) -> None:
    """Libraries write `items[0][price]`, some `items[][price]`; keys of metadata may be numbers."""
    shape = {"items": Array(Map(Str())), "metadata": Metadata()}
    form = [
        (f"items[{number if indexed else ''}][{key}]", value)
        for number, item in enumerate(items)
        for key, value in (item if indexed else {"price": "p", **item}).items()
    ] + [(f"metadata[{key}]", value) for key, value in pairs.items()]
    expected = items if indexed else [{"price": "p", **item} for item in items]
    given_back = check(shape, parse_form(urlencode(form)))
    assert given_back.get("items", []) == expected
    assert given_back.get("metadata", {}) == pairs


def test_the_order_of_a_list_is_that_of_its_indices() -> None:
    assert check({"a": Array(Str())}, parse_form("a[10]=3&a[2]=2&a[0]=1")) == {"a": ["1", "2", "3"]}


@pytest.mark.parametrize("text", ["a[x]=1", "a[²]=1", "a=1", "a[-1]=1"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="Invalid array"):
        check({"a": Array(Str())}, parse_form(text))


def test_a_name_without_end_is_refused() -> None:
    with pytest.raises(ApiError, match="Invalid parameter name"):
        parse_form("a" + "[b]" * 5000 + "=1")


def test_it_types_what_fits() -> None:
    text = (
        "name=x&description=&quantity=3&active=true&interval=week&rate=0.25&metadata[a]=1&until=now"
        "&items[0][price]=p&items[0][quantity]=2&options[jpy][amount]=5&up_to=7"
    )
    assert check(SHAPE, parse_form(text)) == {
        "name": "x",
        "description": None,
        "quantity": 3,
        "active": True,
        "interval": "week",
        "rate": Decimal("0.25"),
        "metadata": {"a": "1"},
        "until": "now",
        "items": [{"price": "p", "quantity": 2}],
        "options": {"jpy": {"amount": 5}},
        "up_to": 7,
    }


@pytest.mark.parametrize(
    ("text", "code", "param", "message"),
    [
        ("", "parameter_missing", "name", "Missing required param: name."),
        ("name=x&foo=1", "parameter_unknown", "foo", "Received unknown parameter: foo"),
        ("name=x&foo=1&bar=2", "parameter_unknown", "foo", "Received unknown parameters: foo, bar"),
        (
            "name=x&quantiti=1",
            "parameter_unknown",
            "quantiti",
            "Received unknown parameter: quantiti. Did you mean quantity?",
        ),
        ("name=x&quantity=abc", "parameter_invalid_integer", "quantity", "Invalid integer: abc"),
        ("name=x&quantity=1.5", "parameter_invalid_integer", "quantity", "Invalid integer: 1.5"),
        (
            "name=x&quantity=0",
            "parameter_invalid_integer",
            "quantity",
            "This value must be greater than or equal to 1.",
        ),
        (
            "name=x&quantity=101",
            "parameter_invalid_integer",
            "quantity",
            "This value must be less than or equal to 100.",
        ),
        ("name=x&active=maybe", None, "active", "Invalid boolean: maybe"),
        ("name=x&interval=year", None, "interval", "Invalid interval: must be one of day, week, or month"),
        ("name=x&rate=abc", "parameter_invalid_decimal", "rate", "Invalid decimal: abc"),
        ("name=x&rate=NaN", "parameter_invalid_decimal", "rate", "Invalid decimal: NaN"),
        ("name=x&items=1", None, "items", "Invalid array"),
        ("name=x&options=1", None, "options", "Invalid object"),
        ("name[a]=x", None, "name", 'Invalid string: {"a"=>"x"}'),
        (
            "name=x&items[0][quantity]=1",
            "parameter_missing",
            "items[0][price]",
            "Missing required param: items[0][price].",
        ),
        (
            "name=x&items[0][price]=p&items[0][colour]=1",
            "parameter_unknown",
            "items[0][colour]",
            "Received unknown parameter: items[0][colour]",
        ),
        ("name=x&metadata[a][b]=1", None, "metadata[a]", "Metadata values must be strings, but you passed in a hash."),
    ],
)
def test_it_refuses_in_stripes_words(text: str, code: str | None, param: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        check(SHAPE, parse_form(text))
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, param)
    assert caught.value.message == message


def test_an_empty_string_for_what_cannot_be_unset_is_refused() -> None:
    with pytest.raises(ApiError) as caught:
        check(SHAPE, {"name": ""})
    assert (caught.value.code, caught.value.param) == ("parameter_invalid_empty", "name")
    assert caught.value.message.startswith("You passed an empty string for 'name'.")


@pytest.mark.parametrize("pairs", [{f"k{number}": "v" for number in range(51)}, {"k" * 41: "v"}, {"k": "v" * 501}])
def test_metadata_has_limits(pairs: dict[str, str]) -> None:
    with pytest.raises(ApiError):
        check(SHAPE, {"name": "x", "metadata": pairs})
