"""Secrets stand nowhere in clear: no row, no log, no exception; and their keys can be rolled."""

import base64
import json
import logging
import secrets
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from ops.effects.destinations.acts import roll_signing_secret
from ops.effects.destinations.credentials import opened
from ops.effects.destinations.masks import SHORTEST, Masks
from ops.effects.destinations.models import (
    Authorization,
    Connection,
    ConnectionParameter,
    ConnectionToken,
    Destination,
    DestinationRequest,
    Place,
)
from ops.effects.destinations.signing import valid_secrets
from ops.effects.outcome import Done, Retry
from ops.effects.sealing import Unreadable, seal, unseal
from tests.ops.destinations.conftest import send
from tests.ops.destinations.server import Reply, Server

SECRETS = {
    "client": 'client"secret/ü+=&',
    "header": "header secret 1",
    "query": "query&secret=2/ü",
    "body": 'body\\secret"3ü',
    "oauth": "oauth secret 4",
    "token": "ya29.token-secret",
}


def forms(secret: str) -> set[str]:
    """The ways in which a secret may stand in a text."""
    plain = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    return (
        plain
        | {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        | {base64.b64encode(secret.encode()).decode()}
    )


def found_in(text: str, also: tuple[str, ...] = ()) -> list[str]:
    return [form for secret in (*SECRETS.values(), *also) for form in forms(secret) if form in text]


def dump_of_all_rows() -> str:
    """Every row of every table of operations, as text."""
    with database.cursor() as cursor:
        tables = [name for name in database.introspection.table_names(cursor) if name.startswith("ops_")]
        texts = []
        for table in tables:
            cursor.execute(f'SELECT row_to_json(t)::text FROM "{table}" t')
            texts += [row[0] for row in cursor.fetchall()]
    return "\n".join(texts)


@pytest.fixture
def secretive(make: Callable[..., Destination], other_server: Server) -> Destination:
    """A destination with a secret in every place where there can be one."""
    crm = make(
        connection={
            "authorization": Authorization.OAUTH,
            "identity": "client",
            "sealed_secret": seal(SECRETS["client"]),
            "token_endpoint": f"{other_server.url}/token",
        },
        signed=True,
    )
    for place, name in (
        (Place.HEADER, "header"), (Place.QUERY, "query"), (Place.BODY, "body"), (Place.OAUTH_BODY, "oauth"),
    ):  # fmt: skip
        ConnectionParameter.objects.create(
            connection=crm.connection, place=place, name=name, secret=True, sealed_value=seal(SECRETS[name])
        )
    other_server.replies = [Reply(200, json.dumps({"access_token": SECRETS["token"], "expires_in": 3600}))]
    return crm


def echo(server: Server) -> Callable[[Any], None]:
    """Answer with everything that came, in the body and in a header: the worst that an API can do."""

    def answer(handler: Any) -> None:
        got = server.received[-1]
        said = json.dumps({"path": got.path, "headers": got.headers, "body": got.body, "json": got.json}).encode()
        handler.send_response(200)
        handler.send_header("X-Echo", got.headers["authorization"])
        handler.send_header("X-Path", got.path)
        handler.send_header("Content-Length", str(len(said)))
        handler.end_headers()
        handler.wfile.write(said)

    return answer


def test_no_row_no_log_and_no_result_holds_a_secret_even_if_the_api_echoes_them(server, secretive, caplog):
    caplog.set_level(logging.DEBUG)
    signing = roll_signing_secret(secretive, now=timezone.now())
    server.replies = [echo(server), Reply(401, "token refused"), echo(server), Reply(503), server.slam]
    outcomes = [send(secretive) for _time in range(4)]
    assert isinstance(outcomes[0], Done)
    sent = json.dumps([got.__dict__ for got in server.received], ensure_ascii=False)
    assert found_in(sent), "the secrets did go out"
    also = (signing, signing.removeprefix("whsec_"))
    assert found_in(dump_of_all_rows(), also) == []
    assert found_in(repr(outcomes), also) == []
    assert found_in(json.dumps(outcomes[0].result, ensure_ascii=False), also) == []
    assert found_in(caplog.text, also) == []
    row = DestinationRequest.objects.order_by("pk").first()
    assert row
    assert "•••" in row.url
    assert "•••" in row.sent_body
    assert "•••" in row.answer


def test_nothing_that_is_raised_on_the_way_holds_a_secret(secretive, monkeypatch):
    from ops.effects.destinations import invoke as module

    def break_down(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("a fault of ours")

    roll_signing_secret(secretive, now=timezone.now())
    monkeypatch.setattr(module, "exchange", break_down)
    with pytest.raises(RuntimeError) as raised:
        send(secretive)
    assert found_in("".join(traceback.format_exception(raised.value))) == []
    assert found_in(repr(opened(secretive.connection, Masks()))) == []


@given(secret=st.text(min_size=SHORTEST), before=st.text(), after=st.text())
def test_whatever_form_a_secret_takes_it_is_masked(secret, before, after):
    try:
        written = {secret, quote(secret, safe=""), quote_plus(secret), base64.b64encode(secret.encode()).decode()}
    except UnicodeEncodeError:
        return
    written.add(json.dumps(secret)[1:-1])
    masks = Masks([secret])
    for form in written:
        masked = masks.mask(f"{before}{form}{after}")
        assert form not in masked or form in "•••"


def test_masking_takes_the_longest_first():
    assert Masks(["secret", "secret-and-more"]).mask("secret-and-more") == "•••"


@pytest.mark.parametrize("secret", ["", "a", "円", "x" * 10_000, "whsec_+/="])
def test_what_is_sealed_is_read_again_and_looks_different_each_time(secret):
    assert unseal(seal(secret)) == secret
    assert not secret or seal(secret) != seal(secret)


def test_keys_are_rolled_without_losing_a_secret(secretive, settings, capsys):
    old, new = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    now = timezone.now()
    signing = roll_signing_secret(secretive, now=now)
    settings.ENCRYPTION_KEYS = [old]
    ConnectionToken.objects.create(connection=secretive.connection, sealed_token=seal("a-token"))
    settings.ENCRYPTION_KEYS = [new, old]
    call_command("rotate_encryption")
    assert "7 secrets stand under the first key" in capsys.readouterr().out
    settings.ENCRYPTION_KEYS, settings.SECRET_KEY = [new], "another one: what was sealed with the first is unreadable"
    assert unseal(Connection.objects.get().sealed_secret) == SECRETS["client"]
    assert unseal(ConnectionToken.objects.get().sealed_token) == "a-token"
    assert unseal(ConnectionParameter.objects.get(name="query").sealed_value) == SECRETS["query"]
    assert valid_secrets(Destination.objects.get(), now=now) == [signing]


def test_without_its_key_a_secret_is_unreadable_and_the_call_is_tried_again(crm, settings, server):
    settings.ENCRYPTION_KEYS, settings.SECRET_KEY = ["new"], "another"
    with pytest.raises(Unreadable):
        unseal(crm.connection.sealed_secret)
    outcome = send(crm)
    assert isinstance(outcome, Retry)
    assert outcome.error.startswith("SecretUnreadable: A stored secret can be read with none of the keys")
    assert server.received == []
    with pytest.raises(CommandError, match=f"Connection {crm.connection_id}"):
        call_command("rotate_encryption")


def test_what_older_keys_sealed_is_read_after_encryption_keys_are_set(crm, settings):
    settings.ENCRYPTION_KEYS = ["the first key of its own"]
    assert isinstance(send(crm), Done)
