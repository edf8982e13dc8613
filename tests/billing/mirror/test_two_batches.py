"""A worker that finds more than it takes at once has two batches in hand."""

import threading

import pytest
from django.db import OperationalError
from django.utils import timezone
from djstripe.models import Product

from billing.inbox import claim
from billing.inbox.intake import store_events
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.mirror import apply
from billing.mirror.apply import mirror_due
from tests.billing import objects
from tests.billing.events import an_event

EVENTS = 200


@pytest.fixture(autouse=True)
def small_batches(monkeypatch, stripe):
    monkeypatch.setattr(apply, "BATCH", 20)


@pytest.fixture
def taking(monkeypatch, request) -> list[str]:
    """The threads that take batches. Where two are wanted, the first waits with its second batch for the other."""
    wanted = request.param if hasattr(request, "param") else False
    names: list[str] = []
    take, another = claim.take, threading.Event()

    def noting(**how):
        names.append(threading.current_thread().name)
        if names[0] != names[-1]:
            another.set()
        elif len(names) == 2 and wanted:
            assert another.wait(60)
        return take(**how)

    monkeypatch.setattr(claim, "take", noting)
    return names


def store() -> None:
    products = [objects.product(f"prod_{number}") for number in range(EVENTS)]
    events = [an_event(id=f"evt_{data['id']}", type="product.updated", data={"object": data}) for data in products]
    store_events(events, source="stripe.com", door=Door.WEBHOOK, owner="", now=timezone.now())


def mirror() -> int:
    return mirror_due(timezone.now, budget_seconds=30)


@pytest.mark.parametrize("taking", [True], indirect=True)
@pytest.mark.django_db(transaction=True)
def test_two_threads_share_what_is_due_and_take_nothing_twice(taking):
    store()
    assert mirror() == EVENTS
    assert len(set(taking)) == 2
    assert Product.objects.count() == EVENTS
    assert set(InboxEvent.objects.values_list("state", flat=True)) == {InboxState.MIRRORED}


@pytest.mark.django_db(transaction=True)
def test_what_goes_wrong_in_the_second_thread_is_told(monkeypatch):
    take, first = claim.take, threading.current_thread()

    def failing(**how):
        if threading.current_thread() is not first:
            raise OperationalError("The server closed the connection.")
        return take(**how)

    monkeypatch.setattr(claim, "take", failing)
    store()
    with pytest.raises(OperationalError, match="closed the connection"):
        mirror()
    assert Product.objects.count() == EVENTS  # the first thread went on


@pytest.mark.django_db
def test_in_a_transaction_there_is_one_thread_as_another_would_not_see_its_events(taking):
    store()
    assert mirror() == EVENTS
    assert len(set(taking)) == 1


@pytest.mark.django_db(transaction=True)
def test_what_one_batch_takes_in_has_no_second_thread(taking, monkeypatch):
    monkeypatch.setattr(apply, "BATCH", EVENTS + 1)
    store()
    assert mirror() == EVENTS
    assert len(set(taking)) == 1
