"""The rules in a CloudFormation template as documents, whoever wrote it, and what of it cannot come. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from billing.numerals import whole_number
from ops.effects.destinations.template_reading import (
    ToldConnection,
    ToldDestination,
    connection_of,
    destination_of,
)
from ops.rules.cloudformation.moving import LIVEMODE, mode_clause
from ops.rules.cloudformation.names import METADATA, PORTAL_QUEUE, arn_of, dead_letters_id, machine_named
from ops.rules.cloudformation.resolving import Resolver, Unresolved, as_mapping
from ops.rules.documents import TARGET_KEYS, Document, pattern_of
from ops.rules.resources import STATE_MACHINE, read_arn

RULE = "AWS::Events::Rule"
DESTINATION = "AWS::Events::ApiDestination"
CONNECTION = "AWS::Events::Connection"
TOO_LITTLE = (Unresolved, LookupError, TypeError, AttributeError, ValueError, RecursionError)
# Properties that have no counterpart here because nothing is lost without them: the portal asks AWS by its own keys.
TARGET_KEYS_OF_AWS = ("RoleArn",)
ON = ("ENABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")


def documents_of(template: Any, values: Mapping[str, str] | None = None) -> tuple[list[Document], list[str]]:
    """Return the template's rules, and sentences about what of it cannot come. The documents may have flaws.

    `values` are those of parameters, pseudo parameters included.
    """
    resources = as_mapping(as_mapping(template).get("Resources"))
    rules = {key: value for key, value in resources.items() if as_mapping(value).get("Type") == RULE}
    if not rules:
        return [], [f"The template holds no {RULE}."]
    resolver = Resolver(template, values or {})
    documents: list[Document] = []
    flaws: list[str] = []
    buses = set()
    for key, resource in rules.items():
        properties = as_mapping(resource.get("Properties"))
        buses.add(str(properties.get("EventBusName", "default")))
        try:
            documents.append(document_of(key, resource, properties, resolver, flaws))
        except Unresolved as error:
            flaws.append(f"{key} cannot come: {error}.")
        except RecursionError:
            flaws.append(f"{key} cannot come: it goes round in a circle, or is nested too deeply.")
    if len(buses) > 1:
        flaws.append(f"The rules are of {len(buses)} buses; here, all of them see all events.")
    return documents, flaws


def document_of(
    key: str, resource: Mapping[str, Any], properties: Mapping[str, Any], resolver: Resolver, flaws: list[str]
) -> Document:
    name = resolver.read(properties.get("Name", key))
    if "EventPattern" not in properties:
        raise Unresolved("it has no pattern; what a schedule starts is no event")
    if properties.get("ScheduleExpression"):
        flaws.append(f"{name}: its schedule cannot come; its pattern does.")
    pattern = resolver.read(properties["EventPattern"])
    kept = as_mapping(as_mapping(resource.get("Metadata")).get(METADATA))
    targets = targets_of(str(name), properties.get("Targets", []), kept, resolver, flaws)
    document = {
        "Name": name,
        "Description": resolver.read(properties.get("Description", "")),
        "State": state_of(str(name), resolver.read(properties.get("State", "ENABLED")), kept, flaws),
        "Account": kept.get("Account"),
        "Mode": kept.get("Mode"),
        "EventPattern": without_mode(pattern_of(pattern) if isinstance(pattern, str) else pattern, kept),
        "Targets": with_staying(targets, kept),
    }
    return {each: value for each, value in document.items() if value not in ("", None) or (each, value) == ACCOUNT}


ACCOUNT = ("Account", "")  # the empty name is the primary account's


def state_of(name: str, state: Any, kept: Mapping[str, Any], flaws: list[str]) -> Any:
    if state == ON[1]:
        flaws.append(f"{name}: events of CloudTrail that only read are not asked for here; the rest of it is.")
    if state in ON:
        return "ENABLED"
    return "TRIAL" if state == "DISABLED" and kept.get("State") == "TRIAL" else state


def without_mode(pattern: Any, kept: Mapping[str, Any]) -> Any:
    """The pattern as it was before its mode was written into it; as it is, where somebody has changed that since."""
    detail = pattern.get("detail") if isinstance(pattern, dict) else None
    live = LIVEMODE.get(str(kept.get("Mode")))
    if not kept.get("ModeInPattern") or live is None or not isinstance(detail, dict):
        return pattern
    if detail.get("livemode") != mode_clause(live=live):
        return pattern
    rest = {key: value for key, value in detail.items() if key != "livemode"}
    return {key: rest if key == "detail" else value for key, value in pattern.items() if key != "detail" or rest}


def targets_of(rule: str, given: Any, kept: Mapping[str, Any], resolver: Resolver, flaws: list[str]) -> list[Document]:
    found = []
    for target in given if isinstance(given, list) else [given]:
        if as_mapping(target).get("Arn") == arn_of(PORTAL_QUEUE) and kept.get("Targets"):
            continue  # it stands for those that stayed
        try:
            found.append(target_of(rule, target, resolver, flaws))
        except Unresolved as error:
            flaws.append(f"{rule}: the target {shown_id(target)} cannot come: {error}.")
    return found


def shown_id(target: Any) -> str:
    return str(as_mapping(target).get("Id", "without an Id"))[:64]


def target_of(rule: str, given: Any, resolver: Resolver, flaws: list[str]) -> Document:
    if not isinstance(given, Mapping):
        raise Unresolved("it is no object")
    strange = sorted(given.keys() - {*TARGET_KEYS, *TARGET_KEYS_OF_AWS})
    if strange:
        raise Unresolved(f"{', '.join(strange)} says what only AWS can do")
    machine = machine_named(given.get("Arn"))
    if machine:
        given = {**given, "Arn": STATE_MACHINE + machine}
    target = {key: resolver.read(given[key]) for key in TARGET_KEYS if key in given and key != "DeadLetterConfig"}
    if not isinstance(target.get("Arn"), str) or read_arn(target["Arn"]) is None:
        raise Unresolved(f"{target.get('Arn')} is nothing that a rule can call here")
    retries = target.get("RetryPolicy")
    if isinstance(retries, dict):
        target["RetryPolicy"] = {key: as_number(value) for key, value in retries.items()}
    if dead := dead_letters_of(rule, given, resolver, flaws):
        target["DeadLetterConfig"] = dead
    return {key: value for key, value in target.items() if value}


def as_number(value: Any) -> Any:
    """CloudFormation takes numbers as texts, too."""
    number = whole_number(value) if isinstance(value, str) else None
    return value if number is None else number


def dead_letters_of(rule: str, given: Mapping[str, Any], resolver: Resolver, flaws: list[str]) -> Any:
    config = given.get("DeadLetterConfig")
    if not config or config == {"Arn": arn_of(dead_letters_id(rule))}:
        return None
    try:
        return resolver.read(config)
    except Unresolved as error:
        flaws.append(
            f"{rule}: {shown_id(given)}: its queue for dead letters is not known ({error}); here they are rows."
        )
        return None


def with_staying(targets: list[Document], kept: Mapping[str, Any]) -> list[Document]:
    """The targets with those among them that stayed in the portal, each at its place."""
    listed = list(targets)
    said = kept.get("Targets")
    staying = (
        [each for each in said if isinstance(each, Mapping) and "Target" in each] if isinstance(said, list) else []
    )
    for each in sorted(staying, key=position_of):
        listed.insert(position_of(each), each["Target"])
    return listed


def position_of(kept: Mapping[str, Any]) -> int:
    position = kept.get("Position")
    return position if isinstance(position, int) and position >= 0 else 0


def destinations_of(
    template: Any, values: Mapping[str, str] | None = None
) -> tuple[list[ToldConnection], list[ToldDestination], list[str]]:
    """Return the connections and API destinations of a template, and sentences about what of them cannot come.

    Connections come without their secrets, which are in no template.
    """
    resolver = Resolver(as_mapping(template), values or {})
    flaws: list[str] = []
    connections: dict[str, ToldConnection] = {}
    destinations = []
    for key, properties in of_type(resolver, CONNECTION):
        try:
            connections[key] = connection_of(properties, resolver.read)
        except TOO_LITTLE as error:
            flaws.append(f"The connection {key} cannot come: {error}.")
    for key, properties in of_type(resolver, DESTINATION):
        try:
            connection = connections[called_with(properties)].name
            destinations.append(destination_of(properties, connection, resolver.read))
        except TOO_LITTLE as error:
            flaws.append(f"The API destination {key} cannot come: {error}.")
    return list(connections.values()), destinations, flaws


def of_type(resolver: Resolver, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, resource in resolver.resources.items():
        if as_mapping(resource).get("Type") == kind:
            yield key, as_mapping(resource.get("Properties"))


def called_with(properties: Mapping[str, Any]) -> str:
    """The logical id of the connection that a destination calls with."""
    arn = as_mapping(properties.get("ConnectionArn")).get("Fn::GetAtt")
    parts = arn.split(".") if isinstance(arn, str) else arn
    if not isinstance(parts, list) or len(parts) != 2:
        raise Unresolved("its connection is not in the template")
    return str(parts[0])
