"""Workers of Step Functions' activities killed at every comma: each refund is made once, every task is answered."""

import json
import signal
from secrets import token_hex

import boto3
import pytest
from django.utils import timezone

from ops.effects import aws as aws_calls
from ops.workflows.aws import origins, tasks
from ops.workflows.aws.activities import Worker
from ops.workflows.aws.models import ActivityTask, TaskState
from ops.workflows.calls import LEASE
from tests import processes
from tests.crashes.activities import COMMAS
from tests.crashes.refunding import paid_invoices
from tests.ops.workflows.aws.here import HERE
from tests.ops.workflows.aws.running import ended, put
from tests.ops.workflows.moving import definition

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]
REFUND = {
    "Type": "Task",
    "Resource": "arn:aws:states:local:000000000000:activity:refund-invoice",
    "Parameters": {"invoice.$": "$.invoice", "amount": 300},
    "End": True,
}


@pytest.fixture(autouse=True)
def own_aws(states_aws):
    aws_calls.made.cache_clear()
    origins.cause_of.cache_clear()
    yield
    aws_calls.made.cache_clear()


@pytest.fixture
def begin(stripe):
    """`begin(machine, n)`: start so many executions, each about a paid invoice; return their ARNs."""

    def start(machine, count):
        states = boto3.client("stepfunctions")
        given = [json.dumps({"invoice": invoice}) for invoice in paid_invoices(stripe, count)]
        return [
            states.start_execution(stateMachineArn=machine, name=token_hex(6), input=each)["executionArn"]
            for each in given
        ]

    return start


def worker(comma: str) -> processes.PortalProcess:
    return processes.start("tests.crashes.activities", comma, "refund-invoice", piped=True)


def killed(commas, begin) -> tuple[list[str], list[int]]:
    """Let workers take what is begun once all of them poll; the executions, and how the workers ended."""
    workers = [worker(comma) for comma in commas]
    for each in workers:
        assert each.stdout
        assert each.stdout.readline().startswith("Serving")
    arns = begin()
    return arns, [each.wait(120) for each in workers]


def finish(arns, clock) -> list[tuple[str, str]]:
    """A worker that lives goes on with what is left; how the executions ended, and why."""
    living = Worker(HERE, ["refund-invoice"], clock, make=tasks.make)
    threads = living.start()
    try:
        said = [ended(arn, seconds=60) for arn in arns]
        return [(each["status"], each.get("error", "") + each.get("cause", "")) for each in said]
    finally:
        assert living.finish(threads, seconds=60)


def refunds_of(stripe) -> list[int]:
    refunds = list(stripe.v1.refunds.list({"limit": 100}).auto_paging_iter())
    assert len({refund.payment_intent for refund in refunds}) == len(refunds)
    return [refund.amount for refund in refunds]


def test_killed_at_every_comma_each_refund_is_made_once_and_every_task_is_answered(begin, stripe):
    """One worker dies at each comma, with a task each; whoever looks once their leases are over goes on."""
    machine = put(definition(Pay=REFUND))
    arns, ends = killed(COMMAS, lambda: begin(machine, len(COMMAS)))
    assert ends == [-signal.SIGKILL] * len(COMMAS)
    assert finish(arns, lambda: timezone.now() + LEASE) == [("SUCCEEDED", "")] * len(arns)
    assert refunds_of(stripe) == [300] * len(arns)
    states = sorted(ActivityTask.objects.values_list("state", flat=True))
    # One was told by the dead: the living is told that nobody waits, and the answer is kept.
    assert states == [TaskState.LATE] + [TaskState.TOLD] * (len(arns) - 1)
    assert [task.answer["result"]["amount"] for task in ActivityTask.objects.all()] == [300] * len(arns)


def test_killed_after_the_call_a_state_that_times_out_is_tried_again_under_the_same_key(begin, stripe):
    retry = [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 30}]
    machine = put(definition(Pay=REFUND | {"TimeoutSeconds": 4, "Retry": retry}))
    arns, ends = killed(["after the call, before its record"], lambda: begin(machine, 1))
    assert ends == [-signal.SIGKILL]
    assert finish(arns, timezone.now) == [("SUCCEEDED", "")]  # no lease has ended: the task was handed out again
    assert refunds_of(stripe) == [300]
    task = ActivityTask.objects.get()
    assert task.handed_out > 1
