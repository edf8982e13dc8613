import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from billing.inbox.claim import LEASE, Settled, due, lease, release, settle_waiting, take
from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.inbox.replay import replay
from tests.billing.events import an_event

NOW = datetime(2026, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def store(count: int) -> None:
    for number in range(count):
        store_event(an_event(id=f"evt_{number}"), door=Door.WEBHOOK, now=NOW)


def taken(*, limit: int = 9, now: datetime = NOW) -> list[str]:
    """The ids of the events that a worker gets and leases."""
    with transaction.atomic():
        events = take(limit=limit, now=now)
        lease([event.pk for event in events], now=now)
    return [event.external_id for event in events]


def test_a_leased_event_is_not_taken_again_until_its_lease_ends():
    store(1)
    assert len(taken()) == 1
    assert taken() == []
    assert len(taken(now=NOW + LEASE)) == 1


def test_the_oldest_are_taken_first_and_no_more_than_asked_for():
    store(3)
    assert taken(limit=2) == ["evt_0", "evt_1"]


def test_what_is_not_due_yet_is_left():
    store(1)
    InboxEvent.objects.update(due_at=NOW + timedelta(seconds=1))
    assert taken() == []
    assert not due(NOW).exists()


def test_what_was_released_can_be_taken_at_once():
    store(2)
    taken()
    release(InboxEvent.objects.values_list("pk", flat=True))
    assert len(taken()) == 2


def test_a_worker_whose_lease_ended_does_not_settle_what_another_one_has_settled():
    store(1)
    taken()
    event = InboxEvent.objects.get()
    settle_waiting([Settled(event.pk, InboxState.MIRRORED, 0, mirrored_at=NOW)])
    settle_waiting([Settled(event.pk, InboxState.FAILED, 8, error="too late")])
    event.refresh_from_db()
    assert (event.state, event.error, event.mirrored_at) == (InboxState.MIRRORED, "", NOW)


@pytest.mark.django_db(transaction=True)
def test_workers_that_take_at_once_get_different_events():
    store(40)
    together = threading.Barrier(4)
    got: list[str] = []

    def work() -> None:
        together.wait()
        while events := taken(limit=3):
            got.extend(events)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(got) == len(set(got)) == 40


def test_a_replayed_event_is_due_again_whatever_became_of_it(sent, django_capture_on_commit_callbacks):
    store(2)
    first, second = InboxEvent.objects.order_by("pk")
    InboxEvent.objects.update(state=InboxState.FAILED, attempts=8, error="no", due_at=None)
    with django_capture_on_commit_callbacks(execute=True):
        assert replay([first.pk], now=NOW) == 1
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, first.attempts, first.error, first.due_at) == (InboxState.RECEIVED, 0, "", NOW)
    assert second.state == InboxState.FAILED
    assert sent == ["billing.tasks.mirror_due"]
