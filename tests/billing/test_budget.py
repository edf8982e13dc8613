"""The budget of calls to Stripe: one for all, pages first, and a rest when Stripe says "too many"."""

import multiprocessing
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import nudge, stripe_budget
from billing.stripe_budget import ask_for_turn, rest, take
from billing.turns import AHEAD, BURST_SECONDS, Lane, LocalShare, Turn

pytestmark = pytest.mark.usefixtures("own_redis")


@pytest.fixture
def key(stripe_key, settings) -> str:
    settings.STRIPE_RATE_LIMIT_TEST = 40.0
    return stripe_key


def turns(key: str, count: int, lane: Lane = Lane.BACKGROUND) -> list[Turn]:
    return [ask_for_turn(key, lane) for _ in range(count)]


def granted_until(end: float, key: str, lanes: int) -> int:
    """How many calls so many threads get through, of which each makes one at least."""
    done = []

    def work() -> None:
        take(key)
        done.append(1)
        while time.monotonic() < end:
            take(key)
            done.append(1)

    threads = [threading.Thread(target=work) for _ in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(done)


def test_a_few_calls_may_come_at_once_and_then_each_waits_for_its_turn(key):
    began = time.monotonic()
    waits = [turn.wait for turn in turns(key, 14)]
    assert waits[: int(40 * BURST_SECONDS)] == [0.0] * 10
    assert 3 / 40 - seconds_since(began) <= waits[-1] <= 3 / 40


def seconds_since(began: float) -> float:
    """How long the questions themselves took, which on a busy machine is part of the wait."""
    return time.monotonic() - began + 0.001


def test_all_threads_together_keep_to_the_rate(key):
    granted = granted_until(time.monotonic() + 1.0, key, lanes=8)
    assert 8 <= granted <= 40 * 1.0 + 40 * (BURST_SECONDS + AHEAD) + 8


def test_two_accounts_do_not_share(key):
    turns(key, 30)
    assert ask_for_turn(key + "0", Lane.BACKGROUND).wait == 0


def test_a_turn_too_far_away_is_not_promised(key, settings):
    settings.STRIPE_RATE_LIMIT_TEST = 0.01
    last = turns(key, 2)[-1]
    assert (last.kept, last.full) == (False, 1.0)
    assert last.wait > AHEAD


def test_a_page_does_not_wait_for_background_work_which_waits_for_it(key):
    turns(key, 40)
    began, before = time.monotonic(), ask_for_turn(key, Lane.BACKGROUND).wait
    assert [turn.wait for turn in turns(key, 5, Lane.PAGE)] == [0.0] * 5
    later = ask_for_turn(key, Lane.BACKGROUND).wait
    assert before + 5 / 40 - seconds_since(began) <= later <= before + 6 / 40


def test_a_page_waits_a_moment_at_most(key, monkeypatch):
    monkeypatch.setattr(stripe_budget, "PAGE_PATIENCE", 0.05)
    rest(key, retry_after=120)
    began = time.monotonic()
    stripe_budget.take_for_page(key)
    assert time.monotonic() - began < 60


def test_after_too_many_everybody_rests_for_as_long_as_stripe_asked(key):
    began = time.monotonic()
    rest(key, retry_after=60)
    for lane in Lane:
        assert 60 - seconds_since(began) <= ask_for_turn(key, lane).wait <= 60


def test_many_refusals_at_once_are_one_rest_and_the_next_one_is_longer(key, monkeypatch):
    monkeypatch.setattr(stripe_budget, "FIRST_REST", 10.0)
    for _ in range(10):
        rest(key)
    assert 0 < ask_for_turn(key, Lane.BACKGROUND).wait <= 10
    nudge.nudge_redis().hincrbyfloat(stripe_budget.name_of(key), "rest", -10 * 1e6)  # it is over
    take(key)
    rest(key)
    assert 10 < ask_for_turn(key, Lane.BACKGROUND).wait <= 20


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"Retry-After": "2"}, 2),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "9e9"}, 300),
        ({"Retry-After": "-1"}, 0),
    ],
)
def test_the_wish_for_a_rest_is_read(headers, seconds):
    assert stripe_budget.seconds_asked(headers) == seconds


def test_a_refusal_that_concerns_one_object_is_no_rest_for_all():
    assert stripe_budget.concerns_one_object({"Stripe-Rate-Limited-Reason": "resource-specific"})
    assert not stripe_budget.concerns_one_object({"Stripe-Rate-Limited-Reason": "global-rate"})
    assert not stripe_budget.concerns_one_object({})


def test_without_redis_each_process_keeps_to_a_careful_share(key, point_redis_to):
    point_redis_to(1)
    nudge.nudge_redis.cache_clear()
    granted = granted_until(time.monotonic() + 0.6, key, lanes=4)
    assert 4 <= granted <= 10 * 0.6 + 10 * AHEAD + 4


def test_an_emptied_redis_is_a_full_budget_and_no_error(key):
    from billing.nudge import nudge_redis

    turns(key, 40)
    nudge_redis().flushdb()
    assert ask_for_turn(key, Lane.BACKGROUND).wait == 0


def test_the_key_does_not_stand_in_redis(key):
    from billing.nudge import nudge_redis

    take(key)
    assert nudge_redis().keys("kessai:stripe-budget:*")
    assert not any(key.encode() in name for name in nudge_redis().keys("*"))


def _spend(key: str, end: float, results: "multiprocessing.Queue[int]") -> None:
    results.put(granted_until(end, key, lanes=2))


def test_several_processes_share_one_rate(key):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    nudge.nudge_redis.cache_clear()  # no connection is inherited
    end = time.monotonic() + 1.0  # for all of them, also for one that a busy machine starts late
    workers = [context.Process(target=_spend, args=(key, end, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    granted = sum(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    assert 6 <= granted <= 40 * 1.0 + 40 * (BURST_SECONDS + AHEAD) + 6


@given(gaps=st.lists(st.floats(0, 0.5), max_size=60), rate=st.floats(1, 100))
def test_a_local_share_never_gives_out_more_than_its_rate(gaps, rate):
    share, now, kept = LocalShare(), 0.0, []
    for gap in gaps:
        now += gap
        turn = share.turn(rate, now)
        if turn.kept:
            kept.append(now + turn.wait)
    assert all(later - earlier >= 1 / rate - 1e-9 for earlier, later in pairwise(kept))
