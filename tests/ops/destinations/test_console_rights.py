"""Who may look at destinations, who may call them, and who may say where credentials go."""

from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.urls import reverse

from ops.effects.destinations.models import DestinationRequest
from tests.cast import make_user, sign_in
from tests.ops.destinations.conftest import PASSWORD, send
from tests.ops.destinations.test_console import destination_form


def test_who_may_only_look_changes_and_calls_nothing(crm, server):
    viewer = make_user("Vera", is_staff=True)
    names = ("view_connection", "view_destination", "view_destinationrequest")
    viewer.user_permissions.add(*Permission.objects.filter(codename__in=names))
    send(crm)
    client, row = sign_in(viewer), DestinationRequest.objects.get()
    for name, pk in (("connection", crm.connection_id), ("destination", crm.pk), ("destinationrequest", row.pk)):
        page = client.get(reverse(f"admin:ops_{name}_change", args=[pk]))
        assert page.status_code == 200, name
        assert "Send a test" not in page.content.decode()
        assert "Written down with your name" not in page.content.decode()
        assert PASSWORD not in page.content.decode()
    form = {"body": "{}", "reason": "x"}
    assert client.post(reverse("admin:ops_destination_test_one", args=[crm.pk]), form).status_code == 403
    assert client.post(reverse("admin:ops_destination_roll_secret", args=[crm.pk]), form).status_code == 403
    assert client.post(reverse("admin:ops_destinationrequest_replay_one", args=[row.pk]), form).status_code == 403
    assert client.post(reverse("admin:ops_destination_change", args=[crm.pk]), form).status_code == 403
    assert client.get(reverse("admin:ops_connection_add")).status_code == 403
    assert len(server.received) == 1


def test_on_call_tests_and_replays_but_does_not_say_where_credentials_go(crm, server):
    call_command("console_groups")
    member = make_user("Mio", is_staff=True)
    member.groups.add(Group.objects.get(name="On-call"))
    client = sign_in(member)
    page = client.post(reverse("admin:ops_destination_test_one", args=[crm.pk]), {"body": "{}", "reason": "x"})
    assert page.status_code == 302
    assert len(server.received) == 1
    form = destination_form(crm.connection, name="crm", endpoint="https://thief.example/")
    assert client.post(reverse("admin:ops_destination_change", args=[crm.pk]), form).status_code == 403


def test_who_may_change_destinations_and_not_connections_cannot_lead_credentials_elsewhere(crm):
    editor = make_user("Ed", is_staff=True)
    names = ("view_destination", "change_destination", "add_destination")
    editor.user_permissions.add(*Permission.objects.filter(codename__in=names))
    form = destination_form(crm.connection, endpoint="https://thief.example/")
    assert sign_in(editor).post(reverse("admin:ops_destination_change", args=[crm.pk]), form).status_code == 403
    assert sign_in(editor).post(reverse("admin:ops_destination_add"), form).status_code == 403
