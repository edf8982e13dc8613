"""The whole portal under load, web, workers and beat, while PostgreSQL, Redis and Stripe fail one after the other.

Nothing is lost, nothing happens twice, and it catches up by itself: nobody restarts, replays or resyncs anything.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from config.local import start_redis
from tests import processes
from tests.billing.inbox.conftest import wait_until
from tests.crashes.company import Company
from tests.crashes.conftest import PATIENCE, Web
from tests.crashes.lives import live
from tests.crashes.truth import announced
from tests.stripe_sandbox import sign

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]

STEPS = int(os.environ.get("UNDER_LOAD_STEPS", "20"))
CATCHING_UP_SECONDS = 150
SHARE = 0.9  # of the events come by webhook; the events API finds the others


class Redis:
    def __init__(self, place: Any) -> None:
        self._server = start_redis(place)
        self.url = self._server.url
        self._process = self._server.process

    def empty_and_restart(self) -> None:
        """It keeps nothing on disk: the new one is empty."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        time.sleep(1)
        self._process = self._server.command.start()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path / "redis")
    yield server
    server.stop()


def test_it_catches_up_by_itself_whatever_fails(postgres, redis, stripe, sandbox, stripe_key):
    company = Company(stripe, sandbox, random.Random(5))
    live(company, steps=STEPS)
    ours = {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url, "STRIPE_POLL_GRACE_SECONDS": "1"}
    web = Web(**ours)
    web.start()
    with running(web, "worker", "--pool", "prefork", "--concurrency", "2"), running(web, "beat", "--pidfile="):
        try:
            sending = threading.Thread(target=send_all, args=[web.port, announced(stripe), random.Random(6)])
            sending.start()
            disturb(postgres, redis, sandbox, stripe_key)
            live(company, steps=STEPS // 2)  # the life goes on, and nobody but the events API tells of it
            sending.join()
            there = {event["id"] for event in announced(stripe)}
            wait_until(lambda: caught_up(postgres, there), seconds=CATCHING_UP_SECONDS)
        finally:
            web.end(signal.SIGKILL)
    assert untruths_of(web) == []
    assert postgres.ask("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'") == [(0,)]
    postgres.stop(signal.SIGINT)


@contextmanager
def running(web: Web, *command: str) -> Iterator[None]:
    """One of Celery's programs beside the web process."""
    argv = ["tests.crashes.quick", "-A", "config", *command, "-l", "CRITICAL"]
    process = processes.start_in(web.environment, *argv)
    try:
        yield
        assert process.poll() is None, f"{command[0]} has ended by itself"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()


def send_all(port: int, events: list[dict[str, Any]], chance: random.Random) -> None:
    """As Stripe does: in any order, some twice, and again until each is accepted. Some it never sends."""
    waiting = [event for event in events if chance.random() < SHARE]
    waiting += [event for event in waiting if chance.random() < 0.2]
    chance.shuffle(waiting)

    async def one(client: httpx.AsyncClient) -> None:
        while waiting:
            event = waiting.pop()
            body = json.dumps(event)
            try:
                answer = await client.post("/webhooks/stripe/", content=body, headers={"Stripe-Signature": sign(body)})
                accepted = answer.status_code == 200
            except httpx.TransportError:
                accepted = False
            if not accepted:
                waiting.insert(0, event)
            await asyncio.sleep(0.15)  # a load that lasts as long as the troubles do

    async def several() -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            await asyncio.gather(*(one(client) for _ in range(4)))

    asyncio.run(several())


def disturb(postgres: Any, redis: Redis, sandbox: str, key: str) -> None:
    """One trouble after the other, each in the middle of the load."""
    for number in (signal.SIGINT, signal.SIGQUIT):  # shut down in order; torn out, with recovery
        time.sleep(1)
        postgres.stop(number)
        time.sleep(1)
        postgres.start()
    redis.empty_and_restart()
    for effect in ("rate_limit", "server_error", "timeout"):
        fault = {"effect": effect, "key": key, "count": 8, "path": "/v1/*/*_*", "method": "GET", "seconds": 1}
        answer = httpx.post(f"{sandbox}/_sandbox/faults", json=fault, timeout=60)
        assert answer.status_code < 300, answer.text


def caught_up(postgres: Any, there: set[str]) -> bool:
    try:
        waiting = postgres.ask("SELECT 1 FROM billing_inboxevent WHERE state = 'received' LIMIT 1")
        return not waiting and set(postgres.stored()) >= there
    except psycopg.OperationalError:
        return False  # torn out a moment ago, it still recovers


def untruths_of(web: Web) -> list[str]:
    """What is not as Stripe says, in that portal's database."""
    process = processes.start_in(web.environment, "tests.crashes.truth", piped=True)
    assert process.stdout
    with process.stdout as told:
        said = told.read()
    assert process.wait(300) == 0
    return list(json.loads(said))
