"""The news as it happens, as server-sent events (WHATWG HTML, "Server-sent events").

The rows are the truth. Redis only wakes the stream sooner than its slow look at the rows would.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis.asyncio
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections

from billing.activity.feed import after, newest_id
from billing.activity.models import Activity
from billing.activity.publish import channel

LOOK_SECONDS = 5.0  # between looks at the rows when no nudge comes
HEARTBEAT_SECONDS = 15.0  # proxies close connections that are silent for about a minute
BATCH = 100


@dataclass
class Above:
    """What a page shows of organizations whose news are not its reader's. Their news make the stream look, no more:
    it says that something is to be seen where `mark`, which stands for what the page shows, has become another.
    """

    organization_pks: tuple[int, ...]
    look: Callable[[], str]  # the mark of what is to be shown now
    mark: str
    seen: list[int] | None = None  # the newest activity of each, when the stream looked last

    def turned(self, *, own_news: bool) -> bool:
        """Look, if there is reason to, and say whether the page is to look too."""
        newest = [newest_id(pk) for pk in self.organization_pks]
        if newest == self.seen and not own_news:
            return False
        self.seen = newest  # read before the look: what comes meanwhile is a reason for the next one
        before, self.mark = self.mark, self.look()
        return self.mark != before


async def stream(
    organization_pk: int,
    last_id: int | None,
    *,
    above: Above | None = None,
    look_seconds: float = LOOK_SECONDS,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> AsyncGenerator[bytes, None]:
    """Yield an organization's activities after `last_id` (None: from now on) as frames, and heartbeats, for ever.

    A browser that lost its connection sends the last place it saw as `Last-Event-ID` and misses nothing.
    """
    if last_id is None:
        last_id = await read_newest_id(organization_pk)
    yield b"retry: 2000\n\n"  # milliseconds until the browser comes back after a lost connection
    async with Waker(organization_pk, *(above.organization_pks if above else ())) as waker:
        quiet = 0.0
        while True:
            activities = await read_after(organization_pk, last_id)
            turned = await read_above(above, own_news=bool(activities)) if above else False
            for activity in activities:
                last_id = activity.pk
                yield frame(activity, place_of(last_id, above))
            if turned and not activities:
                yield frame_of_turn(place_of(last_id, above))
            if len(activities) == BATCH:
                continue
            woken = await waker.wait(look_seconds)
            quiet = 0.0 if activities or woken else quiet + look_seconds
            if quiet >= heartbeat_seconds:
                quiet = 0.0
                yield b": still here\n\n"


def place_of(last_id: int, above: Above | None) -> str:
    """Where a page stands: the last activity that it knows and, where it looks above, the mark of what it shows."""
    return f"{last_id}-{above.mark}" if above else str(last_id)


def frame(activity: Activity, place: str) -> bytes:
    data = {
        "id": activity.pk,
        "verb": activity.verb,
        "subject_id": activity.subject_id,
        "data": activity.data,
        "at": activity.at.isoformat(),
    }
    return frame_with(data, place)


def frame_of_turn(place: str) -> bytes:
    """Say that there is something to look at, and nothing of whose it is or what happened there."""
    return frame_with({}, place)


def frame_with(data: dict[str, Any], place: str) -> bytes:
    return f"id: {place}\nevent: activity\ndata: {json.dumps(data)}\n\n".encode()


@sync_to_async
def read_after(organization_pk: int, last_id: int) -> list[Activity]:
    try:
        return after(organization_pk, last_id, limit=BATCH)
    finally:
        close_old_connections()  # a stream lives for hours and must not hold a connection meanwhile


@sync_to_async
def read_newest_id(organization_pk: int) -> int:
    try:
        return newest_id(organization_pk)
    finally:
        close_old_connections()


@sync_to_async
def read_above(above: Above, *, own_news: bool) -> bool:
    try:
        return above.turned(own_news=own_news)
    finally:
        close_old_connections()


class Waker:
    """Waits for a nudge of any of the organizations, with a limit; where Redis is away it only waits."""

    def __init__(self, *organization_pks: int) -> None:
        self.channels = [channel(pk) for pk in organization_pks]
        self.redis = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1)
        self.pubsub = self.redis.pubsub(ignore_subscribe_messages=True)

    async def __aenter__(self) -> "Waker":
        await self.subscribe()
        return self

    async def subscribe(self) -> None:
        with suppress(redis.RedisError, OSError):
            await self.pubsub.subscribe(*self.channels)

    async def wait(self, seconds: float) -> bool:
        """Return True when nudged, False after `seconds`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            while (left := until - loop.time()) > 0:
                if await self.pubsub.get_message(timeout=left):
                    return True
        except (redis.RedisError, OSError, RuntimeError):
            # RuntimeError: not subscribed, because Redis was away. It may be back for the next wait.
            await asyncio.sleep(max(0.0, until - loop.time()))
            await self.subscribe()
        return False

    async def __aexit__(self, *_exc: object) -> None:
        with suppress(redis.RedisError, OSError):
            await self.pubsub.aclose()  # type: ignore[no-untyped-call]
            await self.redis.aclose()
