"""A Stripe that hears and does what it is told, and whose answers do not come: it stands before the sandbox."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from django.conf import LazySettings

from billing import stripe_client

HOP_BY_HOP = {"connection", "content-length", "host", "transfer-encoding", "accept-encoding", "content-encoding"}


class SlowStripe(ThreadingHTTPServer):
    """Answers are held while `holds` says so of a method and a path; `heard` is what came, with its key."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), Forward)
        self.behind = behind
        self.holds: Callable[[str, str], bool] = lambda method, path: False
        self.heard: list[tuple[str, str, str]] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Forward(BaseHTTPRequestHandler):
    server: SlowStripe
    protocol_version = "HTTP/1.1"

    def forward(self) -> None:
        path = self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.heard.append((self.command, path, self.headers.get("Idempotency-Key", "")))
        held = self.server.holds(self.command, path)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        answer = httpx.request(self.command, self.server.behind + self.path, content=body, headers=headers, timeout=20)
        if held:
            self.server.over.wait(30)
            self.close_connection = True
            return
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_DELETE = forward

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to be said."""


@pytest.fixture
def slow_stripe(sandbox: str, settings: LazySettings, stripe: object) -> Iterator[SlowStripe]:
    """From here on the portal's calls go through it."""
    server = SlowStripe(sandbox)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.STRIPE_API_BASE = settings.STRIPE_API_HOST = server.url
    stripe_client.stripe_client.cache_clear()
    stripe_client.stripe_http.cache_clear()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()
    stripe_client.stripe_client.cache_clear()
    stripe_client.stripe_http.cache_clear()
