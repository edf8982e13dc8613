"""Speaking ASGI to the webhook's door, as a server would."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from billing.inbox.asgi_door import WebhookDoor
from billing.inbox.gather import Gathering
from tests.stripe_sandbox import sign


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: dict[str, str]


async def nothing_inside(*_args: Any) -> None:
    raise AssertionError("this was no address of the door's")


@contextmanager
def a_door(**options: Any) -> Iterator[WebhookDoor]:
    gathering = Gathering(**options)
    try:
        yield WebhookDoor(nothing_inside, gathering)
    finally:
        gathering.close()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def run_all(works: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    async def together() -> list[Any]:
        return await asyncio.gather(*works)

    return asyncio.run(together())


async def post(
    door: WebhookDoor,
    body: str | bytes,
    *,
    signature: str | None = None,
    path: str = "/webhooks/stripe/",
    method: str = "POST",
    chunks: int = 1,
    length: str | None = None,
    hang_up: bool = False,
) -> Answer | None:
    """Send a request in so many chunks; None when it was not answered."""
    raw = body.encode() if isinstance(body, str) else body
    if signature is None:
        signature = sign(raw.decode())
    step = max(1, -(-len(raw) // chunks))
    pieces = [raw[at : at + step] for at in range(0, len(raw), step)] or [b""]
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.disconnect"} if hang_up else {"type": "http.request", "body": b""})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"stripe-signature", signature.encode("latin-1", "replace"))]
    headers.append((b"content-length", (length or str(len(raw))).encode()))
    await door({"type": "http", "method": method, "path": path, "headers": headers}, receive, send)
    return read(sent)


def read(sent: list[dict[str, Any]]) -> Answer | None:
    if not sent:
        return None
    start, end = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], end["body"].decode(), headers)
