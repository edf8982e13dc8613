"""How an order ends, whichever of Stripe's events comes first."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts.models import Organization
from billing.activity import verbs
from billing.activity.models import Activity
from billing.checkout.models import CheckoutOrder, OrderState
from billing.checkout.settle import settle_by_subscription
from billing.mirror import querysets
from billing.mirror.facts import subscription_facts
from tests.billing.checkout.test_start import click, started
from tests.billing.objects import subscription
from tests.billing.shop import DECLINED, Shop, pay

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_order_is_paid_when_its_subscription_is_in_the_mirror(acme: Organization, shop: Shop) -> None:
    pay(started(click(acme, shop.business)).url)
    assert CheckoutOrder.objects.get().state == OrderState.OPEN
    shop.mirror_events()
    order, living = CheckoutOrder.objects.get(), querysets.living_subscription(acme)
    assert living
    assert (order.state, order.subscription_id) == (OrderState.PAID, living.id)
    assert order.finished_at


def test_the_news_of_it_is_published_once(acme: Organization, shop: Shop, mirror_events: Callable[[], int]) -> None:
    pay(started(click(acme, shop.business)).url)
    mirror_events()
    told = list(Activity.objects.filter(organization=acme).values_list("verb", flat=True))
    for verb in (verbs.CHECKOUT_COMPLETED, verbs.SUBSCRIPTION_ACTIVATED, verbs.INVOICE_PAID):
        assert told.count(verb) == 1, told


def test_a_declined_card_settles_nothing(acme: Organization, shop: Shop) -> None:
    pay(started(click(acme, shop.business)).url, number=DECLINED)
    shop.mirror_events()
    assert CheckoutOrder.objects.get().state == OrderState.OPEN


def test_a_page_that_expired_at_stripe_ends_the_order(acme: Organization, shop: Shop) -> None:
    page = started(click(acme, shop.business))
    shop.stripe.v1.checkout.sessions.expire(page.session_id)
    shop.mirror_events()
    assert CheckoutOrder.objects.get().state == OrderState.EXPIRED


def test_a_payment_in_the_last_second_counts_though_we_had_given_up(acme: Organization, shop: Shop) -> None:
    page = started(click(acme, shop.business))
    pay(page.url)
    CheckoutOrder.objects.update(state=OrderState.EXPIRED)
    shop.mirror_events()
    assert CheckoutOrder.objects.get().state == OrderState.PAID


def test_metadata_of_another_customer_settle_nothing(acme: Organization, charlie: object, shop: Shop) -> None:
    """Metadata can be edited by anybody with access to the Stripe account."""
    click(acme, shop.business)
    order = CheckoutOrder.objects.get()
    forged = subscription(customer="cus_stranger", metadata={"kessai_order": order.idempotency_key})
    assert settle_by_subscription(subscription_facts(forged), now=timezone.now()) is None
    assert CheckoutOrder.objects.get().state == OrderState.OPEN
