"""Machines that run on an AWS that moto plays, served by workers of ours."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

import boto3
from django.utils import timezone

from ops.workflows.aws.activities import Worker
from ops.workflows.aws.moving import move_of
from tests.ops.workflows.aws.here import HERE


def put(definition: dict[str, Any], *, effects: set[str] | None = None) -> str:
    """Make a machine of a moved definition on AWS, with its activities; return its ARN."""
    states = boto3.client("stepfunctions")
    known = effects if effects is not None else {"open-finding", "refund-invoice", "publish-activity"}
    move = move_of("m", definition, HERE, effects=known, machines=set(), connections={})
    assert move.cannot == []
    for name in move.activities:
        if HERE.activity(name) not in {each["activityArn"] for each in states.list_activities()["activities"]}:
            states.create_activity(name=name)
    made = states.create_state_machine(
        name=f"m-{token_hex(6)}", definition=move.text, roleArn="arn:aws:iam::123456789012:role/m"
    )
    return str(made["stateMachineArn"])


def run(machine: str, given: Any, *, seconds: float = 30) -> dict[str, Any]:
    """Start an execution and wait for its end."""
    states = boto3.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=machine, name=token_hex(6), input=json.dumps(given))["executionArn"]
    return ended(arn, seconds=seconds)


def ended(arn: str, *, seconds: float = 30) -> dict[str, Any]:
    states = boto3.client("stepfunctions")
    deadline = time.monotonic() + seconds
    while (said := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < deadline, f"{arn} does not end"
        time.sleep(0.02)
    return said


@contextmanager
def served(*effects: str, make: Callable[..., Any], pollers: int = 1) -> Iterator[Worker]:
    """A worker of these effects, whose calls `make` answers."""
    worker = Worker(HERE, effects, timezone.now, make=make, pollers=pollers)
    threads = worker.start()
    try:
        yield worker
    finally:
        assert worker.finish(threads, seconds=60)
