"""Refund workflows on workers as they are deployed, which are killed again and again while PostgreSQL, Redis and Stripe
fail: in the end Stripe's ledger has every refund, and none twice. `REFUNDS=2000` makes it thousands.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import psycopg
import pytest

from tests import processes
from tests.billing.inbox.conftest import wait_until
from tests.crashes.refunding import paid_invoices
from tests.crashes.test_under_load import Redis

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]

REFUNDS = int(os.environ.get("REFUNDS", "30"))
TROUBLES = ("worker", "postgres", "rate_limit", "redis", "worker", "server_error", "torn postgres", "timeout", "worker")
PAUSE_SECONDS = (0.3, 1.5 + REFUNDS / 200)  # between troubles: as long as the load
CATCHING_UP_SECONDS = 120 + REFUNDS / 5


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path / "redis")
    yield server
    server.stop()


class Workers:
    """A Celery worker and a beat, each with the processes that it forks: killed together, as when a machine dies."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._processes: list[processes.PortalProcess] = []

    def start(self) -> None:
        for command in (["worker", "--pool", "prefork", "--concurrency", "2"], ["beat", "--pidfile="]):
            argv = ["tests.crashes.quick", "-A", "config", *command, "-l", "CRITICAL"]
            self._processes.append(processes.start_in(self._environment, *argv, own_session=True))

    def kill(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(60)
        self._processes.clear()


@contextmanager
def at_work(environment: dict[str, str]) -> Iterator[Workers]:
    workers = Workers(environment)
    workers.start()
    try:
        yield workers
    finally:
        workers.kill()


def test_every_refund_is_made_and_none_twice_whatever_fails(postgres, redis, stripe, sandbox, stripe_key):
    invoices = paid_invoices(stripe, REFUNDS)
    environment = processes.portal_environment() | {
        "DATABASE_URL": postgres.url,
        "REDIS_URL": redis.url,
        "LOG_LEVEL": "CRITICAL",
    }
    assert processes.start_in(environment, "tests.crashes.refund_orders", *invoices).wait(300) == 0
    with at_work(environment) as workers:
        wait_until(lambda: begun(postgres), seconds=CATCHING_UP_SECONDS)
        chance = random.Random(7)
        for trouble in TROUBLES:
            make_trouble(trouble, workers, postgres, redis, sandbox, stripe_key)
            time.sleep(chance.uniform(*PAUSE_SECONDS))
        wait_until(lambda: all_ended(postgres), seconds=CATCHING_UP_SECONDS)
    assert postgres.ask("SELECT status, count(*) FROM ops_execution GROUP BY status") == [("SUCCEEDED", REFUNDS)]
    gaps = """
        SELECT execution.id FROM ops_execution AS execution WHERE events <> (
            SELECT count(DISTINCT number) FROM ops_historyevent WHERE execution_id = execution.id)
    """
    assert postgres.ask(gaps) == []
    made = [(each.payment_intent, each.amount) for each in stripe.v1.refunds.list({"limit": 100}).auto_paging_iter()]
    assert len(made) == len({intent for intent, _ in made}) == REFUNDS
    assert {amount for _, amount in made} == {300}
    postgres.stop(signal.SIGINT)


def make_trouble(trouble: str, workers: Workers, postgres: Any, redis: Redis, sandbox: str, key: str) -> None:
    if trouble == "worker":
        workers.kill()
        workers.start()
    elif trouble.endswith("postgres"):
        postgres.stop(signal.SIGQUIT if trouble.startswith("torn") else signal.SIGINT)
        time.sleep(0.5)
        postgres.start()
    elif trouble == "redis":
        redis.empty_and_restart()
    else:
        fault = {"effect": trouble, "key": key, "count": 8, "path": "/v1/refunds", "method": "POST", "seconds": 1}
        httpx.post(f"{sandbox}/_sandbox/faults", json=fault, timeout=60).raise_for_status()


def begun(postgres: Any) -> bool:
    return bool(postgres.ask("SELECT 1 FROM ops_taskcall WHERE state <> 'due' LIMIT 1"))


def all_ended(postgres: Any) -> bool:
    try:
        return not postgres.ask("SELECT 1 FROM ops_execution WHERE status = 'RUNNING' LIMIT 1")
    except psycopg.OperationalError:
        return False  # torn out a moment ago, it still recovers
