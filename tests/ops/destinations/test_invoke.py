"""Calling a destination over HTTP, and what comes of it."""

import base64
import json
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from ops.effects.destinations.models import Authorization, Came, ConnectionParameter, DestinationRequest, Place
from ops.effects.outcome import Done, Refused, Retry
from ops.effects.sealing import seal
from tests.ops.destinations.conftest import PASSWORD, send
from tests.ops.destinations.server import Reply


def test_a_call_is_made_and_its_answer_is_the_result(server, crm):
    server.replies = [Reply(201, '{"id": "ticket_7"}')]
    assert send(crm) == Done({"status": 201, "body": {"id": "ticket_7"}})
    got = server.received[0]
    assert (got.method, got.path, got.json) == ("POST", "/hook", {"amount": 5000})
    assert got.headers["authorization"] == "Basic " + base64.b64encode(f"kessai:{PASSWORD}".encode()).decode()
    assert got.headers["idempotency-key"] == "big-invoices:evt_1:crm"
    assert got.headers["content-type"] == "application/json; charset=utf-8"
    assert "webhook-signature" not in got.headers


def test_an_api_key_goes_in_its_header(server, make):
    key = {"authorization": Authorization.API_KEY, "identity": "X-Api-Key", "sealed_secret": seal("key_123456")}
    send(make(connection=key), parameters={"HeaderParameters": {"x-api-key": "forged", "X-Trace": "t1"}})
    assert server.received[0].headers["x-api-key"] == "key_123456"
    assert server.received[0].headers["x-trace"] == "t1"
    assert "authorization" not in server.received[0].headers


def test_a_connection_s_parameters_go_with_every_call(server, crm):
    now = timezone.now()
    for place, name, secret, value in (
        (Place.HEADER, "X-Team", False, "billing"),
        (Place.HEADER, "X-Secret", True, "header-secret"),
        (Place.QUERY, "token", True, "query secret&="),
        (Place.BODY, "api_user", True, "body-secret"),
    ):
        clear, sealed = ("", seal(value)) if secret else (value, "")
        ConnectionParameter.objects.create(
            connection=crm.connection,
            place=place,
            name=name,
            secret=secret,
            value=clear,
            sealed_value=sealed,
            set_at=now,
        )
    assert isinstance(send(crm, parameters={"QueryStringParameters": {"a": "1", "token": "mine"}}), Done)
    got = server.received[0]
    assert got.path == "/hook?a=1&token=query%20secret%26%3D"
    assert (got.headers["x-team"], got.headers["x-secret"]) == ("billing", "header-secret")
    assert got.json == {"amount": 5000, "api_user": "body-secret"}


def test_path_values_fill_the_endpoint(server, make):
    crm = make(endpoint=f"{server.url}/customers/*/invoices/*", method="PUT")
    send(crm, parameters={"PathParameterValues": ["cus_1", "in/2"]})
    assert (server.received[0].method, server.received[0].path) == ("PUT", "/customers/cus_1/invoices/in%2F2")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PATCH"])
def test_every_method_goes_out(server, make, method):
    assert isinstance(send(make(method=method)), Done)
    got = server.received[0]
    assert got.method == method
    assert bool(got.body) == (method in ("DELETE", "PATCH"))


def test_a_destination_that_is_not_there_is_refused(db):
    from ops.effects.destinations.invoke import invoke

    outcome = invoke("nobody", body="{}", parameters={}, key="k", now=timezone.now())
    assert outcome == Refused("UnknownDestination: There is no API destination nobody.")


def test_a_refusal_is_final_and_says_the_status(server, crm):
    server.replies = [Reply(422, '{"error": "no such customer"}')]
    assert send(crm) == Refused("Http422: The destination answered 422 Unprocessable Entity.")


def test_a_destination_that_is_away_is_tried_again_when_it_asks(server, crm):
    server.replies = [Reply(503, "", {"Retry-After": "40"})]
    outcome = send(crm)
    assert isinstance(outcome, Retry)
    assert (outcome.after, outcome.tried) == (timedelta(seconds=40), True)


def test_too_many_rests_the_destination_for_all_workers(server, crm):
    server.replies = [Reply(429, "", {"Retry-After": "40"})]
    began = time.monotonic()
    assert send(crm) == Retry("Http429: The destination answered 429 Too Many Requests.", timedelta(seconds=40))
    waiting = send(crm)
    assert isinstance(waiting, Retry)
    assert (waiting.tried, waiting.error.partition(":")[0]) == (False, "RateLimited")
    assert waiting.after is not None
    assert 40 - (time.monotonic() - began) <= waiting.after.total_seconds() < 42
    assert len(server.received) == 1


def test_a_destination_that_hangs_is_left_after_its_time_out(server, make):
    server.replies = [server.hang]
    outcome = send(make(timeout_seconds=0.2))
    assert isinstance(outcome, Retry)
    assert outcome.error.startswith("TimedOut: ")


def test_no_destination_may_take_longer_than_the_settings_allow(server, make, settings):
    settings.DESTINATIONS_LONGEST_TIMEOUT_SECONDS = 0.2
    server.replies = [server.hang]
    assert isinstance(send(make(timeout_seconds=60)), Retry)
    assert DestinationRequest.objects.get().milliseconds < 15_000


def test_what_cannot_be_sent_is_refused_and_written_down(server, crm):
    outcome = send(crm, parameters={"PathParameterValues": ["a"]})
    assert isinstance(outcome, Refused)
    row = DestinationRequest.objects.get()
    assert (row.came, row.error, row.status) == (Came.REFUSED, outcome.error, None)
    assert server.received == []


def test_a_key_of_other_characters_goes_out_as_ascii(server, crm):
    send(crm, key="規則:evt_1")
    assert server.received[0].headers["idempotency-key"] == "%E8%A6%8F%E5%89%87:evt_1"


# --- redirects


def test_a_redirect_is_not_followed_unless_that_is_wished(server, crm):
    server.replies = [Reply(307, "", {"Location": f"{server.url}/elsewhere"})]
    outcome = send(crm)
    assert isinstance(outcome, Refused)
    assert "redirect" in outcome.error
    assert len(server.received) == 1


def test_a_redirect_on_the_same_host_is_followed_with_everything(server, make):
    server.replies = [Reply(308, "", {"Location": "/elsewhere?x=1"}), Reply(200)]
    assert isinstance(send(make(follow_redirects=True)), Done)
    first, second = server.received
    assert (second.path, second.method, second.body) == ("/elsewhere?x=1", "POST", first.body)
    assert second.headers["authorization"] == first.headers["authorization"]
    assert DestinationRequest.objects.get().hops == [
        {"status": 308, "address": "127.0.0.1", "to": f"{server.url}/elsewhere?x=1"}
    ]


def test_a_redirect_to_another_host_takes_no_credentials_along(server, other_server, make):
    crm = make(follow_redirects=True)
    ConnectionParameter.objects.create(
        connection=crm.connection, place=Place.BODY, name="token", secret=True, sealed_value=seal("body-secret")
    )
    ConnectionParameter.objects.create(
        connection=crm.connection, place=Place.HEADER, name="X-Token", secret=True, sealed_value=seal("head-secret")
    )
    server.replies = [Reply(307, "", {"Location": f"{other_server.url}/there"})]
    assert isinstance(send(crm, parameters={"HeaderParameters": {"X-Trace": "t1"}}), Done)
    got = other_server.received[0]
    assert got.json == {"amount": 5000}
    assert got.headers["x-trace"] == "t1"
    assert not {"authorization", "x-token"} & set(got.headers)
    assert server.received[0].json["token"] == "body-secret"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_turn_a_post_into_a_get_is_not_followed(server, make, status):
    server.replies = [Reply(status, "", {"Location": "/elsewhere"})]
    assert isinstance(send(make(follow_redirects=True)), Refused)
    assert len(server.received) == 1


# where a redirect would lead
@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "http://[::ffff:a00:1]/",
        "https://[fd00:ec2::254]/",
    ],
)
def test_a_redirect_to_a_private_address_is_refused(server, make, target):
    server.replies = [Reply(307, "", {"Location": target})]
    outcome = send(make(follow_redirects=True))
    assert isinstance(outcome, Refused)
    assert outcome.error.startswith("AddressRefused: ")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://[half", ""])
def test_a_redirect_to_no_web_address_leads_nowhere(server, make, target):
    server.replies = [Reply(307, "", {"Location": target})]
    assert isinstance(send(make(follow_redirects=True)), Refused)
    assert len(server.received) == 1


def test_redirects_in_a_circle_end(server, make):
    server.replies = [Reply(307, "", {"Location": "/hook"})]
    assert isinstance(send(make(follow_redirects=True)), Refused)
    assert len(server.received) == 4


# --- the log


def test_each_request_is_written_down_with_its_answer(server, crm):
    server.replies = [Reply(200, '{"ok": true}', {"X-Request-Id": "r1"})]
    now = timezone.now()
    send(crm, now=now, parameters={"QueryStringParameters": {"a": "1"}})
    row = DestinationRequest.objects.get()
    assert (row.destination, row.key, row.at, row.came, row.error) == (
        crm,
        "big-invoices:evt_1:crm",
        now,
        Came.DONE,
        "",
    )
    assert (row.method, row.url, row.status, row.answer) == ("POST", f"{server.url}/hook?a=1", 200, '{"ok": true}')
    assert (row.body, row.body_length, row.body_cut, row.sent_body) == ('{"amount":5000}', 15, False, "")
    assert row.address == "127.0.0.1"
    assert row.milliseconds is not None
    assert ["X-Request-Id", "r1"] in row.answer_headers
    assert row.parameters == {"QueryStringParameters": {"a": "1"}}


def test_what_is_private_by_its_nature_is_masked_whoever_set_it(server, make):
    key = {"authorization": Authorization.API_KEY, "identity": "X-Api-Key", "sealed_secret": seal("key_123456")}
    crm = make(connection=key)
    server.replies = [Reply(200, "{}", {"Set-Cookie": "session=theirs"})]
    send(crm, parameters={"HeaderParameters": {"Cookie": "session=ours", "Authorization": "Bearer of-the-rule"}})
    row = DestinationRequest.objects.get()
    shown = {name.lower(): value for name, value in [*row.headers, *row.answer_headers]}
    assert (shown["cookie"], shown["set-cookie"], shown["authorization"]) == ("•••", "•••", "Bearer •••")


def test_a_worker_that_dies_leaves_a_request_of_which_nobody_knows(server, crm, monkeypatch):
    from ops.effects.destinations import invoke as module

    def die(*_args: object, **_kwargs: object) -> None:
        raise SystemExit

    monkeypatch.setattr(module, "exchange", die)
    with pytest.raises(SystemExit):
        send(crm)
    assert DestinationRequest.objects.get().came == Came.UNKNOWN


def test_bytes_that_no_row_can_hold_do_not_stop_the_call(server, crm):
    server.replies = [Reply(200, b'{"a": "\\u0000", "b": "\xff\x00"}', {"X-Odd": "caf\xe9"})]
    outcome = send(crm, body=json.dumps({"a": "\x00"}), parameters={"QueryStringParameters": {"x": "\x00"}})
    assert isinstance(outcome, Done)
    assert DestinationRequest.objects.get().came == Came.DONE
