"""Where Stripe hangs: a page answers in time and loses nothing, a second click does nothing twice, workers wait."""

import re
from collections.abc import Callable

import pytest
import stripe as stripe_library
from django.conf import LazySettings
from django.db import connections
from django.test import Client

from accounts.models import Organization
from billing import stripe_patience
from billing.checkout.models import CheckoutOrder
from billing.mirror import querysets
from billing.stripe_client import stripe_client
from billing.stripe_patience import in_time, patience
from billing.stripe_reading import read
from tests.billing.inbox.conftest import wait_until
from tests.billing.shop import Shop, pay
from tests.billing.slow_stripe import SlowStripe
from tests.billing.slow_stripe import slow_stripe as slow_stripe

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 1.5
ENOUGH = 60.0  # on any machine, where Stripe answers
FRESH_TRIES = 3

Hold = Callable[[Callable[[str, str], bool]], None]
LetGo = Callable[[], None]


@pytest.fixture(autouse=True)
def unhurried(settings: LazySettings) -> None:
    settings.STRIPE_PAGE_PATIENCE_SECONDS = ENOUGH


@pytest.fixture
def hold(slow_stripe: SlowStripe, settings: LazySettings) -> Hold:
    """From now on answers to such methods and paths are held, and a page waits a short time for them."""

    def begin(holds: Callable[[str, str], bool]) -> None:
        slow_stripe.holds = holds
        settings.STRIPE_PAGE_PATIENCE_SECONDS = PATIENCE

    return begin


@pytest.fixture
def let_go(slow_stripe: SlowStripe, settings: LazySettings) -> LetGo:
    def end() -> None:
        slow_stripe.holds = lambda method, path: False
        settings.STRIPE_PAGE_PATIENCE_SECONDS = ENOUGH

    return end


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that each call to Stripe was given."""
    seconds, real = [], stripe_patience.seconds_for_a_call

    def noted(longest: float) -> float:
        seconds.append(real(longest))
        return seconds[-1]

    monkeypatch.setattr(stripe_patience, "seconds_for_a_call", noted)
    return seconds


def hidden_fields(page: str) -> dict[str, str]:
    """What the form to try again sends."""
    form = page[page.index('id="main"') :]
    return dict(re.findall(r'type="hidden" name="(price|intent|session)" value="([^"]*)"', form))


@pytest.mark.parametrize("page", ["subscribe/", "cancel/", "payment-method/", "checkout/ask/"])
def test_a_page_answers_in_time_with_what_was_chosen(
    acme: Organization, shop: Shop, member: Client, slow_stripe: SlowStripe, hold: Hold, given: list[float], page: str
) -> None:
    pays = member.post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business})["Location"]
    session = CheckoutOrder.objects.get().session_id
    if page == "cancel/":
        pay(pays.replace(slow_stripe.url, slow_stripe.behind))
        shop.mirror_events()
    hold(lambda method, path: True)
    given.clear()
    answer = member.post(f"/o/{acme.public_id}/{page}", {"price": shop.business, "intent": "kept", "session": session})
    assert 0 < sum(given) <= PATIENCE + 0.1  # however long this machine takes for all else
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
    acme: Organization, shop: Shop, member: Client, slow_stripe: SlowStripe, hold: Hold, let_go: LetGo
) -> None:
    sessions = "/v1/checkout/sessions"
    hold(lambda method, path: (method, path) == ("POST", sessions))
    lost = member.post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business})
    assert lost.status_code == 503
    let_go()
    again = member.post(f"/o/{acme.public_id}/subscribe/", hidden_fields(lost.content.decode()))
    assert again.status_code == 302
    assert len(shop.open_sessions()) == 1
    keys = {key for method, path, key in slow_stripe.heard if (method, path) == ("POST", sessions)}
    assert len(keys) == 1
    assert len(shop.customers()) == 1


def test_a_cancellation_whose_answer_was_lost_is_made_once(
    subscribed: Organization,
    shop: Shop,
    member: Client,
    slow_stripe: SlowStripe,
    hold: Hold,
    let_go: LetGo,
) -> None:
    living = querysets.living_subscription(subscribed)
    assert living
    hold(lambda method, path: method == "POST")
    lost = member.post(f"/o/{subscribed.public_id}/cancel/", {"intent": "once"})
    assert lost.status_code == 503
    let_go()
    member.post(f"/o/{subscribed.public_id}/cancel/", hidden_fields(lost.content.decode()))
    keys = {key for method, path, key in slow_stripe.heard if method == "POST"}
    assert keys == {f"cancel-at-period-end:{living.id}:once"}
    updates = shop.stripe.v1.events.list({"type": "customer.subscription.updated", "limit": 100}).data
    assert len([event for event in updates if event.data.object["cancel_at_period_end"]]) == 1


def test_a_connection_that_has_died_is_left_for_another_in_time(
    acme: Organization, shop: Shop, member: Client, slow_stripe: SlowStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_patience, "SHARE", 2 / ENOUGH)  # so that this test need not wait for more than half
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
        wait_until(lambda: len(slow_stripe.heard) >= FRESH_TRIES, seconds=30)  # it may hear who has gone already
        assert len(slow_stripe.heard) == FRESH_TRIES


def test_patience_that_is_over_asks_nobody(shop: Shop, slow_stripe: SlowStripe) -> None:
    with patience(0.0):
        for ask in (lambda: read("/v1/products"), lambda: stripe_client().v1.products.list()):
            with pytest.raises(stripe_library.APIConnectionError):
                ask()
    assert slow_stripe.heard == []
    assert read("/v1/products").data["object"] == "list"


def test_each_page_has_a_patience_of_its_own(settings: LazySettings) -> None:
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
