"""A worker is killed at every comma of the mirror's sentence; the next one finishes it, and nothing happens twice."""

import signal

import pytest
from django.utils import timezone
from djstripe import models as djstripe

from accounts.models import CustomerLink
from billing.activity.models import Activity
from billing.inbox.claim import LEASE
from billing.inbox.models import InboxEvent, InboxState
from billing.mirror.apply import mirror_due
from tests import processes
from tests.crashes.worker import ASKED, COMMAS

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def paid_subscription(acme, stripe, take_events):
    """A subscription that has just become active; its events are in the inbox, nothing is mirrored."""
    product = stripe.v1.products.create({"name": "Pro"})
    price = stripe.v1.prices.create(
        {"product": product.id, "currency": "jpy", "unit_amount": 5000, "recurring": {"interval": "month"}}
    )
    customer = stripe.v1.customers.create({"email": "alice@example.com"})
    CustomerLink.objects.create(
        organization=acme,
        livemode=False,
        idempotency_key="key",
        keyed_at=timezone.now(),
        customer_id=customer.id,
    )
    method = stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    subscription = stripe.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": method.id}
    )
    take_events()
    InboxEvent.objects.exclude(object_id=subscription.id).delete()
    return subscription


@pytest.mark.parametrize("comma", list(COMMAS))
def test_killed_at_a_comma_the_next_worker_finishes_and_nothing_happens_twice(paid_subscription, comma):
    if comma in ASKED:
        InboxEvent.objects.update(api_version="2020-08-27")  # so that Stripe must be asked
    assert run_worker(comma) == -signal.SIGKILL
    mirror_due(timezone.now, budget_seconds=30)  # what was leased is left to the dead one until its lease ends
    mirror_due(lambda: timezone.now() + LEASE, budget_seconds=30)
    assert djstripe.Subscription.objects.get().stripe_data["status"] == "active"
    assert djstripe.SubscriptionItem.objects.count() == 1
    assert set(InboxEvent.objects.values_list("state", flat=True)) == {InboxState.MIRRORED}
    assert list(Activity.objects.values_list("verb", flat=True)).count("subscription:activated") == 1


def test_a_worker_that_lives_does_it_all_alone(paid_subscription):
    """What the crashes are compared with: were this to fail, they would show nothing."""
    assert run_worker("none") == 0
    assert set(InboxEvent.objects.values_list("state", flat=True)) == {InboxState.MIRRORED}
    assert Activity.objects.filter(verb="subscription:activated").count() == 1


def run_worker(comma: str) -> int:
    """Run a worker in a process of its own on this test's database and Stripe; return how it ended."""
    return processes.start("tests.crashes.worker", comma).wait(60)
