"""Beat goes on when the database comes back."""

import pytest
from django.db import OperationalError
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from config import beat
from config.celery import app

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_farewell(monkeypatch):
    """A scheduler writes its entries once more when its process ends; by then this one's tables are gone."""
    monkeypatch.setattr("django_celery_beat.schedulers.Finalize", lambda *_args, **_more: None)


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


def test_an_entry_that_could_not_be_written_is_written_when_the_database_is_back(away, sent, monkeypatch):
    write, failures = ModelEntry.from_entry.__func__, [OperationalError("terminating connection")]

    def writing(cls, name, **fields):
        if name == "poll-events" and failures:
            raise failures.pop()
        return write(cls, name, **fields)

    monkeypatch.setattr(ModelEntry, "from_entry", classmethod(writing))
    assert "poll-events" in beat.Scheduler(app=app).schedule
    assert not failures


def test_an_entry_that_can_never_be_written_does_not_hold_up_the_others(away, sent, monkeypatch):
    write = ModelEntry.from_entry.__func__

    def writing(cls, name, **fields):
        if name == "poll-events":
            raise ValueError(name)
        return write(cls, name, **fields)

    monkeypatch.setattr(ModelEntry, "from_entry", classmethod(writing))
    assert "sweep-inbox" in beat.Scheduler(app=app).schedule


def test_it_outlives_a_database_that_goes_away(away, sent):
    scheduler = beat.Scheduler(app=app)
    scheduler._initial_read = True  # as when entries have changed, or it is time to read them again
    away.append(OperationalError("terminating connection due to administrator command"))
    assert scheduler.tick() == beat.PAUSE_SECONDS
    scheduler.tick()
    assert set(scheduler.schedule) >= {"sweep-inbox", "poll-events"}
