"""The events API as a door: what the others missed is found, and the cursor says how far all has been seen."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import stripe as stripe_library
from django.core.management import CommandError, call_command
from django.utils import timezone

from billing import tasks
from billing.inbox import poll as polling
from billing.inbox.intake import store_event
from billing.inbox.models import Door, EventForm, InboxEvent, PollCursor, PollState
from billing.inbox.poll import LEASE, poll
from billing.stripe_accounts import by_name, primary
from billing.stripe_reading import Answer
from billing.tasks import poll_account, poll_events
from tests.billing.events import an_event
from tests.stripe_sandbox import running_sandbox

pytestmark = pytest.mark.django_db

START = 1_767_225_600  # 2026-01-01


class Listing:
    """A list of events as Stripe's API answers it, with time that the test moves."""

    def __init__(self):
        self.at = START + 10_000
        self.events = []
        self.asked = []
        self.failures = []

    def happen(self, *seconds_ago, prefix="evt"):
        for ago in seconds_ago:
            self.events.append(an_event(id=f"{prefix}_{ago}_{len(self.events)}", created=self.at - ago))

    def read(self, path, params, *, account):
        assert path == "/v1/events"
        self.asked.append(params)
        if self.failures:
            raise self.failures.pop(0)
        found = sorted(self.events, key=lambda event: -event["created"])
        found = [event for event in found if event["created"] >= params.get("created", {}).get("gte", 0)]
        if after := params["starting_after"]:
            ids = [event["id"] for event in found]
            if after not in ids:
                raise stripe_library.InvalidRequestError("No such event", "starting_after")
            found = found[ids.index(after) + 1 :]
        page = found[: params["limit"]]
        return Answer({"data": page, "has_more": len(found) > len(page)}, self.at - 1, self.at)

    def clock(self):
        return datetime.fromtimestamp(self.at, tz=UTC)


@pytest.fixture
def listing(monkeypatch, sent):
    listing = Listing()
    monkeypatch.setattr(polling, "read", listing.read)
    return listing


def run(listing, **options):
    return poll(primary(), listing.clock, **options)


def ids():
    return set(InboxEvent.objects.values_list("external_id", flat=True))


def test_what_no_other_door_brought_is_found_and_counted(listing, sent):
    run(listing)
    listing.at += 600
    listing.happen(500, 400, 300)
    store_event(listing.events[1], door=Door.WEBHOOK, now=listing.clock())
    polled = run(listing)
    assert (polled.read, polled.new, polled.missed, polled.finished) == (3, 2, 2, True)
    assert InboxEvent.objects.filter(door=Door.POLL).count() == 2
    assert PollCursor.objects.get().missed == 2
    assert sent == ["billing.tasks.mirror_due"]


def test_the_first_sweep_reads_all_that_stripe_has_kept_and_calls_nothing_missed(listing):
    listing.happen(*range(200, 8_000, 100))
    polled = run(listing)
    assert (polled.new, polled.missed) == (78, 0)


def test_the_youngest_are_left_to_the_other_doors_and_found_by_the_next_run(listing):
    listing.happen(10, 500)
    assert run(listing).new == 1
    listing.at += 300
    assert run(listing).new == 1
    assert len(ids()) == 2


def test_without_a_grace_the_youngest_are_brought_too(listing):
    listing.happen(0, 10)
    assert run(listing, grace_seconds=0).new == 2


def test_events_of_test_clocks_in_the_future_are_brought(listing):
    listing.happen(-40_000_000, 500)
    assert run(listing).new == 2


def test_an_event_that_appears_in_the_list_late_is_found(listing):
    listing.happen(1000)
    run(listing)
    listing.at += 60
    listing.happen(60 + 300, prefix="late")  # older than what was read already
    assert run(listing).new == 1


def test_a_run_is_bounded_and_the_next_one_goes_on_where_it_stopped(listing):
    listing.happen(*range(200, 750))
    assert [run(listing, pages=2).finished for _ in range(3)] == [False, False, True]
    assert len(ids()) == 550
    assert [len(params) for params in listing.asked] == [2] * 6  # nothing was asked for twice
    cursor = PollCursor.objects.get()
    assert (cursor.state, cursor.sweep_after) == (PollState.CURRENT, "")


def test_the_cursor_moves_only_when_a_sweep_was_read_to_its_end(listing):
    listing.happen(*range(200, 750))
    run(listing, pages=2)
    cursor = PollCursor.objects.get()
    assert (cursor.read_until, cursor.state) == (None, PollState.CATCHING_UP)
    begun = listing.at
    listing.at += 60
    listing.happen(1, 30)  # happens while the sweep is under way
    run(listing, pages=9)
    assert int(PollCursor.objects.get().read_until.timestamp()) == begun - 120
    listing.at += 600
    run(listing)
    assert len(ids()) == 552


def test_a_sweep_whose_place_stripe_has_forgotten_begins_anew(listing):
    listing.happen(*range(200, 450))
    run(listing, pages=1)
    PollCursor.objects.update(sweep_after="evt_forgotten")
    assert run(listing).finished
    assert len(ids()) == 250


@pytest.mark.parametrize(
    "error",
    [
        stripe_library.RateLimitError("Too many requests", http_status=429),
        stripe_library.APIError("Internal", http_status=500),
        stripe_library.APIConnectionError("timed out"),
        stripe_library.AuthenticationError("Invalid API Key provided: sk_test_***"),
    ],
)
def test_while_stripe_does_not_answer_the_cursor_stays_and_the_waits_grow(listing, error):
    run(listing)
    before = PollCursor.objects.get().read_until
    listing.happen(5)
    listing.at += 600
    listing.failures = [error] * 4
    waits = []
    for _ in range(4):
        polled = run(listing)
        assert polled.error.startswith(type(error).__name__)
        cursor = PollCursor.objects.get()
        waits.append(cursor.due_at - listing.clock())
        listing.at = int(cursor.due_at.timestamp()) + 1
    assert (cursor.read_until, cursor.state, cursor.failures) == (before, PollState.FAILING, 4)
    assert waits[0] < waits[2] < timedelta(seconds=600)
    assert run(listing).new == 1
    cursor = PollCursor.objects.get()
    assert (cursor.state, cursor.failures, cursor.error, cursor.due_at) == (PollState.CURRENT, 0, "", None)


def test_what_was_read_before_a_failure_is_kept_and_not_asked_for_again(listing):
    listing.happen(*range(200, 450))
    ask = listing.read

    def fail_at_the_third(path, params, *, account):
        if len(listing.asked) == 2:
            listing.failures = [stripe_library.APIConnectionError("gone")]
        return ask(path, params, account=account)

    polling.read = fail_at_the_third
    assert run(listing).error
    assert len(ids()) == 200
    listing.at += 700
    assert run(listing).finished
    assert len(ids()) == 250
    assert len(listing.asked) == 4


def test_one_process_reads_at_a_time_and_a_dead_one_is_followed(listing):
    run(listing)
    PollCursor.objects.update(due_at=listing.clock() + LEASE)  # somebody has just begun, or died
    assert run(listing).busy
    listing.at += int(LEASE.total_seconds())
    assert run(listing).finished


def test_a_cursor_older_than_twenty_days_is_told(listing, caplog):
    run(listing)
    listing.at += 21 * 86_400
    assert PollCursor.objects.get().is_old(listing.clock())
    listing.failures = [stripe_library.PermissionError("The key may not read events")]
    run(listing)
    assert "poll:cursor_old" in caplog.text
    listing.at += 3600
    run(listing)
    assert not PollCursor.objects.get().is_old(listing.clock())


def test_events_of_the_other_mode_are_not_let_in(listing):
    listing.happen(500)
    listing.events.append(an_event(id="evt_live", livemode=True, created=listing.at - 500))
    assert run(listing).new == 1


def test_each_account_has_a_cursor_and_events_of_its_own(listing, settings):
    settings.STRIPE_ACCOUNTS = {"osaka": {"secret_key": "sk_test_2"}}
    listing.happen(500)
    assert poll(by_name("osaka"), listing.clock).new == 1
    run(listing)
    assert InboxEvent.objects.get().owner == "osaka"
    assert set(PollCursor.objects.values_list("owner", "livemode")) == {("osaka", False), ("", False)}


def test_the_beat_asks_for_every_account_that_has_a_key(settings, monkeypatch):
    settings.STRIPE_ACCOUNTS = {"osaka": {"secret_key": "sk_test_2"}, "new": {"secret_key": ""}}
    asked = []
    monkeypatch.setattr(poll_account, "apply_async", lambda kwargs, countdown, retry: asked.append(kwargs["account"]))
    poll_events()
    assert asked == ["", "osaka"]


# --- with Stripe on the other side ----------------------------------------------------------------


def test_what_happened_at_stripe_is_found(stripe, sent):
    for number in range(3):
        stripe.v1.customers.create({"name": f"Alice {number}"})
    polled = poll(primary(), timezone.now, grace_seconds=0)
    assert (polled.new, polled.finished) == (3, True)
    again = poll(primary(), timezone.now, grace_seconds=0)
    assert (again.read, again.new) == (3, 0)  # read again: they may have appeared late


def test_a_stripe_in_trouble_is_asked_again_later(stripe, stripe_key, sandbox, sent):
    stripe.v1.customers.create({"name": "Alice"})
    rule = {"effect": "server_error", "key": stripe_key, "count": 50, "rate": 1}
    made = httpx.post(f"{sandbox}/_sandbox/faults", json=rule).raise_for_status().json()
    assert "APIError" in poll(primary(), timezone.now, grace_seconds=0).error
    httpx.delete(f"{sandbox}/_sandbox/faults/{made['id']}")
    assert poll(primary(), timezone.now, grace_seconds=0).busy  # not yet
    assert poll(primary(), lambda: timezone.now() + LEASE, grace_seconds=0).new == 1


def test_the_command_reads_to_the_end_and_says_what_was_new(stripe, sent, capsys):
    for number in range(130):
        stripe.v1.products.create({"name": f"Plan {number}"})
    call_command("poll_events", "--json")
    [row] = json.loads(capsys.readouterr().out)
    assert (row["account"], row["livemode"], row["new"], row["finished"]) == ("", False, 130, True)
    call_command("poll_events")
    assert "130 read, 0 new" in capsys.readouterr().out


def test_a_dry_run_tells_what_is_missing_and_stores_nothing(stripe, sent, capsys):
    stripe.v1.products.create({"name": "Pro"})
    call_command("poll_events", "--dry-run", "--json")
    [row] = json.loads(capsys.readouterr().out)
    assert (row["new"], len(row["examples"])) == (1, 1)
    assert not InboxEvent.objects.exists()
    assert not PollCursor.objects.exists()


def test_since_reads_a_stretch_and_leaves_the_cursor_alone(stripe, sent, capsys):
    stripe.v1.products.create({"name": "Pro"})
    call_command("poll_events", "--since", "1h", "--json")
    [row] = json.loads(capsys.readouterr().out)
    assert row["new"] == 1
    assert not PollCursor.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--since", "soon"], "is no moment"), (["--account", "nobody"], "No Stripe account is configured")],
)
def test_what_cannot_be_read_is_said(arguments, said):
    with pytest.raises(CommandError, match=said):
        call_command("poll_events", *arguments)


# --- thin events ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """One of this file's own: its time is moved."""
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as address:
        yield address


@pytest.fixture
def wrong_usage(stripe, stripe_key, sandbox):
    """So many thin events at Stripe: meters that were used wrongly, of which it tells ten seconds later."""

    def report(count):
        for number in range(count):
            name = f"calls_{stripe_key[-8:]}_{number}"
            stripe.v1.billing.meters.create(
                {"event_name": name, "display_name": name, "default_aggregation": {"formula": "sum"}}
            )
            payload = {"stripe_customer_id": "cus_nobody", "value": "1"}
            stripe.v2.billing.meter_events.create({"event_name": name, "payload": payload})
        httpx.post(f"{sandbox}/_sandbox/advance", json={"by": 11}).raise_for_status()

    return report


def thin_listing(monkeypatch, pages):
    """Answers of /v2/core/events, one after another; what was asked."""
    asked = []

    def answer(path, params=None, *, account):
        asked.append((path, params))
        page = pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return Answer(page, START - 1, START)

    monkeypatch.setattr(polling, "read", answer)
    return asked


def a_thin_event(id, created="2025-12-31T12:00:00.000Z"):
    related = {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"}
    kind = "v1.billing.meter.no_meter_found"
    return {
        "id": id, "object": "v2.core.event", "type": kind, "created": created, "livemode": False,
        "related_object": related,
    }  # fmt: skip


def thin_page(*ids, rest=None):
    return {"data": [a_thin_event(id) for id in ids], "next_page_url": rest, "previous_page_url": None}


def poll_thin():
    return poll(primary(), lambda: datetime.fromtimestamp(START, tz=UTC), form=EventForm.THIN)


def test_thin_events_are_read_page_after_page_by_a_cursor_of_their_own(monkeypatch, sent):
    rest = "https://elsewhere.example/v2/core/events?limit=100&page=two"
    asked = thin_listing(monkeypatch, [thin_page("evt_3", "evt_2", rest=rest), thin_page("evt_1")])
    assert (poll_thin().new, ids()) == (3, {"evt_1", "evt_2", "evt_3"})
    assert asked == [("/v2/core/events", {"limit": 100}), ("/v2/core/events?limit=100&page=two", None)]
    cursor = PollCursor.objects.get()
    assert (cursor.form, cursor.sweep_after, cursor.state) == (EventForm.THIN, "", PollState.CURRENT)


def test_the_next_sweep_of_thin_events_asks_from_where_the_last_one_began(monkeypatch, settings, sent):
    settings.STRIPE_POLL_OVERLAP_SECONDS = 3600
    asked = thin_listing(monkeypatch, [thin_page(), thin_page()])
    poll_thin()
    poll_thin()
    since = PollCursor.objects.get().read_until - timedelta(hours=1)
    assert asked[1][1]["created"] == {"gte": f"{since:%Y-%m-%dT%H:%M:%S}.000Z"}


def test_a_sweep_of_thin_events_that_broke_off_goes_on_at_its_page(monkeypatch, sent):
    broken = stripe_library.APIConnectionError("no answer")
    asked = thin_listing(monkeypatch, [thin_page("evt_2", rest="/v2/core/events?page=two"), broken, thin_page("evt_1")])
    assert poll_thin().error
    assert PollCursor.objects.get().sweep_after == "/v2/core/events?page=two"
    polled = poll(primary(), lambda: datetime.fromtimestamp(START, tz=UTC) + LEASE, form=EventForm.THIN)
    assert (polled.new, polled.finished, asked[-1][0]) == (1, True, "/v2/core/events?page=two")


def test_a_thin_list_that_may_not_be_read_holds_up_no_snapshots(listing, monkeypatch, sent):
    refused = stripe_library.PermissionError("This key may not do this.")
    listing.happen(500)
    assert run(listing).new == 1
    thin_listing(monkeypatch, [refused])
    assert "PermissionError" in poll_thin().error
    states = dict(PollCursor.objects.values_list("form", "state"))
    assert states == {EventForm.SNAPSHOT: PollState.CURRENT, EventForm.THIN: PollState.FAILING}


def test_the_beat_reads_both_lists(monkeypatch):
    read = []
    monkeypatch.setattr(tasks, "poll", lambda account, clock, *, form: read.append(form))
    poll_account(account="")
    assert read == [EventForm.SNAPSHOT, EventForm.THIN]


def test_thin_events_at_stripe_are_found_once(stripe, wrong_usage, sent, capsys):
    wrong_usage(3)
    new = []
    for _ in range(2):
        call_command("poll_events", "--json")
        new.append(json.loads(capsys.readouterr().out)[0]["new"])
    thin = InboxEvent.objects.filter(payload__object="v2.core.event")
    assert (thin.count(), new[1]) == (3, 0)
    assert set(thin.values_list("object_kind", "door")) == {("billing.meter", Door.POLL)}
    assert set(PollCursor.objects.values_list("form", flat=True)) == set(EventForm)
