"""How the parts of a stack are called, for who writes it and who reads it. Pure."""

from typing import Any

from ops.effects.destinations.cloudformation import logical_id
from ops.workflows.aws.places import ALIAS, OF_STACK

BUS = "Bus"
BUS_NAME = {"Fn::GetAtt": [BUS, "Name"]}  # as a Ref says, too, but moto takes no Ref here
PORTAL_QUEUE = "PortalQueue"
METADATA = "Kessai"


def rule_id(name: str) -> str:
    return logical_id("Rule", name)


def role_id(name: str) -> str:
    return logical_id("Role", name)


def dead_letters_id(name: str) -> str:
    return logical_id("DeadLetters", name)


def dead_letters_policy_id(name: str) -> str:
    return logical_id("DeadLetterPolicy", name)


def destination_id(name: str) -> str:
    return logical_id("ApiDestination", name)


def arn_of(resource: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [resource, "Arn"]}


def rule_arn(name: str) -> dict[str, Any]:
    """The rule's ARN put together: asking the rule itself would close a circle of role, rule and policy."""
    where = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule"
    return {"Fn::Sub": f"{where}/${{{BUS}.Name}}/{name}"}


def machine_arn(name: str, *, alias: bool) -> dict[str, Any]:
    """The ARN of a state machine of the stack: of the alias that rules start, or what permissions are given on."""
    return {"Fn::Sub": OF_STACK.machine(name) + (f":{ALIAS}" if alias else "")}


def machine_named(arn: Any) -> str:
    """The name of the machine of the stack that a target's ARN names; empty where it names another thing."""
    text = str(arn.get("Fn::Sub", "")) if isinstance(arn, dict) else ""
    prefix, suffix = OF_STACK.machine(""), f":{ALIAS}"
    return text[len(prefix) : -len(suffix)] if text.startswith(prefix) and text.endswith(suffix) else ""
