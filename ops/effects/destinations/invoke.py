"""Calling a destination: the one way in which requests to API destinations go out."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import structlog
from django.conf import settings

from ops.effects.destinations import breaker, limit, log
from ops.effects.destinations.credentials import Opened, authorization, opened
from ops.effects.destinations.masks import Masks
from ops.effects.destinations.models import Authorization, Destination, DestinationRequest, Origin
from ops.effects.destinations.reading import is_alive, is_unauthorized, outcome_of, result_of
from ops.effects.destinations.shape import (
    MALFORMED,
    WITHOUT_BODY,
    Added,
    Unsendable,
    Wish,
    as_named,
    shaped_body,
    shaped_headers,
    shaped_url,
)
from ops.effects.destinations.signing import signature_headers, valid_secrets
from ops.effects.destinations.wire import Answer, Failure, Request, exchange
from ops.effects.outcome import Outcome, Refused, Retry
from ops.effects.sealing import Unreadable

logger = structlog.get_logger(__name__)

MOST_HOPS = 3
KEEPING_THE_METHOD = frozenset({307, 308})  # RFC 9110, 15.4: others turn a POST into a GET
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Called:
    """What came of a call, and the rows of its requests: none where nothing went out, two after a refused token."""

    outcome: Outcome
    requests: tuple[DestinationRequest, ...] = ()


def invoke(destination_name: str, *, body: str, parameters: Mapping[str, Any], key: str, now: datetime) -> Outcome:
    """Call a destination by its name with a body; return what came of it. Never inside a transaction.

    `parameters` are a target's values as EventBridge names them: `PathParameterValues` (a list),
    `QueryStringParameters`, `HeaderParameters` (names with values). `key` goes along as Idempotency-Key, and as
    webhook-id where the destination is signed: the same for each try of one call. The caller commits its intent first.
    """
    destination = Destination.objects.select_related("connection").filter(name=destination_name).first()
    if destination is None:
        return Refused(f"UnknownDestination: There is no API destination {destination_name}.")
    return call(destination, Wish(body, key, parameters), now=now).outcome


def call(
    destination: Destination,
    wish: Wish,
    *,
    now: datetime,
    origin: Origin = Origin.RULE,
    replay_of: DestinationRequest | None = None,
) -> Called:
    """Call a destination; see `invoke`."""
    if away := breaker.is_open(destination, now=now):
        return Called(away)
    one = Call(destination, wish, now, origin, replay_of)
    try:
        one.prepare()
    except Unreadable as error:
        return Called(Retry(f"SecretUnreadable: {error}"))
    except Unsendable as error:
        return Called(Refused(error.error), (one.unsent(error),))
    return one.make()


class Call:
    """One call on its way: the secrets in clear, for as long as it takes."""

    def __init__(
        self,
        destination: Destination,
        wish: Wish,
        now: datetime,
        origin: Origin,
        replay_of: DestinationRequest | None,
    ) -> None:
        self.destination, self.wish, self.now = destination, wish, now
        self.origin, self.replay_of = origin, replay_of
        self.masks = Masks()
        self.seconds = min(destination.timeout_seconds, settings.DESTINATIONS_LONGEST_TIMEOUT_SECONDS)
        self.credentials: Opened
        self.request: Request
        self.trial = False

    def prepare(self) -> None:
        """Make all of the request but the header that says who is calling. Raises Unreadable, Unsendable."""
        self.credentials = opened(self.destination.connection, self.masks)
        added = self.credentials.added
        body = shaped_body(self.destination.method, self.wish, added)
        headers = self.headers(added, body)
        url = shaped_url(self.destination.endpoint, self.wish, added)
        self.request = Request(self.destination.method, url, headers, body.encode())

    def headers(self, added: Added, body: str) -> tuple[tuple[str, str], ...]:
        """Return all headers but the one that says who is calling."""
        key = quote(self.wish.key, safe="!#$&'()*+,/:;=?@[]~ ")  # a header's value is ASCII
        ours = [("Idempotency-Key", key)]
        if self.destination.signed:
            keys = valid_secrets(self.destination, now=self.now)
            for secret in keys:
                self.masks.add(secret)
            if not keys:
                raise Unsendable("SigningSecretMissing", "The destination is signed, and has no signing secret yet.")
            ours += signature_headers(keys, message_id=key, body=body, now=self.now)
        return shaped_headers(self.wish, added, ours, with_body=self.destination.method not in WITHOUT_BODY)

    def make(self) -> Called:
        """Take a turn, pass the breaker, send; once more where a token was refused."""
        if later := limit.take_turn(self.destination):
            return Called(later)
        admitted = breaker.admit(self.destination, now=self.now)
        if isinstance(admitted, Retry):
            return Called(admitted)
        self.trial = admitted.on_trial
        header = self.proof()
        if isinstance(header, Retry | Refused):
            return Called(header)
        first, came = self.send(header)
        if self.destination.connection.authorization != Authorization.OAUTH or not is_unauthorized(came):
            return first
        if later := limit.take_turn(self.destination):
            return replace(first, outcome=replace(later, tried=True))
        fresh = self.proof(refused=header[1].partition(" ")[2])
        if isinstance(fresh, Retry | Refused):
            return replace(first, outcome=fresh)
        second, _came = self.send(fresh)
        return Called(second.outcome, (*first.requests, *second.requests))

    def proof(self, refused: str = "") -> tuple[str, str] | Retry | Refused:
        """Return the header that says who is calling; why there is none is the destination's failure as well."""
        header = authorization(self.credentials, self.masks, now=self.now, seconds=self.seconds, refresh=refused)
        if (isinstance(header, Refused) and self.trial) or (isinstance(header, Retry) and header.tried):
            breaker.failed(self.destination, header.error, on_trial=self.trial, now=self.now)
        return header

    def send(self, header: tuple[str, str]) -> tuple[Called, Answer | Failure]:
        others = tuple(pair for pair in self.request.headers if pair[0].lower() != header[0].lower())
        request = replace(self.request, headers=(*others, header))
        row = log.begin(
            self.destination,
            self.wish,
            request,
            self.masks,
            now=self.now,
            origin=self.origin,
            replay_of=self.replay_of,
        )
        came, hops = self.follow(request)
        said = result_of(came, self.masks.mask(log.text_of(came))) if isinstance(came, Answer) else None
        outcome = outcome_of(came, now=self.now, said=said)
        log.complete(row, came, outcome, self.masks, hops=hops)
        self.tell_breaker(came, outcome)
        name, status = self.destination.name, came.status if isinstance(came, Answer) else came.name
        logger.info("destination:called", destination=name, request=row.pk, came=str(row.came), status=status)
        return Called(outcome, (row,)), came

    def tell_breaker(self, came: Answer | Failure, outcome: Outcome) -> None:
        if is_alive(came):
            breaker.succeeded(self.destination, now=self.now)
        else:
            error = outcome.error if isinstance(outcome, Retry | Refused) else ""
            breaker.failed(self.destination, error, on_trial=self.trial, now=self.now)
        if isinstance(came, Answer) and came.status == 429:
            limit.rest(self.destination, outcome.after if isinstance(outcome, Retry) else None)

    def follow(self, request: Request) -> tuple[Answer | Failure, list[dict[str, object]]]:
        """Send a request, and where the destination wants it after redirects too, all within one time-out."""
        until = time.monotonic() + self.seconds
        hops: list[dict[str, object]] = []
        while True:
            came = exchange(request, seconds=max(until - time.monotonic(), 0.001))
            target = self.next_hop(request, came)
            if target is None or isinstance(came, Failure) or len(hops) == MOST_HOPS:
                return came, hops
            hops.append({"status": came.status, "address": came.address, "to": self.masks.mask(target)})
            request = self.redirected(request, target)

    def next_hop(self, request: Request, came: Answer | Failure) -> str | None:
        """Return where a redirect leads, or None where it is none that is followed."""
        if not self.destination.follow_redirects or isinstance(came, Failure) or came.status not in REDIRECTS:
            return None
        keeps = came.status in KEEPING_THE_METHOD or request.method in ("GET", "HEAD")
        location = came.header("location")
        if not keeps or not location:
            return None
        try:
            target = as_named(urljoin(request.url, location))
        except MALFORMED:
            return None
        # Nothing that went out encrypted goes out again in clear.
        return None if request.url.startswith("https:") and not target.startswith("https:") else target

    def redirected(self, request: Request, target: str) -> Request:
        """The same request elsewhere. Credentials and the connection's parameters stay with the host they are for."""
        if origin_of(request.url) == origin_of(target):
            return replace(request, url=target)
        body = shaped_body(request.method, self.wish, Added())
        return Request(request.method, target, self.headers(Added(), body), body.encode())

    def unsent(self, error: Unsendable) -> DestinationRequest:
        """Write down what could not be sent, so that operators see it where they look for it."""
        request = Request(self.destination.method, self.destination.endpoint, ())
        row = log.begin(
            self.destination,
            self.wish,
            request,
            self.masks,
            now=self.now,
            origin=self.origin,
            replay_of=self.replay_of,
        )
        log.complete(row, None, Refused(error.error), self.masks)
        return row


def origin_of(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
