"""The news as it happens, as server-sent events (WHATWG HTML, "Server-sent events").

The rows are the truth. Redis only wakes the stream sooner than its slow look at the rows would.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import suppress

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


async def stream(
    organization_pk: int,
    last_id: int | None,
    *,
    look_seconds: float = LOOK_SECONDS,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> AsyncGenerator[bytes, None]:
    """Yield an organization's activities after `last_id` (None: from now on) as frames, and heartbeats, for ever.

    A browser that lost its connection sends the last id it saw as `Last-Event-ID` and misses nothing.
    """
    if last_id is None:
        last_id = await read_newest_id(organization_pk)
    yield b"retry: 2000\n\n"  # milliseconds until the browser comes back after a lost connection
    async with Waker(organization_pk) as waker:
        quiet = 0.0
        while True:
            activities = await read_after(organization_pk, last_id)
            for activity in activities:
                last_id = activity.pk
                yield frame(activity)
            if len(activities) == BATCH:
                continue
            woken = await waker.wait(look_seconds)
            quiet = 0.0 if activities or woken else quiet + look_seconds
            if quiet >= heartbeat_seconds:
                quiet = 0.0
                yield b": still here\n\n"


def frame(activity: Activity) -> bytes:
    data = {
        "id": activity.pk,
        "verb": activity.verb,
        "subject_id": activity.subject_id,
        "data": activity.data,
        "at": activity.at.isoformat(),
    }
    return f"id: {activity.pk}\nevent: activity\ndata: {json.dumps(data)}\n\n".encode()


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


class Waker:
    """Waits for an organization's nudge, with a limit; where Redis is away it only waits."""

    def __init__(self, organization_pk: int) -> None:
        self.channel = channel(organization_pk)
        self.redis = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1)
        self.pubsub = self.redis.pubsub(ignore_subscribe_messages=True)

    async def __aenter__(self) -> "Waker":
        await self.subscribe()
        return self

    async def subscribe(self) -> None:
        with suppress(redis.RedisError, OSError):
            await self.pubsub.subscribe(self.channel)

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
