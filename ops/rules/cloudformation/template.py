"""Rules as a CloudFormation template: a bus, its rules with their targets, and all that they need there. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ops.effects.destinations import cloudformation as destination_resources
from ops.effects.destinations.cloudformation import logical_id
from ops.effects.destinations.models import Connection, Destination
from ops.rules.cloudformation import permissions
from ops.rules.cloudformation.moving import Move, destinations_said, misses_partner, move_of
from ops.rules.cloudformation.names import (
    BUS,
    BUS_NAME,
    METADATA,
    PORTAL_QUEUE,
    arn_of,
    dead_letters_id,
    dead_letters_policy_id,
    role_id,
    rule_id,
)
from ops.rules.documents import Document
from ops.rules.resources import Resource, resource_of
from ops.workflows.aws.moving import Move as MachineMove
from ops.workflows.aws.template import resources as machine_resources

Resources = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Workflows:
    """The state machines that go into a stack, and the connections that they call with."""

    moves: Sequence[MachineMove] = ()
    connections: Sequence[Connection] = ()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(move.name for move in self.moves)

    def resources(self) -> Resources:
        return machine_resources(self.moves, self.connections)


TWO_WEEKS = 1_209_600  # seconds; the longest for which SQS keeps a message
# AWS docs, "CloudFormation quotas".
MOST_RESOURCES = 500
LONGEST_GIVEN, LONGEST_ON_S3 = 51_200, 1_000_000  # bytes
PARTNER_FORM = r"^(aws\.partner(/[.\-_A-Za-z0-9]+){2,})?$"


@dataclass(frozen=True)
class Template:
    """`body` is the template. `cannot_move` says what stays or differs, `to_do` what a person must do, in sentences.

    `secrets` names what must be in Secrets Manager before the stack is made, each with the keys of its JSON.
    """

    body: dict[str, Any]
    cannot_move: list[str] = field(default_factory=list)
    to_do: list[str] = field(default_factory=list)
    secrets: dict[str, list[str]] = field(default_factory=dict)


def template_of(
    documents: Sequence[Document], destinations: Iterable[Destination], workflows: Workflows | None = None
) -> Template:
    """Return the stack of these rules, whose documents have no flaws, and of the state machines that go along.

    `destinations` are all that there are.
    """
    workflows = workflows or Workflows()
    known = {destination.name: destination for destination in destinations}
    moves = [move_of(document, known, workflows.names) for document in documents]
    used = {name: known[name] for name in sorted(destinations_of(moves))}
    outside = outside_of(moves)
    body: dict[str, Any] = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Rules and workflows of the billing portal, exported by manage.py.",
        "Parameters": parameters(with_policies=bool(outside)),
        "Conditions": conditions(outside),
        "Resources": {
            BUS: bus(),
            **portal_queue([move.name for move in moves if move.calls_effects]),
            **{key: value for move in moves for key, value in rule_resources(move).items()},
            **policies(outside),
            **destination_resources.resources(used.values()),
            **workflows.resources(),
        },
        "Outputs": outputs(with_queue=any(move.calls_effects for move in moves)),
    }
    connections = {each.name: each for each in (*unique_connections(used.values()), *workflows.connections)}
    secrets = destination_resources.secrets_of(connections.values())
    said = [sentence for move in moves for sentence in move.said] + destinations_said(used)
    return Template(
        body,
        said + [sentence for move in workflows.moves for sentence in move.said] + too_large(body),
        to_do(moves, outside, secrets),
        secrets,
    )


def destinations_of(moves: Iterable[Move]) -> set[str]:
    called = (resource_of(target["Arn"]) for move in moves for target in move.targets)
    return {resource.name for resource in called if resource.kind == "destination" and resource.is_local}


def unique_connections(destinations: Iterable[Destination]) -> list[Any]:
    return list({each.connection.name: each.connection for each in destinations}.values())


def outside_of(moves: Iterable[Move]) -> dict[str, set[str]]:
    """Return the queues and topics that exist without the stack, each with the names of the rules that send there."""
    found: dict[str, set[str]] = {}
    for move in moves:
        for target in move.targets:
            if resource_of(target["Arn"]).kind in ("queue", "topic"):
                found.setdefault(target["Arn"], set()).add(move.name)
            if dead := own_dead_letters(target):
                found.setdefault(dead, set()).add(move.name)
    return dict(sorted(found.items()))


def own_dead_letters(target: Document) -> str:
    """The queue that a target names for its dead letters, where EventBridge can use it."""
    arn = str(target.get("DeadLetterConfig", {}).get("Arn", ""))
    return "" if arn.endswith(".fifo") else arn


def parameters(*, with_policies: bool) -> dict[str, Any]:
    given: dict[str, Any] = {
        "BusName": {
            "Type": "String",
            "Default": "kessai",
            "AllowedPattern": "^[.\\-_A-Za-z0-9]{1,256}$",
            "Description": "The bus's name, unless PartnerSource says it. Feed it, for example, by the quick start "
            "for Stripe's webhooks.",
        },
        "PartnerSource": {
            "Type": "String",
            "Default": "",
            "AllowedPattern": PARTNER_FORM,
            "Description": "The name of Stripe's partner event source, aws.partner/stripe.com/…; the bus then has "
            "this name. Empty: a bus of one's own.",
        },
    }
    if with_policies:
        given["SetPolicies"] = {
            "Type": "String",
            "Default": "true",
            "AllowedValues": ["true", "false"],
            "Description": "Whether the stack sets the policies of queues and topics outside of it. They REPLACE those "
            "that are there; false: you let the rules in yourself.",
        }
    return given


def conditions(outside: Iterable[str]) -> dict[str, Any]:
    accounts = sorted({resource_of(arn).account for arn in outside})
    return {
        "IsPartner": {"Fn::Not": [{"Fn::Equals": [{"Ref": "PartnerSource"}, ""]}]},
        **{f"SetPoliciesIn{account}": permissions.condition(account) for account in accounts},
    }


def bus() -> dict[str, Any]:
    def if_partner(otherwise: str) -> dict[str, Any]:
        return {"Fn::If": ["IsPartner", {"Ref": "PartnerSource"}, {"Ref": otherwise}]}

    properties = {"Name": if_partner("BusName"), "EventSourceName": if_partner("AWS::NoValue")}
    return {"Type": "AWS::Events::EventBus", "Properties": properties}


def portal_queue(rules: Sequence[str]) -> Resources:
    """The queue by which events reach the effects that stay in the portal."""
    if not rules:
        return {}
    return {
        PORTAL_QUEUE: queue(),
        f"{PORTAL_QUEUE}Policy": permissions.own_queue_policy(PORTAL_QUEUE, rules),
    }


def queue() -> dict[str, Any]:
    properties = {"MessageRetentionPeriod": TWO_WEEKS, "SqsManagedSseEnabled": True}
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


def rule_resources(move: Move) -> Resources:
    made = {rule_id(move.name): rule_resource(move)}
    dead = dead_letters_id(move.name)
    if move.calls_effects or any(not own_dead_letters(target) for target in move.targets):
        made[dead] = queue()
        made[dead_letters_policy_id(move.name)] = permissions.own_queue_policy(dead, [move.name])
    by_role = [target for target in move.targets if permissions.needs_role(target)]
    if by_role:
        made[role_id(move.name)] = permissions.role(move.name, by_role)
    return made


def rule_resource(move: Move) -> dict[str, Any]:
    targets = [target_resource(move.name, target) for target in move.targets]
    if move.calls_effects:
        targets.append(portal_target(move))
    properties = {
        "Name": move.name,
        "Description": move.document.get("Description"),
        "EventBusName": BUS_NAME,
        "EventPattern": written_pattern(move.pattern),
        "State": move.state,
        "Targets": targets or None,
    }
    made: dict[str, Any] = {"Type": "AWS::Events::Rule"}
    if kept := metadata(move):
        made["Metadata"] = {METADATA: kept}
    return made | {"Properties": {key: value for key, value in properties.items() if value}}


def metadata(move: Move) -> dict[str, Any]:
    """What AWS cannot know of the rule, for the way back."""
    document = move.document
    kept = {key: document[key] for key in ("Account", "Mode") if document.get(key) not in (None, "any")}
    if document.get("State") == "TRIAL":
        kept["State"] = "TRIAL"
    if move.mode_in_pattern:
        kept["ModeInPattern"] = True
    if move.staying:
        kept["Targets"] = [{"Position": position, "Target": target} for position, target in move.staying]
    return kept


def written_pattern(pattern: Any) -> Any:
    """The pattern as an object; as a text where CloudFormation would take a key of it for a function of its own."""
    return json.dumps(pattern, ensure_ascii=False) if has_function(pattern) else pattern


def has_function(value: Any) -> bool:
    if isinstance(value, dict):
        return any(key == "Ref" or key.startswith("Fn::") or has_function(inner) for key, inner in value.items())
    if isinstance(value, list):
        return any(has_function(inner) for inner in value)
    return isinstance(value, str) and "{{resolve:" in value


def target_resource(rule: str, target: Document) -> dict[str, Any]:
    dead = own_dead_letters(target) or arn_of(dead_letters_id(rule))
    made = target | {"Arn": permissions.called_arn(target), "DeadLetterConfig": {"Arn": dead}}
    if permissions.needs_role(target):
        made["RoleArn"] = arn_of(role_id(rule))
    return made


def portal_target(move: Move) -> dict[str, Any]:
    name = "kessai-portal"
    while any(target["Id"] == name for target in move.targets):
        name += "-"
    return {
        "Id": name,
        "Arn": arn_of(PORTAL_QUEUE),
        "DeadLetterConfig": {"Arn": arn_of(dead_letters_id(move.name))},
    }


def policies(outside: dict[str, set[str]]) -> Resources:
    made: Resources = {}
    for arn, rules in outside.items():
        resource = resource_of(arn)
        if resource.kind == "queue":
            made[policy_id("QueuePolicy", resource)] = permissions.queue_policy(arn, resource, rules)
        else:
            made[policy_id("TopicPolicy", resource)] = permissions.topic_policy(arn, resource, rules)
    return made


def policy_id(kind: str, resource: Resource) -> str:
    return logical_id(kind, f"{resource.region}.{resource.account}.{resource.name}")


def outputs(*, with_queue: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"BusArn": {"Description": "Where events are put.", "Value": arn_of(BUS)}}
    if with_queue:
        told["PortalQueueUrl"] = {
            "Description": "What manage.py receive_sqs --queue-url reads.",
            "Value": {"Ref": PORTAL_QUEUE},
        }
    return told


def too_large(body: dict[str, Any]) -> list[str]:
    said = []
    if len(body["Resources"]) > MOST_RESOURCES:
        said.append(
            f"A stack has at most {MOST_RESOURCES} resources and this one {len(body['Resources'])}: export fewer rules "
            "at once, each time under another BusName."
        )
    if len(json.dumps(body).encode()) > LONGEST_ON_S3:
        said.append(
            f"A template has at most {LONGEST_ON_S3:,} bytes and this one has more: export fewer rules at once."
        )
    return said


def to_do(moves: Sequence[Move], outside: dict[str, set[str]], secrets: dict[str, list[str]]) -> list[str]:
    """What a person must do before the stack is made, or as soon as it is."""
    said = [f"Put a secret {name} into Secrets Manager, with: {', '.join(keys)}." for name, keys in secrets.items()]
    said += place_of(moves)
    if outside:
        said.append(
            f"The stack replaces the policies of {', '.join(outside)}. Where others send there too, make it with "
            "SetPolicies=false and let its rules in yourself."
        )
    misses = [move.name for move in moves if misses_partner(move.pattern)]
    if misses:
        said.append(
            "On the bus of a partner source (PartnerSource) Stripe's events have the source aws.partner/stripe.com/…: "
            f'there, write {{"prefix": "aws.partner/stripe.com/"}} beside "stripe.com" in {", ".join(misses)}.'
        )
    on = [move.name for move in moves if move.state == "ENABLED" and move.targets]
    if on:
        said.append(
            f"Both would call: when the stack works, take its targets out of these rules here: {', '.join(on)}."
        )
    return said


def place_of(moves: Sequence[Move]) -> list[str]:
    """Where the stack must stand: EventBridge calls what is in its own region, and buses anywhere."""
    called = [resource_of(target["Arn"]) for move in moves for target in move.targets]
    called += [resource_of(dead) for move in moves for target in move.targets if (dead := own_dead_letters(target))]
    places = sorted({(each.region, each.account) for each in called if each.kind != "bus" and not each.is_local})
    if len(places) == 1:
        return [f"Make the stack in {places[0][0]}, in account {places[0][1]}: what it calls is there."]
    if places:
        listed = ", ".join(f"{region} of {account}" for region, account in places)
        return [f"What these rules call is in several places ({listed}): export a stack for each of them."]
    return []
