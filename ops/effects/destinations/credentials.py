"""What a connection adds to a request: its parameters, and the header that says who is calling."""

import base64
from dataclasses import dataclass
from datetime import datetime

from ops.effects.destinations import tokens
from ops.effects.destinations.masks import Masks
from ops.effects.destinations.models import Authorization, Connection, ConnectionParameter, Place
from ops.effects.destinations.shape import Added, Unsendable
from ops.effects.outcome import Refused, Retry
from ops.effects.sealing import unseal

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Opened:
    """A connection with its secrets in clear: for one call, in memory alone."""

    connection: Connection
    secret: str
    parameters: dict[str, Pairs]  # by place

    def __repr__(self) -> str:
        return f"Opened({self.connection_name})"

    @property
    def connection_name(self) -> str:
        return self.connection.name

    @property
    def added(self) -> Added:
        said = self.parameters
        return Added(said.get(Place.HEADER, []), said.get(Place.QUERY, []), said.get(Place.BODY, []))


def opened(connection: Connection, masks: Masks) -> Opened:
    """Unseal a connection's secrets and have them masked. Raises `sealing.Unreadable`, Unsendable."""
    if missing := missing_secrets(connection):
        raise Unsendable(
            "SecretMissing",
            f"The connection {connection.name} came without {', '.join(missing)}: set it in the console.",
        )
    secret = unseal(connection.sealed_secret)
    masks.add(secret)
    masks.add(basic(connection.identity, secret))
    parameters: dict[str, Pairs] = {}
    for parameter in connection.parameters.all():
        value = value_of(parameter)
        if parameter.secret:
            masks.add(value)
        parameters.setdefault(parameter.place, []).append((parameter.name, value))
    return Opened(connection, secret, parameters)


def missing_secrets(connection: Connection) -> list[str]:
    """What of a connection needs its secret: it came from a template, which holds none."""
    rows = connection.parameters.all()
    missing = [row.name for row in rows if row.secret and not row.sealed_value]
    return missing if connection.sealed_secret else ["its secret", *missing]


def value_of(parameter: ConnectionParameter) -> str:
    return unseal(parameter.sealed_value) if parameter.secret else parameter.value


def basic(identity: str, secret: str) -> str:
    """Name and secret as HTTP's basic scheme writes them (RFC 7617)."""
    return base64.b64encode(f"{identity}:{secret}".encode()).decode()


def authorization(
    credentials: Opened, masks: Masks, *, now: datetime, seconds: float, refresh: str = ""
) -> tuple[str, str] | Retry | Refused:
    """Return the header that says who is calling. `refresh` is a token that was refused: another one is fetched."""
    connection = credentials.connection
    match connection.authorization:
        case Authorization.BASIC:
            return "Authorization", f"Basic {basic(connection.identity, credentials.secret)}"
        case Authorization.API_KEY:
            return connection.identity, credentials.secret
    client = tokens.Client(
        connection,
        credentials.secret,
        headers=tuple(credentials.parameters.get(Place.OAUTH_HEADER, [])),
        query=tuple(credentials.parameters.get(Place.OAUTH_QUERY, [])),
        body=tuple(credentials.parameters.get(Place.OAUTH_BODY, [])),
    )
    token = tokens.token_for(client, now=now, seconds=seconds, refused=refresh)
    if isinstance(token, Retry | Refused):
        return token
    masks.add(token.text)
    return "Authorization", f"{token.kind} {token.text}"
