"""The pages that tell how the portal itself is, and what operators do there."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from billing.models import AsideMessage, DriftCheck, InboxEvent, InboxState
from ops.models import Finding, StaffAct
from ops.remediation.findings import Told, look, open_told
from ops.remediation.models import Severity
from tests.cast import make_user, sign_in
from tests.ops.rows import make_event, make_machinery

INBOX = "admin:billing_inboxevent_changelist"
REPLAY = "admin:billing_inboxevent_replay_filtered"


@pytest.fixture
def machinery(db: None) -> None:
    make_machinery(timezone.now())


def text_of(client, name: str, *args: object, **query: str) -> str:
    page = client.get(reverse(name, args=args), query)
    assert page.status_code == 200
    return page.content.decode()


def test_a_filter_is_replayed_after_it_was_said_how_much_that_is(olga: User) -> None:
    now = timezone.now()
    chosen = [make_event(now, state=InboxState.FAILED, object_kind="invoice", error="Boom: x") for _ in range(3)]
    other = make_event(now, state=InboxState.FAILED, object_kind="charge")
    client, query = sign_in(olga), {"state__exact": "failed", "object_kind": "invoice"}
    assert "Replay 3 events" in text_of(client, REPLAY, **query)
    address = f"{reverse(REPLAY)}?state__exact=failed&object_kind=invoice"
    assert InboxEvent.objects.filter(state=InboxState.FAILED).count() == 4, "asking does nothing"
    assert "Say in a few words why" in client.post(address, {"reason": ""}).content.decode()
    answer = client.post(address, {"reason": "The table is there now."})
    assert answer["Location"] == f"{reverse(INBOX)}?state__exact=failed&object_kind=invoice"
    assert set(InboxEvent.objects.filter(state=InboxState.RECEIVED)) == set(chosen)
    other.refresh_from_db()
    assert other.state == InboxState.FAILED
    act = StaffAct.objects.get()
    assert (act.act, act.reason, act.before["events"]) == ("inbox-events:replay", "The table is there now.", 3)
    assert act.before["filter"] == query


def test_the_list_leads_to_replaying_what_its_filters_show(olga: User) -> None:
    make_event(timezone.now(), state=InboxState.FAILED)
    client = sign_in(olga)
    assert f"{reverse(REPLAY)}?state__exact=failed" in text_of(client, INBOX, state__exact="failed")
    assert reverse(REPLAY) not in text_of(client, INBOX), "without a filter it would be everything"


def test_nothing_to_replay_is_said(olga: User) -> None:
    assert "No event fits these filters" in text_of(sign_in(olga), REPLAY, object_kind="payout")


@pytest.mark.parametrize("group", ["Support", "Finance"])
def test_who_may_only_look_replays_no_filter_and_deletes_nothing(machinery: None, group: str) -> None:
    call_command("console_groups")
    member = make_user("Mio", is_staff=True)
    member.groups.add(Group.objects.get(name=group))
    client = sign_in(member)
    message, finding = AsideMessage.objects.get(), Finding.objects.first()
    assert finding
    for address in (
        reverse(REPLAY),
        reverse("admin:billing_asidemessage_delete_one", args=[message.pk]),
        reverse("admin:ops_finding_acknowledge_one", args=[finding.pk]),
        reverse("admin:ops_finding_look_now"),
    ):
        assert client.post(address, {"reason": "x"}).status_code in (302, 403), address
    assert AsideMessage.objects.exists()
    assert not StaffAct.objects.exists()


def test_on_call_sees_all_of_it(machinery: None) -> None:
    call_command("console_groups")
    member = make_user("Mio", is_staff=True)
    member.groups.add(Group.objects.get(name="On-call"))
    client = sign_in(member)
    text = text_of(client, "admin:index")
    assert "2 objects of kind “invoice” differed from Stripe" in text
    for name in (
        "ops_finding",
        "billing_asidemessage",
        "billing_driftcheck",
        "billing_resyncrun",
        "billing_pollcursor",
    ):
        assert reverse(f"admin:{name}_changelist") in text
    assert reverse("admin:kinds") in text
    assert "credit_note" in text_of(client, "admin:kinds")


def test_an_operator_sees_to_a_finding(machinery: None, olga: User) -> None:
    finding = Finding.objects.get(kind="messages-aside")
    client, page = sign_in(olga), reverse("admin:ops_finding_change", args=[finding.pk])
    text = client.get(page).content.decode()
    assert "1 queue message stands aside" in text
    assert reverse("admin:billing_asidemessage_changelist") in text
    client.post(reverse("admin:ops_finding_acknowledge_one", args=[finding.pk]), {"reason": "I ask the sender."})
    text = client.get(page).content.decode()
    assert "Somebody sees to it" in text
    assert "I ask the sender." in text


def test_looking_now_closes_what_is_over(machinery: None, olga: User) -> None:
    AsideMessage.objects.all().delete()
    page = sign_in(olga).get(reverse("admin:ops_finding_look_now"), follow=True).content.decode()
    assert Finding.objects.get(kind="messages-aside").closed_at
    assert "2 findings are open." in page


def test_a_message_aside_is_deleted_with_a_reason(machinery: None, olga: User) -> None:
    message = AsideMessage.objects.get()
    client = sign_in(olga)
    assert "504 Gateway Time-out" in text_of(client, "admin:billing_asidemessage_change", message.pk)
    client.post(reverse("admin:billing_asidemessage_delete_one", args=[message.pk]), {"reason": "A proxy's page."})
    assert not AsideMessage.objects.exists()
    act = StaffAct.objects.get()
    assert (act.act, act.subject_id, act.before["reason"]) == ("aside-message:delete", message.message_id, "not-json")


def test_drift_is_shown_field_by_field(machinery: None, olga: User) -> None:
    client, check = sign_in(olga), DriftCheck.objects.get()
    assert "<svg" in text_of(client, "admin:billing_driftcheck_changelist")
    text = text_of(client, "admin:billing_driftcheck_change", check.pk)
    assert text.count("amount_paid") == 1
    assert "not yet" in text


def test_a_resync_says_how_to_go_on(olga: User, machinery: None) -> None:
    from billing.models import ResyncRun

    text = text_of(sign_in(olga), "admin:billing_resyncrun_change", ResyncRun.objects.get().pk)
    assert "python manage.py resync customer invoice --since 2026-01-01T00:00 --account jp" in text
    assert "1 of 1 parts left" in text


def test_a_resync_tells_what_it_has_written_as_well_as_what_it_found_unchanged(olga: User, machinery: None) -> None:
    from billing.models import ResyncRun

    text = text_of(sign_in(olga), "admin:billing_resyncrun_change", ResyncRun.objects.get().pk)
    assert {">812<", ">19,402<", ">1<"} <= {f">{cell}<" for cell in re.findall(r">([\d,]+)</td>", text)}
    assert "2,104 customers were not asked about" in text


def test_a_payload_in_the_archive_is_said_to_be_there(olga: User) -> None:
    event = make_event(timezone.now() - timedelta(days=100))
    InboxEvent.objects.update(payload=None)
    text = text_of(sign_in(olga), "admin:billing_inboxevent_change", event.pk)
    assert f"restore_archive --hour {event.received_at:%Y-%m-%dT%H}" in text


def test_a_finding_of_failed_events_leads_to_their_replay(olga: User) -> None:
    make_event(timezone.now(), state=InboxState.FAILED, object_kind="invoice", error="Boom: x")
    look(now=timezone.now())
    text = text_of(sign_in(olga), "admin:ops_finding_change", Finding.objects.get().pk)
    assert f"{reverse(REPLAY)}?state__exact=failed&amp;object_kind=invoice" in text


def test_what_a_rule_found_is_closed_by_hand_with_a_word(olga: User) -> None:
    told = Told("large-invoice", "in_1", "Invoice ACME-1 was paid", "", Severity.ATTENTION, "evt_1", "key")
    with transaction.atomic():
        pk = open_told(told, now=timezone.now(), depth=1)
    client, address = sign_in(olga), reverse("admin:ops_finding_close_one", args=[pk])
    page = text_of(client, "admin:ops_finding_change", pk)
    assert "Invoice ACME-1 was paid" in page
    assert address in page
    client.post(address, {"reason": ""})
    assert Finding.objects.get().open
    client.post(address, {"reason": "Called them."})
    assert not Finding.objects.get().open
    assert StaffAct.objects.get().reason == "Called them."
    assert address not in text_of(client, "admin:ops_finding_change", pk)


def test_what_closes_by_itself_is_not_closed_by_hand(machinery: None, olga: User) -> None:
    finding = Finding.objects.first()
    assert finding
    client, address = sign_in(olga), reverse("admin:ops_finding_close_one", args=[finding.pk])
    assert address not in text_of(client, "admin:ops_finding_change", finding.pk)
    assert client.post(address, {"reason": "x"}).status_code in (302, 403)
    assert Finding.objects.get(pk=finding.pk).open
