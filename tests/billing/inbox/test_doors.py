"""Three doors, one way in: whatever comes by whichever of them, in any order, any number of times, is there once."""

import asyncio
import json
import threading
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.inbox import poll as polling
from billing.inbox.aside import Message
from billing.inbox.models import AsideMessage, InboxEvent, PollCursor
from billing.inbox.sqs import Receiver
from billing.stripe_accounts import primary
from billing.stripe_reading import Answer
from tests.billing.events import an_event
from tests.billing.inbox.asgi import a_door, post
from tests.billing.inbox.test_bus import an_envelope

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 12
NUMBERS = st.integers(0, MANY - 1)
WEBHOOK, SQS, POLL = "webhook", "sqs", "poll"
ARRIVALS = st.lists(
    st.one_of(
        st.tuples(st.just(WEBHOOK), st.lists(NUMBERS, min_size=1, max_size=6)),  # that many requests at once
        st.tuples(st.just(SQS), st.lists(NUMBERS, min_size=1, max_size=10)),  # a batch of messages
        st.tuples(st.just(POLL), st.integers(0, MANY)),  # so many have happened by then
    ),
    max_size=10,
)


class FakeQueue:
    """A queue's edge: what is given is received once, and comes again unless it is deleted."""

    url = "https://sqs.us-east-1.amazonaws.com/1/doors"
    name = "doors"
    visibility_seconds = 60

    def __init__(self):
        self.messages = []

    def put(self, bodies):
        self.messages = [Message(str(n), str(n), body, 1, None) for n, body in enumerate(bodies)]

    def receive(self, *, wait_seconds):
        return self.messages[:10]

    def delete(self, messages):
        gone = {message.id for message in messages}
        self.messages = [message for message in self.messages if message.id not in gone]

    def hold(self, messages, *, seconds):
        raise AssertionError("nothing is held here")


def event(number):
    return an_event(id=f"evt_{number}", created=1_767_225_600 + number)


def listing(happened):
    """Stripe's list of events, newest first, of those that have happened."""

    def read(_path, params, *, account):
        events = [event(number) for number in reversed(range(happened))]
        since = params.get("created", {}).get("gte", 0)
        found = [each for each in events if each["created"] >= since]
        if params["starting_after"]:
            found = found[[each["id"] for each in found].index(params["starting_after"]) + 1 :]
        return Answer({"data": found[:3], "has_more": len(found) > 3}, 0, 1_767_225_600 + happened)

    return read


def deliver(way, what):
    if way == WEBHOOK:

        async def together(door):
            return await asyncio.gather(*(post(door, json.dumps(event(number))) for number in what))

        with a_door() as door:
            assert {answer.status for answer in asyncio.run(together(door))} == {200}
    elif way == SQS:
        queue = FakeQueue()
        queue.put([json.dumps(an_envelope(detail=event(number))) for number in what])
        Receiver(queue, primary(), clock=timezone.now, wait_seconds=0).receive()
        assert queue.messages == []
    else:
        PollCursor.objects.update(due_at=None)
        polling.read = listing(what)
        polling.poll(primary(), lambda: datetime.now(tz=UTC), grace_seconds=0)


def told(arrivals):
    """The events that were told of at all."""
    numbers = set()
    for way, what in arrivals:
        numbers |= set(range(what)) if way == POLL else set(what)
    return {f"evt_{number}" for number in numbers}


def check(arrivals):
    rows = list(InboxEvent.objects.values_list("source", "external_id"))
    assert len(rows) == len(set(rows))
    assert {event_id for _, event_id in rows} == told(arrivals)
    assert {source for source, _ in rows} <= {"stripe.com"}
    assert not AsideMessage.objects.exists()


def forget():
    InboxEvent.objects.all().delete()
    PollCursor.objects.all().delete()


@pytest.fixture(autouse=True)
def real_reading_afterwards(monkeypatch, sent):
    monkeypatch.setattr(polling, "read", polling.read)  # put back whatever the test leaves


RELAXED = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@RELAXED
@given(ARRIVALS)
def test_in_any_order_with_any_duplicates_each_event_is_there_once(arrivals):
    forget()
    for way, what in arrivals:
        deliver(way, what)
    check(arrivals)


@RELAXED
@given(st.lists(ARRIVALS.map(lambda arrivals: [each for each in arrivals if each[0] != POLL]), min_size=2, max_size=4))
def test_doors_that_open_at_once_store_each_event_once(at_once):
    forget()
    together = threading.Barrier(len(at_once))
    failures = []

    def work(arrivals):
        try:
            together.wait(60)
            for way, what in arrivals:
                deliver(way, what)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(arrivals,)) for arrivals in at_once]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    check([each for arrivals in at_once for each in arrivals])
