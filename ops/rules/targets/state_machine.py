"""Start a state machine, here or on AWS, once: the execution is named after the call's key, or as the rule says.

A rule that names executions after what they are about (`StateMachineParameters`, `$.detail.data.object.id`) starts one
for each of these things, however many events tell of it.
"""

import re

import orjson

from billing import clock
from ops.effects import aws
from ops.effects.outcome import Done, Outcome, Refused
from ops.rules.resources import Resource, resource_of
from ops.rules.targets.call import TargetCall
from ops.workflows.machines import NoVersion
from ops.workflows.models import StateMachine
from ops.workflows.start import Cause, InputTooLarge, start

NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")
THERE = "ExecutionAlreadyExists"


def call(target: TargetCall) -> Outcome:
    resource = resource_of(target.arn)
    name = name_of(target)
    if not NAME.fullmatch(name):
        return Refused(f"InvalidName: “{name[:100]}” is no name of an execution: 1 to 80 letters, digits, ., -, _.")
    return start_here(target, resource, name) if resource.is_local else start_on_aws(target, resource, name)


def name_of(target: TargetCall) -> str:
    given = target.parameters.get("StateMachineParameters")
    if given:
        return str(given.get("ExecutionName", ""))
    return f"{target.rule_name[:40]}-{target.short_key[:32]}"  # at most 80 characters


def start_here(target: TargetCall, resource: Resource, name: str) -> Outcome:
    machine = StateMachine.objects.filter(name=resource.name).first()
    if machine is None:
        return Refused(f"NoSuchStateMachine: there is no state machine named {resource.name}.")
    cause = Cause(event_id=target.event_id, customer_id=target.customer_id, depth=target.depth)
    try:
        start(machine, name, orjson.loads(target.input), now=target.now + clock.ahead(), cause=cause)
    except (InputTooLarge, NoVersion) as error:
        return Refused(f"{type(error).__name__}: {error}")
    except orjson.JSONDecodeError:
        return Refused("InvalidInput: the input of a state machine must be JSON.")
    return Done({"execution": name})


def start_on_aws(target: TargetCall, resource: Resource, name: str) -> Outcome:
    states = aws.client("stepfunctions", resource.region)
    try:
        answer = states.start_execution(stateMachineArn=target.arn, name=name, input=target.input)
    except aws.AwsTrouble as error:
        if getattr(error, "response", {}).get("Error", {}).get("Code") == THERE:
            return Done({"execution": name, "started": "before"})
        return aws.outcome_of(error)
    return Done({"execution": answer["executionArn"]})
