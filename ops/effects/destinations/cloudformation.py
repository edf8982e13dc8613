"""Destinations and connections as CloudFormation resources. Pure: rows in, dictionaries out, no secret in them.

Each secret stands as a dynamic reference to AWS Secrets Manager, `{{resolve:secretsmanager:NAME:SecretString:KEY}}`:
one secret a connection, whose keys `secrets_of` names. It is made on AWS before the stack is.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ops.effects.destinations.models import Authorization, Connection, ConnectionParameter, Destination, Place

PREFIX = "kessai/connections/"
KINDS = {
    Authorization.BASIC.value: "BASIC",
    Authorization.API_KEY.value: "API_KEY",
    Authorization.OAUTH.value: "OAUTH_CLIENT_CREDENTIALS",
}
INVOCATION = {
    Place.HEADER.value: "HeaderParameters",
    Place.QUERY.value: "QueryStringParameters",
    Place.BODY.value: "BodyParameters",
}
FOR_TOKEN = {
    Place.OAUTH_HEADER.value: "HeaderParameters",
    Place.OAUTH_QUERY.value: "QueryStringParameters",
    Place.OAUTH_BODY.value: "BodyParameters",
}
MAIN = "secret"  # the key of the password, API key or client secret


def resources(destinations: Iterable[Destination]) -> dict[str, dict[str, Any]]:
    """Return the resources of these destinations and of their connections, by logical id."""
    found: dict[str, dict[str, Any]] = {}
    for destination in destinations:
        connection = destination.connection
        found.setdefault(logical_id("Connection", connection.name), connection_resource(connection))
        found[logical_id("ApiDestination", destination.name)] = destination_resource(destination)
    return found


def connection_resource(connection: Connection) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "Name": connection.name,
        "AuthorizationType": KINDS[connection.authorization],
        "AuthParameters": auth_parameters(connection),
    }
    if connection.description:
        properties["Description"] = connection.description
    return {"Type": "AWS::Events::Connection", "Properties": properties}


def auth_parameters(connection: Connection) -> dict[str, Any]:
    secret = reference(connection, MAIN)
    rows = list(connection.parameters.all())
    said: dict[str, Any] = {}
    match connection.authorization:
        case Authorization.BASIC:
            said["BasicAuthParameters"] = {"Username": connection.identity, "Password": secret}
        case Authorization.API_KEY:
            said["ApiKeyAuthParameters"] = {"ApiKeyName": connection.identity, "ApiKeyValue": secret}
        case Authorization.OAUTH:
            said["OAuthParameters"] = oauth_parameters(connection, rows, secret)
    if invocation := http_parameters(connection, rows, INVOCATION):
        said["InvocationHttpParameters"] = invocation
    return said


def oauth_parameters(connection: Connection, rows: Sequence[ConnectionParameter], secret: str) -> dict[str, Any]:
    said: dict[str, Any] = {
        "AuthorizationEndpoint": connection.token_endpoint,
        "HttpMethod": connection.token_method,
        "ClientParameters": {"ClientID": connection.identity, "ClientSecret": secret},
    }
    extra = http_parameters(connection, rows, FOR_TOKEN)
    # EventBridge sends what it is told to and adds no grant type of its own.
    body = extra.setdefault("BodyParameters", [])
    if not any(entry["Key"] == "grant_type" for entry in body):
        body.insert(0, {"Key": "grant_type", "Value": "client_credentials", "IsValueSecret": False})
    said["OAuthHttpParameters"] = extra
    return said


def http_parameters(
    connection: Connection, rows: Sequence[ConnectionParameter], places: dict[str, str]
) -> dict[str, list[dict[str, Any]]]:
    said: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row.place in places:
            value = reference(connection, key_of(row)) if row.secret else row.value
            entry = {"Key": row.name, "Value": value, "IsValueSecret": row.secret}
            said.setdefault(places[row.place], []).append(entry)
    return said


def destination_resource(destination: Destination) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "Name": destination.name,
        "ConnectionArn": {"Fn::GetAtt": [logical_id("Connection", destination.connection.name), "Arn"]},
        "HttpMethod": destination.method,
        "InvocationEndpoint": destination.endpoint,
        "InvocationRateLimitPerSecond": destination.rate_limit,
    }
    if destination.description:
        properties["Description"] = destination.description
    return {"Type": "AWS::Events::ApiDestination", "Properties": properties}


def secrets_of(connections: Iterable[Connection]) -> dict[str, list[str]]:
    """Return which secrets must be there in Secrets Manager, each with the keys of its JSON."""
    return {
        secret_name(connection): [MAIN, *(key_of(row) for row in connection.parameters.all() if row.secret)]
        for connection in connections
    }


def cannot_move(destination: Destination) -> list[str]:
    """Return, as sentences, what this destination does here and cannot do on EventBridge."""
    said = []
    if destination.signed:
        said.append(f"{destination.name}: EventBridge does not sign requests; the receiver must not ask for it.")
    if destination.follow_redirects:
        said.append(f"{destination.name}: EventBridge does not follow redirects.")
    if destination.timeout_seconds != 5.0:
        said.append(f"{destination.name}: on EventBridge the time-out is 5 seconds.")
    if not destination.endpoint.startswith("https://"):
        said.append(f"{destination.name}: EventBridge calls https addresses alone.")
    if destination.connection.authorization == Authorization.OAUTH and destination.connection.client_place == "header":
        said.append(
            f"{destination.connection.name}: here the client's id and secret go in the Authorization header; whether "
            "EventBridge's form suits the authorization server must be tried."
        )
    return said


def reference(connection: Connection, key: str) -> str:
    return f"{{{{resolve:secretsmanager:{secret_name(connection)}:SecretString:{key}}}}}"


def secret_name(connection: Connection) -> str:
    return f"{PREFIX}{connection.name}"


def key_of(row: ConnectionParameter) -> str:
    """The key of a parameter's secret; CloudFormation takes a reference apart at colons."""
    return f"{row.place}.{row.name}".replace(":", "_")


def logical_id(kind: str, name: str) -> str:
    """A name as CloudFormation allows it: other characters, and the x that marks them, by their numbers."""
    return kind + re.sub(r"[^A-Za-wyz0-9]", lambda match: f"x{ord(match[0]):02x}", name)
