"""Out of a queue into the inbox: stored, then deleted; what is no event is kept aside."""

import json
import secrets
import signal
import threading
import time

import httpx
import pytest
from botocore.exceptions import BotoCoreError
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from billing.inbox import sqs
from billing.inbox.intake import store_event
from billing.inbox.models import AsideMessage, Door, InboxEvent
from billing.inbox.sqs import AwsTrouble, Receiver, Tally, open_queue
from billing.stripe_accounts import primary
from tests import processes
from tests.billing.events import an_event
from tests.billing.inbox.conftest import wait_until
from tests.billing.inbox.test_bus import STACK, an_envelope

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver(queue, sent):
    return Receiver(queue, primary(), clock=timezone.now, wait_seconds=0)


def envelopes(count):
    return [json.dumps(an_envelope(detail=an_event(id=f"evt_{number}"))) for number in range(count)]


def test_events_are_stored_and_their_messages_deleted(receiver, put, left, sent):
    put(*envelopes(3), json.dumps(STACK))
    assert receiver.receive() == Tally(received=4, stored=4)
    assert left() == 0
    assert set(InboxEvent.objects.values_list("source", "door")) == {
        ("stripe.com", Door.SQS),
        ("aws.cloudformation", Door.SQS),
    }
    assert sent == ["billing.tasks.mirror_due"]


def test_an_event_that_another_door_brought_first_is_no_second_row(receiver, put, left):
    store_event(an_event(id="evt_0"), door=Door.WEBHOOK, now=timezone.now())
    put(*envelopes(2), *envelopes(2))
    assert receiver.receive() == Tally(received=4, stored=1, before=3)
    assert left() == 0
    assert InboxEvent.objects.count() == 2


def test_what_is_no_event_is_kept_aside_with_the_reason_and_leaves_the_queue(receiver, put, left):
    put("hello \ud83d\ude00", *envelopes(1), json.dumps(an_envelope(detail=an_event(livemode=True))), "x" * 70_000)
    assert receiver.receive() == Tally(received=4, stored=1, aside=3)
    assert left() == 0
    kept = {row.reason: row for row in AsideMessage.objects.filter(length__lt=70_000)}
    assert set(kept) == {"not-json", "mode"}
    assert kept["not-json"].body == "hello 😀"
    assert kept["mode"].error == "This event is of the other mode, live or test."
    long = AsideMessage.objects.get(length=70_000)
    assert (len(long.body), long.receive_count, long.queue) == (65_536, 1, receiver._queue.url)


def test_a_message_kept_aside_twice_is_one_row(receiver, put, queue, monkeypatch):
    put("hello")
    monkeypatch.setattr(queue, "delete", lambda _messages: None)  # deletion that did not arrive
    receiver.receive()
    message = AsideMessage.objects.get()
    again = sqs.Message(message.message_id, "receipt", "hello", 3, None)
    receiver._commit(receiver.read([again]))
    assert AsideMessage.objects.get().receive_count == 3


def test_nothing_is_deleted_before_it_is_committed(receiver, put, left, monkeypatch):
    put(*envelopes(2))

    def killed(_arrivals):
        raise KeyboardInterrupt

    monkeypatch.setattr(sqs, "store", killed)
    with pytest.raises(KeyboardInterrupt):
        receiver.receive()
    assert left() == 2
    assert not InboxEvent.objects.exists()


def test_a_message_whose_deletion_failed_comes_again_and_is_known(receiver, put, queue, left, monkeypatch):
    undeleted = []

    def fail(messages):
        undeleted.extend(messages)
        raise BotoCoreError

    put(*envelopes(1))
    with monkeypatch.context() as broken:
        broken.setattr(queue, "delete", fail)
        with pytest.raises(AwsTrouble):
            receiver.receive()
    queue.hold(undeleted, seconds=0)
    assert receiver.receive() == Tally(received=1, before=1)
    assert left() == 0


def test_one_event_that_cannot_be_stored_does_not_hold_up_the_others(receiver, put, left, monkeypatch):
    def store_but_one(arrivals):
        if any(arrival.event.id == "evt_2" for arrival in arrivals):
            raise ZeroDivisionError
        return real(arrivals)

    real = sqs.store
    monkeypatch.setattr(sqs, "store", store_but_one)
    put(*envelopes(4), "no event")
    tally = receiver.receive()
    assert (tally.received, tally.stored, tally.aside) == (5, 3, 2)
    assert set(AsideMessage.objects.values_list("reason", flat=True)) == {"unstorable", "not-json"}
    assert left() == 0


def test_a_number_beyond_postgresqls_is_kept_aside(receiver, put, left):
    put(json.dumps(an_envelope())[:-1] + ', "x": 1e-99999}', *envelopes(1))
    put(json.dumps(STACK)[:-1] + ', "x": 1e-99999}')
    receiver.receive()
    assert left() == 0
    assert InboxEvent.objects.count() + AsideMessage.objects.count() == 3


def test_while_the_database_is_away_messages_are_held_and_then_stored(receiver, put, left, queue, monkeypatch):
    held = []
    failures = iter([OperationalError(), OperationalError()])
    real = sqs.store

    def store_the_third_time(arrivals):
        for failure in failures:
            raise failure
        return real(arrivals)

    monkeypatch.setattr(sqs, "store", store_the_third_time)
    queue.visibility_seconds = 0  # every moment is time to extend
    monkeypatch.setattr(queue, "hold", lambda _messages, seconds: held.append(seconds))
    monkeypatch.setattr(queue, "receive", lambda wait_seconds: receive_for(queue, 600))
    put(*envelopes(2))
    assert receiver.receive() == Tally(received=2, stored=2)
    assert len(held) == 2
    assert left() == 0


def receive_for(queue, seconds):
    answer = queue._client.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10, VisibilityTimeout=seconds)
    return [sqs.message_of(given) for given in answer.get("Messages", [])]


def test_told_to_stop_while_the_database_is_away_it_gives_the_messages_back(receiver, put, left, monkeypatch, queue):
    def never(_arrivals):
        receiver._stop.set()
        raise OperationalError

    real = sqs.store
    monkeypatch.setattr(sqs, "store", never)
    put(*envelopes(2))
    assert receiver.receive() == Tally()
    assert left() == 2
    monkeypatch.setattr(sqs, "store", real)
    assert Receiver(queue, primary(), clock=timezone.now, wait_seconds=0).receive().stored == 2


def test_an_aws_that_does_not_answer_is_waited_for(queue, receiver, monkeypatch):
    waits = []

    def raise_trouble(**_options):
        raise BotoCoreError

    monkeypatch.setattr(queue, "receive", raise_trouble)

    def pause(seconds):
        waits.append(seconds)
        if len(waits) == 4:
            receiver._stop.set()

    monkeypatch.setattr(receiver._stop, "wait", pause)
    receiver.run()
    assert waits[0] < waits[2] < 30


def test_receivers_beside_each_other_store_each_event_once(put, queue, sent, left):
    put(*envelopes(60))
    receivers = [Receiver(queue, primary(), clock=timezone.now, wait_seconds=0) for _ in range(4)]
    threads = [threading.Thread(target=receive_all, args=(receiver,)) for receiver in receivers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert InboxEvent.objects.count() == 60
    assert sum(receiver.tally.stored for receiver in receivers) == 60
    assert left() == 0


def receive_all(receiver):
    while receiver.receive().received:
        pass
    receiver._stop.set()
    receiver.run()  # closes this thread's connection


# --- the command ----------------------------------------------------------------------------------


def test_the_command_takes_what_is_there_and_says_what_it_was(put, queue, sent, capsys):
    put(*envelopes(12), "hello")
    call_command("receive_sqs", "--queue-url", queue.url, "--once", "--json")
    assert json.loads(capsys.readouterr().out) == {"received": 13, "stored": 12, "before": 0, "aside": 1}


def test_a_dry_run_stores_nothing_and_gives_the_messages_back(put, queue, left, capsys):
    put(*envelopes(1), "hello")
    call_command("receive_sqs", "--queue-url", queue.url, "--dry-run", "--json")
    rows = json.loads(capsys.readouterr().out)
    assert {row.get("id") or row["aside"] for row in rows} == {"evt_0", "not-json"}
    assert left() == 2
    assert not InboxEvent.objects.exists()
    assert not AsideMessage.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Which queue?"),
        (["--queue-url", "http://127.0.0.1:9/1/none", "--account", "nobody"], "No Stripe account is configured"),
    ],
)
def test_what_cannot_be_started_is_said(arguments, said):
    with pytest.raises(CommandError, match=said):
        call_command("receive_sqs", *arguments)


def test_a_queue_that_is_not_there_is_said(queue):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("receive_sqs", "--queue-url", queue.url + "-gone", "--once")


def test_told_to_stop_the_process_ends_with_what_it_has_stored(put, queue, left):
    put(*envelopes(25))
    options = ["--queue-url", queue.url, "--threads", "2", "--json"]
    process = processes.start("manage", "receive_sqs", *options, piped=True)
    try:
        wait_until(lambda: left() == 0, seconds=60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert process.stdout
    with process.stdout as out:
        assert json.load(out)["stored"] == 25
    assert InboxEvent.objects.count() == 25


# --- with Stripe on the other side ----------------------------------------------------------------


def test_what_happens_at_stripe_comes_over_eventbridge_into_the_inbox(stripe, stripe_key, sandbox, aws, sent):
    place = {"url": aws, "key": stripe_key, "queue": f"stripe-{secrets.token_hex(4)}"}
    made = httpx.post(f"{sandbox}/_sandbox/event_destinations", json=place, timeout=60).raise_for_status().json()
    customer = stripe.v1.customers.create({"name": "アリス"})
    stripe.v1.products.create({"name": "Pro"})
    receiver = Receiver(open_queue(made["queue_url"]), primary(), clock=timezone.now, wait_seconds=1)
    deadline = time.monotonic() + 60
    while InboxEvent.objects.count() < 2 and time.monotonic() < deadline:
        receiver.receive()
    row = InboxEvent.objects.get(object_id=customer.id)
    assert (row.source, row.type, row.door) == ("stripe.com", "customer.created", Door.SQS)
    assert row.payload["data"]["object"]["name"] == "アリス"
    assert not AsideMessage.objects.exists()
    httpx.delete(f"{sandbox}/_sandbox/event_destinations/{made['id']}")
