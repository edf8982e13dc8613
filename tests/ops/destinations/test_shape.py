"""What a request looks like. Path values stay where they are put, whatever they hold."""

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.effects.destinations.shape import Added, Unsendable, Wish, shaped_body, shaped_headers, shaped_url

NOTHING = Added()


def wish(body: str = "{}", **parameters: Any) -> Wish:
    named = {"path": "PathParameterValues", "query": "QueryStringParameters", "headers": "HeaderParameters"}
    return Wish(body, "key", {named[name]: value for name, value in parameters.items()})


def url(endpoint: str, added: Added = NOTHING, **parameters: Any) -> str:
    return shaped_url(endpoint, wish(**parameters), added)


def headers(added: Added = NOTHING, ours: Any = (), **parameters: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in shaped_headers(wish(**parameters), added, ours, with_body=True)}


def test_each_star_of_the_path_takes_a_value_in_order():
    assert url("https://a.example/x/*/y/*", path=["1", "b c"]) == "https://a.example/x/1/y/b%20c"
    assert url("https://a.example/v1-*.json", path=[7]) == "https://a.example/v1-7.json"


@given(values=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1, max_size=4))
def test_a_path_value_comes_out_as_it_went_in_and_changes_nothing_around_it(values):
    endpoint = "https://a.example:8443/v1/" + "/".join("*" for _value in values) + "?fixed=1"
    try:
        parts = urlsplit(url(endpoint, path=values))
    except Unsendable as error:
        assert any(value in (".", "..") for value in values) or error.name == "AddressTooLong"
        return
    assert (parts.scheme, parts.netloc, parts.query) == ("https", "a.example:8443", "fixed=1")
    assert [unquote(segment) for segment in parts.path.split("/")[2:]] == values


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_a_query_value_comes_out_as_it_went_in(query):
    try:
        parts = urlsplit(url("https://a.example/x", query=query))
    except Unsendable as error:
        assert error.name == "AddressTooLong"
        return
    assert dict(parse_qsl(parts.query, keep_blank_values=True)) == query
    assert (parts.netloc, parts.path, parts.fragment) == ("a.example", "/x", "")


# path values, and why they are refused
@pytest.mark.parametrize(
    ("endpoint", "values", "name"),
    [
        ("https://a.example/*", [], "PathValuesDiffer"),
        ("https://a.example/*", ["a", "b"], "PathValuesDiffer"),
        ("https://a.example/x", ["a"], "PathValuesDiffer"),
        ("https://a.example/*/y", [""], "PathValueEmpty"),
        ("https://a.example/*/admin", [".."], "PathValueMalformed"),
        ("https://a.example/.*/admin", ["."], "PathValueMalformed"),
        ("https://a.example/*", ["a\nb"], "PathValueMalformed"),
        ("https://a.example/*", [["a"]], "ParametersMalformed"),
        ("https://a.example/*", "a", "ParametersMalformed"),
        ("https://a.example/*", [None], "ParametersMalformed"),
    ],
)
def test_path_values_that_would_lead_elsewhere_are_refused(endpoint, values, name):
    with pytest.raises(Unsendable) as refused:
        url(endpoint, path=values)
    assert refused.value.name == name


def test_a_name_of_another_script_is_written_as_dns_knows_it():
    assert url("https://bücher.example/ä").startswith("https://xn--bcher-kva.example/%C3%A4")


def test_a_connection_s_query_parameter_takes_the_place_of_a_target_s_and_an_endpoint_s():
    made = url("https://a.example/x?a=1&b=1", Added(query=[("a", "3")]), query={"a": "2", "c": "2"})
    assert made == "https://a.example/x?b=1&c=2&a=3"


def test_a_connection_s_header_takes_the_place_of_a_target_s_and_ours_of_both():
    made = headers(
        Added(headers=[("X-Team", "billing")]), [("Authorization", "Basic x")],
        headers={"x-team": "sales", "authorization": "mine", "Content-Type": "text/plain"},
    )  # fmt: skip
    assert (made["x-team"], made["authorization"], made["content-type"]) == ("billing", "Basic x", "text/plain")


def test_headers_of_the_connection_itself_and_ours_are_not_taken():
    said = {"Host": "evil", "Content-Length": "1", "Transfer-Encoding": "chunked", "Webhook-Id": "x", "User-Agent": "y"}
    made = headers(headers=said)
    assert not {"host", "content-length", "transfer-encoding", "webhook-id"} & set(made)
    assert made["user-agent"].startswith("Kessai")
    assert made["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("name", "value"), [("X-A", "a\r\nX-B: c"), ("X-A", "円"), ("X A", "a"), ("", "a"), ("X-A", "\x00")]
)
def test_a_header_that_http_does_not_allow_is_refused(name, value):
    with pytest.raises(Unsendable) as refused:
        headers(headers={name: value})
    assert refused.value.name == "HeaderMalformed"
    assert "円" not in refused.value.error


def test_a_connection_s_body_parameters_join_the_body():
    added = Added(body=[("team", "billing"), ("amount", "0")])
    assert json.loads(shaped_body("POST", wish('{"amount": 5000, "円": 1}'), added)) == {
        "amount": "0", "円": 1, "team": "billing",
    }  # fmt: skip
    assert json.loads(shaped_body("POST", wish(""), added)) == {"team": "billing", "amount": "0"}


@pytest.mark.parametrize("body", ["[1]", '"text"', "not JSON", "5"])
def test_where_a_connection_adds_to_the_body_it_must_be_an_object(body):
    with pytest.raises(Unsendable) as refused:
        shaped_body("POST", wish(body), Added(body=[("a", "b")]))
    assert refused.value.name == "BodyIsNoObject"


def test_without_additions_a_body_goes_as_it_is_and_a_get_has_none():
    assert shaped_body("POST", wish("  any text"), NOTHING) == "  any text"
    assert shaped_body("GET", wish("{}"), NOTHING) == ""


def test_a_body_beyond_a_megabyte_is_refused():
    with pytest.raises(Unsendable) as refused:
        shaped_body("POST", wish("円" * 400_000), NOTHING)
    assert refused.value.name == "BodyTooLong"
