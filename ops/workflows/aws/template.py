"""State machines as resources of a CloudFormation template, with all that they need there. Pure.

The stack says where it stands: names of the portal's own resources become `${AWS::Region}` and so on, in `Fn::Sub`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ops.effects.destinations.cloudformation import connection_resource, logical_id
from ops.effects.destinations.models import Connection
from ops.workflows.aws.moving import Move, each_text, move_of
from ops.workflows.aws.permissions import policy_of, trust_of
from ops.workflows.aws.places import ALIAS, LOCAL_CONNECTION, OF_STACK, TAGS, log_group_name, role_name

Json = Any
RETENTION_DAYS = 30
ATTRIBUTE = re.compile(r"\$\{(\w+)\.Arn\}")
MACHINE = "AWS::StepFunctions::StateMachine"


def moves_into_stack(
    definitions: Mapping[str, Mapping[str, Json]], *, effects: set[str], connections: Iterable[Connection]
) -> list[Move]:
    """What becomes of machines, by name, that go into one stack; a connection that one calls with comes along."""
    arns = {each.name: f"${{{logical_id('Connection', each.name)}.Arn}}" for each in connections}
    return [
        move_of(
            name,
            each_text(dict(definition), escaped),
            OF_STACK,
            effects=effects,
            machines=set(definitions),
            connections=arns,
        )
        for name, definition in definitions.items()
    ]


def escaped(text: str) -> str:
    """A text in which CloudFormation fills in nothing."""
    return text.replace("${", "${!")


def connections_of(definitions: Iterable[Mapping[str, Json]]) -> set[str]:
    """The names of the portal's connections that definitions call with."""
    return {found["name"] for each in definitions for found in LOCAL_CONNECTION.finditer(json.dumps(each))}


def resources(moves: Sequence[Move], connections: Iterable[Connection], *, log_level: str = "ALL") -> dict[str, Json]:
    """The resources of these machines. Raises `permissions.Unknown`."""
    made: dict[str, Json] = {}
    for connection in connections:
        made[logical_id("Connection", connection.name)] = connection_resource(connection)
    for name in sorted({name for move in moves for name in move.activities}):
        made[logical_id("Activity", name)] = {
            "Type": "AWS::StepFunctions::Activity",
            "Properties": {"Name": name, "Tags": tags()},
        }
    for move in moves:
        made |= of_machine(move, log_level)
    return made


def of_machine(move: Move, log_level: str) -> dict[str, Json]:
    """A machine's log group, role, the machine, the version that this definition is, and the alias that starts it."""
    group, role, machine, version, alias = (
        logical_id(kind, move.name)
        for kind in ("MachineLog", "MachineRole", "Machine", "MachineVersion", "MachineAlias")
    )
    return {
        group: {
            "Type": "AWS::Logs::LogGroup",
            "UpdateReplacePolicy": "Retain",
            "DeletionPolicy": "Retain",
            "Properties": {"LogGroupName": log_group_name(move.name), "RetentionInDays": RETENTION_DAYS},
        },
        role: {"Type": "AWS::IAM::Role", "Properties": role_of(move)},
        machine: {
            "Type": MACHINE,
            "Properties": {
                "StateMachineName": move.name,
                "StateMachineType": "STANDARD",
                "DefinitionString": {"Fn::Sub": move.text},
                "RoleArn": {"Fn::GetAtt": [role, "Arn"]},
                "LoggingConfiguration": {
                    "Level": log_level,
                    "IncludeExecutionData": False,
                    "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": [group, "Arn"]}}}],
                },
                "Tags": tags(),
            },
        },
        version: {
            "Type": "AWS::StepFunctions::StateMachineVersion",
            "UpdateReplacePolicy": "Retain",  # executions may run it
            "DeletionPolicy": "Delete",
            "Properties": {
                "StateMachineArn": {"Ref": machine},
                "StateMachineRevisionId": {"Fn::GetAtt": [machine, "StateMachineRevisionId"]},
            },
        },
        alias: {
            "Type": "AWS::StepFunctions::StateMachineAlias",
            "Properties": {
                "Name": ALIAS,
                "DeploymentPreference": {"StateMachineVersionArn": {"Ref": version}, "Type": "ALL_AT_ONCE"},
            },
        },
    }


def role_of(move: Move) -> dict[str, Json]:
    return {
        "RoleName": role_name(move.name),
        "AssumeRolePolicyDocument": substituted(trust_of(OF_STACK)),
        "Policies": [
            {"PolicyName": "calls", "PolicyDocument": substituted(policy_of(move.name, move.definition, OF_STACK))}
        ],
        "Tags": tags(),
    }


def tags() -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in TAGS.items()]


def substituted(value: Json) -> Json:
    """A value in which every text that names what the stack knows is filled in by it."""
    if isinstance(value, dict):
        return {key: substituted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [substituted(inner) for inner in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    attribute = ATTRIBUTE.fullmatch(value)
    return {"Fn::GetAtt": [attribute[1], "Arn"]} if attribute else {"Fn::Sub": value}
