"""A real HTTP server on loopback: it answers as a test tells it, badly where it is told to, and remembers."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    method: str
    path: str  # with the query string
    headers: dict[str, str]  # lower-case names
    body: str
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    status: int = 200
    body: str | bytes = "{}"
    headers: dict[str, str] = field(default_factory=dict)


Misdeed = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """`replies` are given out in order, the last one for ever."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.replies: list[Reply | Misdeed] = [Reply()]
        self.stopping = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.received.append(Received(self.command, self.path, headers, body, time.monotonic()))
                reply = server.replies.pop(0) if len(server.replies) > 1 else server.replies[0]
                if callable(reply):
                    self.close_connection = True
                    reply(self)
                    return
                content = reply.body if isinstance(reply.body, bytes) else reply.body.encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer

            def log_message(self, *_args: object) -> None: ...

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_args: object) -> None: ...

        self.http = Quiet(("127.0.0.1", 0), Handler)
        if context:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.http.server_address[1]
        self.scheme = "https" if context else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        """Take the request and never answer."""
        self.stopping.wait(20)

    def drip(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer, a byte of a header now and then."""
        for _byte in range(400):
            if self.stopping.wait(0.05):
                return
            handler.wfile.write(b"H" if _byte == 0 else b"T")

    def flood(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer with ten gigabytes."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        while not self.stopping.is_set():
            handler.wfile.write(b"x" * 65_536)

    def endless_headers(self, handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.stopping.is_set():
            handler.wfile.write(b"X-More: " + b"y" * 1000 + b"\r\n")

    def garbage(self, handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"\x00\xff this is no HTTP \r\n\r\n")

    def slam(self, handler: BaseHTTPRequestHandler) -> None:
        """Close the connection without a word."""
        handler.connection.shutdown(socket.SHUT_RDWR)

    def break_off(self, handler: BaseHTTPRequestHandler) -> None:
        """Say 200 and half a body, then close."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(context)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.http.shutdown()
        server.http.server_close()
