import os
import threading
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from billing.activity.feed import after, newest_id, recent
from billing.activity.models import Activity
from billing.activity.publish import publish
from billing.nudge import nudge_redis

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_same_fact_published_twice_is_one_activity(acme):
    first = publish(acme, "invoice:paid", subject_id="in_1", data={"total": 5}, dedup_key="in_1:paid", now=NOW)
    second = publish(acme, "invoice:paid", subject_id="in_1", dedup_key="in_1:paid", now=NOW)
    assert first is not None
    assert second is None
    kept = Activity.objects.get()
    assert (kept.pk, kept.data, kept.at) == (first.pk, {"total": 5}, NOW)


def test_news_is_read_newest_first_and_page_by_page(acme):
    published = [publish(acme, "invoice:paid", dedup_key=f"{n}", now=NOW) for n in range(5)]
    ids = [activity.pk for activity in published if activity]
    assert [a.pk for a in recent(acme, limit=2)] == ids[:-3:-1]
    assert [a.pk for a in recent(acme, limit=9, before_id=ids[2])] == [ids[1], ids[0]]
    assert [a.pk for a in after(acme.pk, ids[2], limit=9)] == ids[3:]
    assert newest_id(acme.pk) == ids[-1]


def test_news_of_another_organization_is_not_read(acme, charlie):
    other = charlie.organizations.get()
    publish(other, "invoice:paid", dedup_key="x", now=NOW)
    assert recent(acme, limit=9) == []
    assert newest_id(acme.pk) == 0


@pytest.mark.django_db(transaction=True)
def test_streams_are_nudged_after_the_commit_and_not_before(acme, own_redis, monkeypatch):
    # Other test processes have organizations with the same number: this test listens to a channel of its own.
    monkeypatch.setattr("billing.activity.publish.channel", lambda pk: f"activity-test-{os.getpid()}:{pk}")
    listener = nudge_redis().pubsub()
    listener.subscribe(f"activity-test-{os.getpid()}:{acme.pk}")
    assert listener.get_message(timeout=20)["type"] == "subscribe"
    with transaction.atomic():
        published = publish(acme, "invoice:paid", dedup_key="a", now=NOW)
        assert listener.get_message(timeout=0.05) is None
    assert published
    message = listener.get_message(timeout=20)
    listener.close()
    assert message and message["data"] == str(published.pk).encode()


@pytest.mark.django_db(transaction=True)
def test_an_unreachable_redis_does_not_fail_the_publisher(acme, monkeypatch, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr("billing.nudge.nudge_redis", nudge_redis.__wrapped__)
    monkeypatch.setattr("billing.nudge._resting_until", 0.0)
    assert publish(acme, "invoice:paid", dedup_key="a", now=NOW) is not None
    assert Activity.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_activities_become_visible_in_the_order_of_their_ids(acme):
    """A publisher that is slow to commit makes the next one wait, so that no stream passes over its activity."""
    second_done = threading.Event()

    def publish_second() -> None:
        publish(acme, "invoice:paid", dedup_key="second", now=NOW)
        second_done.set()
        connection.close()

    with transaction.atomic():
        publish(acme, "invoice:paid", dedup_key="first", now=NOW)
        thread = threading.Thread(target=publish_second)
        thread.start()
        assert not second_done.wait(0.3)
    thread.join(60)
    assert [a.dedup_key for a in Activity.objects.order_by("pk")] == ["first", "second"]
