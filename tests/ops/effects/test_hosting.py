"""Effects on stacks, instances and what a subscription has: done once, to nobody else's, and refused in words."""

import json
import time
from datetime import UTC, datetime, timedelta

import boto3
import pytest

import ops.workflows.resources  # noqa: F401 - registers the effects
from accounts.models import CustomerLink
from billing.activity.models import Activity
from billing.provisioning.models import Provision
from billing.provisioning.states import NEXT, State, may_become
from ops.effects import aws as aws_calls
from ops.effects.outcome import Done, Retry
from ops.effects.registry import ARN, Call, by_arn

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SUB = "sub_1Hosting"


def call(name: str, key: str = "hosting:1", *, now: datetime = NOW, **given):
    effect = by_arn(ARN + name)
    assert effect
    return effect.call(json.dumps({"subscription": SUB, **given}), Call(key=key, now=now, cause="test"))


@pytest.fixture(autouse=True)
def forget_clients():
    yield
    aws_calls.made.cache_clear()


@pytest.fixture
def begun(acme) -> Provision:
    return Provision.objects.create(organization=acme, subscription_id=SUB, state="building", since=NOW, begun_by="k")


@pytest.fixture
def stack(stacks, begun):
    """A stack that is complete, and its outputs."""
    yield call("create-stack", template="hosting").result["stack"]
    call("delete-stack", "clean")
    until("gone")


def until(phase: str, **given) -> dict:
    deadline = time.monotonic() + 60
    while (told := call("describe-stack", **given).result)["phase"] != phase:
        assert time.monotonic() < deadline, told
        time.sleep(0.02)
    return told


def test_a_stack_is_built_once_however_often_it_is_called(stack):
    assert call("create-stack", template="hosting") == Done({"stack": stack})
    told = until("complete")
    assert (told["stack"], told["status"]) == (stack, "CREATE_COMPLETE")
    assert set(told["outputs"]) == {"InstanceId", "Address"}
    tags = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Tags"]
    assert {tag["Key"] for tag in tags} == {"kessai:key", "kessai:subscription", "kessai:organization"}


def test_a_second_call_waits_for_the_first_stack_to_be_gone(stack):
    assert isinstance(call("create-stack", "hosting:2", template="hosting"), Retry)
    call("delete-stack", stack=stack)
    until("gone", stack=stack)
    again = call("create-stack", "hosting:2", template="hosting")
    assert again.result["stack"] != stack


def test_a_stack_that_is_gone_is_deleted_without_complaint(stacks, begun):
    assert call("delete-stack").result["phase"] == "gone"


def test_a_build_that_fails_takes_itself_down(fail_builds, begun):
    fail_builds(1)
    stack = call("create-stack", template="hosting").result["stack"]
    assert until("gone", stack=stack)["status"] == "DELETE_COMPLETE"


def test_nothing_is_built_for_who_has_begun_nothing_or_wants_nothing_any_more(stacks, begun):
    assert call("create-stack", template="hosting", subscription="sub_nobody").error.startswith("NoProvision: ")
    call("set-provision", state="ending")
    assert call("create-stack", template="hosting").error.startswith("NotWanted: ")


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("create-stack", {"template": "../secrets"}),
        ("create-stack", {"template": "hosting", "subscription": "in_1"}),
        ("delete-stack", {"stack": "arn:aws:s3:::bucket"}),
        ("stop-instance", {"instance": "i-1; rm"}),
        ("set-provision", {"state": "lost"}),
        ("set-provision", {"state": "failed", "refunded": -1}),
    ],
)
def test_wrong_input_fails_before_anything_is_called(name, given, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert call(name, **given).error.startswith("InvalidInput: ")


def test_a_playbook_without_a_template_is_named(aws, begun):
    error = call("create-stack", template="large-invoice").error
    assert error == "NoTemplate: the playbook large-invoice has no stack.json."


def test_an_aws_that_is_away_is_tried_again(begun, monkeypatch):
    for name, value in {"ENDPOINT_URL": "http://127.0.0.1:9", "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    assert isinstance(call("create-stack", template="hosting"), Retry)
    assert isinstance(call("stop-instance", instance="i-0123456789abcdef0"), Retry)


def test_an_instance_is_stopped_and_started(stack):
    instance = until("complete")["outputs"]["InstanceId"]
    for name, state in (("stop", "stopped"), ("stop", "stopped"), ("start", "running"), ("start", "running")):
        assert isinstance(call(f"{name}-instance", instance=instance), Done)
        found = boto3.client("ec2").describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        assert found["State"]["Name"] == state


def test_anothers_stack_and_instance_are_not_touched(stack, acme):
    instance = until("complete")["outputs"]["InstanceId"]
    for name, given in (
        ("stop-instance", {"instance": instance}),
        ("delete-stack", {"stack": stack}),
        ("describe-stack", {"stack": stack}),
    ):
        assert call(name, **given, subscription="sub_another").error.startswith("NotOfSubscription: ")
    until("complete")


def test_an_instance_that_is_not_there_is_said(stacks, db):
    assert call("start-instance", instance="i-0123456789abcdef0").error.startswith("NoSuchInstance: ")


def test_a_provision_is_begun_by_one_call_alone(acme, stripe, mirror_events):
    subscription = subscribe(stripe, acme)
    mirror_events()
    first = call("begin-provision", "a", subscription=subscription)
    assert call("begin-provision", "a", subscription=subscription) == first  # its answer was lost
    assert (first.result["begun"], first.result["wanted"]) == (True, "running")
    assert call("begin-provision", "b", subscription=subscription).result["begun"] is False
    assert Provision.objects.get().organization == acme
    assert call("begin-provision", subscription="sub_nobody").error.startswith("UnknownSubscription: ")


def subscribe(stripe, organization) -> str:
    product = stripe.v1.products.create({"name": "Server"})
    price = stripe.v1.prices.create(
        {
            "product": product.id,
            "currency": "jpy",
            "unit_amount": 3000,
            "recurring": {"interval": "month"},
            "metadata": {"kessai_provision": "stack"},
        }
    )
    customer = stripe.v1.customers.create({"email": "alice@example.com"})
    CustomerLink.objects.create(
        organization=organization, livemode=False, idempotency_key="key", keyed_at=NOW, customer_id=customer.id
    )
    method = stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    given = {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": method.id}
    return stripe.v1.subscriptions.create(given).id


def test_each_change_is_news_once(begun, acme):
    for state in ("ready", "ready", "stopped", "ready", "ending", "ready"):
        call("set-provision", state=state, keep_for_days=7)
    verbs = Activity.objects.filter(organization=acme).order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == [f"provision:{verb}" for verb in ("ready", "stopped", "started", "ending")]
    begun.refresh_from_db()
    assert (begun.state, begun.delete_at) == ("ending", NOW + timedelta(days=7))


def test_what_was_never_ready_is_not_kept(begun):
    told = call("set-provision", state="ending", keep_for_days=7).result
    assert (told["state"], told["delete_at"]) == ("ending", NOW.isoformat())


def test_what_is_left_out_stays(begun):
    call("set-provision", state="ready", address="192.0.2.1", instance="i-1")
    told = call("set-provision", state="stopped", reason="x" * 9000).result
    assert (told["address"], told["instance"]) == ("192.0.2.1", "i-1")


def test_nothing_comes_back_from_an_end():
    ends = [state for state in State if not NEXT[state]]
    assert set(ends) == {State.FAILED, State.DELETED}
    assert all(may_become(state, state) for state in State)
    assert not may_become(State.ENDING, State.READY)
