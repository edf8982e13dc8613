"""A company's history, shuffled, doubled, delayed and partly lost, through three doors, to workers that are killed.

Whatever happens on the way, the mirror ends equal to Stripe's truth: every object that an event named is compared.
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import stripe as stripe_library
from django.utils import timezone

from billing.activity.models import Activity
from billing.inbox.claim import LEASE
from billing.inbox.envelope import STRIPE
from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.inbox.poll import poll
from billing.mirror.apply import mirror_due
from billing.mirror.drift import comparable, look
from billing.mirror.kinds import Ref
from billing.stripe_accounts import primary
from config.env import BASE_DIR
from tests.processes import portal_environment

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]

WORKERS = 2
SEEDS = [int(seed) for seed in os.environ.get("ANY_DELIVERY_SEEDS", "2").split()]  # more of them by hand


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mirror_ends_equal_to_stripe(stripe, sandbox, stripe_key, post_webhook, acme, seed):
    chance = random.Random(seed)
    with workers(chance) as disturb:
        delivered: set[str] = set()
        for _ in range(4):
            live(stripe, chance)
            deliver(news(stripe, delivered), chance, post_webhook)
            make_trouble(sandbox, stripe_key, chance)
            disturb()
        deliver(news(stripe, set()), chance, post_webhook, share=0.3)  # once more, and late
    httpx.delete(f"{sandbox}/_sandbox/faults", timeout=5)
    catch_up()
    check(stripe)


class Company:
    """What a random life has made so far."""

    def __init__(self) -> None:
        self.customers: list[str] = []
        self.subscriptions: list[str] = []
        self.prices: list[str] = []


def live(stripe: stripe_library.StripeClient, chance: random.Random, *, steps: int = 9) -> None:
    """Do things at Stripe, at random; what Stripe refuses is left."""
    company = known(stripe)
    for _ in range(steps):
        act = chance.choice(ACTS)
        try:
            act(stripe, company, chance)
        except (stripe_library.StripeError, IndexError):
            continue


def known(stripe: stripe_library.StripeClient) -> Company:
    company = Company()
    company.customers = [customer.id for customer in stripe.v1.customers.list({"limit": 100}).data]
    company.subscriptions = [sub.id for sub in stripe.v1.subscriptions.list({"limit": 100}).data]
    company.prices = [price.id for price in stripe.v1.prices.list({"limit": 100}).data]
    return company


def sell(stripe: Any, company: Company, chance: random.Random) -> None:
    product = stripe.v1.products.create({"name": f"Plan {chance.random():.3f}"})
    recurring = {"interval": chance.choice(["month", "year"])}
    amount = chance.randint(100, 9999)
    price = stripe.v1.prices.create(
        {"product": product.id, "currency": "jpy", "unit_amount": amount, "recurring": recurring}
    )
    company.prices.append(price.id)


def meet(stripe: Any, company: Company, chance: random.Random) -> None:
    customer = stripe.v1.customers.create({"email": "alice@example.com", "name": f"Alice {chance.random():.3f}"})
    card = chance.choice(["pm_card_visa", "pm_card_visa", "pm_card_chargeCustomerFail"])
    method = stripe.v1.payment_methods.attach(card, {"customer": customer.id})
    stripe.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
    company.customers.append(customer.id)


def subscribe(stripe: Any, company: Company, chance: random.Random) -> None:
    prices = chance.sample(company.prices, k=min(len(company.prices), chance.randint(1, 2)))
    subscription = stripe.v1.subscriptions.create(
        {
            "customer": chance.choice(company.customers),
            "items": [{"price": price} for price in prices],
            "payment_behavior": "allow_incomplete",
        }
    )
    company.subscriptions.append(subscription.id)


def change(stripe: Any, company: Company, chance: random.Random) -> None:
    subscription = stripe.v1.subscriptions.retrieve(chance.choice(company.subscriptions))
    item = subscription["items"].data[0].id
    stripe.v1.subscriptions.update(subscription.id, {"items": [{"id": item, "quantity": chance.randint(1, 9)}]})


def leave(stripe: Any, company: Company, chance: random.Random) -> None:
    stripe.v1.subscriptions.update(
        chance.choice(company.subscriptions), {"cancel_at_period_end": chance.random() < 0.7}
    )


def cancel(stripe: Any, company: Company, chance: random.Random) -> None:
    stripe.v1.subscriptions.cancel(chance.choice(company.subscriptions))


def rename(stripe: Any, company: Company, chance: random.Random) -> None:
    stripe.v1.customers.update(chance.choice(company.customers), {"name": f"Bob {chance.random():.3f}"})


def forget(stripe: Any, company: Company, chance: random.Random) -> None:
    customer = chance.choice(company.customers)
    company.customers.remove(customer)
    stripe.v1.customers.delete(customer)


def refund(stripe: Any, company: Company, chance: random.Random) -> None:
    charges = stripe.v1.charges.list({"limit": 20}).data
    stripe.v1.refunds.create({"charge": chance.choice(charges).id, "amount": chance.randint(1, 99)})


def withdraw(stripe: Any, company: Company, chance: random.Random) -> None:
    stripe.v1.prices.update(chance.choice(company.prices), {"active": chance.random() < 0.5})


ACTS: list[Callable[[Any, Company, random.Random], None]] = [
    sell, meet, meet, subscribe, subscribe, subscribe, change, change, leave, cancel, rename, forget, refund, withdraw,
]  # fmt: skip


def news(stripe: stripe_library.StripeClient, delivered: set[str]) -> list[dict[str, Any]]:
    """The account's events that are not among `delivered`, which they join."""
    events = [json.loads(str(event)) for event in stripe.v1.events.list({"limit": 100}).auto_paging_iter()]
    fresh = [event for event in events if event["id"] not in delivered]
    delivered |= {event["id"] for event in fresh}
    return fresh


def deliver(
    events: list[dict[str, Any]], chance: random.Random, post: Callable[..., Any], *, share: float = 0.8
) -> None:
    """Deliver a share of the events in any order, some twice, each by a door of its own; the others are lost."""
    arriving = [event for event in events if chance.random() < share]
    arriving += [event for event in arriving if chance.random() < 0.3]
    chance.shuffle(arriving)
    for event in arriving:
        if chance.random() < 0.5:
            assert post(event).status_code == 200
        else:
            store_event(event, door=Door.SQS, now=timezone.now())


def make_trouble(sandbox: str, key: str, chance: random.Random) -> None:
    """Let some of the mirror's questions meet an error or a slow answer."""
    effect = chance.choice(["rate_limit", "server_error", "latency", "timeout"])
    fault = {"effect": effect, "key": key, "count": chance.randint(1, 3), "path": "/v1/*/*_*", "seconds": 0.2}
    httpx.post(f"{sandbox}/_sandbox/faults", json=fault | {"method": "GET"}, timeout=5).raise_for_status()


@contextmanager
def workers(chance: random.Random) -> Iterator[Callable[[], None]]:
    """Run workers; the value kills one of them at some moment, and starts another in its place."""
    running = [start() for _ in range(WORKERS)]

    def disturb() -> None:
        victim = running.pop(chance.randrange(len(running)))
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        running.append(start())

    try:
        yield disturb
    finally:
        for process in running:
            process.kill()
            process.wait()


def start() -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.crashes.loop"]
    environment = portal_environment() | {"LOG_LEVEL": "ERROR"}
    process = subprocess.Popen(command, cwd=BASE_DIR, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def catch_up() -> None:
    """The third door finds what the first two lost; what a dead worker held falls free when its lease ends."""
    while not poll(primary(), timezone.now, grace_seconds=0).finished:
        pass
    for minutes in range(30):
        mirror_due(lambda minutes=minutes: timezone.now() + LEASE * minutes, budget_seconds=30)  # type: ignore[misc]
        if not InboxEvent.objects.filter(state=InboxState.RECEIVED).exists():
            return


def check(stripe: stripe_library.StripeClient) -> None:
    everything = news(stripe, set())
    assert set(InboxEvent.objects.values_list("external_id", flat=True)) == {event["id"] for event in everything}
    left = InboxEvent.objects.exclude(state__in=[InboxState.MIRRORED, InboxState.STORED])
    assert list(left.values_list("type", "error")) == []
    askable = {kind.name for kind in comparable()}
    named = InboxEvent.objects.filter(source=STRIPE).values_list("object_kind", "object_id").distinct()
    refs = [Ref(kind, object_id) for kind, object_id in named if kind in askable]
    found = look(refs, account=primary())
    assert not found.errors
    assert not found.unsettled
    assert found.differing == {}
    keys = list(Activity.objects.values_list("dedup_key", flat=True))
    assert len(keys) == len(set(keys))
