"""The console's servers: found by whose and how they stand; started, stopped and deleted by a person, with a reason."""

import time
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import CustomerLink
from billing.provisioning.models import Provision
from ops.models import Execution, StaffAct
from ops.workflows import engine
from tests.billing.mirrored import put_in_mirror
from tests.billing.objects import price, product, subscription
from tests.cast import sign_in
from tests.ops.effects.test_hosting import begun, call, forget_clients, stack, until  # noqa: F401 - fixtures

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LIST = "/admin/billing/provision/"

pytestmark = pytest.mark.django_db(transaction=True)


def server(acme, state: str, number: int = 1, **fields) -> Provision:
    return Provision.objects.create(
        organization=acme, subscription_id=f"sub_{number}", state=state, since=NOW, begun_by="k", **fields
    )


def test_servers_are_found_by_how_they_stand_and_whose_they_are(acme, olga) -> None:
    server(acme, "ready", 1, stop_at=NOW + timedelta(days=3), address="192.0.2.7")
    server(acme, "deleted", 2)
    client = sign_in(olga)
    page = client.get(LIST, {"state__exact": "ready"}).content.decode()
    assert "sub_1" in page and "sub_2" not in page and "192.0.2.7" in page and "stops" in page
    assert "sub_2" in client.get(LIST, {"q": "acme"}).content.decode()
    assert "sub_2" not in client.get(LIST, {"q": "sub_1"}).content.decode()


def test_many_servers_need_no_more_queries_than_two(acme, olga, django_assert_max_num_queries) -> None:
    for number in range(30):
        server(acme, "ready", number)
    client = sign_in(olga)
    client.get(LIST)
    with django_assert_max_num_queries(25):
        assert "sub_29" in client.get(LIST).content.decode()


@pytest.mark.parametrize(
    ("state", "there", "gone"),
    [
        ("building", [], ["start", "stop", "delete-now"]),
        ("ready", ["stop"], ["start", "delete-now"]),
        ("stopped", ["start"], ["stop", "delete-now"]),
        ("ending", ["delete-now"], ["start", "stop"]),
        ("deleted", [], ["start", "stop", "delete-now"]),
    ],
)
def test_acts_are_there_where_the_state_allows_them(acme, olga, state, there, gone) -> None:
    row = server(acme, state, instance_id="i-0123456789abcdef0")
    client = sign_in(olga)
    for act in there:
        assert client.get(f"{LIST}{row.pk}/{act}/").status_code == 200
    for act in gone:
        assert client.get(f"{LIST}{row.pk}/{act}/").status_code == 403


def test_an_operator_stops_and_starts_a_server_with_a_reason(stack, olga) -> None:  # noqa: F811
    instance = until("complete")["outputs"]["InstanceId"]
    call("set-provision", state="ready", instance=instance)
    row, client = Provision.objects.get(), sign_in(olga)
    for act, state, at_aws in (("stop", "stopped", "stopped"), ("start", "ready", "running")):
        address = f"{LIST}{row.pk}/{act}/"
        assert client.post(address, {"reason": ""}).status_code == 200  # it asks again
        client.post(address, {"reason": "The customer asked by telephone."})
        row.refresh_from_db()
        found = boto3.client("ec2").describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        assert "in another state by now" in client.post(address, {"reason": "Twice."}).content.decode()
        assert (row.state, found["State"]["Name"], row.held) == (state, at_aws, act == "stop")
    acts = list(StaffAct.objects.order_by("pk").values_list("act", "subject_id", "after"))
    assert acts == [
        ("server:stop", row.subscription_id, {"state": "stopped"}),
        ("server:start", row.subscription_id, {"state": "ready"}),
    ]
    assert "The customer asked by telephone." in client.get(f"{LIST}{row.pk}/change/").content.decode()


def test_what_aws_refuses_is_said_and_changes_nothing(acme, stacks, olga) -> None:
    row = server(acme, "stopped", instance_id="i-0123456789abcdef0")
    page = sign_in(olga).post(f"{LIST}{row.pk}/start/", {"reason": "Try"}).content.decode()
    assert "AWS did not do it: NoSuchInstance" in page
    row.refresh_from_db()
    assert (row.state, StaffAct.objects.count()) == ("stopped", 0)


def test_what_is_kept_for_now_is_deleted_at_once_by_the_workflow(stack, olga, capsys) -> None:  # noqa: F811
    until("complete")
    call("set-provision", state="ready")
    call("set-provision", state="ending", keep_for_days=7)
    row, client = Provision.objects.get(), sign_in(olga)
    address = f"{LIST}{row.pk}/delete-now/"
    # Its subscription is not known to the mirror here: nothing says that it is gone, so nothing is deleted.
    assert "has a server again" in client.post(address, {"reason": "Why not"}).content.decode()
    mirror_ended(row)
    assert "apply the playbook hosting first" in client.post(address, {"reason": "Asked"}).content.decode()
    call_command("playbooks", "apply", "hosting", "--json")
    client.post(address, {"reason": "The customer wants it gone today."})
    row.refresh_from_db()
    assert row.delete_at <= timezone.now()
    deadline = time.monotonic() + 60
    while Provision.objects.get().state != "deleted":
        assert time.monotonic() < deadline, list(Execution.objects.values("status", "standing", "cause"))
        Execution.objects.filter(standing="Wait until it is gone").update(due_at=timezone.now())
        engine.advance_due(lambda: timezone.now() + timedelta(minutes=11), budget_seconds=5)
    assert until("gone")["phase"] == "gone"
    assert StaffAct.objects.get().act == "server:delete"


def mirror_ended(row: Provision) -> None:
    CustomerLink.objects.create(
        organization=row.organization, livemode=False, idempotency_key="k", keyed_at=NOW, customer_id="cus_1"
    )
    put_in_mirror({"id": "cus_1", "object": "customer", "created": 1, "livemode": False})
    put_in_mirror(product(), price(), subscription(row.subscription_id, status="canceled"))
