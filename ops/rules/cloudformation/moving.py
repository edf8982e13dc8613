"""What of a rule moves to AWS, what stays here, and why, in sentences. Pure."""

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from ops.effects.destinations.cloudformation import cannot_move as destination_cannot_move
from ops.effects.destinations.models import Destination
from ops.rules import transform
from ops.rules.documents import Document
from ops.rules.envelopes import OWN, STRIPE
from ops.rules.patterns import InvalidPattern, compile_pattern
from ops.rules.resources import Resource, resource_of

EFFECTS = ("effect", "activity", "finding")
EXECUTION = "StateMachineParameters"  # AWS knows nothing like it
INPUT_KEYS = ("Input", "InputPath", "InputTransformer")
# Keys of the envelope that are the bus's own to fill: here they hold the portal's values, or Stripe's id.
BUS_FILLS = ("id", "account", "region", "resources", "time")
LIVEMODE = {"live": True, "test": False}


@dataclass
class Move:
    """One rule, parted: `targets` go along, `staying` do not (each with its position)."""

    document: Document
    pattern: Any
    state: str
    targets: list[Document] = field(default_factory=list)
    staying: list[tuple[int, Document]] = field(default_factory=list)
    mode_in_pattern: bool = False
    calls_effects: bool = False
    said: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.document["Name"])


def move_of(document: Document, destinations: Mapping[str, Destination], machines: Set[str] = frozenset()) -> Move:
    """Part a document without flaws into what moves and what stays.

    `destinations` are those there are, by name; `machines` the names of the portal's state machines that go along.
    """
    move = Move(document, document["EventPattern"], "ENABLED" if document.get("State") == "ENABLED" else "DISABLED")
    move_scope(move)
    say_of_pattern(move)
    for position, target in enumerate(document.get("Targets", [])):
        resource = resource_of(target["Arn"])
        reason = why_it_stays(resource, target, destinations, machines)
        if reason:
            move.said.append(f"{move.name}: {target['Id']} stays here: {reason}")
            move.staying.append((position, target))
            move.calls_effects |= resource.kind in EFFECTS
        else:
            move.said += differences(move.name, resource, target)
            move.targets.append({key: value for key, value in target.items() if key != EXECUTION})
    return move


def move_scope(move: Move) -> None:
    name, document = move.name, move.document
    if document.get("State") == "TRIAL":
        move.said.append(f"{name}: AWS knows no trial; the rule is DISABLED there.")
    if "Account" in document and document["Account"] is not None:
        account = f"“{document['Account']}”" if document["Account"] else "the primary one"
        move.said.append(
            f"{name}: it looks at one Stripe account ({account}); an event on AWS does not say whose it is. "
            "Feed the bus from this account alone."
        )
    mode = document.get("Mode", "any")
    if mode in LIVEMODE:
        narrowed = with_mode(move.pattern, live=LIVEMODE[mode])
        if narrowed is None:
            move.said.append(
                f"{name}: it looks at {mode} mode alone, and its pattern has no place for that. "
                f"Feed the bus from {mode} mode alone."
            )
        else:
            move.pattern, move.mode_in_pattern = narrowed, True


def with_mode(pattern: Any, *, live: bool) -> Any | None:
    """The pattern for one mode: events that know no modes still fit. None where it cannot be written into it."""
    detail = pattern.get("detail", {}) if isinstance(pattern, dict) else None
    if not isinstance(detail, dict) or "livemode" in json.dumps(pattern):
        return None
    narrowed = pattern | {"detail": detail | {"livemode": mode_clause(live=live)}}
    try:
        compile_pattern(narrowed)
    except InvalidPattern:  # it is too long now, or makes too many combinations
        return None
    return narrowed


def mode_clause(*, live: bool) -> list[Any]:
    return [live, {"exists": False}]


def say_of_pattern(move: Move) -> None:
    if not isinstance(move.pattern, dict):
        return
    named = [key for key in BUS_FILLS if key in move.pattern]
    if named:
        move.said.append(
            f"{move.name}: its pattern names {', '.join(named)}, which EventBridge fills in by itself there: "
            "the event's id is EventBridge's own (Stripe's is detail.id), account and region are AWS's."
        )
    if names_source(move.pattern, OWN):
        move.said.append(
            f"{move.name}: events of the portal's own (source {OWN}) reach AWS only where a rule here puts them on "
            "the bus."
        )


def names_source(pattern: Any, source: str) -> bool:
    sources = pattern.get("source", []) if isinstance(pattern, dict) else []
    return isinstance(sources, list) and source in sources


def misses_partner(pattern: Any) -> bool:
    """Whether the pattern asks for Stripe's events by the name that they do not have on a partner source's bus."""
    return names_source(pattern, STRIPE) and "aws.partner" not in json.dumps(pattern["source"])


def why_it_stays(
    resource: Resource, target: Document, destinations: Mapping[str, Destination], machines: Set[str]
) -> str:
    """The reason for which a target cannot be AWS's; empty where it can."""
    if resource.kind in EFFECTS:
        return f"{resource.name} is the portal's own effect."
    if resource.kind == "state-machine" and resource.is_local and resource.name not in machines:
        return f"the state machine {resource.name} does not go along."
    if resource.kind == "destination" and resource.is_local:
        destination = destinations.get(resource.name)
        if destination is None:
            return f"there is no API destination “{resource.name}”."
        if not destination.endpoint.startswith("https://"):
            return f"EventBridge calls https addresses alone, and {resource.name} has another."
    if resource.kind == "topic" and resource.is_fifo:
        return "EventBridge does not publish to FIFO topics."
    if resource.kind == "bus" and any(target.get(key) for key in INPUT_KEYS):
        return "EventBridge hands an event on to a bus as it is, and this one has an input of its own."
    if "{{resolve:" in json.dumps(target):
        return "it holds {{resolve:, which CloudFormation would replace."
    return ""


def differences(name: str, resource: Resource, target: Document) -> list[str]:
    """What a target does otherwise there."""
    said = []
    if resource.kind == "queue" and resource.is_fifo:
        said.append(
            f"{name}: EventBridge sends to the FIFO queue {resource.name} only if it has content-based deduplication."
        )
    dead = target.get("DeadLetterConfig", {}).get("Arn", "")
    if dead.endswith(".fifo"):
        said.append(
            f"{name}: {target['Id']}: EventBridge's dead letters go to no FIFO queue; one of the stack's is used."
        )
    if target.get(EXECUTION):
        said.append(
            f"{name}: {target['Id']}: EventBridge names executions itself, so that each event starts one; here one is "
            f"started for each {target[EXECUTION].get('ExecutionName')}."
        )
    if has_quoted_hole(target):
        said.append(
            f"{name}: {target['Id']}: EventBridge puts a text into quotes as it is, so that a quote in it spoils the "
            "input and the call; here it is escaped."
        )
    return said


def has_quoted_hole(target: Document) -> bool:
    pieces = transform.pieces_of(target.get("InputTransformer", {}).get("InputTemplate", ""))
    return any(not isinstance(piece, str) and piece.quoted for piece in pieces)


def destinations_said(destinations: Mapping[str, Destination]) -> list[str]:
    return [sentence for destination in destinations.values() for sentence in destination_cannot_move(destination)]
