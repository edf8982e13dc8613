"""What a request looks like: address, headers and body out of a destination, its connection and a target. Pure."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import httpx

LONGEST_BODY = 1_048_576  # bytes
LONGEST_URL = 8_192
WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
AGENT = "Kessai/1 (API destination)"
JSON_TYPE = "application/json; charset=utf-8"
# Headers that belong to the connection or to us: what a target or a connection says of them is left out, as EventBridge
# leaves it out.
NOT_TAKEN = frozenset(
    (
        "a-im", "accept-charset", "accept-datetime", "accept-encoding", "cache-control", "connection",
        "content-encoding", "content-length", "content-md5", "date", "expect", "forwarded", "from", "host",
        "http2-settings", "idempotency-key", "if-match", "if-modified-since", "if-none-match", "if-range",
        "if-unmodified-since", "keep-alive", "max-forwards", "origin", "pragma", "proxy-authorization",
        "proxy-connection", "range", "referer", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "via",
        "warning", "webhook-id", "webhook-signature", "webhook-timestamp",
    )
)  # fmt: skip
FORBIDDEN_IN_HEADERS = re.compile(r"[^\x20-\x7e\x80-\xff\t]")
TOKEN = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
# The names under which a target gives values (AWS docs, "HttpParameters").
PATH, QUERY, HEADERS = "PathParameterValues", "QueryStringParameters", "HeaderParameters"


class Unsendable(Exception):
    """The request cannot be made of what is there. `name` says what is wrong, the message what it means."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name

    @property
    def error(self) -> str:
        return f"{self.name}: {self}"


@dataclass(frozen=True)
class Added:
    """What a connection adds to every request: names with values."""

    headers: Sequence[tuple[str, str]] = ()
    query: Sequence[tuple[str, str]] = ()
    body: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Wish:
    """What a caller wants said: the text, a target's parameters, and the idempotency key."""

    body: str
    key: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def shaped_url(endpoint: str, wish: Wish, added: Added) -> str:
    """Return the address: path values filled in, then the query of endpoint, target and connection, the last winning.

    Raises Unsendable.
    """
    values = texts(wish.parameters.get(PATH) or [])
    try:
        parts = urlsplit(fill(endpoint, values))
        query = merge(parse_qsl(parts.query, keep_blank_values=True), pairs(wish.parameters.get(QUERY)), added.query)
        whole = urlencode(query, quote_via=quote)
        ready = as_named(urlunsplit((parts.scheme, parts.netloc, parts.path or "/", whole, "")))
    except MALFORMED:
        raise Unsendable("AddressMalformed", "The endpoint with its path values is no web address.") from None
    if len(ready) > LONGEST_URL:
        raise Unsendable("AddressTooLong", f"The address is longer than {LONGEST_URL:,} characters.")
    return ready


MALFORMED = (httpx.InvalidURL, ValueError)


def as_named(url: str) -> str:
    """Return the address in ASCII, its host as DNS knows it (bücher.example → xn--bcher-kva.example).

    Raises one of MALFORMED.
    """
    parsed = httpx.URL(url)
    host = parsed.raw_host.decode("ascii")
    host = f"[{host}]" if ":" in host else host
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{host}{port}{parsed.raw_path.decode('ascii')}"


def fill(endpoint: str, values: Sequence[str]) -> str:
    """Put one value into each `*` of the endpoint's path, encoded so that it stays within its place.

    Raises Unsendable where there are more or fewer values than places, or a value would change the path around it.
    """
    parts = urlsplit(endpoint)
    places = parts.path.count("*")
    if places != len(values):
        sentence = f"The endpoint has {places} places for path values, and the target gives {len(values)}."
        raise Unsendable("PathValuesDiffer", sentence)
    for value in values:
        if not value:
            raise Unsendable("PathValueEmpty", "A path value is empty: it would be another path.")
        if any(ord(character) < 32 or ord(character) == 127 for character in value):
            raise Unsendable("PathValueMalformed", "A path value holds control characters.")
    rest = iter(values)
    path = "".join(quote(next(rest), safe="") if part == "*" else part for part in re.split(r"(\*)", parts.path))
    if any(dots(segment) for segment in path.split("/")) and not any(dots(part) for part in parts.path.split("/")):
        raise Unsendable("PathValueMalformed", "A path value is . or ..: it would be another path.")
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, parts.fragment))


def dots(segment: str) -> bool:
    return segment.lower().replace("%2e", ".") in (".", "..")


def shaped_headers(
    wish: Wish, added: Added, ours: Sequence[tuple[str, str]], *, with_body: bool
) -> tuple[tuple[str, str], ...]:
    """Return all headers: a target's, under a connection's, under ours (credentials, key, signature)."""
    first = [("User-Agent", AGENT), ("Accept-Encoding", "identity"), ("Connection", "close")]
    if with_body:
        first.append(("Content-Type", JSON_TYPE))
    taken = [
        [pair for pair in said if pair[0].lower() not in NOT_TAKEN] for said in (target_headers(wish), added.headers)
    ]
    found: dict[str, tuple[str, str]] = {}
    for name, value in (*first, *taken[0], *taken[1], *ours):
        if not TOKEN.match(name) or FORBIDDEN_IN_HEADERS.search(value):
            raise Unsendable("HeaderMalformed", f"The header {name[:64]!r} holds what HTTP does not allow.")
        found[name.lower()] = (name, value.strip())
    return tuple(found.values())


def target_headers(wish: Wish) -> list[tuple[str, str]]:
    return pairs(wish.parameters.get(HEADERS))


def shaped_body(method: str, wish: Wish, added: Added) -> str:
    """Return the text of the body: the wish's, with the connection's parameters in it where there are any."""
    if method in WITHOUT_BODY:
        return ""
    body = wish.body
    if added.body:
        body = json.dumps({**as_object(body), **dict(added.body)}, ensure_ascii=False)
    if len(body.encode()) > LONGEST_BODY:
        raise Unsendable("BodyTooLong", f"The body is longer than {LONGEST_BODY:,} bytes.")
    return body


def as_object(body: str) -> dict[str, Any]:
    try:
        value = json.loads(body) if body.strip() else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Unsendable("BodyIsNoObject", "The connection adds body parameters, and the body is no JSON object.")
    return value


def merge(*parts: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join names with values; a later part takes the place of all that earlier ones say under its names."""
    found: list[tuple[str, str]] = []
    for part in parts:
        said = list(part)
        names = {name for name, _value in said}
        found = [pair for pair in found if pair[0] not in names] + said
    return found


def pairs(values: Any) -> list[tuple[str, str]]:
    if not isinstance(values, Mapping):
        if values:
            raise Unsendable("ParametersMalformed", "Query-string and header parameters are names with values.")
        return []
    return list(zip((str(name) for name in values), texts(list(values.values())), strict=True))


def texts(values: Any) -> list[str]:
    """Return values as text: strings as they are, numbers and truth values as JSON writes them."""
    if not isinstance(values, list | tuple):
        raise Unsendable("ParametersMalformed", "Path values are a list.")
    if not all(isinstance(value, str | int | float | bool) for value in values):
        raise Unsendable("ParametersMalformed", "A parameter is neither text nor a number.")
    return [value if isinstance(value, str) else json.dumps(value) for value in values]
