"""Whose time it is: the machine's, or a sandbox's that was moved on."""

import time
from datetime import timedelta

import httpx
from django.utils import timezone

from billing import clock
from billing.clock import Follower

DAY = 86_400.0


class Told:
    """A clock to follow, and the follower's own seconds."""

    def __init__(self) -> None:
        self.ahead, self.at, self.silent, self.asked = 0.0, 100.0, False, 0

    def __call__(self) -> float:
        self.asked += 1
        if self.silent:
            raise httpx.ConnectError("away")
        return self.ahead


def follow(told: Told) -> Follower:
    return Follower(told, monotonic=lambda: told.at)


def test_without_an_address_it_is_the_machines_time(settings) -> None:
    assert settings.CLOCK_URL == ""
    assert clock.ahead() == timedelta()
    assert abs(clock.now() - timezone.now()) < timedelta(seconds=5)


def test_what_it_hears_first_counts_at_once() -> None:
    told = Told()
    told.ahead = DAY
    assert follow(told).ahead() == DAY


def test_a_clock_that_was_moved_counts_at_once_and_settles_for_a_while() -> None:
    told = Told()
    follower = follow(told)
    assert (follower.ahead(), follower.settling()) == (0.0, False)
    told.ahead = DAY
    for at, settles in ((101.0, True), (103.5, True), (104.5, False), (105.0, False)):
        told.at = at
        assert (follower.ahead(), follower.settling()) == (DAY, settles), at


def test_it_settles_only_when_it_is_no_longer_moved() -> None:
    told = Told()
    follower = follow(told)
    follower.ahead()
    for step in range(1, 10):
        told.at += 2
        told.ahead = step * DAY
        assert follower.settling()
    told.at += 3
    assert (follower.ahead(), follower.settling()) == (9 * DAY, False)


def test_a_clock_that_is_silent_goes_on_as_it_went() -> None:
    told = Told()
    told.ahead = DAY
    follower = follow(told)
    assert follower.ahead() == DAY
    told.silent, told.at = True, 200.0
    assert follower.ahead() == DAY


def test_it_is_not_asked_for_every_question() -> None:
    told = Told()
    follower = follow(told)
    for _ in range(100):
        follower.ahead()
    assert told.asked == 1


def test_the_sandbox_tells_its_time(sandbox) -> None:
    address = f"{sandbox}/_sandbox/health"
    told = httpx.get(address).json()["now"] - time.time()
    assert abs(clock.told_by(address) - told) < 3
