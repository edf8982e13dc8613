"""The page that one returns to from Stripe's, when no news comes: it offers to ask, and asks once by itself."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Organization, User
from billing.checkout.models import CheckoutOrder, OrderState
from tests.billing.shop import Shop, pay
from tests.cast import sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def back(acme: Organization, shop: Shop, alice: User) -> str:
    """Alice has paid; the address that Stripe's page leads back to. No event has come."""
    page = sign_in(alice).post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business})["Location"]
    return pay(page).headers["Location"].removeprefix("http://127.0.0.1:8000")


def ask(client: Client, organization: Organization) -> object:
    return client.post(
        f"/o/{organization.public_id}/checkout/ask/", {"session": CheckoutOrder.objects.get().session_id}
    )


def came_back(ago: timedelta) -> None:
    CheckoutOrder.objects.update(returned_at=timezone.now() - ago)


def test_it_offers_to_ask_after_a_few_seconds(acme: Organization, back: str, alice: User) -> None:
    member = sign_in(alice)
    first = member.get(back).content.decode()
    assert re.search(r'hidden data-ask-after="[34]" data-ask-once', first)
    came_back(timedelta(seconds=5))
    later = member.get(back).content.decode()
    assert "data-ask-after" not in later
    assert "Ask Stripe now" in later


def test_a_click_turns_it_active(acme: Organization, back: str, bob: User) -> None:
    member = sign_in(bob)
    member.get(back)
    answer = ask(member, acme)
    assert answer["Location"] == back  # type: ignore[index]
    page = member.get(back).content.decode()
    assert "Business is active." in page
    assert "checkout/ask" not in page


def test_what_stripe_said_stands_there_while_it_waits(acme: Organization, shop: Shop, alice: User) -> None:
    member = sign_in(alice)
    member.post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business})
    back = f"/o/{acme.public_id}/checkout/return/?session={CheckoutOrder.objects.get().session_id}"
    member.get(back)
    ask(member, acme)
    page = member.get(back).content.decode()
    assert "the payment page has not been paid." in page
    assert "Ask Stripe again" in page
    assert "data-ask-once" not in page


def test_who_did_not_come_back_from_a_page_is_offered_nothing(acme: Organization, back: str, alice: User) -> None:
    assert "checkout/ask" not in sign_in(alice).get(f"/o/{acme.public_id}/checkout/return/").content.decode()


def test_another_organizations_order_cannot_be_asked_about(
    acme: Organization, back: str, charlie: User, nobody_answers: None
) -> None:
    """Neither under its own address nor under Charlie's; nobody is called."""
    own = charlie.memberships.get().organization
    client = sign_in(charlie)
    assert ask(client, acme).status_code == 404  # type: ignore[attr-defined]
    assert ask(client, own).status_code == 404  # type: ignore[attr-defined]
    assert CheckoutOrder.objects.get().asked_at is None


def test_reading_the_page_calls_nobody(acme: Organization, back: str, alice: User, nobody_answers: None) -> None:
    came_back(timedelta(seconds=30))
    assert sign_in(alice).get(back).status_code == 200


def test_silence_is_said_and_may_be_asked_into_again(
    acme: Organization, back: str, alice: User, unplug: Callable[[], None]
) -> None:
    member = sign_in(alice)
    member.get(back)
    unplug()
    answer = ask(member, acme)
    assert answer.status_code == 503  # type: ignore[attr-defined]
    told = answer.content.decode()  # type: ignore[attr-defined]
    assert "Stripe cannot be reached just now." in told
    assert CheckoutOrder.objects.get().session_id in told
    assert "and has not answered." in member.get(back).content.decode()


@pytest.mark.browser
def test_in_a_browser_it_asks_once_by_itself(
    acme: Organization, back: str, alice: User, page: Page, live_server: str
) -> None:
    page.route("**/live/**", lambda route: route.abort())  # this server would read the stream to its end
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/checkout/ask/") else None)
    cookie = sign_in(alice).cookies["sessionid"]
    page.context.add_cookies([{"name": "sessionid", "value": cookie.value, "url": str(live_server)}])
    page.goto(f"{live_server}{back}")
    expect(page.get_by_role("button", name="Ask Stripe now")).to_be_hidden()
    expect(page.locator(".thread-now").first).to_contain_text("Business is active")
    assert len(asked) == 1
    assert CheckoutOrder.objects.get().state == OrderState.PAID
