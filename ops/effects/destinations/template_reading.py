"""Connections and destinations as a CloudFormation template tells them. Pure; the way back of `cloudformation`.

What is secret is in no template: a connection comes without, and says so until somebody sets it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.effects.destinations.cloudformation import FOR_TOKEN, INVOCATION, KINDS
from ops.effects.destinations.models import Authorization

Json = Any
Read = Callable[[Json], Json]  # carries out a template's functions; raises where it cannot
OURS = {name: kind for kind, name in KINDS.items()}


@dataclass(frozen=True)
class ToldParameter:
    place: str
    name: str
    value: str
    secret: bool


@dataclass(frozen=True)
class ToldConnection:
    """`fields` are those of the row, by name."""

    name: str
    fields: dict[str, Any]
    parameters: list[ToldParameter] = field(default_factory=list)


@dataclass(frozen=True)
class ToldDestination:
    name: str
    connection: str
    fields: dict[str, Any]


def connection_of(properties: Mapping[str, Json], read: Read) -> ToldConnection:
    """Read an AWS::Events::Connection. Raises LookupError, and what `read` raises, where it tells too little."""
    kind = OURS[str(read(properties["AuthorizationType"]))]
    given = properties["AuthParameters"]
    fields: dict[str, Any] = {"authorization": kind, "description": read(properties.get("Description", ""))}
    match kind:
        case Authorization.BASIC.value:
            fields["identity"] = read(given["BasicAuthParameters"]["Username"])
        case Authorization.API_KEY.value:
            fields["identity"] = read(given["ApiKeyAuthParameters"]["ApiKeyName"])
        case _:
            oauth = given["OAuthParameters"]
            fields["identity"] = read(oauth["ClientParameters"]["ClientID"])
            fields["token_endpoint"] = read(oauth["AuthorizationEndpoint"])
            fields["token_method"] = read(oauth["HttpMethod"])
    for_token = given.get("OAuthParameters", {}).get("OAuthHttpParameters", {})
    parameters = [
        *parameters_of(given.get("InvocationHttpParameters", {}), INVOCATION, read),
        *parameters_of(for_token, FOR_TOKEN, read),
    ]
    return ToldConnection(str(read(properties["Name"])), fields, parameters)


def parameters_of(given: Mapping[str, Json], places: Mapping[str, str], read: Read) -> Iterator[ToldParameter]:
    for place, group in places.items():
        for each in given.get(group, []):
            secret = each.get("IsValueSecret") in (True, "true")
            yield ToldParameter(place, str(read(each["Key"])), "" if secret else str(read(each["Value"])), secret)


def destination_of(properties: Mapping[str, Json], connection: str, read: Read) -> ToldDestination:
    """Read an AWS::Events::ApiDestination that calls with this connection. Raises as `connection_of`."""
    fields = {
        "endpoint": read(properties["InvocationEndpoint"]),
        "method": read(properties["HttpMethod"]),
        "rate_limit": int(read(properties.get("InvocationRateLimitPerSecond", 300))),
        "description": read(properties.get("Description", "")),
    }
    return ToldDestination(str(read(properties["Name"])), connection, fields)
