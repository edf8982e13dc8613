"""Where Stripe hangs: a page answers in time and loses nothing, a second click does nothing twice, workers wait."""

import re
import time

import pytest
import stripe as stripe_library
from django.conf import LazySettings
from django.db import connections
from django.test import Client

from accounts.models import Organization
from billing.checkout.models import CheckoutOrder
from billing.mirror import querysets
from billing.stripe_client import stripe_client
from billing.stripe_patience import in_time, patience
from billing.stripe_reading import read
from tests.billing.shop import Shop, pay
from tests.billing.slow_stripe import SlowStripe
from tests.billing.slow_stripe import slow_stripe as slow_stripe

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 1.5
PAUSE = 0.75  # the longest that the client pauses before its first retry
FRESH_TRIES = 3


@pytest.fixture(autouse=True)
def short(settings: LazySettings) -> None:
    settings.STRIPE_PAGE_PATIENCE_SECONDS = PATIENCE


def hidden_fields(page: str) -> dict[str, str]:
    """What the form to try again sends."""
    form = page[page.index('id="main"') :]
    return dict(re.findall(r'type="hidden" name="(price|intent|session)" value="([^"]*)"', form))


@pytest.mark.parametrize("page", ["subscribe/", "cancel/", "payment-method/", "checkout/ask/"])
def test_a_page_answers_in_time_with_what_was_chosen(
    acme: Organization, shop: Shop, member: Client, slow_stripe: SlowStripe, page: str
) -> None:
    pays = member.post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business})["Location"]
    session = CheckoutOrder.objects.get().session_id
    if page == "cancel/":
        pay(pays.replace(slow_stripe.url, slow_stripe.behind))
        shop.mirror_events()
    slow_stripe.holds = lambda method, path: True
    began = time.monotonic()
    answer = member.post(f"/o/{acme.public_id}/{page}", {"price": shop.business, "intent": "kept", "session": session})
    assert time.monotonic() - began < PATIENCE + PAUSE + 0.5
    assert answer.status_code == 503
    told = answer.content.decode()
    assert "it happens once" in told
    kept = {
        "subscribe/": {"price": shop.business},
        "cancel/": {"intent": "kept"},
        "payment-method/": {},
        "checkout/ask/": {"session": session},
    }
    assert hidden_fields(told) == kept[page]


def test_a_payment_page_whose_answer_was_lost_is_the_one_that_the_next_click_gets(
    acme: Organization, shop: Shop, member: Client, slow_stripe: SlowStripe
) -> None:
    sessions = "/v1/checkout/sessions"
    slow_stripe.holds = lambda method, path: (method, path) == ("POST", sessions)
    lost = member.post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business})
    assert lost.status_code == 503
    slow_stripe.holds = lambda method, path: False
    again = member.post(f"/o/{acme.public_id}/subscribe/", hidden_fields(lost.content.decode()))
    assert again.status_code == 302
    assert len(shop.open_sessions()) == 1
    keys = {key for method, path, key in slow_stripe.heard if (method, path) == ("POST", sessions)}
    assert len(keys) == 1
    assert len(shop.customers()) == 1


def test_a_cancellation_whose_answer_was_lost_is_made_once(
    subscribed: Organization, shop: Shop, member: Client, slow_stripe: SlowStripe
) -> None:
    living = querysets.living_subscription(subscribed)
    assert living
    slow_stripe.holds = lambda method, path: method == "POST"
    lost = member.post(f"/o/{subscribed.public_id}/cancel/", {"intent": "once"})
    assert lost.status_code == 503
    slow_stripe.holds = lambda method, path: False
    member.post(f"/o/{subscribed.public_id}/cancel/", hidden_fields(lost.content.decode()))
    keys = {key for method, path, key in slow_stripe.heard if method == "POST"}
    assert keys == {f"cancel-at-period-end:{living.id}:once"}
    updates = shop.stripe.v1.events.list({"type": "customer.subscription.updated", "limit": 100}).data
    assert len([event for event in updates if event.data.object["cancel_at_period_end"]]) == 1


def test_a_connection_that_has_died_is_left_for_another_in_time(
    acme: Organization, shop: Shop, member: Client, slow_stripe: SlowStripe, settings: LazySettings
) -> None:
    settings.STRIPE_PAGE_PATIENCE_SECONDS = 4.0
    once = iter([True])
    slow_stripe.holds = lambda method, path: next(once, False)
    assert member.post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business}).status_code == 302


def test_work_in_the_background_is_not_hurried(shop: Shop, slow_stripe: SlowStripe, settings: LazySettings) -> None:
    settings.STRIPE_TIMEOUT_SECONDS = 0.3
    slow_stripe.holds = lambda method, path: True
    for ask in (lambda: read("/v1/products"), lambda: stripe_client().v1.products.list()):
        slow_stripe.heard.clear()
        with pytest.raises(stripe_library.APIConnectionError):
            ask()
        assert len(slow_stripe.heard) == FRESH_TRIES


def test_patience_that_is_over_asks_nobody(shop: Shop, slow_stripe: SlowStripe) -> None:
    with patience(0.0):
        for ask in (lambda: read("/v1/products"), lambda: stripe_client().v1.products.list()):
            with pytest.raises(stripe_library.APIConnectionError):
                ask()
    assert slow_stripe.heard == []
    assert read("/v1/products").data["object"] == "list"


def test_each_page_has_a_patience_of_its_own(settings: LazySettings) -> None:
    from billing import stripe_patience

    settings.STRIPE_PAGE_PATIENCE_SECONDS = 0.0
    assert in_time(stripe_patience.is_over)()
    assert not stripe_patience.is_over()
    settings.STRIPE_PAGE_PATIENCE_SECONDS = 60.0
    assert not in_time(stripe_patience.is_over)()


def test_a_page_that_waits_for_stripe_holds_no_connection(
    acme: Organization, shop: Shop, member: Client, slow_stripe: SlowStripe
) -> None:
    its_own, held = connections["default"], []

    def look(method: str, path: str) -> bool:
        held.append(its_own.connection is not None)
        return False

    slow_stripe.holds = look
    assert member.post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business}).status_code == 302
    assert held
    assert not any(held)
