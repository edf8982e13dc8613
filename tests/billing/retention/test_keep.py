"""Payloads go to the archive and no further before it has them; rows go later; both come back as they were."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from billing.inbox.replay import replay
from billing.models import ArchivedHour, ArchivePart, InboxEvent, InboxState
from billing.retention import keep as keeping
from billing.retention import rows
from billing.retention.keep import Kept, keep
from billing.retention.pack import Damaged, hour_of, key_of, pack, unpack
from billing.retention.restore import restore
from billing.retention.store import Archive, NoArchive
from billing.tasks import archive_inbox
from tests.billing.retention.conftest import BUCKET, NOW, OLD, keys_in

Make = Callable[..., InboxEvent]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PLENTY = 60.0


def run(now: Any = NOW, budget: float = PLENTY) -> Kept:
    return keep(now=now, budget_seconds=budget)


def payloads() -> dict[str, Any]:
    return dict(InboxEvent.objects.values_list("external_id", "payload"))


def bring_back(since: Any = OLD, hours: int = 1) -> int:
    return sum(file.restored for file in restore(since=since, until=hour_of(since) + hours * HOUR, now=NOW))


def test_an_hour_of_an_account_is_one_file_and_its_payloads_are_dropped(s3: Any, event: Make) -> None:
    event("1")
    event("2", at=OLD + timedelta(minutes=5))
    event("3", owner="second")
    event("4", source="aws.cloudformation")
    event("5", at=OLD + 2 * HOUR)
    assert run() == Kept(files=4, events=5, dropped=5)
    folder = f"inbox/{OLD:%Y/%m/%d/%H}/"
    assert [key.rpartition("--")[0] for key in keys_in(s3)] == [
        f"{folder}aws.cloudformation--primary",
        f"{folder}stripe.com--primary",
        f"{folder}stripe.com--second",
        f"inbox/{OLD + 2 * HOUR:%Y/%m/%d/%H}/stripe.com--primary",
    ]
    assert set(payloads().values()) == {None}
    assert ArchivePart.objects.get(source="stripe.com", owner="", hour=hour_of(OLD)).events == 2


def test_a_file_holds_whole_rows_as_lines_of_json(s3: Any, event: Make) -> None:
    stored = event("1")
    run()
    [key] = keys_in(s3)
    lines = gzip.decompress(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()).decode().splitlines()
    assert [json.loads(line)["external_id"] for line in lines] == ["evt_1"]
    assert json.loads(lines[0])["payload"] == stored.payload


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (InboxState.MIRRORED, False),
        (InboxState.STORED, False),
        (InboxState.FAILED, True),  # waits for a person
        (InboxState.RECEIVED, True),  # waits for the mirror
    ],
)
def test_what_is_not_dealt_with_keeps_its_payload_and_its_row(
    s3: Any, event: Make, state: InboxState, kept: bool
) -> None:
    event("1", state=state, at=NOW - 500 * DAY)
    run()
    assert InboxEvent.objects.filter(payload__isnull=False).exists() is kept
    assert InboxEvent.objects.exists() is kept


def test_what_failed_is_archived_once_it_is_dealt_with(s3: Any, event: Make) -> None:
    event("1", state=InboxState.FAILED)
    event("2")
    assert run().events == 1
    assert ArchivedHour.objects.get().left == 1
    InboxEvent.objects.filter(external_id="evt_1").update(state=InboxState.MIRRORED)
    assert run(NOW + HOUR).events == 0, "the hour is looked at again a day later"
    assert run(NOW + DAY).events == 1
    assert ArchivedHour.objects.get().look_again_at is None
    assert len(keys_in(s3)) == 2


def test_younger_payloads_stay(s3: Any, event: Make) -> None:
    event("young", at=NOW - 89 * DAY)
    assert run() == Kept()
    assert keys_in(s3) == []


def test_archived_rows_are_pruned_when_they_are_older_still(s3: Any, event: Make) -> None:
    event("ancient", at=NOW - 401 * DAY)
    event("old")
    assert run() == Kept(files=2, events=2, dropped=2, pruned=1)
    assert set(payloads()) == {"evt_old"}


def test_rows_stay_at_least_as_long_as_stripe_can_send_them_again(s3: Any, event: Make, settings: LazySettings) -> None:
    settings.INBOX_PAYLOAD_DAYS = settings.INBOX_ROW_DAYS = 1
    event("1", at=NOW - 30 * DAY)
    assert run() == Kept(files=1, events=1, dropped=1, pruned=0)


def test_nothing_is_dropped_without_an_archive(event: Make, settings: LazySettings) -> None:
    event("1")
    settings.INBOX_ARCHIVE_BUCKET = ""
    with pytest.raises(NoArchive):
        run()
    archive_inbox()  # the schedule says nothing of it
    assert payloads()["evt_1"] is not None


def test_nothing_is_dropped_when_the_upload_fails(s3: Any, event: Make) -> None:
    event("1")
    s3.delete_bucket(Bucket=BUCKET)
    with pytest.raises(ClientError):
        run()
    assert payloads()["evt_1"] is not None
    assert not ArchivedHour.objects.exists()


def test_nothing_is_dropped_when_the_archive_holds_something_else(
    s3: Any, event: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    event("1")
    put = Archive.put

    def put_and_spoil(self: Archive, key: str, packed: Any) -> None:
        put(self, key, packed)
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"somebody else's")

    monkeypatch.setattr(Archive, "put", put_and_spoil)
    with pytest.raises(Damaged):
        run()
    assert payloads()["evt_1"] is not None


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.mark.parametrize("comma", ["record", "rows.drop_payloads", "finish_hour"])
def test_killed_between_upload_and_drop_it_goes_on_with_the_same_file(
    s3: Any, event: Make, monkeypatch: pytest.MonkeyPatch, comma: str
) -> None:
    event("1")
    event("2")
    with monkeypatch.context() as patch:
        where = rows if comma.startswith("rows.") else keeping

        def die(*args: Any, **kwargs: Any) -> None:
            raise Killed

        patch.setattr(where, comma.rpartition(".")[2], die)
        with pytest.raises(Killed):
            run()
    before = keys_in(s3)
    run()
    assert keys_in(s3) == before
    assert len(before) == 1
    assert set(payloads().values()) == {None}
    assert bring_back() == 2


def test_time_that_is_up_ends_a_run_between_two_files_and_the_next_goes_on(
    s3: Any, event: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PART", 2)
    for number in range(5):
        event(str(number), at=OLD + timedelta(seconds=number))
    runs = [run(budget=0.0) for _ in range(4)]
    assert [(kept.events, kept.finished) for kept in runs[:3]] == [(2, False), (2, False), (1, False)]
    assert sum(kept.dropped for kept in runs) == 5
    assert bring_back() == 5


def test_a_row_that_others_hold_is_left_for_the_next_time(
    s3: Any, transactional_db: None, event: Make, settings: LazySettings
) -> None:
    held, free = event("held"), event("free")
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM billing_inboxevent WHERE id = %s FOR UPDATE", [held.pk])
        assert run().dropped == 1
        assert payloads() == {"evt_held": held.payload, "evt_free": None}
        assert ArchivedHour.objects.get().left == 1
        other.rollback()
    finally:
        other.close()
    assert free.pk
    assert run(NOW + DAY).dropped == 1


def test_a_row_that_was_replayed_meanwhile_keeps_its_payload(s3: Any, event: Make) -> None:
    stored = event("1")
    with transaction.atomic():
        replay([stored.pk], now=NOW)
    assert rows.drop_payloads([stored.pk]) == 0


def test_rows_and_payloads_come_back_as_they_were(s3: Any, event: Make, settings: LazySettings) -> None:
    event("pruned", type="x.y", error="kept as it is", dispatched_at=datetime(2026, 2, 21, 12, 31, tzinfo=UTC))
    event("emptied")
    event("kept", state=InboxState.FAILED)
    before = list(InboxEvent.objects.order_by("external_id").values())
    run()
    InboxEvent.objects.filter(external_id="evt_pruned").delete()
    assert bring_back() == 2
    assert bring_back() == 0, "what is there stays as it is"
    after = list(InboxEvent.objects.order_by("external_id").values())
    for row in (*before, *after):
        row.pop("id")
    assert after == before


def test_what_was_brought_back_can_be_replayed_and_goes_again_a_week_later(s3: Any, event: Make) -> None:
    event("1")
    run()
    bring_back()
    assert run(NOW + DAY).dropped == 0
    pks = list(InboxEvent.objects.values_list("pk", flat=True))
    assert replay(pks, now=NOW) == 1
    InboxEvent.objects.update(state=InboxState.MIRRORED, due_at=None)
    assert run(NOW + 8 * DAY).dropped == 1


def test_an_empty_database_is_filled_from_the_archive_alone(s3: Any, event: Make) -> None:
    for number in range(3):
        event(str(number), at=OLD + number * HOUR)
    run()
    for model in (InboxEvent, ArchivePart, ArchivedHour):
        model.objects.all().delete()
    assert bring_back(hours=3) == 3
    assert payloads()["evt_2"]["data"]["object"] == {"id": "in_2", "amount": 10**15, "名": "株"}


def test_a_damaged_file_is_said_to_be_so(s3: Any, event: Make) -> None:
    event("1")
    run()
    [key] = keys_in(s3)
    s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(b'{"source": "forged"}\n'), Metadata={"sha256": "0" * 64})
    with pytest.raises(CommandError, match="does not hold the lines"):
        call_command("restore_archive", hour=hour_of(OLD))


def test_the_commands_say_what_they_would_do_and_did(
    s3: Any, event: Make, capsys: pytest.CaptureFixture[str], time_machine: Any
) -> None:
    time_machine.move_to(NOW)
    event("1")
    call_command("archive_inbox", "--dry-run")
    said = capsys.readouterr().out
    assert "stripe.com  1 events" in said
    assert "Would archive 1 events" in said
    assert keys_in(s3) == []
    call_command("archive_inbox", "--json")
    assert json.loads(capsys.readouterr().out) == {"files": 1, "events": 1, "dropped": 1, "pruned": 0, "finished": True}
    call_command("restore_archive", "--since", f"{OLD:%Y-%m-%d}", "--until", f"{OLD + DAY:%Y-%m-%d}")
    assert "1 events are here again" in capsys.readouterr().out
    with pytest.raises(CommandError, match="Say which time"):
        call_command("restore_archive")


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=("Cs",)), max_size=30)))
def test_whatever_is_packed_is_unpacked_and_has_one_name(lines: list[str]) -> None:
    first, second = pack(lines), pack(lines)
    assert first.file.read() == second.file.read()
    first.file.seek(0)
    assert [line.removesuffix("\n") for line in unpack(first.file, sha256=first.sha256)] == lines
    named = [key_of("p/", OLD, source="a/b", owner="", sha256=packed.sha256) for packed in (first, second)]
    assert named[0] == named[1]


def test_a_file_cut_short_is_damaged() -> None:
    import io

    packed = pack(["one", "two"] * 500)
    cut = io.BytesIO(packed.file.read()[:-20])
    with pytest.raises(Damaged):
        list(unpack(cut, sha256=packed.sha256))


def test_dropping_takes_no_longer_lock_than_a_batch(s3: Any, event: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "AT_ONCE", 2)
    pks = [event(str(number)).pk for number in range(5)]
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        assert rows.drop_payloads(pks) == 5
    assert len(queries) == 3
