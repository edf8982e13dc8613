"""A company's history, shuffled, doubled, delayed and partly lost, through three doors, to workers that are killed.

Whatever happens on the way, the mirror ends equal to Stripe's truth: every object that an event named, every row that
is there, what stands inside them, and what was read out of them. ANY_DELIVERY_SEEDS="1 2 3" tries other histories,
ANY_DELIVERY_STEPS longer ones.
"""

import os
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import stripe as stripe_library
from django.db import connection
from django.utils import timezone

from billing.inbox.claim import LEASE
from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.inbox.poll import poll
from billing.inbox.replay import replay_all
from billing.mirror.apply import mirror_due
from billing.stripe_accounts import primary
from tests import processes
from tests.crashes.company import Company
from tests.crashes.lives import live
from tests.crashes.truth import announced, untruths

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]

WORKERS = 2
ROUNDS = 4
SEEDS = [int(seed) for seed in os.environ.get("ANY_DELIVERY_SEEDS", "2").split()]  # more of them by hand
STEPS = int(os.environ.get("ANY_DELIVERY_STEPS", "12"))  # of life in a round


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mirror_ends_equal_to_stripe(stripe, sandbox, stripe_key, post_webhook, acme, settings, seed):
    settings.DRIFT_PATIENCE_SECONDS = 0.1
    before = deadlocks()
    chance = random.Random(seed)
    company = Company(stripe, sandbox, chance)
    with workers(chance) as disturb:
        delivered: set[str] = set()
        for _ in range(ROUNDS):
            live(company, steps=STEPS)
            deliver(news(stripe, delivered), chance, post_webhook)
            make_trouble(sandbox, stripe_key, chance)
            disturb()
            look_again(chance)
        deliver(news(stripe, set()), chance, post_webhook, share=0.3)  # once more, and late
    httpx.delete(f"{sandbox}/_sandbox/faults", timeout=5)
    catch_up()
    assert untruths(stripe) == []
    assert deadlocks() == before


def deadlocks() -> int:
    """How many transactions PostgreSQL has ended in this database because they waited for each other in a circle."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        [(count,)] = cursor.fetchall()
    return int(count)


def news(stripe: stripe_library.StripeClient, delivered: set[str]) -> list[dict[str, Any]]:
    """The account's events that are not among `delivered`, which they join."""
    fresh = [event for event in announced(stripe) if event["id"] not in delivered]
    delivered |= {event["id"] for event in fresh}
    return fresh


def deliver(
    events: list[dict[str, Any]], chance: random.Random, post: Callable[..., Any], *, share: float = 0.8
) -> None:
    """Deliver a share of the events in any order, some twice, by two doors at once; the others are lost."""
    arriving = [event for event in events if chance.random() < share]
    arriving += [event for event in arriving if chance.random() < 0.3]
    chance.shuffle(arriving)
    parts: list[list[dict[str, Any]]] = [[], []]
    for event in arriving:
        parts[chance.randrange(2)].append(event)

    def by_webhook() -> None:
        for event in parts[0]:
            assert post(event).status_code == 200
        connection.close()

    def by_queue() -> None:
        for event in parts[1]:
            store_event(event, door=Door.SQS, now=timezone.now())
        connection.close()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(by_webhook), pool.submit(by_queue)]:
            done.result()


def make_trouble(sandbox: str, key: str, chance: random.Random) -> None:
    """Let some of the mirror's questions meet an error or a slow answer."""
    effect = chance.choice(["rate_limit", "server_error", "latency", "timeout"])
    fault = {"effect": effect, "key": key, "count": chance.randint(1, 3), "path": "/v1/*/*_*", "seconds": 0.2}
    httpx.post(f"{sandbox}/_sandbox/faults", json=fault | {"method": "GET"}, timeout=5).raise_for_status()


def look_again(chance: random.Random) -> None:
    """Now and then somebody reads the events API, or replays what is long done."""
    if chance.random() < 0.3:
        poll(primary(), timezone.now, grace_seconds=0)
    if chance.random() < 0.3:
        replay_all(InboxEvent.objects.filter(state=InboxState.MIRRORED), now=timezone.now())


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


def start() -> processes.AnyProcess:
    process = processes.start("tests.crashes.loop", piped=True, LOG_LEVEL="ERROR")
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
