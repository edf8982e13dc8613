"""A sandbox process of the test's own, and a receiver of webhooks. Both speak real HTTP."""

import secrets
import string
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import stripe

from sandbox import API_VERSION, versions
from tests.sandbox.declared import misfits

ROOT = Path(__file__).parents[2]


class RunningSandbox:
    """`python -m sandbox` on a free port. `kill` is SIGKILL; `start` again goes on with the same data."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data, self.options = data, options
        self.url = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> "RunningSandbox":
        command = [sys.executable, "-m", "sandbox", "--port", "0", "--data", str(self.data), *self.options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), f"the sandbox said {line!r}"
        self.url = line.removeprefix("listening on ").strip()
        return self

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def stop(self) -> None:
        assert self.process
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def client(self, key: str | None = None, **options: Any) -> stripe.StripeClient:
        """The official library; without a key, in an account that nobody else uses."""
        return stripe.StripeClient(key or new_key(), base_addresses={"api": self.url}, **options)

    def http(self, key: str | None = None) -> httpx.Client:
        """Any client. Every answer has the shape that the official library declares, or the test that got it fails."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        hooks = {"response": [_check_shape]}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=60, event_hooks=hooks)


def _check_shape(answer: httpx.Response) -> None:
    spoken = answer.request.headers.get("stripe-version", API_VERSION)
    today = not versions.is_before(spoken, versions.DAHLIA)  # an older client is shown more than is declared today
    if today and answer.is_success and answer.request.url.path.startswith("/v1/") and answer.read():
        said = answer.json()
        assert not misfits(said), (answer.request.url.path, misfits(said))


def new_account() -> str:
    """The part of a key that names an account."""
    letters = string.ascii_letters + string.digits
    return "51" + "".join(secrets.choice(letters) for _ in range(15))


def new_key(kind: str = "sk", mode: str = "test", account: str | None = None) -> str:
    return f"{kind}_{mode}_{account or new_account()}{secrets.token_hex(8)}"


def body_of(error: stripe.StripeError) -> Any:
    """The `error` of the answer, without the library's optional types."""
    return error.error


def until(ready: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for a true value, which is returned; fail at the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = ready()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not so within {seconds} seconds")


@dataclass
class Receiver:
    """Keeps what is posted to it. `answers` are the statuses to give, the last one for ever."""

    answers: list[int] = field(default_factory=lambda: [200])
    received: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    server: ThreadingHTTPServer | None = None

    def start(self) -> "Receiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((body, dict(self.headers.items())))
                status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    @property
    def url(self) -> str:
        assert self.server
        return f"http://127.0.0.1:{self.server.server_port}/webhook"

    def events(self, secret: str) -> list[stripe.Event]:
        """What came, its signatures checked by the official library."""
        return [
            stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret)
            for body, headers in list(self.received)
        ]

    def stop(self) -> None:
        assert self.server
        self.server.shutdown()
        self.server.server_close()
