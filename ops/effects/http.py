"""`http:invoke` of Step Functions: one request to an HTTPS API, with the credentials of a connection.

Step Functions docs, "Call HTTPS APIs in Step Functions workflows". Which addresses may be called, which headers may be
said and what a connection adds is decided as for API destinations.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from http.client import responses
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import msgspec

from ops.effects.destinations.credentials import Opened, authorization, opened
from ops.effects.destinations.masks import Masks
from ops.effects.destinations.models import Connection
from ops.effects.destinations.shape import (
    WITHOUT_BODY,
    Added,
    Unsendable,
    Wish,
    as_object,
    shaped_body,
    shaped_headers,
    shaped_url,
)
from ops.effects.destinations.wire import Answer, Failure, Request, exchange
from ops.effects.outcome import Done, Outcome, Refused, Retry
from ops.effects.sealing import Unreadable

Json = Any
# Step Functions gives an HTTP Task 60 seconds. Here a worker's lease must outlast all the calls that it takes at once.
SECONDS = 25.0
LARGEST_ANSWER = 262_144  # bytes: what a state's output may have
FORM = "application/x-www-form-urlencoded"


class Named(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    connection_arn: Annotated[str, msgspec.Meta(pattern=r"^arn:[^:]*:events:[^:]*:[^:]*:connection/[^/]+(/.*)?$")]


class Encoding(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    array_format: Literal["INDICES", "REPEAT", "COMMAS", "BRACKETS", "NONE"] = "INDICES"


class Transform(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    request_body_encoding: Literal["NONE", "URL_ENCODED"] = "NONE"
    request_encoding_options: Encoding = msgspec.field(default_factory=Encoding)


class Invocation(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    """The parameters of an HTTP Task; `authentication` or `invocation_config` names the connection."""

    api_endpoint: Annotated[str, msgspec.Meta(pattern="^https?://", max_length=8192)]
    method: Literal["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]
    authentication: Named | None = None
    invocation_config: Named | None = None
    headers: dict[str, Any] = {}
    query_parameters: dict[str, Any] = {}
    request_body: Any = None
    transform: Transform = msgspec.field(default_factory=Transform)

    @property
    def connection_name(self) -> str:
        named = self.authentication or self.invocation_config
        return named.connection_arn.partition("connection/")[2].partition("/")[0] if named else ""


def invoke(arguments: Json, *, key: str, now: datetime) -> Outcome:
    """Make the request of an HTTP Task; `key` goes along as Idempotency-Key. Never inside a transaction.

    Done with StatusCode, StatusText, Headers and ResponseBody; Refused as `States.Http.StatusCode.NNN` for any other
    status than one of success, and as `States.Http.Socket` where no answer came.
    """
    try:
        wanted = msgspec.convert(arguments, Invocation)
    except msgspec.ValidationError as error:
        return Refused(f"States.Runtime: {error}")
    connection = Connection.objects.filter(name=wanted.connection_name).first()
    if connection is None:
        name = wanted.connection_name
        said = f"there is no connection named {name}" if name else "Authentication with a ConnectionArn is missing"
        return Refused(f"Events.ConnectionResource.NotFound: {said}.")
    masks = Masks()
    try:
        credentials = opened(connection, masks)
        request = request_of(wanted, credentials.added, key)
    except Unreadable as error:
        return Retry(f"SecretUnreadable: {error}")
    except Unsendable as error:
        return Refused(f"States.Runtime: {error}")
    return send(request, credentials, masks, now=now)


def request_of(wanted: Invocation, added: Added, key: str) -> Request:
    """All of the request but the header that says who is calling. Raises Unsendable."""
    body = body_of(wanted, added)
    wish = Wish(body, key, {"HeaderParameters": wanted.headers})
    ours = [("Idempotency-Key", quote(key, safe="!#$&'()*+,/:;=?@[]~ "))]
    if wanted.transform.request_body_encoding == "URL_ENCODED":
        ours.append(("Content-Type", FORM))
    headers = shaped_headers(wish, added, ours, with_body=wanted.method not in WITHOUT_BODY)
    return Request(wanted.method, shaped_url(endpoint_of(wanted), Wish("", key), added), headers, body.encode())


def endpoint_of(wanted: Invocation) -> str:
    """The endpoint with its query; a list of values is a name said several times."""
    parts = urlsplit(wanted.api_endpoint)
    more = urlencode([(name, text_of(value)) for name, value in flat(wanted.query_parameters)], quote_via=quote)
    query = "&".join(part for part in (parts.query, more) if part)
    # To destinations a star is a place for a value; here it is a star.
    return urlunsplit((parts.scheme, parts.netloc, parts.path.replace("*", "%2A"), query, ""))


def flat(values: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    for name, value in values.items():
        for one in value if isinstance(value, list) else (value,):
            yield name, one


def body_of(wanted: Invocation, added: Added) -> str:
    if wanted.request_body is None and not added.body:
        return ""
    given = wanted.request_body
    text = given if isinstance(given, str) else json.dumps(given or {}, ensure_ascii=False)
    if wanted.transform.request_body_encoding != "URL_ENCODED":
        return shaped_body(wanted.method, Wish(text, ""), added)
    whole = {**as_object(text), **dict(added.body)}
    arrays = wanted.transform.request_encoding_options.array_format
    pairs = [pair for name, value in whole.items() for pair in encoded(name, value, arrays)]
    return urlencode(pairs, quote_via=quote)


def encoded(name: str, value: Json, arrays: str) -> Iterator[tuple[str, str]]:
    """A value as pairs of a form: `a[b]=1` for objects, lists as `RequestEncodingOptions` says."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from encoded(f"{name}[{key}]", inner, arrays)
    elif isinstance(value, list) and arrays == "COMMAS":
        yield name, ",".join(map(text_of, value))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            place = {"INDICES": f"[{index}]", "BRACKETS": "[]"}.get(arrays, "")
            yield from encoded(f"{name}{place}", inner, arrays)
    else:
        yield name, text_of(value)


def text_of(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def send(request: Request, credentials: Opened, masks: Masks, *, now: datetime) -> Outcome:
    """Send; once more with a fresh token where the connection's was refused."""
    refused = ""
    for _ in range(2):
        header = authorization(credentials, masks, now=now, seconds=SECONDS, refresh=refused)
        if isinstance(header, Retry | Refused):
            return header
        others = tuple(pair for pair in request.headers if pair[0].lower() != header[0].lower())
        whole = Request(request.method, request.url, (*others, header), request.body)
        came = exchange(whole, seconds=SECONDS, most_bytes=LARGEST_ANSWER)
        is_oauth = credentials.connection.authorization == "oauth"
        if not (is_oauth and isinstance(came, Answer) and came.status == 401):
            break
        refused = header[1].partition(" ")[2]
    return outcome_of(came, masks)


def outcome_of(came: Answer | Failure, masks: Masks) -> Outcome:
    if isinstance(came, Failure):
        return Refused(f"States.Http.Socket: {came.sentence}")
    if came.cut:
        return Refused("States.DataLimitExceeded: The answer is larger than a state's output may be, or broke off.")
    told = {
        "Headers": headers_of(came),
        "ResponseBody": body_in(came, masks),
        "StatusCode": came.status,
        "StatusText": responses.get(came.status, ""),
    }
    if 200 <= came.status < 300:
        return Done(told)
    return Refused(f"States.Http.StatusCode.{came.status}: {json.dumps(told, ensure_ascii=False)}")


def headers_of(came: Answer) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in came.headers:
        found.setdefault(name.lower(), []).append(value)
    return found


def body_in(came: Answer, masks: Masks) -> Json:
    """JSON where the answer says that it is, and is; else the text."""
    text = masks.mask(came.body.decode(errors="replace"))
    if "json" in (came.header("content-type") or ""):
        try:
            return json.loads(text)
        except ValueError:
            pass
    return text
