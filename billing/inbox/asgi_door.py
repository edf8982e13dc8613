"""The webhook's address before Django: the same door as the view, without middleware, and with shared commits.

No host check, session, language or redirect is needed here: the signature says who speaks.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from billing.inbox.gather import Full, Gathering
from billing.inbox.intake import Stored
from billing.inbox.refusals import Reason, Refused
from billing.inbox.webhook import (
    AWAY,
    BUSY,
    LONGEST_BODY,
    RETRY_AFTER_SECONDS,
    accounts_at,
    check_length,
    note,
    read_webhook,
    refuse_length,
    say,
)
from billing.stripe_accounts import UnknownAccount

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]  # whatever more it says of them, Django's for one

log = structlog.get_logger(__name__)

ADDRESS = re.compile(r"/webhooks/stripe(?:/(?P<account>[a-z0-9-]+))?/?")
BODY_SECONDS = 15.0  # a sender that takes longer holds memory for nothing
COMMIT_SECONDS = 20.0  # Stripe does not wait longer than about that


class HungUp(Exception):
    """Whoever asked has gone away before the whole body came: there is nobody to answer."""


class WebhookDoor:
    """An ASGI application that answers the webhook's addresses itself and leaves the rest to `inner`."""

    def __init__(self, inner: Application, gathering: Gathering) -> None:
        self._inner = inner
        self._gathering = gathering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # the handshake gets 403; Django would fail with a trace
        elif scope["type"] == "http" and (address := ADDRESS.fullmatch(scope["path"])):
            await self._answer(scope, address["account"], receive, send)
        else:
            await self._inner(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Store what has gathered before the process ends (ASGI's "Lifespan Protocol"; Django has none)."""
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await asyncio.to_thread(self._gathering.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, account: str | None, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await respond(send, 405, "Only POST is answered here.", (b"allow", b"POST"))
            return
        try:
            sentence = await self._take_in(scope, account, receive)
        except HungUp:
            return
        except UnknownAccount:
            await respond(send, 404, "No account has this address.")
        except Refused as refusal:
            note(refusal)
            await respond(send, refusal.status, str(refusal))
        except Exception:
            log.exception("webhook:failed")
            await respond(send, 500, "This went wrong here; send it again.")
        else:
            await respond(send, 200, sentence)

    async def _take_in(self, scope: Scope, account: str | None, receive: Receive) -> str:
        accounts = accounts_at(account)
        headers = dict(scope["headers"])
        check_length(headers.get(b"content-length", b"0").decode("latin-1"))
        body = await read_body(receive)
        signature = headers.get(b"stripe-signature", b"").decode("latin-1")
        arrival = read_webhook(body, signature, accounts, now=timezone.now())
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                stored: Stored = await self._gathering.bring(arrival)
        except Full:
            raise BUSY
        except (DatabaseError, InterfaceError, TimeoutError):
            raise AWAY
        return say(stored)


async def read_body(receive: Receive) -> bytes:
    """Return the whole body. Raises Refused when it is too long or too slow, HungUp when it never ends."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await gather_body(receive)
    except TimeoutError:
        raise Refused("The body took too long to come.", reason=Reason.TOO_SLOW, status=408)


async def gather_body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HungUp
        chunks.append(message.get("body", b""))
        length += len(chunks[-1])
        if length > LONGEST_BODY:
            refuse_length()
        if not message.get("more_body", False):
            return b"".join(chunks)


async def respond(send: Send, status: int, sentence: str, *headers: tuple[bytes, bytes]) -> None:
    body = sentence.encode() + b"\n"
    given = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)), *headers]
    if status == 503:
        given.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})
