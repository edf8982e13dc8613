"""Problems become findings, once, and go when their cause goes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.db import DatabaseError
from django.utils import timezone, translation
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from billing.models import (
    ArchivedHour,
    AsideMessage,
    DriftCheck,
    DriftDifference,
    InboxEvent,
    InboxState,
    PollCursor,
    PollState,
)
from ops.models import Delivery, DestinationHealth, Execution, Finding, FindingKind, Match, Rule, StaffAct
from ops.remediation import problems
from ops.remediation.findings import Looked, Told, acknowledge, close_by_hand, look, open_told
from ops.remediation.models import Severity
from ops.remediation.words import words_of
from ops.workflows.start import start
from tests.ops.rows import make_destination, make_event
from tests.ops.rules.made import make_rule
from tests.ops.workflows.moving import machine_of

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
Cause = Callable[[], Callable[[], object]]  # brings a problem about; returns what takes it away


def a_failed_event() -> Callable[[], object]:
    make_event(NOW, state=InboxState.FAILED, error="InvalidRequestError: No such price: price_1")
    return lambda: InboxEvent.objects.update(state=InboxState.MIRRORED)


def an_overdue_event() -> Callable[[], object]:
    make_event(NOW, state=InboxState.RECEIVED, due_at=NOW - 3 * MINUTE)
    return lambda: InboxEvent.objects.update(state=InboxState.MIRRORED)


def an_event_that_is_put_off_for_long() -> Callable[[], object]:
    long_ago = NOW - 40 * MINUTE
    make_event(NOW, state=InboxState.RECEIVED, received_at=long_ago, due_at=NOW + MINUTE, error="APIConnectionError: …")
    return lambda: InboxEvent.objects.update(state=InboxState.MIRRORED)


def drift_that_was_not_healed() -> Callable[[], object]:
    per_kind = {"invoice": {"looked_at": 50, "differing": 2, "healed": 1}, "price": {"looked_at": 5, "differing": 0}}
    check = DriftCheck.objects.create(started_at=NOW - MINUTE, finished_at=NOW, per_kind=per_kind)
    DriftDifference.objects.create(check_run=check, kind="invoice", object_id="in_1", path="status", ours=1, theirs=2)
    return lambda: DriftCheck.objects.create(
        started_at=NOW, finished_at=NOW, per_kind={"invoice": {"looked_at": 50, "differing": 0, "healed": 0}}
    )


def an_old_cursor() -> Callable[[], object]:
    PollCursor.objects.create(started_at=NOW - 90 * DAY, read_until=NOW - 21 * DAY)
    return lambda: PollCursor.objects.update(read_until=NOW)


def a_failing_poll() -> Callable[[], object]:
    PollCursor.objects.create(started_at=NOW, read_until=NOW, state=PollState.FAILING, failures=5, error="401")
    return lambda: PollCursor.objects.update(state=PollState.CURRENT, failures=0)


def a_message_aside() -> Callable[[], object]:
    AsideMessage.objects.create(queue="https://sqs/q", message_id="1", reason="not-json", received_at=NOW)
    return lambda: AsideMessage.objects.all().delete()


def a_late_archive() -> Callable[[], object]:
    make_event(NOW, received_at=NOW - 92 * DAY)
    hour = (NOW - 92 * DAY).replace(minute=0, second=0, microsecond=0)
    return lambda: ArchivedHour.objects.create(hour=hour, archived_at=NOW)


def a_silent_beat() -> Callable[[], object]:
    schedule = IntervalSchedule.objects.create(every=15, period="seconds")
    PeriodicTask.objects.create(name="sweep-inbox", task="x", interval=schedule, last_run_at=NOW - 7 * MINUTE)
    return lambda: PeriodicTask.objects.update(last_run_at=NOW)


def a_dead_letter() -> Callable[[], object]:
    make_rule(state="off")
    match = Match.objects.create(
        rule=Rule.objects.get(), rule_version=1, inbox_id=1, event_id="evt_1", event_type="invoice.paid", matched_at=NOW
    )
    common: dict[str, Any] = {"give_up_at": NOW, "max_age_seconds": 60, "max_retries": 0, "created_at": NOW}
    Delivery.objects.create(
        match=match, rule_name="paid", target_name="t", kind="queue", arn="arn", input="{}", key="k", state="dead",
        error="NoSuchQueue: gone", finished_at=NOW, **common,
    )  # fmt: skip
    return lambda: Delivery.objects.update(state="done")


def an_event_that_no_rule_was_asked_about() -> Callable[[], object]:
    make_rule()
    make_event(NOW, received_at=NOW - 3 * MINUTE)
    return lambda: InboxEvent.objects.update(dispatched_at=NOW)


def a_loop() -> Callable[[], object]:
    make_event(NOW, source="kessai", type="finding.opened", depth=5, dispatched_at=NOW)
    return lambda: InboxEvent.objects.filter(depth=5).update(received_at=NOW - 2 * DAY)


def a_workflow_that_went_round() -> Callable[[], object]:
    machine = machine_of(Begin={"Type": "Succeed"})
    execution = start(machine, "round", {}, now=NOW)
    ended = Execution.objects.filter(pk=execution.pk)
    ended.update(status="FAILED", events=25_000, finished_at=NOW, due_at=None)
    return lambda: ended.update(finished_at=NOW - 2 * DAY)


def a_destination_that_is_away() -> Callable[[], object]:
    health = DestinationHealth.objects.create(
        destination=make_destination(), failures=5, openings=1, opened_at=NOW - MINUTE, probe_at=NOW + MINUTE
    )
    return lambda: DestinationHealth.objects.filter(pk=health.pk).update(opened_at=None, probe_at=None)


CAUSES = [
    (a_failed_event, FindingKind.EVENTS_FAILED, "urgent"),
    (an_overdue_event, FindingKind.MIRROR_LATE, "urgent"),
    (an_event_that_is_put_off_for_long, FindingKind.MIRROR_LATE, "urgent"),
    (drift_that_was_not_healed, FindingKind.DRIFT, "urgent"),
    (an_old_cursor, FindingKind.POLL_OLD, "urgent"),
    (a_failing_poll, FindingKind.POLL_FAILING, "attention"),
    (a_message_aside, FindingKind.MESSAGES_ASIDE, "attention"),
    (a_late_archive, FindingKind.ARCHIVE_BEHIND, "attention"),
    (a_silent_beat, FindingKind.BEAT_SILENT, "urgent"),
    (a_dead_letter, FindingKind.DEAD_LETTERS, "urgent"),
    (an_event_that_no_rule_was_asked_about, FindingKind.RULES_LATE, "urgent"),
    (a_loop, FindingKind.RULE_LOOP, "attention"),
    (a_workflow_that_went_round, FindingKind.EXECUTION_LOOP, "urgent"),
    (a_destination_that_is_away, FindingKind.DESTINATION_AWAY, "attention"),
]


@pytest.fixture(autouse=True)
def archive(settings: LazySettings) -> None:
    settings.INBOX_ARCHIVE_BUCKET, settings.INBOX_PAYLOAD_DAYS = "kessai-archive", 90


@pytest.mark.parametrize(("cause", "kind", "severity"), CAUSES)
@pytest.mark.django_db
def test_it_opens_once_stays_while_its_cause_lasts_and_closes_by_itself(
    cause: Cause, kind: FindingKind, severity: str
) -> None:
    assert look(now=NOW) == Looked(0, 0, 0)
    take_away = cause()
    assert look(now=NOW) == Looked(opened=1, closed=0, open=1)
    assert look(now=NOW + MINUTE / 2) == Looked(opened=0, closed=0, open=1)
    finding = Finding.objects.get()
    assert (finding.kind, finding.severity, finding.opened_at, finding.seen_at) == (
        kind, severity, NOW, NOW + MINUTE / 2,
    )  # fmt: skip
    take_away()
    assert look(now=NOW + MINUTE) == Looked(opened=0, closed=1, open=0)
    finding.refresh_from_db()
    assert finding.closed_at == NOW + MINUTE


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize(("cause", "kind", "severity"), CAUSES)
@pytest.mark.django_db
def test_it_says_what_happened_what_it_means_and_what_to_do(
    cause: Cause, kind: FindingKind, severity: str, language: str
) -> None:
    cause()
    look(now=NOW)
    with translation.override(language):
        words = words_of(Finding.objects.get())
    for sentence in (words.title, words.meaning, words.step):
        assert sentence
        assert "%(" not in sentence
    assert words.step.endswith((".", "。"))


@pytest.mark.django_db
def test_opening_and_closing_are_events_of_our_own_once() -> None:
    take_away = an_old_cursor()
    look(now=NOW)
    look(now=NOW + MINUTE / 4)
    take_away()
    look(now=NOW + MINUTE / 2)
    look(now=NOW + MINUTE)
    events = InboxEvent.objects.filter(source="kessai").order_by("pk")
    assert [(event.type, event.door, event.depth) for event in events] == [
        ("finding.opened", "own", 0),
        ("finding.closed", "own", 0),
    ]
    finding = Finding.objects.get()
    opened = events[0].payload
    assert (opened["id"], opened["source"], opened["time"]) == (
        f"finding.opened:{finding.pk}",
        "kessai",
        "2026-03-10T12:00:00Z",
    )
    assert opened["detail"] | {"evidence": {}} == {
        "id": finding.pk,
        "kind": "poll-old",
        "subject": finding.subject,
        "severity": "urgent",
        "evidence": {},
    }


@pytest.mark.django_db
def test_what_a_rule_opened_is_closed_by_hand_and_nothing_else_is(olga: Any) -> None:
    an_old_cursor()
    look(now=NOW)
    own = Finding.objects.get()
    told = Told("paid", "in_1", "Paid", "", Severity.ATTENTION, "evt_1", "key")
    open_told(told, now=NOW, depth=1)
    assert look(now=NOW + MINUTE).closed == 0, "no row says that it is gone"
    finding = Finding.objects.get(kind=FindingKind.RULE)
    assert close_by_hand(finding, olga, reason="Called them.", now=NOW)
    assert not close_by_hand(finding, olga, reason="again", now=NOW)
    assert StaffAct.objects.get().reason == "Called them."
    with pytest.raises(ValueError, match="closes by itself"):
        close_by_hand(own, olga, reason="x", now=NOW)


@pytest.mark.django_db
def test_a_problem_that_comes_back_is_a_new_finding() -> None:
    take_away = an_old_cursor()
    look(now=NOW)
    take_away()
    look(now=NOW)
    PollCursor.objects.update(read_until=NOW - 21 * DAY)
    assert look(now=NOW + MINUTE).opened == 1
    assert Finding.objects.count() == 2


@pytest.mark.django_db
def test_events_that_fail_alike_are_one_finding_and_others_are_another() -> None:
    for number in range(7):
        make_event(NOW, state=InboxState.FAILED, error=f"InvalidRequestError: No such price: price_{number}")
    make_event(NOW, state=InboxState.FAILED, error="Unwritable: no place", object_kind="charge")
    make_event(NOW, state=InboxState.FAILED, error="InvalidRequestError: …", owner="jp")
    look(now=NOW)
    found = {finding.subject: finding.evidence["events"] for finding in Finding.objects.all()}
    assert found == {
        "primary subscription InvalidRequestError": 7,
        "primary charge Unwritable": 1,
        "jp subscription InvalidRequestError": 1,
    }


@pytest.mark.django_db
def test_drift_that_was_healed_wants_attention_and_is_not_urgent() -> None:
    per_kind = {"price": {"looked_at": 5, "differing": 2, "healed": 2}}
    DriftCheck.objects.create(started_at=NOW, finished_at=NOW, per_kind=per_kind)
    look(now=NOW)
    assert Finding.objects.get().severity == "attention"


@pytest.mark.django_db
def test_a_check_that_is_under_way_says_nothing_yet() -> None:
    drift_that_was_not_healed()
    DriftCheck.objects.create(started_at=NOW, finished_at=None, per_kind={})
    assert look(now=NOW).open == 1


@pytest.mark.django_db
def test_what_mends_itself_is_no_problem() -> None:
    make_event(NOW, state=InboxState.RECEIVED, due_at=NOW - MINUTE)
    make_event(NOW, state=InboxState.RECEIVED, due_at=NOW + MINUTE, error="APIConnectionError: …")
    PollCursor.objects.create(started_at=NOW, read_until=NOW - 19 * DAY, state=PollState.FAILING, failures=4)
    assert look(now=NOW) == Looked(0, 0, 0)


@pytest.mark.django_db
def test_where_it_cannot_look_its_findings_stay() -> None:
    an_old_cursor()
    a_message_aside()
    look(now=NOW)

    def cannot(now: datetime) -> list[problems.Problem]:
        raise DatabaseError("canceling statement due to statement timeout")

    blind: Any = {cannot: problems.DETECTORS[problems.polls]}
    AsideMessage.objects.all().delete()
    rest = {key: kinds for key, kinds in problems.DETECTORS.items() if key is not problems.polls}
    assert look(now=NOW + MINUTE, detectors=blind | rest) == Looked(opened=0, closed=1, open=1)


@pytest.mark.django_db
def test_who_acknowledges_is_written_down_and_it_stays_open(olga: Any) -> None:
    an_old_cursor()
    look(now=NOW)
    acknowledge(Finding.objects.get(), olga, reason="The key is being renewed.", now=NOW)
    finding, act = Finding.objects.get(), StaffAct.objects.get()
    assert (finding.acknowledged_by, finding.acknowledged_at, finding.closed_at) == (olga, NOW, None)
    assert (act.act, act.reason, act.actor) == ("finding:acknowledge", "The key is being renewed.", olga)
    look(now=NOW + MINUTE)
    assert Finding.objects.get().acknowledged_by == olga


@pytest.mark.django_db
def test_the_command_ends_with_one_while_something_urgent_is_nobodys(olga: Any, capsys: Any) -> None:
    call_command("findings")
    assert capsys.readouterr().out == "Nothing is wrong.\n"
    make_event(timezone.now(), state=InboxState.FAILED, error="Boom: x")
    with pytest.raises(SystemExit) as stop:
        call_command("findings", "--json")
    assert stop.value.code == 1
    acknowledge(Finding.objects.get(), olga, reason="On it.", now=timezone.now())
    call_command("findings")
    assert "1 event about “subscription” could not be mirrored" in capsys.readouterr().out
