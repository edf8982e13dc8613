import asyncio
import json
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from accounts.models import Organization
from billing import nudge
from billing.activity.models import Activity
from billing.activity.publish import channel, publish
from billing.activity.stream import stream

NOW = datetime(2026, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


def published(organization: Organization, verb: str, **fields: Any) -> Activity:
    activity = publish(organization, verb, **fields)
    assert activity
    return activity


def parse(frame: bytes) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in frame.decode().strip().splitlines())


async def next_frame(frames, *, seconds: float = 60) -> dict[str, str]:
    """The next activity's frame; whatever else comes meanwhile is passed over."""
    async with asyncio.timeout(seconds):
        async for frame in frames:
            if frame.startswith(b"id:"):
                return parse(frame)
    raise AssertionError("the stream ended")


def test_a_stream_begins_with_what_came_after_the_last_id_seen(acme):
    seen = published(acme, "checkout:completed", dedup_key="1", now=NOW)
    missed = published(acme, "invoice:paid", subject_id="in_1", data={"total": 900}, dedup_key="2", now=NOW)

    async def scenario():
        async with aclosing(stream(acme.pk, seen.pk)) as frames:
            return await next_frame(frames)

    frame = async_to_sync(scenario)()
    assert frame["id"] == str(missed.pk)
    assert frame["event"] == "activity"
    assert json.loads(frame["data"]) == {
        "id": missed.pk,
        "verb": "invoice:paid",
        "subject_id": "in_1",
        "data": {"total": 900},
        "at": "2026-01-01T00:00:00+00:00",
    }


def test_a_nudge_wakes_the_stream_long_before_its_next_look(acme, own_redis):
    def listens() -> bool:
        return nudge.nudge_redis().pubsub_numsub(channel(acme.pk))[0][1] == 1

    async def scenario():
        async with aclosing(stream(acme.pk, 0, look_seconds=600)) as frames:
            waiting = asyncio.create_task(next_frame(frames))
            while not waiting.done() and not await sync_to_async(listens)():
                await asyncio.sleep(0.01)
            await sync_to_async(publish)(acme, "invoice:paid", dedup_key="1", now=NOW)
            return await waiting

    assert json.loads(async_to_sync(scenario)()["data"])["verb"] == "invoice:paid"


def test_without_redis_the_stream_still_finds_the_news(acme, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    async def scenario():
        async with aclosing(stream(acme.pk, 0, look_seconds=0.1)) as frames:
            waiting = asyncio.create_task(next_frame(frames))
            await asyncio.sleep(0.2)
            await sync_to_async(publish)(acme, "invoice:paid", dedup_key="1", now=NOW)
            return await waiting

    assert json.loads(async_to_sync(scenario)()["data"])["verb"] == "invoice:paid"


def test_a_quiet_stream_sends_heartbeats(acme):
    async def scenario():
        async with (
            aclosing(stream(acme.pk, None, look_seconds=0.02, heartbeat_seconds=0.05)) as frames,
            asyncio.timeout(60),
        ):
            return [await anext(frames), await anext(frames)]

    assert async_to_sync(scenario)()[1] == b": still here\n\n"


def test_a_stream_holds_no_database_connection_while_it_waits(acme):
    publish(acme, "invoice:paid", dedup_key="1", now=NOW)

    async def scenario():
        async with aclosing(stream(acme.pk, 0)) as frames:
            await next_frame(frames)
            return await sync_to_async(is_connected)()

    assert async_to_sync(scenario)() is False


def is_connected() -> bool:
    from django.db import connection

    return connection.connection is not None
