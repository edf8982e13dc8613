"""Workers killed while a server is built and deleted: one stack, none forgotten, and the page knows how it stands."""

import signal
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from django.utils import timezone
from djstripe import models as mirror

from accounts.models import CustomerLink
from billing.provisioning.models import Provision
from ops.effects import aws as aws_calls
from ops.effects.stacks import name_of
from ops.models import Finding
from ops.playbooks.apply import bring_machines
from ops.workflows import calls, engine
from ops.workflows.models import Execution, StateMachine
from ops.workflows.start import start
from tests import processes
from tests.billing.mirrored import put_in_mirror
from tests.billing.objects import item, price, product, subscription
from tests.crashes.hosting_worker import BEFORE, UNRECORDED

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]

SUB = "sub_1Killed"
PATIENCE = 30.0


@pytest.fixture
def hosted(acme, stacks) -> Any:
    """Acme's subscription to a plan with a server, as the mirror knows it; what is left at AWS goes afterwards."""
    CustomerLink.objects.create(
        organization=acme, livemode=False, idempotency_key="k", keyed_at=timezone.now(), customer_id="cus_1"
    )
    put_in_mirror({"id": "cus_1", "object": "customer", "created": 1, "livemode": False})
    put_in_mirror(product(), price(), subscribed())
    bring_machines(["hosting"], reason="a test", actor=None, now=timezone.now())
    yield acme
    for name in there():
        boto3.client("cloudformation").delete_stack(StackName=name)
    aws_calls.made.cache_clear()


def subscribed(**fields: Any) -> dict[str, Any]:
    return subscription(SUB, items=[item(price={"metadata": {"kessai_provision": "stack"}})], **fields)


def stacks_ever() -> int:
    """How many stacks were made for this subscription, those that are gone included."""
    found = boto3.client("cloudformation").list_stacks()["StackSummaries"]
    return sum(stack["StackName"] == name_of(SUB) for stack in found)


def stack_there() -> str:
    return str(boto3.client("cloudformation").describe_stacks(StackName=name_of(SUB))["Stacks"][0]["StackId"])


def there() -> list[str]:
    """This subscription's stacks; other tests' may stand beside them."""
    names = [stack["StackName"] for stack in boto3.client("cloudformation").describe_stacks()["Stacks"]]
    return [name for name in names if name == name_of(SUB)]


def begin(machine: str, **given: Any) -> Execution:
    found = StateMachine.objects.get(name=machine)
    return start(found, SUB, {"subscription": SUB, **given}, now=timezone.now())


def kill(comma: str, effect: str) -> None:
    assert processes.start("tests.crashes.hosting_worker", comma, effect).wait(90) == -signal.SIGKILL


def go_on(until: Callable[[], bool]) -> None:
    """Let another worker go on: what the dead had leased is free again, and events that were missed are made up for."""
    now = timezone.now() + calls.LEASE
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline, list(Execution.objects.values("status", "standing", "cause"))
        engine.advance_due(lambda at=now: at, budget_seconds=10)
        now += timedelta(minutes=11)
        time.sleep(0.02)


def state() -> str:
    return Provision.objects.values_list("state", flat=True).first() or ""


@pytest.mark.parametrize(
    ("comma", "effect"),
    [(BEFORE, "create-stack"), (UNRECORDED, "create-stack"), (UNRECORDED, "await-event"), (UNRECORDED, "delete-stack")],
)
def test_killed_around_a_call_there_was_one_stack_and_none_is_forgotten(hosted, comma, effect):
    before = stacks_ever()
    execution = begin("hosting-build", customer="cus_1", invoice="in_1", attempts=3)
    if effect != "delete-stack":
        kill(comma, effect)
    go_on(lambda: state() == "ready")
    execution.refresh_from_db()
    assert (execution.status, len(there()), stacks_ever()) == ("SUCCEEDED", 1, before + 1)
    assert Provision.objects.get().stack_id == stack_there()
    mirror.Subscription.objects.filter(id=SUB).update(stripe_data=subscribed(status="canceled"))
    ending = begin("hosting-end", keepDays=0, ended=True)
    if effect == "delete-stack":
        kill(comma, effect)
    go_on(lambda: state() == "deleted")
    ending.refresh_from_db()
    assert (ending.status, there(), stacks_ever()) == ("SUCCEEDED", [], before + 1)
    assert not Finding.objects.exists()
