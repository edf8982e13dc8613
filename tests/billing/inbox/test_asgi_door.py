"""The door before Django answers as the view does, and stores what comes together with one commit."""

import asyncio
import json
import threading

import pytest
from django.db import OperationalError

from billing import metrics
from billing.inbox import asgi_door
from billing.inbox.intake import Stored, store
from billing.inbox.models import InboxEvent
from tests.billing.events import an_event
from tests.billing.inbox.asgi import a_door, post, run, run_all
from tests.billing.inbox.conftest import wait_until
from tests.billing.inbox.test_webhook import EVENT, REFUSED

database = pytest.mark.django_db(transaction=True)


def never(_arrivals):
    raise AssertionError("nothing may be stored")


@pytest.mark.parametrize(("body", "signature", "status"), REFUSED)
def test_what_the_view_refuses_is_refused_here_too(body, signature, status):
    with a_door(store=never) as door:
        answer = run(post(door, body, signature=signature and signature()))
    assert answer.status == status
    assert len(answer.text.splitlines()) == 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "GET"}, 405),
        ({"path": "/webhooks/stripe/nobody"}, 404),  # no account of this name
        ({"length": "1000001"}, 413),  # said to be too long: not even read
        ({"length": "-1"}, 413),
        ({"length": "many"}, 413),
        ({"length": "1" * 5_000}, 413),
        ({"body": b"\xff\xfe", "signature": "t=1,v1=1"}, 400),
        ({"hang_up": True}, None),  # cut off on the way: nobody to answer, nothing stored
    ],
)
def test_requests_that_no_sender_of_ours_makes_store_nothing(request_, status):
    with a_door(store=never) as door:
        answer = run(post(door, **({"body": EVENT} | request_)))
    assert (answer and answer.status) == status


def test_a_body_that_grows_too_long_is_refused_before_it_ends():
    with a_door(store=never) as door:
        answer = run(post(door, "x" * 1_000_001, chunks=50, length="0"))
    assert answer.status == 413


def test_a_body_that_never_ends_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(asgi_door, "BODY_SECONDS", 0.05)

    async def receive():
        await asyncio.sleep(3600)

    sent = []

    async def send(message):
        sent.append(message)

    with a_door(store=never) as door:
        scope = {"type": "http", "method": "POST", "path": "/webhooks/stripe", "headers": []}
        run(door(scope, receive, send))
    assert sent[0]["status"] == 408


def test_refusals_are_counted_by_their_reason():
    counter = metrics.refused.labels(door="webhook", reason="stale")
    before = counter._value.get()
    with a_door(store=never) as door:
        run(post(door, EVENT, signature=REFUSED[5][1]()))
    assert counter._value.get() == before + 1


@database
def test_events_that_come_together_share_commits_and_each_is_answered(sent):
    batches = []

    def store_slowly(arrivals):
        """As a disk would that takes as long as the others take to come."""
        batches.append(len(arrivals))
        wait_until(lambda: sum(batches) + len(door._gathering._queue) == 100, seconds=60)
        return store(arrivals)

    bodies = [json.dumps(an_event(id=f"evt_{number % 90}")) for number in range(100)]
    with a_door(store=store_slowly) as door:
        answers = run_all([post(door, body) for body in bodies])
    assert [answer.status for answer in answers] == [200] * 100
    assert [answer.text for answer in answers].count("Stored before.\n") == 10
    assert InboxEvent.objects.count() == 90
    assert len(batches) <= 2
    assert sent == ["billing.tasks.mirror_due"]


@database
def test_an_answer_is_given_only_after_the_commit(sent):
    committed = threading.Event()

    def store_later(arrivals):
        assert not committed.wait(0.2)
        stored = store(arrivals)
        committed.set()
        return stored

    with a_door(store=store_later) as door:
        assert run(post(door, EVENT)).status == 200
    assert committed.is_set()


@database
def test_what_postgresql_cannot_keep_does_not_spoil_its_neighbours(sent):
    bodies = [json.dumps(an_event(id=f"evt_{number}")) for number in range(20)]
    bodies[7] = (
        json.dumps(an_event(id="evt_7"))[:-1] + ', "amount": 1e-99999}'
    )  # JSON, and smaller than any number of PostgreSQL's
    with a_door() as door:
        answers = run_all([post(door, body) for body in bodies])
    assert [answer.status for answer in answers] == [200] * 7 + [400] + [200] * 12
    assert InboxEvent.objects.count() == 19


def test_a_bug_that_strikes_one_event_strikes_no_other():
    def store_but_one(arrivals):
        if any(arrival.event.id == "evt_3" for arrival in arrivals):
            raise ZeroDivisionError
        return [Stored.NEW] * len(arrivals)

    bodies = [json.dumps(an_event(id=f"evt_{number}")) for number in range(6)]
    with a_door(store=store_but_one, nudge=lambda: None) as door:
        answers = run_all([post(door, body) for body in bodies])
    assert [answer.status for answer in answers] == [200, 200, 200, 500, 200, 200]


def test_a_database_that_does_not_answer_is_a_503_until_it_does():
    away = True

    def store_if_there(arrivals):
        if away:
            raise OperationalError("server closed the connection")
        return [Stored.NEW] * len(arrivals)

    with a_door(store=store_if_there, nudge=lambda: None) as door:
        answer = run(post(door, EVENT))
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        away = False
        assert run(post(door, EVENT)).status == 200


def test_a_connection_that_has_died_is_replaced_without_the_sender_noticing():
    outcomes = [OperationalError("terminating connection"), [Stored.BEFORE]]

    def store_the_second_time(_arrivals):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with a_door(store=store_the_second_time) as door:
        assert run(post(door, EVENT)).status == 200


def test_more_than_can_be_stored_is_to_come_again():
    free = threading.Event()

    def store_when_free(arrivals):
        free.wait(120)
        return [Stored.NEW] * len(arrivals)

    async def rush(door):
        asking = [asyncio.create_task(post(door, json.dumps(an_event(id=f"evt_{n}")))) for n in range(30)]
        async with asyncio.timeout(60):
            while not any(task.done() for task in asking):
                await asyncio.sleep(0.01)
        free.set()
        return [(await task).status for task in asking]

    with a_door(store=store_when_free, nudge=lambda: None, most_waiting=10) as door:
        statuses = run(rush(door))
    assert statuses.count(503) + statuses.count(200) == 30
    assert statuses.count(200) >= 10
    assert statuses.count(503) >= 1


def test_a_redis_that_hangs_delays_no_answer():
    answered, hung = threading.Event(), []
    with a_door(
        store=lambda arrivals: [Stored.NEW] * len(arrivals), nudge=lambda: hung.append(answered.wait(60))
    ) as door:
        answers = [run(post(door, EVENT)) for _ in range(5)]
        answered.set()
    assert hung
    assert all(hung), "an answer waited for the nudge"
    assert [answer.status for answer in answers] == [200] * 5


@database
def test_at_the_end_of_the_process_what_has_gathered_is_stored(sent):
    async def stop_while_one_waits(door):
        asking = asyncio.create_task(post(door, EVENT))
        await asyncio.sleep(0)
        messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
        said = []

        async def receive():
            return messages.pop(0)

        async def send(message):
            said.append(message["type"])

        await door({"type": "lifespan"}, receive, send)
        return (await asking).status, said, (await post(door, EVENT)).status

    with a_door() as door:
        status, said, late = run(stop_while_one_waits(door))
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert InboxEvent.objects.count() == (status == 200)
    assert late == 503


@pytest.mark.parametrize("path", ["/", "/webhooks/stripe"])
def test_whoever_asks_for_a_websocket_is_refused_without_a_trace(path):
    said = []

    async def send(message):
        said.append(message["type"])

    with a_door(store=never) as door:
        door._inner = never  # Django would fail: it knows no websockets
        run(door({"type": "websocket", "path": path, "headers": []}, None, send))
    assert said == ["websocket.close"]


def test_other_addresses_are_left_to_django():
    seen = []

    async def django(scope, _receive, _send):
        seen.append(scope["path"])

    with a_door(store=never) as door:
        door._inner = django
        for path in ("/", "/webhooks/stripes", "/webhooks/stripe/a/b", "/o/1/"):
            run(door({"type": "http", "method": "POST", "path": path, "headers": []}, None, None))
    assert len(seen) == 4
