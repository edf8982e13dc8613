"""News as they happen: who may listen, from where, and what comes."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient
from django.utils import timezone
from djstripe.models import Subscription

from accounts.models import Membership, Organization, Role, User
from billing.activity import verbs
from billing.activity.publish import publish
from billing.views.covering import mark_of_cover
from billing.views.live import above_of, for_a_while
from tests.billing.mirrored import put_in_mirror
from tests.billing.objects import subscription
from tests.cast import sign_in

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


@pytest.fixture
def branch(acme: Organization, alice: User, bob: User, plans: None, customer_of: Callable[..., None]) -> Organization:
    """A part of Acme, whose subscription to Business serves it; Bob owns it and is no member of Acme."""
    customer_of(acme, "cus_1")
    put_in_mirror(subscription())
    Membership.objects.filter(user=bob).delete()
    part = Organization.objects.create(name="Acme Osaka", billing_email=bob.email, parent=acme)
    Membership.objects.create(organization=part, user=bob, role=Role.OWNER)
    return part


def place_in(page: str) -> str:
    """Where the page's stream begins, by its own address for it."""
    found = re.search(r'data-live-url="[^"?]*(\?after=[^"]*)"', page)
    assert found
    return found[1]


def end_it(organization: Organization) -> None:
    Subscription.objects.update(stripe_data=subscription(status="canceled", ended_at=1_770_100_000))
    publish(organization, verbs.SUBSCRIPTION_CANCELED, subject_id="sub_1", dedup_key="end", now=timezone.now())


def test_a_page_turns_when_the_one_that_pays_for_it_has_news(
    acme: Organization, branch: Organization, bob: User
) -> None:
    shown = sign_in(bob).get(f"/o/{branch.public_id}/").content.decode()
    assert "through Acme" in shown

    async def story() -> bytes:
        frames = aiter(await listen(branch, bob, place_in(shown)))
        assert b"retry" in await anext(frames)
        await sync_to_async(end_it)(acme)
        return await next_news(frames)

    news = run(story())
    assert b"data: {}" in news  # what happened there is not told
    shown = sign_in(bob).get(f"/o/{branch.public_id}/").content.decode()
    assert "You have no plan yet." in shown
    assert place_in(shown).encode() == b"?after=" + re.findall(rb"id: (.*)\n", news)[0]  # the page knows it now


def test_a_payers_news_between_the_page_and_its_stream_are_not_lost(
    acme: Organization, branch: Organization, bob: User
) -> None:
    place = place_in(sign_in(bob).get(f"/o/{branch.public_id}/").content.decode())
    end_it(acme)

    async def story() -> bytes:
        return await next_news(aiter(await listen(branch, bob, place)))

    assert b"data: {}" in run(story())


def test_a_payers_news_that_change_nothing_of_what_is_shown_are_not_told(
    acme: Organization, branch: Organization, bob: User
) -> None:
    place = place_in(sign_in(bob).get(f"/o/{branch.public_id}/").content.decode())

    async def story() -> bytes:
        frames = aiter(await listen(branch, bob, place))
        await anext(frames)
        await sync_to_async(tell)(acme, "paid above")
        await sync_to_async(tell)(branch, "own")
        return await next_news(frames)

    assert b"in_1" in run(story())  # its own came first: of the other nothing did


def test_how_many_are_paid_for_costs_a_stream_no_query(
    acme: Organization, branch: Organization, bob: User, django_assert_num_queries: Any
) -> None:
    for number in range(30):
        Organization.objects.create(name=f"Part {number}", billing_email="part@example.com", parent=acme)
    above = above_of(Organization.objects.get(pk=branch.pk), mark_of_cover(branch.pk))
    above.turned(own_news=False)
    with django_assert_num_queries(1):
        assert not above.turned(own_news=False)


def test_the_plan_and_the_invoices_have_their_place_on_a_page_that_has_none_yet(acme: Organization, bob: User) -> None:
    page = sign_in(bob).get(f"/o/{acme.public_id}/").content.decode()
    for region in ("payer", "plan", "invoices"):
        assert f'<div data-live-region="{region}"></div>' in page  # what comes can be put there
