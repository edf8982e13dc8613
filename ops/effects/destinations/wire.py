"""One request over the network, harmless whatever the other side does.

Addresses are checked after the name is resolved, and the connection goes to the very address that was checked. All of
it together, from the name to the last byte, keeps to one time-out; of the answer no more is read than is kept.
"""

import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import certifi
import httpcore
from django.conf import settings

from ops.effects.destinations.addresses import LookupTimedOut, NameNotFound, look_up, may_be_called, networks

KEPT_BYTES = 65_536  # of an answer
PIECE = 65_536
LOWEST_PORT = 1024  # below it, only 443: nobody's mail server is spoken to


@dataclass(frozen=True)
class Request:
    """What goes out. `url` is absolute and ASCII."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What came back, from which address, within how many seconds; `cut` where the body was longer than is kept."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    cut: bool
    address: str
    seconds: float

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True)
class Failure:
    """Nothing came back that could be understood. `final` where the same request would fail again, whenever made."""

    name: str
    sentence: str
    address: str = ""
    seconds: float = 0.0
    final: bool = False

    @property
    def error(self) -> str:
        return f"{self.name}: {self.sentence}"


class AddressRefused(Exception):
    """An address that may not be called."""


def exchange(request: Request, *, seconds: float, most_bytes: int = KEPT_BYTES) -> Answer | Failure:
    """Send a request and read the answer within `seconds`. Never raises for what the other side does."""
    began = time.monotonic()
    backend = CheckedBackend(began + seconds, encrypted=request.url.startswith("https:"))
    try:
        answered = speak(request, backend, most_bytes)
    except httpcore.UnsupportedProtocol:
        return Failure("NoWebAddress", "The address is neither http nor https.", final=True)
    except (AddressRefused, NameNotFound, LookupTimedOut, httpcore.LocalProtocolError) as error:
        return refused(error, backend, time.monotonic() - began)
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
        return broken(error, backend, time.monotonic() - began)
    status, headers, body, cut = answered
    return Answer(status, headers, body, cut, backend.address, time.monotonic() - began)


def speak(
    request: Request, backend: "CheckedBackend", most_bytes: int
) -> tuple[int, tuple[tuple[str, str], ...], bytes, bool]:
    # A connection for each request: a kept one would go to an address that was checked long ago.
    with (
        httpcore.ConnectionPool(
            ssl_context=tls_context(settings.DESTINATIONS_CA_FILE),
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=backend,
        ) as pool,
        pool.stream(
            request.method,
            request.url,
            headers=[(name.encode(), value.encode()) for name, value in request.headers],
            content=request.body or None,
        ) as response,
    ):
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers)
        body, cut = read(response, most_bytes)
        return response.status, headers, body, cut


def read(response: httpcore.Response, most_bytes: int) -> tuple[bytes, bool]:
    """Read what is kept of an answer. One that breaks off or dawdles is cut: its status says what came of the call."""
    body = b""
    try:
        for piece in response.iter_stream():
            body += piece
            if len(body) > most_bytes:
                return body[:most_bytes], True
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
        return body, True
    return body, False


def refused(error: Exception, backend: "CheckedBackend", seconds: float) -> Failure:
    if isinstance(error, AddressRefused):
        return Failure("AddressRefused", str(error), backend.address, seconds, final=True)
    if isinstance(error, NameNotFound):
        return Failure("NameNotFound", "The host's name is not known.", seconds=seconds)
    if isinstance(error, LookupTimedOut):
        return Failure("LookupTimedOut", "The host's name could not be looked up in time.", seconds=seconds)
    return Failure("RequestMalformed", "A header or the address holds what HTTP does not allow.", final=True)


def broken(error: Exception, backend: "CheckedBackend", seconds: float) -> Failure:
    """Name what went wrong in our own words: what libraries say may hold parts of the request."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            said = f"The host's certificate is not trusted: {cause.verify_message}."
            return Failure("CertificateRefused", said, backend.address, seconds)
        if isinstance(cause, ssl.SSLError):
            return Failure("TlsFailed", "No encrypted connection could be made.", backend.address, seconds)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore.TimeoutException | TimeoutError):
        return Failure("TimedOut", f"There was no answer within {seconds:.1f} seconds.", backend.address, seconds)
    if isinstance(error, httpcore.ConnectError):
        return Failure("ConnectionRefused", "The host takes no connections.", backend.address, seconds)
    if isinstance(error, httpcore.ProtocolError) and "disconnected" not in str(error):  # httpcore's word for silence
        return Failure("AnswerMalformed", "What came back is no HTTP answer.", backend.address, seconds)
    return Failure("ConnectionBroken", "The connection broke off before the answer.", backend.address, seconds)


@lru_cache(maxsize=4)
def tls_context(ca_file: str) -> ssl.SSLContext:
    """Trust what the system trusts, what certifi does, and what `ca_file` holds."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    return context


class CheckedBackend(httpcore.NetworkBackend):
    """Connects to checked addresses alone, until `deadline` (monotonic seconds). `address` is where it connected."""

    def __init__(self, deadline: float, *, encrypted: bool) -> None:
        self.deadline = deadline
        self.encrypted = encrypted
        self.address = ""

    def left(self) -> float:
        """Seconds that are left; raises where none are."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self.checked(host, port)
        for place, address in enumerate(addresses, start=1):
            self.address = address
            share = self.left() / (len(addresses) - place + 1)
            try:
                stream = httpcore.SyncBackend().connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if place == len(addresses):
                    raise
            else:
                return TimedStream(stream, self)
        raise httpcore.ConnectError

    def checked(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host. One that may not be called spoils all: who owns the name is not trusted."""
        allowed = networks(settings.DESTINATIONS_ALLOWED_NETWORKS)
        addresses = look_up(host, port, seconds=self.left())
        for address in addresses:
            if not may_be_called(address, allowed=allowed, encrypted=self.encrypted):
                self.address = address
                why = "is private or reserved" if self.encrypted else "may not be called without encryption"
                raise AddressRefused(f"The host stands at {address}, which {why} (DESTINATIONS_ALLOWED_NETWORKS).")
            if port < LOWEST_PORT and port != 443 and not may_be_called(address, allowed=allowed, encrypted=False):
                self.address = address
                raise AddressRefused(f"Port {port} is not called: use 443, or one from {LOWEST_PORT} on.")
        return addresses


class TimedStream(httpcore.NetworkStream):
    """A connection each of whose steps has no more time than is left for all of them."""

    def __init__(self, stream: httpcore.NetworkStream, backend: CheckedBackend) -> None:
        self.stream = stream
        self.backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, self.backend.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it. The socket is asked piece by piece, as a reader could take a byte now and then for ever."""
        connection: socket.socket = self.stream.get_extra_info("socket")
        try:
            while buffer:
                connection.settimeout(self.backend.left())
                buffer = buffer[connection.send(buffer[:PIECE]) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout from error
        except OSError as error:
            raise httpcore.WriteError from error

    def close(self) -> None:
        self.stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return TimedStream(self.stream.start_tls(ssl_context, server_hostname, self.backend.left()), self.backend)

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)
