"""News as they happen: who may listen, from where, and what comes."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient
from django.utils import timezone

from accounts.models import Membership, Organization, User
from billing.activity import verbs
from billing.activity.publish import publish
from billing.views.live import for_a_while

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 60.0


async def listen(organization: Organization, user: User | None, query: str = "", **headers: str) -> Any:
    client = AsyncClient()
    if user:
        await client.aforce_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return await client.get(f"/o/{organization.public_id}/live/{query}", headers=headers)


async def next_news(frames: AsyncIterator[bytes]) -> bytes:
    """Return the next frame that is news; heartbeats and settings are passed over."""
    async with asyncio.timeout(PATIENCE):
        async for frame in frames:
            if b"event: activity" in frame:
                return frame
    raise AssertionError("the stream ended")


def tell(organization: Organization, key: str) -> None:
    publish(organization, verbs.INVOICE_PAID, subject_id="in_1", dedup_key=key, now=timezone.now())


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end and close the connections that the event loop's thread has opened."""

    async def whole() -> Any:
        try:
            return await coroutine
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(whole())


def test_news_that_comes_after_the_page_reaches_it(acme: Organization, alice: User) -> None:
    async def story() -> None:
        response = await listen(acme, alice)
        assert response["Content-Type"] == "text/event-stream"
        assert response["Cache-Control"] == "no-cache, no-transform"
        assert response["X-Accel-Buffering"] == "no"
        frames = aiter(response)
        first = await anext(frames)  # the stream is open now
        assert b"retry" in first
        await sync_to_async(tell)(acme, "later")
        assert b"in_1" in await next_news(frames)

    run(story())


def test_news_between_the_page_and_its_stream_is_not_lost(acme: Organization, alice: User) -> None:
    tell(acme, "before-the-page")
    newest = acme.activities.latest("id").pk

    async def story() -> None:
        await sync_to_async(tell)(acme, "between")
        response = await listen(acme, alice, f"?after={newest}")
        assert f"id: {newest + 1}".encode() in await next_news(aiter(response))

    run(story())


def test_a_browser_that_comes_back_goes_on_where_it_was(acme: Organization, alice: User) -> None:
    for key in ("one", "two", "three"):
        tell(acme, key)
    ids = sorted(acme.activities.values_list("id", flat=True))

    async def story() -> None:
        response = await listen(acme, alice, f"?after={ids[0]}", **{"Last-Event-ID": str(ids[1])})
        assert f"id: {ids[2]}".encode() in await next_news(aiter(response))

    run(story())


@pytest.mark.parametrize("query", ["?after=", "?after=-1", "?after=1e3", "?after=" + "9" * 40, "?after=%00"])
def test_a_place_that_makes_no_sense_is_from_now_on(acme: Organization, alice: User, query: str) -> None:
    assert run(listen(acme, alice, query)).status_code == 200


def test_who_may_listen(acme: Organization, alice: User, bob: User, charlie: User) -> None:
    assert run(listen(acme, bob)).status_code == 200
    assert run(listen(acme, charlie)).status_code == 404
    assert run(listen(acme, None)).status_code == 403
    Membership.objects.filter(user=bob).delete()
    assert run(listen(acme, bob)).status_code == 404


def test_a_stream_ends_in_time_so_that_membership_is_asked_again() -> None:
    async def for_ever() -> AsyncIterator[bytes]:
        while True:
            yield b": still here\n\n"
            await asyncio.sleep(0)

    async def count() -> int:
        return len([frame async for frame in for_a_while(for_ever(), 0.05)])

    assert run(count()) > 0
