"""Several workers at once. Each is a thread with a database connection of its own."""

import random
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from djstripe import models as djstripe

from billing.inbox.models import InboxEvent, InboxState
from billing.mirror import asking
from billing.mirror.apply import mirror_due
from billing.mirror.fetch import fetch
from billing.mirror.kinds import Ref
from billing.stripe_accounts import primary

pytestmark = pytest.mark.django_db(transaction=True)


def start(*tasks: Callable[[], object]) -> list[threading.Thread]:
    def run(task: Callable[[], object]) -> None:
        try:
            task()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[task]) for task in tasks]
    for thread in threads:
        thread.start()
    return threads


def finish(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a worker hangs"


def mirror() -> int:
    return mirror_due(timezone.now, budget_seconds=50)


def test_the_slower_of_two_workers_does_not_overwrite_the_faster_ones_newer_state(shop, take_events, answer_with):
    """dj-stripe's lost update: A asks, the object changes, B asks and writes, A would write what it had."""
    product = shop.product("Old")
    asked, go_on = threading.Event(), threading.Event()
    answers: list[str] = []

    def slow_once(ref: Ref) -> Any:
        fetched = fetch(ref)
        answers.append(fetched.data["name"] if fetched.data else "")
        if not asked.is_set():
            asked.set()
            assert go_on.wait(60)
        return fetched

    answer_with(slow_once)
    take_events()
    InboxEvent.objects.update(api_version="2020-08-27")  # so that Stripe must be asked
    slower = start(mirror)
    assert asked.wait(60)
    shop.stripe.v1.products.update(product.id, {"name": "New"})
    take_events()
    InboxEvent.objects.update(api_version="2020-08-27")
    finish(start(mirror))
    assert djstripe.Product.objects.get().name == "New"  # nobody waits for the slower one
    go_on.set()
    finish(slower)
    assert answers == ["Old", "New", "New"]  # the slower one asks again instead of writing what it had
    assert djstripe.Product.objects.get().name == "New"
    assert set(InboxEvent.objects.values_list("state", flat=True)) == {InboxState.MIRRORED}


def test_a_payload_that_is_written_while_its_object_is_fetched_is_not_overwritten(shop, take_events, answer_with):
    product = shop.product("Old")
    asked, go_on = threading.Event(), threading.Event()

    def slow_once(ref: Ref) -> Any:
        fetched = fetch(ref)
        if not asked.is_set():
            asked.set()
            assert go_on.wait(60)
        return fetched

    answer_with(slow_once)
    take_events()
    InboxEvent.objects.update(api_version="2020-08-27")
    slower = start(mirror)
    assert asked.wait(60)
    shop.stripe.v1.products.update(product.id, {"name": "New"})
    take_events()
    finish(start(mirror))
    go_on.set()
    finish(slower)
    assert djstripe.Product.objects.get().name == "New"
    assert set(InboxEvent.objects.values_list("state", flat=True)) == {InboxState.MIRRORED}


def test_an_event_that_arrives_while_its_object_is_fetched_is_looked_at(shop, take_events, answer_with):
    product = shop.product("Old")
    fetches = 0

    def changing_meanwhile(ref: Ref) -> Any:
        nonlocal fetches
        fetches += 1
        fetched = fetch(ref)
        if fetches == 1:
            shop.stripe.v1.products.update(product.id, {"name": "New"})
            take_events()
        return fetched

    answer_with(changing_meanwhile)
    take_events()
    InboxEvent.objects.update(api_version="2020-08-27")
    mirror()
    assert djstripe.Product.objects.get().name == "New"
    assert set(InboxEvent.objects.values_list("state", flat=True)) == {InboxState.MIRRORED}


def test_a_customer_and_its_payment_method_mirrored_at_once_do_not_wait_for_each_other_for_ever(shop, take_events):
    """Each refers to the other; a worker that held one gate could meet another that holds the other one."""
    customer = shop.customer()
    method = shop.give_card(customer.id)
    refs = [Ref("customer", customer.id), Ref("payment_method", method.id)] * 2
    refresh = partial(asking.refresh, account=primary(), clock=timezone.now)
    finish(start(*[partial(refresh, [ref]) for ref in refs]))
    mirrored = djstripe.Customer.objects.get()
    assert mirrored.default_payment_method.customer == mirrored


def test_many_workers_on_shuffled_events_end_at_what_stripe_says(shop, take_events):
    """Whatever the order, however often: the mirror ends equal to Stripe, and every event is done."""
    chance = random.Random(7)
    price = shop.price(shop.product().id)
    customers = [shop.customer(name=f"Customer {number}") for number in range(3)]
    subscriptions = []
    for customer in customers:
        shop.give_card(customer.id)
        subscriptions.append(shop.subscription(customer.id, price.id))
    take_events()
    pks = list(InboxEvent.objects.values_list("pk", flat=True))
    chance.shuffle(pks)
    for pk in pks:  # due in an order that has nothing to do with what happened
        InboxEvent.objects.filter(pk=pk).update(due_at=timezone.now())
    workers = start(mirror, mirror, mirror)
    for number, customer in enumerate(customers):
        shop.stripe.v1.customers.update(customer.id, {"name": f"Renamed {number}"})
        shop.stripe.v1.subscriptions.update(subscriptions[number].id, {"cancel_at_period_end": True})
    take_events()
    workers += start(mirror, mirror)
    finish(workers)
    mirror()
    left = InboxEvent.objects.exclude(state__in=[InboxState.MIRRORED, InboxState.STORED])
    assert list(left.values_list("type", "error")) == []
    assert set(djstripe.Customer.objects.values_list("stripe_data__name", flat=True)) == {
        "Renamed 0", "Renamed 1", "Renamed 2"
    }  # fmt: skip
    for subscription in subscriptions:
        there = fetch(Ref("subscription", subscription.id)).data
        assert djstripe.Subscription.objects.get(id=subscription.id).stripe_data == there


@pytest.mark.parametrize("days", [90, -90], ids=["ahead of Stripe's time", "behind it"])
def test_what_a_clock_dates_otherwise_than_answers_are_dated_is_never_taken_for_newer(
    shop, take_events, answer_with, days
):
    """A payload waits for a parent; meanwhile somebody asks about its object, whose state is a newer one by now."""
    clock = shop.stripe.v1.test_helpers.test_clocks.create({"frozen_time": int(time.time()) + days * 86_400})
    customer = shop.customer(test_clock=clock.id)
    given = {"amount": 500, "currency": "jpy", "payment_method": "pm_card_visa", "confirm": True, "off_session": True}
    intent = Ref("payment_intent", shop.stripe.v1.payment_intents.create({**given, "customer": customer.id}).id)
    take_events()
    InboxEvent.objects.exclude(type="payment_intent.created").delete()
    others: list[Ref] = []

    def while_it_waits(ref: Ref) -> Any:
        if not others:
            others.append(ref)
            asking.refresh([intent], account=primary(), clock=timezone.now)
            assert djstripe.PaymentIntent.objects.get().stripe_data["status"] == "succeeded"
        return fetch(ref)

    answer_with(while_it_waits)
    mirror()
    assert others
    assert djstripe.PaymentIntent.objects.get().stripe_data == fetch(intent).data


@pytest.mark.parametrize("days", [90, -90], ids=["ahead of Stripe's time", "behind it"])
def test_an_answer_is_never_taken_for_newer_than_what_a_clock_has_dated(shop, take_events, answer_with, days):
    """Stripe is asked; before its answer is written, another worker writes a later event's payload."""
    clock = shop.stripe.v1.test_helpers.test_clocks.create({"frozen_time": int(time.time()) + days * 86_400})
    customer = shop.customer(test_clock=clock.id)
    held = {"amount": 500, "currency": "jpy", "payment_method": "pm_card_visa", "capture_method": "manual"}
    made = shop.stripe.v1.payment_intents.create(
        {**held, "customer": customer.id, "confirm": True, "off_session": True}
    )
    intent = Ref("payment_intent", made.id)
    asking.refresh([Ref("customer", customer.id)], account=primary(), clock=timezone.now)
    others: list[Ref] = []

    def meanwhile(ref: Ref) -> Any:
        fetched = fetch(ref)
        if ref == intent and not others:
            others.append(ref)
            shop.stripe.v1.payment_intents.capture(made.id)
            take_events()
            InboxEvent.objects.exclude(type="payment_intent.succeeded").delete()
            mirror()
        return fetched

    answer_with(meanwhile)
    asking.refresh([intent], account=primary(), clock=timezone.now)
    assert others and djstripe.PaymentIntent.objects.get().stripe_data["status"] == "succeeded"
