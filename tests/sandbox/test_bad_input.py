"""What is asked for wrongly, at every address of the API: the answers are Stripe's, and nothing is done.

The table is made from the routes: a route added tomorrow is in it. Source: Stripe docs, "Error codes", "Errors".
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from sandbox import params
from sandbox.app import Call, answer
from sandbox.clock import Clock
from sandbox.discovery import discover
from sandbox.engine import Engine
from sandbox.params import Param, Shape
from sandbox.resources.method_options import ConfirmationNumber
from sandbox.routes import ROUTES, Route
from sandbox.store import Store

discover()
ADDRESSES = sorted(ROUTES, key=lambda route: (route.path, route.method))
OTHERWISE = {
    "GET /v1/accounts/{id}": (403, "account_invalid"),
    **dict.fromkeys((f"{method} /v1/subscription_items/{{id}}" for method in ("DELETE", "GET", "POST")), (404, None)),
}
"""What Stripe answers to a missing object where it is not a 404 `resource_missing`."""
Wrong = tuple[str, Any, str | None, str]
"""A parameter's full name, what is sent for it, the code and the beginning of the message of the answer."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    data: Path = tmp_path_factory.mktemp("bad_input")
    store = Store(data)
    with store.write() as tx:
        tx.sql("INSERT INTO api_keys VALUES ('rk_test_nothing1', '{\"*\": \"none\"}', 0)")
    yield Engine(store, Clock(wall=lambda: 1_800_000_000), "http://sandbox.example", (10,))
    with store.read() as tx:
        assert tx.sql("SELECT kind, id FROM objects").fetchall() == [], "something was done"
    store.close()


def ask(
    engine: Engine, route: Route, sent: dict[str, Any], *, key: str = "sk_test_123", idempotency_key: str = ""
) -> tuple[int, Any]:
    """The answer to parameters in the nested form of parse_form; ids in the path name nothing."""
    path = "/".join("none_1" if part.startswith("{") else part for part in route.path.split("/"))
    headers = {"content-type": "application/x-www-form-urlencoded"}
    headers |= {"authorization": f"Bearer {key}"} if key else {}
    headers |= {"idempotency-key": idempotency_key} if idempotency_key else {}
    body, query = b"", ""
    if route.method != "POST":
        query = urlencode(list(flat(sent)))
    elif path.startswith("/v2/"):
        body, headers["content-type"] = json.dumps(sent).encode(), "application/json"
    else:
        body = urlencode(list(flat(sent))).encode()
    said = answer(engine, Call(route.method, path, query, headers, body, "http://sandbox.example"))
    return said.status_code, json.loads(bytes(said.body))


def flat(sent: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if not isinstance(sent, dict):
        yield name, sent
        return
    for key, value in sent.items():
        yield from flat(value, f"{name}[{key}]" if name else key)


def each(addresses: list[Route]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("route", addresses, ids=[f"{one.method} {one.path}" for one in addresses])


def required(shape: Shape) -> dict[str, Any]:
    return {name: example(param) for name, param in shape.items() if param.required}


def example(param: Param) -> Any:
    """Something that this parameter takes."""
    if isinstance(param, params.OneOf):
        return example(param.choices[0])
    if isinstance(param, params.Hash):
        return filled(param.shape)
    if isinstance(param, params.MethodTypes):
        return {"0": "card"}
    if isinstance(param, params.Array):
        return {"0": example(param.item)}
    if isinstance(param, params.Map):
        return {"a": example(param.item)}
    if isinstance(param, params.Enum):
        return param.options[0]
    if isinstance(param, params.Metadata):
        return {"a": "b"}
    if isinstance(param, params.Timestamp):
        return "1800000000"
    if isinstance(param, params.Int):
        return str(max(param.min or 0, 1))
    simple = {
        params.Bool: "true", params.Dec: "1", params.Url: "https://shop.example", ConfirmationNumber: "0312345678",
        params.Rfc3339: "2026-01-31T12:00:00.000Z",
    }  # fmt: skip
    return simple.get(type(param), "x")


def filled(shape: Shape) -> dict[str, Any]:
    """A hash with what it needs, or with anything: a form cannot say that a hash is empty."""
    return required(shape) or {name: example(param) for name, param in list(shape.items())[:1]}


def wrongs(shape: Shape, path: str = "") -> Iterator[Wrong]:
    """Everything that can be wrong with one parameter of a shape, at whatever depth."""
    for name, param in shape.items():
        yield from wrong(param, f"{path}[{name}]" if path else name)
    if path:
        yield f"{path}[nonsense]", "1", "parameter_unknown", "Received unknown parameter"


def wrong(param: Param, full: str) -> Iterator[Wrong]:
    if isinstance(param, (params.Ignored, params.OneOf)):
        return
    if not param.unset:
        yield full, "", "parameter_invalid_empty", f"You passed an empty string for '{full}'."
    yield from of_its_kind(param, full)
    if isinstance(param, params.Hash):
        yield from wrongs(param.shape, full)
    if isinstance(param, params.Array):
        yield from wrong(param.item, f"{full}[0]")


def of_its_kind(param: Param, full: str) -> Iterator[Wrong]:
    """A value of another type."""
    if isinstance(param, (params.Timestamp, params.Rfc3339)):
        form = "an integer Unix timestamp" if isinstance(param, params.Timestamp) else "an RFC 3339 time"
        yield full, "tomorrow", None, f"Invalid timestamp: tomorrow. Must be {form}"
    elif isinstance(param, params.Int):
        yield full, "1.5", "parameter_invalid_integer", "Invalid integer: 1.5"
        if param.min is not None:
            yield full, str(param.min - 1), "parameter_invalid_integer", "This value must be greater than or equal to"
    elif isinstance(param, params.Bool):
        yield full, "perhaps", None, "Invalid boolean: perhaps"
    elif isinstance(param, params.Dec):
        yield full, "much", "parameter_invalid_decimal", "Invalid decimal: much"
    elif isinstance(param, params.Enum):
        yield full, "nonsense", None, f"Invalid {full}: must be "
    elif isinstance(param, params.Array):
        yield full, "text", None, "Invalid array"
    elif isinstance(param, (params.Hash, params.Map, params.Metadata)):
        yield full, "text", None, "Invalid object"
    elif isinstance(param, params.Str):
        yield full, {"a": "b"}, None, "Invalid string: {"


def with_wrong(shape: Shape, full: str, value: Any) -> dict[str, Any]:
    """What a parameter needs around it, and itself gone wrong."""
    sent = required(shape)
    names = full.replace("]", "").split("[")
    holder: Any = sent
    around: Any = params.Hash(shape)
    for name in names[:-1]:
        around = inside(around, name)
        holder = holder.setdefault(name, example(around))
    holder[names[-1]] = value
    return sent


def inside(param: Any, name: str) -> Any:
    return param.item if isinstance(param, params.Array) else param.shape[name]


every_address = each(ADDRESSES)
OF_ONE = [route for route in ADDRESSES if "{" in route.path]
"""The addresses that name an object."""
LISTS = [
    route
    for route in ADDRESSES
    if "starting_after" in route.params and not required(route.params) and route not in OF_ONE
    # Of connected accounts there are none, so that no page of them is ever the second.
    and route.path != "/v1/accounts"
]  # fmt: skip


@every_address
def test_a_parameter_that_there_is_not_is_named(engine: Engine, route: Route) -> None:
    status, said = ask(engine, route, required(route.params) | {"nonsense": "1"})
    error = said["error"]
    assert (status, error["type"], error["code"]) == (400, "invalid_request_error", "parameter_unknown")
    assert (error["param"], error["message"]) == ("nonsense", "Received unknown parameter: nonsense")


@every_address
def test_a_parameter_of_a_wrong_type_is_named(engine: Engine, route: Route) -> None:
    for full, value, code, words in wrongs(route.params):
        sent = with_wrong(route.params, full, value)
        status, said = ask(engine, route, sent)
        error = said.get("error") or pytest.fail(f"{sent} was taken")
        assert (status, error["type"]) == (400, "invalid_request_error"), sent
        assert (error.get("code"), error.get("param")) == (code, full), (sent, error["message"])
        assert error["message"].startswith(words), sent


@each([route for route in ADDRESSES if required(route.params)])
def test_a_parameter_that_must_be_there_is_asked_for(engine: Engine, route: Route) -> None:
    needed = required(route.params)
    for name in needed:
        status, said = ask(engine, route, {other: value for other, value in needed.items() if other != name})
        error = said["error"]
        assert (status, error["code"], error["param"]) == (400, "parameter_missing", name)
        assert error["message"] == f"Missing required param: {name}."


@each(OF_ONE)
def test_what_an_address_names_must_exist(engine: Engine, route: Route) -> None:
    status, said = ask(engine, route, required(route.params))
    error = said.get("error") or pytest.fail(f"{route.path} answers {said}")
    status_and_code = OTHERWISE.get(f"{route.method} {route.path}", (404, "resource_missing"))
    assert (status, error.get("code"), error["type"]) == (*status_and_code, "invalid_request_error")
    assert "none_1" in error["message"]
    assert error.get("param") or route.path.startswith(("/v1/accounts", "/v1/subscription_items"))


@pytest.mark.parametrize("side", ["starting_after", "ending_before"])
@each(LISTS)
def test_a_page_begins_beside_something_that_there_is(engine: Engine, route: Route, side: str) -> None:
    status, said = ask(engine, route, {side: "none_1"})
    error = said.get("error") or pytest.fail(f"{route.path} answers {said}")
    assert (status, error["code"], error["param"]) == (400, "resource_missing", side)


@every_address
def test_it_wants_a_key_that_may_do_this(engine: Engine, route: Route) -> None:
    sent = required(route.params)
    status, said = ask(engine, route, sent, key="")
    assert (status, said["error"]["type"]) == (401, "invalid_request_error")
    assert said["error"]["message"].startswith("You did not provide an API key.")
    status, said = ask(engine, route, sent, key="secret")
    assert (status, said["error"]["message"]) == (401, "Invalid API Key provided: sec***")
    status, said = ask(engine, route, sent, key="rk_test_nothing1")
    permission = f"rak_{route.resource.removesuffix('s')}_{'read' if route.method == 'GET' else 'write'}"
    assert (status, permission in said["error"]["message"]) == (403, True)
    if not route.publishable:
        status, said = ask(engine, route, sent, key="pk_test_123")
        assert (status, said["error"]["code"]) == (403, "secret_key_required")


@each([route for route in OF_ONE if route.method == "POST"])
def test_a_key_of_repetition_is_for_one_request_alone(engine: Engine, route: Route) -> None:
    once, name = required(route.params), f"{route.path}:1"
    first = ask(engine, route, once, idempotency_key=name)
    assert ask(engine, route, once, idempotency_key=name)[1] == first[1]
    status, said = ask(engine, route, once | {"expand": {"0": "customer"}}, idempotency_key=name)
    assert (status, said["error"]["type"]) == (400, "idempotency_error")
