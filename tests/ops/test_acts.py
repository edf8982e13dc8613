"""What operators do: it happens, it is written down with a reason, and only those who may can do it."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group, Permission
from django.db.transaction import TransactionManagementError
from django.urls import reverse
from django.utils import timezone

from billing.models import InboxEvent, InboxState
from ops.audit import record_act
from ops.console import replay
from ops.models import StaffAct
from tests.cast import make_user, sign_in
from tests.ops.rows import make_event


@pytest.fixture
def failed(db) -> InboxEvent:
    return make_event(timezone.now(), state=InboxState.FAILED, attempts=8, error="StripeError: no answer")


def replay_address(event: InboxEvent) -> str:
    return reverse("admin:billing_inboxevent_replay_one", args=[event.pk])


def test_replay_asks_before_it_does(failed, olga):
    page = sign_in(olga).get(replay_address(failed))
    failed.refresh_from_db()
    assert page.status_code == 200
    assert "Replay 1 event" in page.content.decode()
    assert failed.state == InboxState.FAILED
    assert not StaffAct.objects.exists()


def test_replay_makes_the_event_due_and_writes_the_act_down(failed, olga):
    before = timezone.now()
    page = sign_in(olga).post(replay_address(failed), {"answer": "yes", "reason": "Stripe is back."})
    failed.refresh_from_db()
    assert page["Location"] == reverse("admin:billing_inboxevent_change", args=[failed.pk])
    assert (failed.state, failed.attempts, failed.error) == (InboxState.RECEIVED, 0, "")
    assert failed.due_at and failed.due_at >= before
    act = StaffAct.objects.get()
    assert (act.actor, act.act, act.reason) == (olga, "inbox-event:replay", "Stripe is back.")
    assert act.subject_id == failed.external_id
    assert act.before == {"state": "failed", "attempts": 8, "error": "StripeError: no answer"}
    assert act.after == {"state": "received", "attempts": 0, "error": ""}


@pytest.mark.parametrize("reason", ["", "   "])
def test_replay_without_a_reason_does_nothing_and_says_so(failed, olga, reason):
    page = sign_in(olga).post(replay_address(failed), {"answer": "yes", "reason": reason})
    failed.refresh_from_db()
    assert "Say in a few words why" in page.content.decode()
    assert failed.state == InboxState.FAILED


def test_several_events_are_replayed_with_one_reason_and_an_act_each(olga):
    events = [make_event(timezone.now(), state=InboxState.FAILED) for _number in range(3)]
    left_alone = make_event(timezone.now(), state=InboxState.FAILED)
    client, address = sign_in(olga), reverse("admin:billing_inboxevent_changelist") + "?state__exact=failed"
    selected = {"action": "replay_selected", "_selected_action": [event.pk for event in events]}
    question = client.post(address, selected)
    assert "Replay 3 events" in question.content.decode()
    answer = client.post(address, selected | {"answer": "yes", "reason": "A fix is deployed."})
    assert answer["Location"] == address
    assert InboxEvent.objects.filter(state=InboxState.RECEIVED).count() == 3
    assert StaffAct.objects.filter(reason="A fix is deployed.").count() == 3
    left_alone.refresh_from_db()
    assert left_alone.state == InboxState.FAILED


def test_too_many_events_at_once_are_refused_with_the_limit(olga, monkeypatch):
    monkeypatch.setattr(replay, "AT_ONCE", 2)
    events = [make_event(timezone.now(), state=InboxState.FAILED) for _number in range(3)]
    selected = {"action": "replay_selected", "_selected_action": [event.pk for event in events]}
    page = sign_in(olga).post(reverse("admin:billing_inboxevent_changelist"), selected, follow=True)
    assert "At most 2 events are replayed at once" in page.content.decode()
    assert not InboxEvent.objects.filter(state=InboxState.RECEIVED).exists()


def test_who_may_only_look_at_events_cannot_replay_them(failed):
    viewer = make_user("Vera", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_inboxevent"))
    client = sign_in(viewer)
    page = client.get(reverse("admin:billing_inboxevent_change", args=[failed.pk]))
    assert page.status_code == 200
    assert replay_address(failed) not in page.content.decode()
    assert client.post(replay_address(failed), {"answer": "yes", "reason": "x"}).status_code == 403
    failed.refresh_from_db()
    assert failed.state == InboxState.FAILED


def test_an_act_is_not_recorded_outside_its_transaction(transactional_db):
    olga = make_user("Olga")
    with pytest.raises(TransactionManagementError):
        record_act(
            olga,
            "inbox-event:replay",
            subject_kind="inbox event",
            subject_id="evt_1",
            reason="",
            before={},
            after={},
            now=datetime(2026, 3, 10, tzinfo=UTC),
        )


def test_a_replay_that_cannot_be_recorded_does_not_happen(failed, olga, monkeypatch):
    def break_down(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("the record could not be written")

    monkeypatch.setattr(replay, "record_act", break_down)
    with pytest.raises(RuntimeError):
        sign_in(olga).post(replay_address(failed), {"answer": "yes", "reason": "Stripe is back."})
    failed.refresh_from_db()
    assert failed.state == InboxState.FAILED


def test_events_cannot_be_edited_added_or_deleted(failed, olga):
    client = sign_in(olga)
    change = reverse("admin:billing_inboxevent_change", args=[failed.pk])
    assert client.post(change, {"state": "mirrored"}).status_code == 403
    assert client.get(reverse("admin:billing_inboxevent_add")).status_code == 403
    assert client.post(reverse("admin:billing_inboxevent_delete", args=[failed.pk]), {"post": "yes"}).status_code == 403


def user_form(**fields: object) -> dict[str, object]:
    return {"name": "Bob", "is_active": "on"} | fields


def test_making_somebody_an_operator_is_written_down(bob, olga):
    group = Group.objects.create(name="Support")
    address = reverse("admin:accounts_user_change", args=[bob.pk])
    sign_in(olga).post(address, user_form(is_staff="on", groups=[group.pk], reason="Joins support."))
    bob.refresh_from_db()
    act = StaffAct.objects.get()
    assert bob.is_staff
    assert (act.actor, act.act, act.reason) == (olga, "user:change", "Joins support.")
    assert (act.before, act.after) == ({"is_staff": False, "groups": []}, {"is_staff": True, "groups": ["Support"]})


def test_a_user_is_not_changed_without_a_reason(bob, olga):
    address = reverse("admin:accounts_user_change", args=[bob.pk])
    page = sign_in(olga).post(address, user_form(is_staff="on"))
    bob.refresh_from_db()
    assert page.status_code == 200
    assert "Say in a few words why" in page.content.decode()
    assert not bob.is_staff


@pytest.fixture
def clerk(db):
    """May change users, and is no superuser."""
    clerk = make_user("Clerk", is_staff=True)
    clerk.user_permissions.add(*Permission.objects.filter(codename__in=["view_user", "change_user"]))
    return clerk


def test_who_may_change_users_cannot_raise_them_or_themselves(bob, clerk):
    client = sign_in(clerk)
    for user in (bob, clerk):
        form = user_form(is_superuser="on", is_staff="on", reason="For me.")
        client.post(reverse("admin:accounts_user_change", args=[user.pk]), form)
        user.refresh_from_db()
        assert not user.is_superuser
    assert not bob.is_staff


def test_who_may_change_users_cannot_change_a_superuser(olga, clerk):
    page = sign_in(clerk).post(reverse("admin:accounts_user_change", args=[olga.pk]), {"name": "X", "reason": "y"})
    olga.refresh_from_db()
    assert page.status_code == 403
    assert olga.is_active


def test_a_group_is_made_with_a_reason_and_only_rights_that_mean_something(olga):
    may_view = Permission.objects.get(codename="view_inboxevent")
    meaningless = Permission.objects.get(codename="delete_logentry")
    client, address = sign_in(olga), reverse("admin:auth_group_add")
    refused = client.post(address, {"name": "Night", "permissions": [meaningless.pk], "reason": "Nights."})
    assert refused.status_code == 200
    client.post(address, {"name": "Night", "permissions": [may_view.pk], "reason": "Nights."})
    assert list(Group.objects.get().permissions.all()) == [may_view]
    assert StaffAct.objects.get().act == "group:add"
