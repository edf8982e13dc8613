"""Events of our own come in by the one way, once; whoever comes after the mirror hears of settled events."""

import json
from collections.abc import Iterator

import pytest
from django.db import transaction
from django.utils import timezone

from billing.inbox import claim, own, settled
from billing.inbox.claim import Settled
from billing.inbox.intake import store
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.inbox.sqs import arrival_in
from billing.stripe_accounts import StripeAccount
from tests.billing.events import an_event
from tests.billing.inbox.test_bus import an_envelope

NOW = timezone.now()
ACCOUNT = StripeAccount(name="", secret_key="sk_test_1", livemode=False)


@pytest.fixture
def heard() -> Iterator[list[str]]:
    told: list[str] = []

    def listener() -> None:
        told.append("settled")

    settled.on_settled(listener)
    settled.on_settled(listener)
    yield told
    settled._listeners.remove(listener)


@pytest.mark.django_db
def test_an_event_of_our_own_is_in_an_envelope_and_stored_once() -> None:
    for _ in range(2):
        own.publish("drift.found", key="7", detail={"differing": 2, "text": "\x00"}, now=NOW, resources=("a",), depth=3)
    event = InboxEvent.objects.get()
    assert (event.source, event.external_id, event.type, event.door) == (
        "kessai",
        "drift.found:7",
        "drift.found",
        Door.OWN,
    )
    assert (event.depth, event.object_id, event.state) == (3, "a", InboxState.RECEIVED)
    assert event.payload["detail"] == {"differing": 2, "text": "\ufffd"}
    assert event.payload["detail-type"] == "drift.found"


@pytest.mark.django_db(transaction=True)
def test_without_its_commit_there_is_no_event() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        own.publish("drift.found", key="7", detail={}, now=NOW)
        raise RuntimeError
    assert not InboxEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_who_comes_after_the_mirror_hears_of_settled_events_after_their_commit(heard: list[str]) -> None:
    own.publish("drift.found", key="7", detail={}, now=NOW)
    assert heard == []
    with transaction.atomic():
        claim.settle_waiting([Settled(InboxEvent.objects.get().pk, InboxState.STORED, 0)])
        assert heard == []
    assert heard == ["settled"]
    assert InboxEvent.objects.get().state == InboxState.STORED


@pytest.mark.django_db
@pytest.mark.parametrize("bare", [True, False])
def test_what_a_bus_said_around_stripes_event_is_kept(bare: bool) -> None:
    body = an_event() if bare else an_envelope()
    store([arrival_in(json.dumps(body), ACCOUNT, now=NOW)])
    event = InboxEvent.objects.get()
    assert event.payload == an_event()
    around = {name: value for name, value in an_envelope().items() if name != "detail"}
    assert event.bus_envelope == (None if bare else around)
