"""HTTP Tasks of workflows: the result, the errors and the encodings that Step Functions documents."""

import json

import pytest
from django.utils import timezone

from ops.effects import http
from ops.effects.destinations.models import ConnectionParameter, Place
from ops.effects.outcome import Done, Refused
from tests.ops.destinations.conftest import PASSWORD
from tests.ops.destinations.server import Reply

ARN = "arn:aws:events:local:000000000000:connection/crm-connection/1234"


@pytest.fixture
def invoke(crm, server):
    def invoke(path="/v1/things", **more):
        given = {"ApiEndpoint": server.url + path, "Method": "POST", "Authentication": {"ConnectionArn": ARN}, **more}
        return http.invoke(given, key="machine:run:1", now=timezone.now())

    return invoke


def test_the_answer_is_the_result(invoke, server):
    server.replies = [Reply(201, '{"id": "t_1"}', {"Content-Type": "application/json", "X-A": "b"})]
    done = invoke(RequestBody={"n": 1}, Headers={"X-Trace": "7"}, QueryParameters={"limit": 3, "tag": ["a", "b c"]})
    assert isinstance(done, Done)
    assert done.result["ResponseBody"] == {"id": "t_1"}
    assert (done.result["StatusCode"], done.result["StatusText"]) == (201, "Created")
    assert done.result["Headers"]["x-a"] == ["b"]
    (sent,) = server.received
    assert (sent.method, sent.path, sent.json) == ("POST", "/v1/things?limit=3&tag=a&tag=b%20c", {"n": 1})
    assert sent.headers["authorization"].startswith("Basic ")
    assert (sent.headers["x-trace"], sent.headers["idempotency-key"]) == ("7", "machine:run:1")


def test_a_body_that_is_no_json_is_text(invoke, server):
    server.replies = [Reply(200, "fine", {"Content-Type": "text/plain"})]
    assert invoke(Method="GET").result["ResponseBody"] == "fine"


@pytest.mark.parametrize("status", [301, 404, 429, 500])
def test_any_other_status_is_an_error_of_its_own(status, invoke, server):
    server.replies = [Reply(status, '{"no": true}', {"Content-Type": "application/json"})]
    refused = invoke()
    assert isinstance(refused, Refused)
    name, _, cause = refused.error.partition(": ")
    assert name == f"States.Http.StatusCode.{status}"
    assert json.loads(cause)["ResponseBody"] == {"no": True}
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("arrays", "sent"),
    [
        ("INDICES", "a%5B0%5D=1&a%5B1%5D=2&b%5Bc%5D=x"),
        ("REPEAT", "a=1&a=2&b%5Bc%5D=x"),
        ("BRACKETS", "a%5B%5D=1&a%5B%5D=2&b%5Bc%5D=x"),
        ("COMMAS", "a=1%2C2&b%5Bc%5D=x"),
    ],
)
def test_a_form_is_encoded_as_asked(arrays, sent, invoke, server):
    options = {"RequestBodyEncoding": "URL_ENCODED", "RequestEncodingOptions": {"ArrayFormat": arrays}}
    invoke(RequestBody={"a": [1, 2], "b": {"c": "x"}}, Transform=options)
    assert server.received[0].body == sent
    assert server.received[0].headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_connection_adds_its_parameters(invoke, server, crm):
    for place, name in [(Place.BODY, "team"), (Place.QUERY, "version"), (Place.HEADER, "X-Team")]:
        ConnectionParameter.objects.create(connection=crm.connection, place=place, name=name, value="7")
    invoke(RequestBody={"n": 1})
    (sent,) = server.received
    assert (sent.json, sent.path, sent.headers["x-team"]) == ({"n": 1, "team": "7"}, "/v1/things?version=7", "7")


def test_a_secret_that_comes_back_is_masked(invoke, server):
    server.replies = [Reply(400, f"wrong password {PASSWORD}", {"Content-Type": "text/plain"})]
    assert PASSWORD not in invoke().error


def test_an_answer_that_is_too_large_is_an_error(invoke, server):
    server.replies = [Reply(200, "a" * 300_000)]
    assert invoke().error.startswith("States.DataLimitExceeded: ")


def test_an_address_inside_is_not_called(invoke, server, settings):
    settings.DESTINATIONS_ALLOWED_NETWORKS = []
    assert invoke().error.startswith("States.Http.Socket: The host stands at 127.0.0.1")
    assert not server.received


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"Method": "TRACE"}, "States.Runtime"),
        ({"ApiEndpoint": "ftp://example.com"}, "States.Runtime"),
        ({"Authentication": None}, "Events.ConnectionResource.NotFound"),
        ({"Authentication": {"ConnectionArn": "arn:aws:events:a:1:connection/none"}}, "Events.ConnectionResource"),
        ({"Headers": {"X-A": "a\r\nb"}}, "States.Runtime"),
        ({"Bdoy": {}}, "States.Runtime"),
    ],
)
def test_what_is_written_wrongly_calls_nobody(more, error, invoke, server):
    assert invoke(**more).error.startswith(error)
    assert not server.received
