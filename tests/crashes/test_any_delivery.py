"""Companies' histories, shuffled, doubled, delayed and partly lost, through three doors, to workers that are killed.

Two Stripe accounts, one of them in live mode too, live side by side. Whatever happens on the way, the mirror ends equal
to Stripe's truth: every object that an event named, every row that is there, what stands inside them, and what was read
out of them. ANY_DELIVERY_SEEDS="1 2 3" tries other histories, ANY_DELIVERY_STEPS longer ones; ANY_DELIVERY_BACKLOG=1
lets each round's events wait until all are there, so that many steps make batches that are full.
"""

import json
import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import redis
from django.db import connection
from django.utils import timezone

from billing.inbox.claim import LEASE
from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.inbox.poll import poll
from billing.inbox.replay import replay_all
from billing.mirror.apply import BATCH, mirror_due
from billing.stripe_accounts import StripeAccount, configured
from billing.stripe_client import stripe_client
from tests import processes
from tests.crashes.company import Company
from tests.crashes.lives import live
from tests.crashes.truth import announced, untruths
from tests.stripe_sandbox import sign

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]

WORKERS = 2
ROUNDS = 4
SEEDS = [int(seed) for seed in os.environ.get("ANY_DELIVERY_SEEDS", "2").split()]  # more of them by hand
STEPS = int(os.environ.get("ANY_DELIVERY_STEPS", "9"))  # of each life in a round
BACKLOG = bool(os.environ.get("ANY_DELIVERY_BACKLOG"))
SMALL_BATCH = 25  # events: so few fill a batch, and a worker mirrors two at once

Event = dict[str, Any]


@dataclass
class Place:
    """One mode of one account: the company that lives there, and what was brought of its news."""

    account: StripeAccount
    company: Company
    delivered: set[str] = field(default_factory=set)

    def news(self) -> list[Event]:
        """The account's events that were not brought yet. They count as brought from now on."""
        fresh = [event for event in announced(stripe_client(self.account)) if event["id"] not in self.delivered]
        self.delivered |= {event["id"] for event in fresh}
        return fresh

    def is_news(self) -> bool:
        """Whether something was announced that the inbox does not have."""
        stored = set(InboxEvent.objects.filter(owner=self.account.name).values_list("external_id", flat=True))
        return any(event["id"] not in stored for event in announced(stripe_client(self.account)))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mirror_ends_equal_to_stripe(places, workers, redis_url, sandbox, post_webhook, acme, settings, seed):
    settings.DRIFT_PATIENCE_SECONDS = 0.1
    before, most = deadlocks(), 0
    chance = random.Random(seed)
    for place in places:
        place.company.chance = random.Random(chance.random())
    for _ in range(ROUNDS):
        for place in places:
            live(place.company, steps=STEPS)
        with workers.away() if BACKLOG or chance.random() < 0.3 else nullcontext():
            deliver(news(places), chance, post_webhook)
            most = max(most, InboxEvent.objects.filter(state=InboxState.RECEIVED).count())
        make_trouble(sandbox, chance.choice(places), redis_url, chance)
        workers.kill_one()
        look_again(chance.choice(places).account, chance)
    for place in places:
        place.delivered.clear()
    deliver(news(places), chance, post_webhook, share=0.3)  # once more, and late
    workers.kill_all()
    httpx.delete(f"{sandbox}/_sandbox/faults", timeout=60)
    catch_up()
    found = untruths()
    for _ in range(5):
        if not found or not any(place.is_news() for place in places):
            break
        catch_up()  # Stripe has not stood still meanwhile: a payment that was under way has come to its end
        found = untruths()
    assert found == []
    assert deadlocks() == before
    assert most > BATCH or not BACKLOG, f"No more than {most} events waited at once: more steps, please."


def news(places: list[Place]) -> list[tuple[Place, Event]]:
    return [(place, event) for place in places for event in place.news()]


@pytest.fixture
def places(stripe, sandbox, stripe_key, settings) -> list[Place]:
    """The primary account in test mode, the same in live mode, and another one."""
    settings.STRIPE_ACCOUNTS = {
        "live": {"secret_key": stripe_key.replace("_test_", "_live_"), "webhook_secrets": ["whsec_live"]},
        "osaka": {
            "secret_key": f"sk_test_51{secrets.token_hex(8)[:15]}{'0' * 16}",
            "webhook_secrets": ["whsec_osaka"],
        },
    }
    return [
        Place(account, Company(stripe_client(account), sandbox, random.Random(), name=name))
        for account, name in zip(configured(), ("Kyoto", "Kyoto", "Osaka"), strict=True)
    ]


@pytest.fixture
def redis_url(settings) -> str:
    """A Redis database that may be emptied: no other test looks into it."""
    return str(settings.REDIS_URL).rpartition("/")[0] + "/15"


def deadlocks() -> int:
    """How many transactions PostgreSQL has ended in this database because they waited for each other in a circle."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        [(count,)] = cursor.fetchall()
    return int(count)


def deliver(
    brought: list[tuple[Place, Event]], chance: random.Random, post: Callable[..., Any], *, share: float = 0.8
) -> None:
    """Deliver a share of the events in any order, some twice, by two doors at once; the others are lost."""
    arriving = [one for one in brought if chance.random() < share]
    arriving += [one for one in arriving if chance.random() < 0.3]
    chance.shuffle(arriving)
    parts: list[list[tuple[Place, Event]]] = [[], []]
    for one in arriving:
        parts[chance.randrange(2)].append(one)

    def by_webhook() -> None:
        for place, event in parts[0]:
            body = json.dumps(event)
            assert post(body, signature=sign(body, secret=place.account.webhook_secrets[0])).status_code == 200
        connection.close()

    def by_queue() -> None:
        for place, event in parts[1]:
            store_event(event, door=Door.SQS, owner=place.account.name, now=timezone.now())
        connection.close()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(by_webhook), pool.submit(by_queue)]:
            done.result()


def make_trouble(sandbox: str, place: Place, redis_url: str, chance: random.Random) -> None:
    """Let some of the mirror's questions meet an error or a slow answer; now and then something else is torn away."""
    effect = chance.choice(["rate_limit", "server_error", "latency", "timeout"])
    key = place.account.secret_key
    fault = {"effect": effect, "key": key, "count": chance.randint(1, 3), "path": "/v1/*/*_*", "seconds": 0.2}
    httpx.post(f"{sandbox}/_sandbox/faults", json=fault | {"method": "GET"}, timeout=60).raise_for_status()
    lot = chance.random()
    if lot < 0.3:
        tear_connections()
    elif lot < 0.5:
        redis.Redis.from_url(redis_url).flushdb()


def tear_connections() -> None:
    """What a PostgreSQL that is started again leaves of its clients' connections: nothing, whatever was under way."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def look_again(account: StripeAccount, chance: random.Random) -> None:
    """Now and then somebody reads the events API, or replays what is long done."""
    if chance.random() < 0.3:
        poll(account, timezone.now, grace_seconds=0)
    if chance.random() < 0.3:
        replay_all(InboxEvent.objects.filter(state=InboxState.MIRRORED), now=timezone.now())


@dataclass
class Workers:
    """Processes that mirror, which are killed."""

    chance: random.Random
    environment: dict[str, str]
    running: list[processes.AnyProcess] = field(default_factory=list)

    def fill_up(self) -> None:
        while len(self.running) < WORKERS:
            batch = BATCH if BACKLOG else self.chance.choice([BATCH, SMALL_BATCH])
            process = processes.start("tests.crashes.loop", str(batch), piped=True, **self.environment)
            self.running.append(process)
            assert process.stdout
            assert process.stdout.readline() == "ready\n"

    def kill_one(self) -> None:
        """Kill one of them at some moment, and start another in its place."""
        time.sleep(self.chance.choice([0, 0, 0.05, 0.2, 0.4]))
        self.kill(self.running.pop(self.chance.randrange(len(self.running))))
        self.fill_up()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Have none for a while, so that events wait."""
        self.kill_all()
        yield
        self.fill_up()

    def kill_all(self) -> None:
        while self.running:
            self.kill(self.running.pop())

    def kill(self, process: processes.AnyProcess) -> None:
        process.kill()
        process.wait()


@pytest.fixture
def workers(seed, places, redis_url) -> Iterator[Workers]:
    others = [place.account for place in places if place.account.name]
    keys = {f"STRIPE_ACCOUNT_{account.name.upper()}_SECRET_KEY": account.secret_key for account in others}
    named = {"STRIPE_ACCOUNTS": ",".join(account.name for account in others), "REDIS_URL": redis_url}
    found = Workers(random.Random(f"workers of {seed}"), {**keys, **named, "LOG_LEVEL": "ERROR"})
    found.fill_up()
    yield found
    found.kill_all()


def catch_up() -> None:
    """The third door finds what the first two lost; what a dead worker held falls free when its lease ends."""
    for account in configured():
        while not poll(account, timezone.now, grace_seconds=0).finished:
            pass
    for minutes in range(30):
        mirror_due(lambda minutes=minutes: timezone.now() + LEASE * minutes, budget_seconds=30)  # type: ignore[misc]
        if not InboxEvent.objects.filter(state=InboxState.RECEIVED).exists():
            return
