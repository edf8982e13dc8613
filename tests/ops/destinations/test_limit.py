"""A destination's rate is kept by all workers together."""

import multiprocessing
import time
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.utils import timezone

from billing import nudge
from ops.effects.destinations import limit
from ops.effects.destinations.invoke import invoke
from ops.effects.outcome import Done
from tests.ops.destinations.conftest import send

RATE = 20


def test_calls_are_spread_evenly(server, make):
    crm = make(rate_limit=RATE)
    began = time.monotonic()
    assert all(isinstance(send(crm), Done) for _call in range(6))
    assert time.monotonic() - began >= 5 / RATE


def test_who_would_wait_for_long_comes_again_later_and_others_after_that(make, monkeypatch):
    monkeypatch.setattr(limit, "PATIENCE_SECONDS", 0.0)
    crm = make(rate_limit=1)
    limit.rest(crm, timedelta(minutes=1))
    moments = []
    for _call in range(4):
        away = limit.take_turn(crm)
        assert away is not None
        assert not away.tried
        assert away.error.startswith("RateLimited: crm is called 1 times a second")
        moments.append(int(float(nudge.nudge_redis().hget(limit.name_of(crm), "later"))))
    assert [later - earlier for earlier, later in pairwise(moments)] == [1_000_000] * 3  # microseconds


def test_two_destinations_do_not_share_a_rate(make, monkeypatch):
    monkeypatch.setattr(limit, "PATIENCE_SECONDS", 0.0)
    first, second = make("first", rate_limit=1), make("second", rate_limit=1)
    limit.rest(first, timedelta(minutes=1))
    assert limit.take_turn(second) is None
    assert limit.take_turn(first) is not None


def test_without_redis_each_worker_keeps_to_a_careful_share(server, make, point_redis_to):
    point_redis_to(1)
    nudge.nudge_redis.cache_clear()
    crm = make(rate_limit=RATE)
    began = time.monotonic()
    assert all(isinstance(send(crm), Done) for _call in range(3))
    assert time.monotonic() - began >= 2 * 4 / RATE


def _call_for(seconds: float, spans: "multiprocessing.Queue[tuple[float, float]]") -> None:
    """What a worker does in a process of its own; it tells from when to when."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        invoke("crm", body="{}", parameters={}, key="k", now=timezone.now())
    spans.put((began, time.monotonic()))
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_two_processes_share_one_rate(server, make):
    rate = 5  # so low that also a busy machine could make twice as many calls
    make(rate_limit=rate)
    connection.close()  # no connection is inherited
    nudge.nudge_redis.cache_clear()
    context = multiprocessing.get_context("fork")
    spans = context.Queue()
    workers = [context.Process(target=_call_for, args=(2.0, spans)) for _number in range(2)]
    for worker in workers:
        worker.start()
    begun, ended = zip(*[spans.get(timeout=60) for _worker in workers], strict=True)
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    # As many as the rate allows, and one that goes at once: twice as many if each process had a rate of its own.
    assert 3 <= len(server.received) <= rate * (max(ended) - min(begun)) + 1
