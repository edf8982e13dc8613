"""The click on "subscribe": races, repeats, crashes at each comma; never two subscriptions."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe as stripe_library
from django.db import connection
from django.utils import timezone

from accounts.models import CustomerLink, Organization
from billing import clock
from billing.checkout import start as starting
from billing.checkout.models import CheckoutOrder, OrderState
from billing.checkout.orders import CheckoutUrls, describe_session
from billing.checkout.outcomes import (
    AlreadySubscribed,
    AwaitingConfirmation,
    NotOffered,
    Outcome,
    Started,
    Superseded,
)
from billing.checkout.start import start_checkout
from billing.stripe_answers import Refused, Unreachable
from billing.stripe_client import stripe_client
from tests.billing.shop import Shop, pay

pytestmark = pytest.mark.django_db(transaction=True)

URLS = CheckoutUrls("http://127.0.0.1:8000/return?session={CHECKOUT_SESSION_ID}", "http://127.0.0.1:8000/plans")


class PowerCut(Exception):
    """The process ends here."""


def click(organization: Organization, price_id: str, *, now: datetime | None = None, language: str = "en") -> Outcome:
    return start_checkout(
        organization,
        price_id,
        stripe=stripe_client(),
        now=now or timezone.now(),
        urls=URLS,
        language=language,
    )


def started(outcome: Outcome) -> Started:
    assert isinstance(outcome, Started), outcome
    return outcome


def states(organization: Organization) -> list[str]:
    return list(CheckoutOrder.objects.filter(organization=organization).order_by("pk").values_list("state", flat=True))


def test_it_opens_a_page_that_knows_whose_order_it_is(acme: Organization, shop: Shop) -> None:
    page = started(click(acme, shop.business, language="ja"))
    order = CheckoutOrder.objects.get()
    session = shop.stripe.v1.checkout.sessions.retrieve(page.session_id)
    assert (order.state, order.session_id, order.session_url) == (OrderState.OPEN, page.session_id, page.url)
    assert session.mode == "subscription"
    assert session.locale == "ja"
    assert session.client_reference_id == acme.public_id
    assert session.customer == CustomerLink.objects.get().customer_id
    assert session.metadata and session.metadata["kessai_order"] == order.idempotency_key
    minutes = (session.expires_at - session.created) / 60
    assert 30 <= minutes <= 61


def test_the_page_closes_by_stripes_time_where_that_is_ahead(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the demo time is moved on by a month, and people subscribe all the same."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    monkeypatch.setattr(clock, "ahead", lambda: timedelta(days=32))
    given = describe_session(acme, "price_1", "key", now=now, urls=URLS, language="en")
    assert given["expires_at"] == int((now + timedelta(days=32, hours=1)).timestamp())


def test_a_second_click_leads_to_the_same_page(acme: Organization, shop: Shop) -> None:
    assert click(acme, shop.business) == click(acme, shop.business)
    assert len(shop.open_sessions()) == 1


def test_ten_clicks_at_once_open_one_page_for_one_customer(acme: Organization, shop: Shop) -> None:
    def one_click(_number: int) -> Outcome:
        try:
            return click(acme, shop.business)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        outcomes = list(pool.map(one_click, range(10)))
    assert len({started(outcome).url for outcome in outcomes}) == 1
    assert len(shop.open_sessions()) == len(shop.customers()) == 1
    assert states(acme) == [OrderState.OPEN]


def test_two_tabs_with_different_plans_at_once_leave_one_page_to_pay(acme: Organization, shop: Shop) -> None:
    def one_click(price_id: str) -> Outcome:
        try:
            return click(acme, price_id)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(one_click, [shop.business, shop.team] * 4))
    assert all(isinstance(outcome, (Started, Superseded)) for outcome in outcomes), outcomes
    assert len(shop.open_sessions()) <= 1
    for outcome in outcomes:
        if isinstance(outcome, Started):
            pay(outcome.url)
    assert len(shop.subscriptions()) <= 1


def test_a_page_that_opens_while_another_tab_gives_it_up_is_not_left_open(
    acme: Organization, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One tab sees the other's order still opening; before it closes that order, the other tab has its page."""
    with monkeypatch.context() as patch:
        cut_power(patch, "record_session", after=False)
        with pytest.raises(PowerCut):
            click(acme, shop.business)
    real = starting.__dict__["close_order"]
    seen: list[Started | None] = []

    def close_too_late(*args: Any, **kwargs: Any) -> None:
        if not seen:
            seen.append(None)
            seen.append(started(click(acme, shop.business)))
        real(*args, **kwargs)

    monkeypatch.setattr(starting, "close_order", close_too_late)
    second = started(click(acme, shop.team))
    assert len(seen) == 2
    assert shop.open_sessions() == [second.session_id]


def test_another_plan_closes_the_first_page(acme: Organization, shop: Shop) -> None:
    first, second = started(click(acme, shop.business)), started(click(acme, shop.team))
    assert shop.open_sessions() == [second.session_id]
    pay(first.url)
    assert shop.subscriptions() == []
    assert states(acme) == [OrderState.EXPIRED, OrderState.OPEN]


def test_another_plan_after_the_first_was_paid_sells_no_second(acme: Organization, shop: Shop) -> None:
    first = started(click(acme, shop.business))
    pay(first.url)
    assert click(acme, shop.team) == AwaitingConfirmation(first.session_id)
    assert len(shop.subscriptions()) == 1


def test_a_click_between_payment_and_mirror_sells_no_second(acme: Organization, shop: Shop) -> None:
    page = started(click(acme, shop.business))
    pay(page.url)
    assert click(acme, shop.business) == AwaitingConfirmation(page.session_id)


def test_a_subscription_in_the_mirror_sells_no_second(acme: Organization, shop: Shop) -> None:
    pay(started(click(acme, shop.business)).url)
    shop.mirror_events()
    assert isinstance(click(acme, shop.team), AlreadySubscribed)
    assert isinstance(click(acme, shop.business), AlreadySubscribed)


def test_a_subscription_that_only_stripe_knows_sells_no_second(acme: Organization, shop: Shop) -> None:
    """Somebody made it in Stripe's dashboard; its event has not come."""
    page = started(click(acme, shop.business))
    shop.stripe.v1.checkout.sessions.expire(page.session_id)
    customer = CustomerLink.objects.get().customer_id
    assert customer
    made = shop.stripe.v1.subscriptions.create(
        {
            "customer": customer,
            "items": [{"price": shop.team}],
            "collection_method": "send_invoice",
            "days_until_due": 30,
        }
    )
    assert click(acme, shop.business) == AlreadySubscribed(made.id)
    assert shop.open_sessions() == []


def test_an_ended_subscription_does_not_stand_in_the_way(acme: Organization, shop: Shop) -> None:
    pay(started(click(acme, shop.business)).url)
    shop.mirror_events()
    shop.stripe.v1.subscriptions.cancel(shop.subscriptions()[0].id)
    shop.mirror_events()
    assert isinstance(click(acme, shop.team), Started)


def test_a_page_that_expired_is_followed_by_a_new_one(acme: Organization, shop: Shop) -> None:
    first = started(click(acme, shop.business))
    shop.stripe.v1.checkout.sessions.expire(first.session_id)
    second = started(click(acme, shop.business))
    assert second.session_id != first.session_id
    assert states(acme) == [OrderState.EXPIRED, OrderState.OPEN]


def test_a_price_that_is_not_on_offer_is_refused(acme: Organization, shop: Shop) -> None:
    assert click(acme, "price_of_another_world") == NotOffered()
    assert states(acme) == []


def test_a_price_withdrawn_at_stripe_is_refused_in_stripes_words(acme: Organization, shop: Shop) -> None:
    shop.stripe.v1.prices.update(shop.business, {"active": False})
    outcome = click(acme, shop.business)
    assert isinstance(outcome, Refused)
    assert "inactive" in outcome.message
    assert states(acme) == [OrderState.EXPIRED]


# --- crashes: each comma of `start_checkout` --------------------------------------------------------


def cut_power(monkeypatch: pytest.MonkeyPatch, name: str, *, after: bool) -> None:
    """End the process before, or just after, this step does its work."""
    real = getattr(starting, name)

    def step(*args: Any, **kwargs: Any) -> Any:
        if after:
            real(*args, **kwargs)
        raise PowerCut

    monkeypatch.setattr(starting, name, step)


@pytest.mark.parametrize(
    ("step", "after"),
    [
        ("ensure_customer", False),  # killed after the intent was committed, before the customer
        ("ensure_customer", True),  # killed after the customer was made and linked
        ("post_session", False),  # killed before Stripe was asked for the page
        ("post_session", True),  # killed after Stripe had made the page, before its answer was read
        ("record_session", False),  # killed with the page in hand, before it was recorded
        ("record_session", True),  # killed after it was recorded, before it was shown
    ],
)
def test_killed_at_a_comma_it_goes_on_with_the_same_page(
    acme: Organization, shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    with monkeypatch.context() as patch:
        cut_power(patch, step, after=after)
        with pytest.raises(PowerCut):
            click(acme, shop.business)
    made_before = set(shop.open_sessions())
    page = started(click(acme, shop.business))
    assert shop.open_sessions() == [page.session_id]
    assert made_before <= {page.session_id}
    assert len(shop.customers()) == 1
    assert states(acme) == [OrderState.OPEN]


def test_killed_before_it_was_recorded_another_plan_may_be_chosen(
    acme: Organization, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first page was made but nobody ever saw it, so nobody can pay it."""
    with monkeypatch.context() as patch:
        cut_power(patch, "record_session", after=False)
        with pytest.raises(PowerCut):
            click(acme, shop.business)
    page = started(click(acme, shop.team))
    assert CheckoutOrder.objects.get(state=OrderState.OPEN).session_id == page.session_id


def test_an_intent_too_old_to_repeat_is_followed_by_a_new_one(
    acme: Organization, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        cut_power(patch, "post_session", after=False)
        with pytest.raises(PowerCut):
            click(acme, shop.business, now=timezone.now() - timedelta(hours=2))
    assert isinstance(click(acme, shop.business), Started)
    assert states(acme) == [OrderState.EXPIRED, OrderState.OPEN]


# --- Stripe away ------------------------------------------------------------------------------------


def test_a_lost_answer_is_repeated_under_the_same_key(
    acme: Organization, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = starting.post_session

    def lose_the_answer(*args: Any) -> None:
        real(*args)
        raise stripe_library.APIConnectionError("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(starting, "post_session", lose_the_answer)
        assert click(acme, shop.business) == Unreachable()
    made = shop.open_sessions()
    assert [started(click(acme, shop.business)).session_id] == made


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        # Stripe failed once and would repeat that failure under this key for a day
        (stripe_library.APIError("broken", http_status=500, headers={"idempotent-replayed": "true"}), Unreachable()),
        # the key was used with other words: it can never succeed
        (stripe_library.IdempotencyError("other parameters", http_status=400), Unreachable()),
        (stripe_library.InvalidRequestError("No such price", "line_items"), Refused("No such price")),
    ],
)
def test_a_key_that_can_only_fail_is_not_used_again(
    acme: Organization,
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    failure: stripe_library.StripeError,
    outcome: Outcome,
) -> None:
    def fail(*_args: Any) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(starting, "post_session", fail)
        assert click(acme, shop.business) == outcome
    assert isinstance(click(acme, shop.business), Started)
    assert states(acme) == [OrderState.EXPIRED, OrderState.OPEN]


def test_stripe_unreachable_keeps_the_intent_and_loses_nothing(
    acme: Organization, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = stripe_library.StripeClient(
        "sk_test_x", base_addresses={"api": "http://127.0.0.1:9"}, max_network_retries=0
    )
    outcome = start_checkout(acme, shop.business, stripe=nowhere, now=timezone.now(), urls=URLS, language="en")
    assert outcome == Unreachable()
    assert states(acme) == [OrderState.OPENING]
    assert isinstance(click(acme, shop.business), Started)
    assert states(acme) == [OrderState.OPEN]
