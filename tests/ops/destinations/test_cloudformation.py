"""Destinations as CloudFormation: valid by cfn-lint, created on moto, and without a secret."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from ops.effects.destinations.bring import bring
from ops.effects.destinations.cloudformation import (
    cannot_move,
    logical_id,
    resources,
    secrets_of,
)
from ops.effects.destinations.invoke import invoke
from ops.effects.destinations.models import Authorization, Connection, ConnectionParameter, Destination, Place
from ops.effects.outcome import Refused
from ops.effects.sealing import seal
from ops.rules.cloudformation.reading import destinations_of


@pytest.fixture
def destinations(make: Callable[..., Destination]) -> list[Destination]:
    """One of each kind of authorization, with parameters in every place."""
    made = [
        make("crm", endpoint="https://crm.example/v1/*/notes", rate_limit=10, description="Notes in the CRM"),
        make(
            "chat.ops_2",
            endpoint="https://chat.example/hook",
            method="PUT",
            connection={
                "authorization": Authorization.API_KEY,
                "identity": "X-Api-Key",
                "sealed_secret": seal("key-secret"),
            },
        ),
        make(
            "erp",
            endpoint="https://erp.example/x",
            connection={
                "authorization": Authorization.OAUTH,
                "identity": "client",
                "sealed_secret": seal("client-secret"),
                "token_endpoint": "https://erp.example/token",
            },
        ),
    ]
    for place in Place:
        ConnectionParameter.objects.create(
            connection=made[2].connection,
            place=place,
            name=f"X-{place}",
            secret=True,
            sealed_value=seal("param-secret"),
        )
        ConnectionParameter.objects.create(connection=made[2].connection, place=place, name=f"Y-{place}", value="clear")
    return made


def test_each_destination_and_connection_is_a_resource_with_references_for_secrets(destinations):
    made = resources(destinations)
    crm = made["ApiDestinationcrm"]["Properties"]
    assert crm == {
        "Name": "crm",
        "Description": "Notes in the CRM",
        "ConnectionArn": {"Fn::GetAtt": ["Connectioncrmx2dconnection", "Arn"]},
        "HttpMethod": "POST",
        "InvocationEndpoint": "https://crm.example/v1/*/notes",
        "InvocationRateLimitPerSecond": 10,
    }
    basic = made["Connectioncrmx2dconnection"]["Properties"]
    assert basic["AuthParameters"]["BasicAuthParameters"] == {
        "Username": "kessai",
        "Password": "{{resolve:secretsmanager:kessai/connections/crm-connection:SecretString:secret}}",
    }
    oauth = made["Connectionerpx2dconnection"]["Properties"]["AuthParameters"]
    assert oauth["OAuthParameters"]["OAuthHttpParameters"]["BodyParameters"][0] == {
        "Key": "grant_type", "Value": "client_credentials", "IsValueSecret": False,
    }  # fmt: skip
    assert {entry["Key"]: entry["Value"] for entry in oauth["InvocationHttpParameters"]["HeaderParameters"]} == {
        "X-header": "{{resolve:secretsmanager:kessai/connections/erp-connection:SecretString:header.X-header}}",
        "Y-header": "clear",
    }


def test_no_secret_is_in_it_and_every_reference_is_named(destinations):
    text = json.dumps(resources(destinations))
    for secret in ("correct-horse", "key-secret", "client-secret", "param-secret"):
        assert secret not in text
    named = secrets_of(Connection.objects.all())
    for name, keys in named.items():
        for key in keys:
            assert f"{{{{resolve:secretsmanager:{name}:SecretString:{key}}}}}" in text
    assert text.count("{{resolve:") == sum(len(keys) for keys in named.values())


def test_a_shared_connection_is_there_once(destinations):
    first = destinations[0]
    second = Destination.objects.create(name="crm2", connection=first.connection, endpoint="https://crm.example/2")
    assert len(resources([first, second])) == 3


def test_cfn_lint_finds_nothing(destinations, tmp_path):
    template = tmp_path / "template.json"
    template.write_text(json.dumps({"Resources": resources(destinations)}))
    program = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([str(program), str(template)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"signed": True}, "sign"),
        ({"follow_redirects": True}, "redirects"),
        ({"timeout_seconds": 2.0}, "time-out"),
        ({"endpoint": "http://intranet.example/"}, "https"),
    ],
)
def test_what_cannot_move_is_said(make, fields, word):
    plain = {"endpoint": "https://crm.example/", "timeout_seconds": 5.0}
    (sentence,) = cannot_move(make(**(plain | fields)))
    assert word in sentence


def test_what_can_move_is_not_talked_about(make):
    assert cannot_move(make(endpoint="https://crm.example/", timeout_seconds=5.0)) == []


NAMES = st.text("abxX29.-_", min_size=1, max_size=8)


@given(NAMES, NAMES)
def test_two_names_have_two_logical_ids(first, second):
    assert logical_id("Connection", first).isalnum()
    assert (logical_id("Connection", first) == logical_id("Connection", second)) == (first == second)


def test_what_an_export_told_comes_back_without_its_secrets(db):
    connection = Connection.objects.create(
        name="crm-login",
        authorization=Authorization.OAUTH,
        identity="kessai",
        token_endpoint="https://login.example/token",
        sealed_secret=seal("the-client-secret"),
    )
    header = {"place": "header", "name": "X-Tenant", "value": "acme"}
    connection.parameters.create(**header)
    connection.parameters.create(place="query", name="key", secret=True, sealed_value=seal("a-key"))
    Destination.objects.create(name="crm", connection=connection, endpoint="https://crm.example/*/notes", rate_limit=5)
    body = {"Resources": resources(Destination.objects.all())}
    Destination.objects.all().delete()
    Connection.objects.all().delete()

    connections, destinations, flaws = destinations_of(body)
    assert flaws == []
    assert bring(connections, destinations) == (["crm-login"], ["crm"])
    assert bring(connections, destinations) == ([], [])
    row = Destination.objects.get()
    assert (row.endpoint, row.rate_limit, row.method) == ("https://crm.example/*/notes", 5, "POST")
    back = row.connection
    assert (back.authorization, back.identity, back.token_endpoint) == (
        "oauth",
        "kessai",
        "https://login.example/token",
    )
    assert ("header", "X-Tenant", "acme", False) in back.parameters.values_list("place", "name", "value", "secret")
    assert ("query", "key", "", True) in back.parameters.values_list("place", "name", "value", "secret")
    assert back.sealed_secret == ""

    refused = invoke("crm", body="{}", parameters={"PathParameterValues": ["1"]}, key="k", now=timezone.now())
    assert isinstance(refused, Refused)
    assert (
        refused.error == "SecretMissing: The connection crm-login came without its secret, key: set it in the console."
    )
    assert {"resources": resources(Destination.objects.all())} == {"resources": body["Resources"]}


def test_a_destination_whose_connection_is_not_told_is_said():
    parts = {"D": {"Type": "AWS::Events::ApiDestination", "Properties": {"Name": "d", "ConnectionArn": "arn:x"}}}
    connections, destinations, flaws = destinations_of({"Resources": parts})
    assert (connections, destinations) == ([], [])
    assert flaws == ["The API destination D cannot come: its connection is not in the template."]
