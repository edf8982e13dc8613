"""A destination that fails is left alone, tried now and then, and comes back by itself."""

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import LazySettings
from django.utils import translation

from ops.effects.destinations import breaker
from ops.effects.destinations.breaker import FIRST_PAUSE, LONGEST_PAUSE, Admitted
from ops.effects.destinations.models import BreakerState, Destination, DestinationHealth
from ops.effects.outcome import Done, Retry
from ops.models import Finding
from ops.remediation.findings import look
from ops.remediation.words import words_of
from tests.ops.destinations.conftest import send
from tests.ops.destinations.server import Reply

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _three_failures(settings: LazySettings) -> None:
    settings.DESTINATIONS_FAILURES = 3


def fail(destination: Destination, times: int, *, now: datetime = NOW) -> None:
    for _time in range(times):
        assert isinstance(send(destination, now=now), Retry)


def state(destination: Destination, now: datetime = NOW) -> BreakerState:
    return DestinationHealth.objects.get(pk=destination.pk).state(now)


def test_after_some_failures_in_a_row_nobody_calls(server, crm):
    server.replies = [Reply(500)]
    fail(crm, 2)
    assert state(crm) == BreakerState.CLOSED
    fail(crm, 1)
    assert state(crm) == BreakerState.OPEN
    outcome = send(crm, now=NOW + SECOND)
    assert isinstance(outcome, Retry)
    assert (outcome.tried, outcome.after) == (False, FIRST_PAUSE - SECOND)
    assert outcome.error.startswith("DestinationAway: crm failed 3 times in a row")
    assert len(server.received) == 3


def test_a_success_between_begins_the_count_anew(server, crm):
    server.replies = [Reply(500), Reply(500), Reply(200), Reply(500), Reply(500)]
    fail(crm, 2)
    assert isinstance(send(crm, now=NOW), Done)
    fail(crm, 2)
    assert state(crm) == BreakerState.CLOSED


# an answer that says no is an answer: the destination is there
@pytest.mark.parametrize("status", [400, 401, 404, 409, 307])
def test_who_refuses_is_not_away(server, crm, status):
    server.replies = [Reply(status)]
    for _time in range(4):
        send(crm, now=NOW)
    assert state(crm) == BreakerState.CLOSED


def test_time_outs_and_broken_connections_count(server, make):
    crm = make(timeout_seconds=0.1)
    server.replies = [server.hang, server.garbage, server.slam]
    fail(crm, 3)
    assert state(crm) == BreakerState.OPEN


def test_the_trial_that_succeeds_closes_it(server, crm):
    server.replies = [Reply(500)]
    fail(crm, 3)
    server.replies = [Reply(200)]
    later = NOW + FIRST_PAUSE
    assert state(crm, later) == BreakerState.HALF_OPEN
    assert isinstance(send(crm, now=later), Done)
    assert state(crm, later) == BreakerState.CLOSED
    assert isinstance(send(crm, now=later), Done)


def test_a_trial_that_fails_makes_the_pause_longer_up_to_a_limit(server, crm):
    server.replies = [Reply(500)]
    fail(crm, 3)
    at, pauses = NOW, []
    for _trial in range(7):
        probe_at = DestinationHealth.objects.get().probe_at
        assert probe_at is not None
        pauses.append(probe_at - at)
        at = probe_at
        fail(crm, 1, now=at)
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert len(server.received) == 3 + 7


def test_of_those_that_come_for_the_trial_one_goes(server, crm):
    server.replies = [Reply(500)]
    fail(crm, 3)
    later = NOW + FIRST_PAUSE
    admitted = [breaker.admit(crm, now=later) for _number in range(4)]
    assert admitted[0] == Admitted(on_trial=True)
    assert all(isinstance(other, Retry) and not other.tried for other in admitted[1:])


def test_a_worker_that_dies_on_trial_is_followed_by_another(server, crm):
    server.replies = [Reply(500)]
    fail(crm, 3)
    later = NOW + FIRST_PAUSE
    assert breaker.admit(crm, now=later) == Admitted(on_trial=True)
    assert breaker.admit(crm, now=later + breaker.TRIAL_LEASE) == Admitted(on_trial=True)


def test_calls_under_way_when_it_opens_do_not_make_the_pause_longer(server, crm):
    server.replies = [Reply(500)]
    fail(crm, 3)
    breaker.failed(crm, "TimedOut: late.", on_trial=False, now=NOW + SECOND)
    health = DestinationHealth.objects.get()
    assert (health.probe_at, health.openings, health.failures) == (NOW + FIRST_PAUSE, 1, 4)


def test_one_destination_away_leaves_others_alone(server, make):
    away, there = make("away", endpoint="http://127.0.0.1:9/"), make("there")
    fail(away, 3)
    assert state(away) == BreakerState.OPEN
    assert isinstance(send(there, now=NOW), Done)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_it_is_a_finding_until_it_is_back(server, crm, language):
    look(now=NOW)
    assert not Finding.objects.exists()
    server.replies = [Reply(503)]
    fail(crm, 3)
    look(now=NOW)
    finding = Finding.objects.get()
    assert (finding.kind, finding.subject, finding.severity) == ("destination-away", "crm", "attention")
    assert finding.evidence["error"] == "Http503: The destination answered 503 Service Unavailable."
    with translation.override(language):
        words = words_of(finding)
    assert "crm" in words.title
    assert all((words.title, words.meaning, words.step))
    server.replies = [Reply(200)]
    send(crm, now=NOW + FIRST_PAUSE)
    look(now=NOW + FIRST_PAUSE)
    finding.refresh_from_db()
    assert finding.closed_at == NOW + FIRST_PAUSE
