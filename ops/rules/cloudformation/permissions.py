"""What EventBridge may do for the rules of a stack, and no more: a role a rule, a policy a queue or topic. Pure.

AWS docs, "Using resource-based policies for EventBridge" (queues and topics), "Using IAM roles" (all else), and
"Cross-service confused deputy prevention" (the conditions).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from ops.rules.cloudformation.names import arn_of, destination_id, machine_arn, rule_arn
from ops.rules.documents import Document
from ops.rules.resources import Resource, resource_of

VERSION = "2012-10-17"
SERVICE = {"Service": "events.amazonaws.com"}
BY_ROLE = {
    "state-machine": "states:StartExecution",
    "destination": "events:InvokeApiDestination",
    "bus": "events:PutEvents",
}


def needs_role(target: Document) -> bool:
    return resource_of(target["Arn"]).kind in BY_ROLE


def called_arn(target: Document) -> Any:
    """What a target's ARN is in the stack: a destination or state machine of the portal's is a resource of it."""
    resource = resource_of(target["Arn"])
    if resource.kind == "state-machine" and resource.is_local:
        return machine_arn(resource.name, alias=True)
    if resource.kind == "destination" and resource.is_local:
        return arn_of(destination_id(resource.name))
    return target["Arn"]


def role(rule: str, targets: Sequence[Document]) -> dict[str, Any]:
    """The role of one rule: it starts, invokes and puts just what the rule's targets name."""
    by_action: dict[str, list[Any]] = {}
    for target in targets:
        allowed = by_action.setdefault(BY_ROLE[resource_of(target["Arn"]).kind], [])
        if (arn := allowed_arn(target)) not in allowed:
            allowed.append(arn)
    statements = [{"Effect": "Allow", "Action": action, "Resource": arns} for action, arns in by_action.items()]
    only_this_rule = {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnEquals": {"aws:SourceArn": rule_arn(rule)},
    }
    trust = {"Effect": "Allow", "Principal": SERVICE, "Action": "sts:AssumeRole", "Condition": only_this_rule}
    policy = {"PolicyName": "targets", "PolicyDocument": {"Version": VERSION, "Statement": statements}}
    properties = {"AssumeRolePolicyDocument": {"Version": VERSION, "Statement": [trust]}, "Policies": [policy]}
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def allowed_arn(target: Document) -> Any:
    """What a role names for a target: a state machine without its version or alias (Step Functions docs,
    "Authorization for versions and aliases")."""
    resource = resource_of(target["Arn"])
    if resource.kind != "state-machine":
        return called_arn(target)
    return machine_arn(resource.name, alias=False) if resource.is_local else ":".join(target["Arn"].split(":")[:7])


def own_queue_policy(queue: str, rules: Iterable[str]) -> dict[str, Any]:
    """The policy of a queue of the stack's own."""
    document = may_send("sqs:SendMessage", arn_of(queue), rules)
    return {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": queue}], "PolicyDocument": document}}


def queue_policy(arn: str, resource: Resource, rules: Iterable[str]) -> dict[str, Any]:
    """The policy of a queue that was there before."""
    url = f"https://sqs.{resource.region}.${{AWS::URLSuffix}}/{resource.account}/{resource.name}"
    document = may_send("sqs:SendMessage", arn, rules)
    return {
        "Type": "AWS::SQS::QueuePolicy",
        "Condition": condition_id(resource),
        "Properties": {"Queues": [{"Fn::Sub": url}], "PolicyDocument": document},
    }


def topic_policy(arn: str, resource: Resource, rules: Iterable[str]) -> dict[str, Any]:
    document = may_send("sns:Publish", arn, rules)
    return {
        "Type": "AWS::SNS::TopicPolicy",
        "Condition": condition_id(resource),
        "Properties": {"Topics": [arn], "PolicyDocument": document},
    }


def may_send(action: str, to: Any, rules: Iterable[str]) -> dict[str, Any]:
    sources = [rule_arn(name) for name in sorted(rules)]
    statement = {
        "Effect": "Allow",
        "Principal": SERVICE,
        "Action": action,
        "Resource": to,
        "Condition": {"ArnEquals": {"aws:SourceArn": sources}},
    }
    return {"Version": VERSION, "Statement": [statement]}


def condition_id(resource: Resource) -> str:
    return f"SetPoliciesIn{resource.account}"


def condition(account: str) -> dict[str, Any]:
    """A policy is set where that is wished, and only by a stack in the account of what it is for."""
    wished = {"Fn::Equals": [{"Ref": "SetPolicies"}, "true"]}
    return {"Fn::And": [wished, {"Fn::Equals": [{"Ref": "AWS::AccountId"}, account]}]}
