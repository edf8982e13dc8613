"""OAuth client credentials: one token for all, replaced in time, and once after it was refused."""

import base64
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.db import connection
from django.utils import timezone

from ops.effects.destinations.models import Authorization, ConnectionParameter, ConnectionToken, Destination, Place
from ops.effects.outcome import Done, Refused, Retry
from ops.effects.sealing import seal
from tests.ops.destinations.conftest import send
from tests.ops.destinations.server import Reply, Server

MINUTE = timedelta(minutes=1)


def token(text: str, **more: Any) -> Reply:
    import json

    return Reply(200, json.dumps({"access_token": text, "token_type": "bearer", "expires_in": 3600} | more))


@pytest.fixture
def oauth(make: Callable[..., Destination], other_server: Server) -> Destination:
    """A destination whose authorization server is the other one."""
    said = {
        "authorization": Authorization.OAUTH,
        "identity": "kessai client",
        "sealed_secret": seal("client secret/+"),
        "token_endpoint": f"{other_server.url}/token",
    }
    other_server.replies = [token("first-token"), token("second-token"), token("third-token")]
    return make(connection=said)


def test_a_token_is_asked_for_once_and_used_by_every_call(server, other_server, oauth):
    assert isinstance(send(oauth), Done)
    assert isinstance(send(oauth), Done)
    assert [got.headers["authorization"] for got in server.received] == ["Bearer first-token"] * 2
    (asked,) = other_server.received
    both = base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).decode()
    assert both == "kessai+client:client+secret%2F%2B"
    assert (asked.method, asked.path) == ("POST", "/token")
    assert parse_qs(asked.body) == {"grant_type": ["client_credentials"]}
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"


def test_its_own_parameters_go_with_the_request_for_a_token_alone(server, other_server, oauth):
    for place, name, value in (
        (Place.OAUTH_BODY, "audience", "https://api.example/"),
        (Place.OAUTH_QUERY, "tenant", "acme"),
        (Place.OAUTH_HEADER, "X-Realm", "r1"),
    ):
        ConnectionParameter.objects.create(connection=oauth.connection, place=place, name=name, value=value)
    oauth.connection.client_place = "body"
    oauth.connection.save()
    send(oauth)
    (asked,) = other_server.received
    assert (asked.path, asked.headers["x-realm"]) == ("/token?tenant=acme", "r1")
    assert parse_qs(asked.body) == {
        "grant_type": ["client_credentials"],
        "client_id": ["kessai client"],
        "client_secret": ["client secret/+"],
        "audience": ["https://api.example/"],
    }
    assert "authorization" not in asked.headers
    assert server.received[0].path == "/hook"
    assert "x-realm" not in server.received[0].headers


def test_by_get_they_stand_in_the_address(other_server, oauth):
    oauth.connection.token_method = "GET"
    oauth.connection.save()
    send(oauth)
    assert other_server.received[0].path == "/token?grant_type=client_credentials"
    assert other_server.received[0].body == ""


def test_a_token_is_replaced_before_its_end(server, other_server, oauth):
    now = timezone.now()
    send(oauth, now=now)
    send(oauth, now=now + timedelta(seconds=3600 - 90))
    assert len(other_server.received) == 1
    send(oauth, now=now + timedelta(seconds=3600 - 30))
    assert [got.headers["authorization"] for got in server.received] == [
        "Bearer first-token", "Bearer first-token", "Bearer second-token",
    ]  # fmt: skip


@pytest.mark.parametrize("life", [1, 30, 60])
def test_a_token_of_a_short_life_is_used_for_most_of_it(other_server, oauth, life):
    other_server.replies = [token("short", expires_in=life)]
    now = timezone.now()
    send(oauth, now=now)
    send(oauth, now=now + timedelta(seconds=life * 0.7))
    assert len(other_server.received) == 1
    send(oauth, now=now + timedelta(seconds=life * 0.9))
    assert len(other_server.received) == 2


@pytest.mark.parametrize("status", [401, 407])
def test_a_token_that_is_refused_is_replaced_and_the_call_made_once_more(server, other_server, oauth, status):
    server.replies = [Reply(status), Reply(200)]
    assert isinstance(send(oauth), Done)
    assert [got.headers["authorization"] for got in server.received] == ["Bearer first-token", "Bearer second-token"]
    assert [got.headers["idempotency-key"] for got in server.received] == ["big-invoices:evt_1:crm"] * 2


def test_a_second_refusal_is_final(server, other_server, oauth):
    server.replies = [Reply(401)]
    outcome = send(oauth)
    assert isinstance(outcome, Refused)
    assert outcome.error.startswith("Http401")
    assert (len(server.received), len(other_server.received)) == (2, 2)


def test_a_refused_password_is_final_at_once(server, crm):
    server.replies = [Reply(401)]
    assert isinstance(send(crm), Refused)
    assert len(server.received) == 1


def test_a_changed_secret_asks_for_a_token_of_its_own(server, other_server, oauth):
    send(oauth)
    oauth.connection.sealed_secret = seal("another secret")
    oauth.connection.save()
    send(oauth)
    assert server.received[1].headers["authorization"] == "Bearer second-token"


def test_the_token_lies_sealed(oauth):
    send(oauth)
    row = ConnectionToken.objects.get()
    assert row.sealed_token
    assert "first-token" not in row.sealed_token
    assert row.fetching_until is None


# what the authorization server does, and what comes of the call
@pytest.mark.parametrize(
    ("reply", "kind", "name"),
    [
        (Reply(400, '{"error": "invalid_client"}'), Refused, "TokenHttp400"),
        (Reply(401, ""), Refused, "TokenHttp401"),
        (Reply(302, "", {"Location": "http://169.254.169.254/"}), Refused, "TokenHttp302"),
        (Reply(429, ""), Retry, "TokenHttp429"),
        (Reply(503, ""), Retry, "TokenHttp503"),
        (Reply(200, "no JSON"), Retry, "TokenUnreadable"),
        (Reply(200, "[]"), Retry, "TokenUnreadable"),
        (Reply(200, '{"token_type": "Bearer"}'), Retry, "TokenUnreadable"),
        (Reply(200, '{"access_token": "a\\r\\nX-Evil: 1"}'), Retry, "TokenUnreadable"),
        (Reply(200, '{"access_token": "a", "expires_in": "x"}'), Retry, "TokenUnreadable"),
        (Reply(200, '{"access_token": 5}'), Retry, "TokenUnreadable"),
    ],
)
def test_without_a_token_no_call_is_made_and_the_reason_has_a_name(server, other_server, oauth, reply, kind, name):
    other_server.replies = [reply]
    outcome = send(oauth)
    assert isinstance(outcome, kind)
    assert outcome.error.partition(":")[0] == name
    assert server.received == []
    assert ConnectionToken.objects.get().fetching_until is None


def test_an_authorization_server_at_a_private_address_is_refused(oauth, server):
    oauth.connection.token_endpoint = "https://169.254.169.254/token"
    oauth.connection.save()
    outcome = send(oauth)
    assert isinstance(outcome, Refused)
    assert outcome.error.startswith("TokenAddressRefused")


def test_an_authorization_server_that_says_nothing_of_the_end_is_asked_again_soon(other_server, oauth):
    other_server.replies = [Reply(200, '{"access_token": "unending"}')]
    now = timezone.now()
    send(oauth, now=now)
    send(oauth, now=now + 3 * MINUTE)
    assert len(other_server.received) == 1
    send(oauth, now=now + 6 * MINUTE)
    assert len(other_server.received) == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_asks_for_the_token(server, other_server, oauth):
    outcomes: list[object] = []

    def work() -> None:
        try:
            outcomes.append(send(oauth))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == 6
    assert all(isinstance(outcome, Done) for outcome in outcomes), outcomes
    assert len(other_server.received) == 1


def test_a_worker_that_died_while_it_asked_holds_nobody_up(server, oauth):
    now = timezone.now()
    ConnectionToken.objects.create(connection=oauth.connection, fetching_until=now - MINUTE)
    assert isinstance(send(oauth, now=now), Done)


def test_a_token_that_nobody_brings_is_waited_for_a_while_and_costs_no_attempt(server, make, oauth):
    now = timezone.now()
    oauth.timeout_seconds = 0.15
    oauth.save()
    ConnectionToken.objects.create(connection=oauth.connection, fetching_until=now + MINUTE)
    outcome = send(oauth, now=now)
    assert isinstance(outcome, Retry)
    assert (outcome.error.partition(":")[0], outcome.tried) == ("TokenAwaited", False)
