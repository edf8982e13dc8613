"""A destination's rate is kept by all workers together."""

import multiprocessing
import time
from itertools import pairwise

import pytest
from django.db import connection
from django.utils import timezone

from billing import nudge
from ops.effects.destinations import limit
from ops.effects.destinations.invoke import invoke
from ops.effects.destinations.models import Destination
from ops.effects.outcome import Done, Retry
from tests.ops.destinations.conftest import send

RATE = 20


def busy(destination: Destination, calls: int) -> list[Retry]:
    """Take turns until there is none within a worker's patience."""
    taken = (limit.take_turn(destination) for _call in range(calls))
    return [turn for turn in taken if turn is not None]


def test_calls_are_spread_evenly(server, make):
    crm = make(rate_limit=RATE)
    assert all(isinstance(send(crm), Done) for _call in range(6))
    gaps = [later.at - earlier.at for earlier, later in pairwise(server.received)]
    assert sum(gaps) >= 5 / RATE - 0.02


def test_who_would_wait_for_long_comes_again_later_and_others_after_that(make, monkeypatch):
    monkeypatch.setattr(limit, "PATIENCE_SECONDS", 0.0)
    crm = make(rate_limit=2)
    assert limit.take_turn(crm) is None
    sent_away = busy(crm, 4)
    assert [away.tried for away in sent_away] == [False] * 4
    waits = [away.after.total_seconds() for away in sent_away if away.after]
    assert all(later - earlier == pytest.approx(0.5, abs=0.1) for earlier, later in pairwise(waits))
    assert sent_away[0].error.startswith("RateLimited: crm is called 2 times a second")


def test_two_destinations_do_not_share_a_rate(make, monkeypatch):
    monkeypatch.setattr(limit, "PATIENCE_SECONDS", 0.0)
    first, second = make("first", rate_limit=1), make("second", rate_limit=1)
    assert limit.take_turn(first) is None
    assert limit.take_turn(second) is None
    assert limit.take_turn(first) is not None


def test_without_redis_each_worker_keeps_to_a_careful_share(server, make, point_redis_to):
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        point_redis_to(free.getsockname()[1])
    nudge.nudge_redis.cache_clear()
    crm = make(rate_limit=RATE)
    outcomes = [send(crm) for _call in range(3)]
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    gaps = [later.at - earlier.at for earlier, later in pairwise(server.received)]
    assert all(gap >= 4 / RATE - 0.02 for gap in gaps)


def _call_for(seconds: float) -> None:
    """What a worker does in a process of its own."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        invoke("crm", body="{}", parameters={}, key="k", now=timezone.now())
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_two_processes_share_one_rate(server, make):
    make(rate_limit=RATE)
    connection.close()  # no connection is inherited
    nudge.nudge_redis.cache_clear()
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_call_for, args=(1.2,)) for _number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    times = sorted(got.at for got in server.received)
    assert len(times) >= 5
    # In no second do more calls go out than the rate allows; a little is left for the way to the server.
    for start in times:
        assert sum(start <= at < start + 1.0 for at in times) <= RATE + 2
