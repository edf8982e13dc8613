"""Beat goes on when the database comes back."""

import pytest
from django.db import OperationalError
from django_celery_beat.schedulers import DatabaseScheduler

from config import beat
from config.celery import app

pytestmark = pytest.mark.django_db


@pytest.fixture
def away(monkeypatch):
    """Let the database be away as often as the list says."""
    failures = []
    read = DatabaseScheduler.enabled_models

    def reading(self):
        if failures:
            raise failures.pop()
        return read(self)

    monkeypatch.setattr(DatabaseScheduler, "enabled_models", reading)
    monkeypatch.setattr(beat, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(beat.connection, "close", lambda: None)  # the test's own transaction stays
    return failures


@pytest.fixture
def sent(monkeypatch):
    names = []
    monkeypatch.setattr(beat.Scheduler, "apply_async", lambda _self, entry, **_more: names.append(entry.name))
    return names


def test_it_waits_for_a_database_that_is_away_when_it_starts(away, sent):
    away += [OperationalError("starting up"), OperationalError("starting up")]
    scheduler = beat.Scheduler(app=app)
    assert not away
    assert "sweep-inbox" in scheduler.schedule


def test_it_outlives_a_database_that_goes_away(away, sent):
    scheduler = beat.Scheduler(app=app)
    scheduler._initial_read = True  # as when entries have changed, or it is time to read them again
    away.append(OperationalError("terminating connection due to administrator command"))
    assert scheduler.tick() == beat.PAUSE_SECONDS
    scheduler.tick()
    assert set(scheduler.schedule) >= {"sweep-inbox", "poll-events"}
