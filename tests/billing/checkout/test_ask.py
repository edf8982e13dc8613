"""Asking Stripe about an order whose events are lost, late, or just now coming."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Organization
from billing.activity import verbs
from billing.activity.models import Activity
from billing.checkout.ask import BETWEEN_QUESTIONS, Answered, NotNow, ask_stripe
from billing.checkout.models import CheckoutOrder, OrderState
from billing.mirror import querysets
from billing.mirror.apply import mirror_due
from billing.stripe_answers import Unreachable
from tests.accounts.races import race
from tests.billing.checkout.test_start import click, started
from tests.billing.pages.conftest import unplug as unplug
from tests.billing.shop import Shop, pay

pytestmark = pytest.mark.django_db(transaction=True)

NEWS_OF_A_PAID_ORDER = {verbs.CHECKOUT_COMPLETED: 1, verbs.SUBSCRIPTION_ACTIVATED: 1, verbs.INVOICE_PAID: 1}


@pytest.fixture
def paid(acme: Organization, shop: Shop) -> CheckoutOrder:
    """Alice has paid, and none of Stripe's events has come."""
    pay(started(click(acme, shop.business)).url)
    return CheckoutOrder.objects.get()


def ask(order: CheckoutOrder) -> object:
    return ask_stripe(CheckoutOrder.objects.get(pk=order.pk), now=timezone.now())


def news() -> Counter[str]:
    verbs_of_orders = list(NEWS_OF_A_PAID_ORDER)
    return Counter(Activity.objects.filter(verb__in=verbs_of_orders).values_list("verb", flat=True))


def test_a_paid_order_is_settled_without_any_event(acme: Organization, paid: CheckoutOrder) -> None:
    assert isinstance(ask(paid), Answered)
    paid.refresh_from_db()
    living = querysets.living_subscription(acme)
    assert living
    assert (paid.state, paid.subscription_id, paid.answer) == (OrderState.PAID, living.id, "complete")
    (invoices, _, _) = querysets.page_of_invoices(acme, size=5)
    assert [invoice.status for invoice in invoices] == ["paid"]
    assert querysets.payment_method_of(acme, living)  # or the page would ask for a way to pay


def test_its_news_are_told_once_also_when_the_events_come_after_all(
    paid: CheckoutOrder, mirror_events: Callable[[], int]
) -> None:
    ask(paid)
    assert news() == NEWS_OF_A_PAID_ORDER
    assert mirror_events() > 0
    assert news() == NEWS_OF_A_PAID_ORDER


def test_an_order_that_nobody_paid_stays_open(acme: Organization, shop: Shop) -> None:
    started(click(acme, shop.business))
    order = CheckoutOrder.objects.get()
    assert isinstance(ask(order), Answered)
    order.refresh_from_db()
    assert (order.state, order.answer) == (OrderState.OPEN, "open")
    assert not news()


def test_a_page_that_has_closed_closes_the_order(acme: Organization, shop: Shop) -> None:
    shop.stripe.v1.checkout.sessions.expire(started(click(acme, shop.business)).session_id)
    order = CheckoutOrder.objects.get()
    ask(order)
    order.refresh_from_db()
    assert order.state == OrderState.EXPIRED


def test_what_is_settled_is_not_asked_about(paid: CheckoutOrder, unplug: Callable[[], None]) -> None:
    ask(paid)
    CheckoutOrder.objects.update(asked_at=None)
    unplug()
    assert isinstance(ask(paid), NotNow)


def test_a_subscription_known_as_unpaid_is_asked_about_again(
    acme: Organization, paid: CheckoutOrder, shop: Shop
) -> None:
    """Of its events the first one came, and what it said was true then."""
    created = next(e for e in shop.stripe.v1.events.list({"type": "customer.subscription.created"}).data)
    assert created.data.object["status"] == "incomplete"
    store_and_mirror(created)
    assert querysets.subscriptions_of(acme)[0].status == "incomplete"
    ask(paid)
    paid.refresh_from_db()
    assert paid.state == OrderState.PAID


def store_and_mirror(event: object) -> None:
    import json

    from billing.inbox.intake import store_event
    from billing.inbox.models import Door

    store_event(json.loads(str(event)), door=Door.WEBHOOK, now=timezone.now())
    mirror_due(timezone.now, budget_seconds=30)


def test_many_clicks_at_once_are_one_question(acme: Organization, shop: Shop) -> None:
    started(click(acme, shop.business))
    order = CheckoutOrder.objects.get()
    answers = race([lambda: ask(order)] * 6)
    assert Counter(type(answer) for answer in answers) == {Answered: 1, NotNow: 5}
    later = timezone.now() + BETWEEN_QUESTIONS + timedelta(seconds=1)
    order.refresh_from_db()
    assert isinstance(ask_stripe(order, now=later), Answered)


def test_a_webhook_at_the_same_moment_makes_no_difference(
    acme: Organization, paid: CheckoutOrder, take_events: Callable[[], int]
) -> None:
    take_events()
    race([lambda: ask(paid), lambda: mirror_due(timezone.now, budget_seconds=30)])
    mirror_due(timezone.now, budget_seconds=30)
    paid.refresh_from_db()
    assert paid.state == OrderState.PAID
    assert news() == NEWS_OF_A_PAID_ORDER
    assert len(querysets.subscriptions_of(acme)) == 1


def test_a_silent_stripe_leaves_the_order_as_it_is(paid: CheckoutOrder, unplug: Callable[[], None]) -> None:
    unplug()
    assert isinstance(ask(paid), Unreachable)
    paid.refresh_from_db()
    assert (paid.state, paid.answer) == (OrderState.OPEN, "")
