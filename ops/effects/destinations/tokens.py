"""OAuth tokens (RFC 6749, 4.4: client credentials): one for all workers, sealed in its row, fetched by one of them."""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit, urlunsplit

from django.db.models import Q

from ops.effects.destinations.models import ClientPlace, Connection, ConnectionToken, TokenMethod
from ops.effects.destinations.reading import AGAIN
from ops.effects.destinations.shape import AGENT, MALFORMED, NOT_TAKEN, as_named, merge
from ops.effects.destinations.wire import Answer, Failure, Request, exchange
from ops.effects.outcome import Refused, Retry
from ops.effects.sealing import seal, unseal

EARLY = timedelta(seconds=60)  # before its end a token is replaced, so that none runs out on the way
UNKNOWN_LIFE = timedelta(minutes=5)  # of a token whose server says nothing of its end
LONGEST_LIFE = timedelta(days=30)
LEASE = timedelta(seconds=15)  # of the worker that fetches; longer than it can take
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Client:
    """Who asks for a token, with the secret in clear."""

    connection: Connection
    secret: str = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    query: Sequence[tuple[str, str]] = field(default=(), repr=False)
    body: Sequence[tuple[str, str]] = field(default=(), repr=False)

    @property
    def fingerprint(self) -> str:
        """Changes with anything that a token is made of: a changed secret asks for a token of its own."""
        made_of = [self.connection.identity, self.connection.token_endpoint, self.secret, self.headers, self.query]
        return hashlib.sha256(json.dumps([*made_of, self.body]).encode()).hexdigest()


@dataclass(frozen=True)
class Token:
    text: str = field(repr=False)
    kind: str = "Bearer"


def token_for(client: Client, *, now: datetime, seconds: float, refused: str = "") -> Token | Retry | Refused:
    """Return a token that is good for a while: the shared one, or a new one, within `seconds`.

    `refused` is a token that the destination did not take: that one is not returned again.
    """
    row = ConnectionToken.objects.get_or_create(connection=client.connection)[0]
    until = time.monotonic() + seconds
    while True:
        if is_good(row, client, refused, now=now, early=True):
            return in_clear(row)
        if lease(row, now=now):
            row.refresh_from_db()
            if is_good(row, client, refused, now=now, early=True):  # somebody has just given theirs back
                ConnectionToken.objects.filter(pk=row.pk).update(fetching_until=None)
                return in_clear(row)
            return fetch(client, now=now, seconds=max(until - time.monotonic(), 0.1))
        if is_good(row, client, refused, now=now, early=False):
            return in_clear(row)  # somebody fetches the next one; this one is good until then
        if time.monotonic() >= until:
            return Retry("TokenAwaited: Another worker is asking for a token.", timedelta(seconds=1), tried=False)
        time.sleep(POLL_SECONDS)
        row.refresh_from_db()


def is_good(row: ConnectionToken, client: Client, refused: str, *, now: datetime, early: bool) -> bool:
    """Whether the row's token is of these credentials, not refused, and not at its end; `early`: nor soon."""
    if not row.sealed_token or row.expires_at is None or row.fetched_at is None:
        return False
    spare = min(EARLY, (row.expires_at - row.fetched_at) / 5) if early else timedelta()
    if row.made_of != client.fingerprint or row.expires_at <= now + spare:
        return False
    return not (refused and unseal(row.sealed_token) == refused)


def in_clear(row: ConnectionToken) -> Token:
    return Token(unseal(row.sealed_token), row.kind)


def lease(row: ConnectionToken, *, now: datetime) -> bool:
    """Whether it is ours to fetch the next token."""
    free = Q(fetching_until=None) | Q(fetching_until__lt=now)
    return bool(ConnectionToken.objects.filter(free, pk=row.pk).update(fetching_until=now + LEASE))


def fetch(client: Client, *, now: datetime, seconds: float) -> Token | Retry | Refused:
    """Ask the authorization server, keep what it gives, and let others have it."""
    token: Token | Retry | Refused = Retry("TokenNotFetched: The authorization server was not reached.")
    changes: dict[str, object] = {}
    try:
        read = read_token(exchange(token_request(client), seconds=seconds))
        if isinstance(read, Retry | Refused):
            token = read
        else:
            token, life = read
            changes = {
                "sealed_token": seal(token.text),
                "kind": token.kind,
                "made_of": client.fingerprint,
                "expires_at": now + min(life, LONGEST_LIFE),
                "fetched_at": now,
            }
    except MALFORMED:
        token = Refused("TokenAddressMalformed: The connection's authorization endpoint is no web address.")
    finally:
        ConnectionToken.objects.filter(pk=client.connection.pk).update(fetching_until=None, **changes)
    return token


def token_request(client: Client) -> Request:
    connection = client.connection
    said: list[tuple[str, str]] = [("grant_type", "client_credentials")]
    ours = [("User-Agent", AGENT), ("Accept", "application/json"), ("Accept-Encoding", "identity")]
    if connection.client_place == ClientPlace.BODY:
        said += [("client_id", connection.identity), ("client_secret", client.secret)]
    else:  # RFC 6749, 2.3.1: each is form-encoded first
        both = f"{quote_plus(connection.identity)}:{quote_plus(client.secret)}"
        ours.append(("Authorization", f"Basic {base64.b64encode(both.encode()).decode()}"))
    said = merge(said, client.body)
    theirs = [pair for pair in client.headers if pair[0].lower() not in NOT_TAKEN]
    query = list(client.query)
    body = b""
    if connection.token_method == TokenMethod.GET:
        query = merge(query, said)
    else:
        body = urlencode(said).encode()
        ours.append(("Content-Type", "application/x-www-form-urlencoded"))
    return Request(connection.token_method, token_url(connection.token_endpoint, query), (*theirs, *ours), body)


def token_url(endpoint: str, query: Sequence[tuple[str, str]]) -> str:
    parts = urlsplit(endpoint)
    whole = urlencode(merge(parse_qsl(parts.query, keep_blank_values=True), query), quote_via=quote)
    return as_named(urlunsplit((parts.scheme, parts.netloc, parts.path or "/", whole, "")))


def read_token(came: Answer | Failure) -> tuple[Token, timedelta] | Retry | Refused:
    """Read what the server gave: the token and how long it lives, or why there is none.

    What the server says is not repeated: it may hold what was sent to it.
    """
    if isinstance(came, Failure):
        error = f"Token{came.name}: The authorization server gave no token. {came.sentence}"
        return Refused(error) if came.final else Retry(error)
    if came.status >= 500 or came.status in AGAIN:
        return Retry(f"TokenHttp{came.status}: The authorization server answered {came.status}.")
    if came.status != 200:
        said = "Check the connection's client id and secret."
        return Refused(f"TokenHttp{came.status}: The authorization server answered {came.status}. {said}")
    try:
        given = json.loads(came.body)
        text, kind = given["access_token"], given.get("token_type") or "Bearer"
        life = timedelta(seconds=float(given["expires_in"])) if given.get("expires_in") else UNKNOWN_LIFE
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return Retry("TokenUnreadable: The authorization server answered without a token.")
    if not is_sayable(text) or not is_sayable(kind):
        return Retry("TokenUnreadable: The authorization server gave a token that no header can hold.")
    return Token(text, "Bearer" if kind.lower() == "bearer" else kind[:32]), life


def is_sayable(text: object) -> bool:
    return isinstance(text, str) and bool(text) and all(33 <= ord(character) <= 126 for character in text)
