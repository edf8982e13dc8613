import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from billing.inbox.claim import LEASE, claim, due, release
from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.inbox.replay import replay
from tests.billing.events import an_event

NOW = datetime(2026, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def store(count: int) -> None:
    for number in range(count):
        store_event(an_event(id=f"evt_{number}"), door=Door.WEBHOOK, now=NOW)


def test_a_claimed_event_is_not_claimed_again_until_its_lease_ends():
    store(1)
    assert len(claim(limit=9, now=NOW)) == 1
    assert claim(limit=9, now=NOW) == []
    assert len(claim(limit=9, now=NOW + LEASE)) == 1


def test_the_oldest_are_claimed_first_and_no_more_than_asked_for():
    store(3)
    assert [event.external_id for event in claim(limit=2, now=NOW)] == ["evt_0", "evt_1"]


def test_what_is_not_due_yet_is_left():
    store(1)
    InboxEvent.objects.update(due_at=NOW + timedelta(seconds=1))
    assert claim(limit=9, now=NOW) == []
    assert not due(NOW).exists()


def test_what_was_released_can_be_claimed_at_once():
    store(2)
    release(claim(limit=9, now=NOW))
    assert len(claim(limit=9, now=NOW)) == 2


@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_once_get_different_events():
    store(40)
    together = threading.Barrier(4)
    taken: list[int] = []

    def work() -> None:
        together.wait()
        while events := claim(limit=3, now=NOW):
            taken.extend(event.pk for event in events)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(taken) == len(set(taken)) == 40


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
