"""Replay: for one event, for those that fit a filter, for a stretch of time; and first as a dry run."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from billing.inbox import replay as replaying
from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.inbox.replay import replay_all
from billing.inbox.selection import Selection
from tests.billing.events import an_event

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def events(sent):
    """Ten events, an hour apart, all done with."""
    for number in range(10):
        about = {"id": f"cus_{number % 2}", "object": "customer"}
        kind = ("customer.updated", "customer.created", "invoice.paid")[number % 3]
        event = an_event(id=f"evt_{number}", type=kind, data={"object": about})
        owner = "osaka" if number == 7 else ""
        store_event(event, door=Door.WEBHOOK, owner=owner, now=START + timedelta(hours=number))
    InboxEvent.objects.update(state=InboxState.MIRRORED, due_at=None, mirrored_at=START, attempts=3)
    InboxEvent.objects.filter(external_id__in=["evt_4", "evt_5"]).update(state=InboxState.FAILED, error="no")


def due():
    rows = InboxEvent.objects.filter(state=InboxState.RECEIVED, due_at__isnull=False, attempts=0, error="")
    return {int(row.external_id.removeprefix("evt_")) for row in rows}


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (["evt_3"], {3}),
        (["evt_3", "evt_8"], {3, 8}),
        (["--type", "invoice.paid"], {2, 5, 8}),
        (["--type", "customer.*"], {0, 1, 3, 4, 6, 7, 9}),
        (["--type", "invoice.*", "--type", "customer.created"], {1, 2, 4, 5, 7, 8}),
        (["--object", "cus_1"], {1, 3, 5, 7, 9}),
        (["--customer", "cus_0", "--type", "invoice.paid"], {2, 8}),
        (["--state", "failed"], {4, 5}),
        (["--state", "failed", "--state", "mirrored"], set(range(10))),
        (["--account", ""], set(range(10)) - {7}),
        (["--source", "aws.cloudformation"], set()),
        (["--since", "2026-01-01T07:00"], {7, 8, 9}),
        (["--since", "2026-01-01T03:00", "--until", "2026-01-01T05:00"], {3, 4}),
        (["--until", "2026-01-01T01:00"], {0}),
        (["--all"], set(range(10))),
    ],
)
def test_a_dry_run_counts_what_a_replay_makes_due(events, capsys, arguments, chosen):
    call_command("replay", *arguments, "--dry-run", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["events"] == len(chosen)
    assert {int(each["id"].removeprefix("evt_")) for each in told["examples"]} <= chosen
    assert due() == set()
    call_command("replay", *arguments, "--json")
    assert json.loads(capsys.readouterr().out)["events"] == len(chosen)
    assert due() == chosen


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Which events"),
        (["evt_3", "evt_none"], "Not in the inbox: evt_none"),
        (["--since", "soon"], "is no moment"),
        (["--account", "nobody"], "No Stripe account is configured"),
    ],
)
def test_what_is_not_understood_replays_nothing(events, arguments, said):
    with pytest.raises(CommandError, match=said):
        call_command("replay", *arguments)
    assert due() == set()


def test_people_are_told_in_sentences(events, capsys):
    call_command("replay", "--state", "failed", "--dry-run")
    assert "2 would be due again; nothing was replayed." in capsys.readouterr().out
    call_command("replay", "--state", "failed")
    assert "2 due again" in capsys.readouterr().out


def test_many_are_replayed_in_batches_and_those_that_come_meanwhile_are_not_among_them(events, monkeypatch):
    monkeypatch.setattr(replaying, "BATCH", 3)
    batches = []

    def seen(count):
        batches.append(count)
        event = an_event(id=f"evt_{100 + len(batches)}")
        store_event(event, door=Door.WEBHOOK, now=START)

    assert replay_all(Selection().events(), now=START, seen=seen) == 10
    assert batches == [3, 3, 3, 1]


def test_a_filter_that_replaying_itself_changes_finds_each_event_once(events, monkeypatch):
    monkeypatch.setattr(replaying, "BATCH", 1)
    assert replay_all(Selection(states=("failed",)).events(), now=START) == 2
    assert replay_all(Selection(states=("received",)).events(), now=START) == 2


@pytest.mark.django_db(transaction=True)
def test_replays_beside_each_other_do_not_stand_in_each_others_way(events, monkeypatch):
    monkeypatch.setattr(replaying, "BATCH", 2)
    together = threading.Barrier(3)
    counts = []

    def work():
        together.wait()
        counts.append(replay_all(Selection().events().order_by("-pk"), now=START))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counts == [10, 10, 10]
    assert due() == set(range(10))
