"""A rule as a document: what its file says, what its versions keep, what the console edits.

It is near CloudFormation's AWS::Events::Rule, so that people know it and it moves; see docs/rules.md. Rows are made of
documents and documents of rows here and nowhere else.
"""

import json
from collections.abc import Sequence
from typing import Any

from ops.rules.models import Rule, RuleState, Target
from ops.rules.resources import resource_of

Document = dict[str, Any]

STATES = {"ENABLED": RuleState.ON, "TRIAL": RuleState.TRIAL, "DISABLED": RuleState.OFF}
STATE_WORDS = {state: word for word, state in STATES.items()}
KEYS = ("Name", "Description", "State", "Account", "Mode", "EventPattern", "Targets")
TARGET_KEYS = (
    *(
        "Id",
        "Arn",
        "Input",
        "InputPath",
        "InputTransformer",
        "HttpParameters",
        "SqsParameters",
        "StateMachineParameters",
    ),
    *("RetryPolicy", "DeadLetterConfig"),
)
PARAMETER_KEYS = ("HttpParameters", "SqsParameters", "StateMachineParameters")


def document_of(rule: Rule, targets: Sequence[Target] | None = None) -> Document:
    """The rule as a file says it, with its own targets or these; what is as it would be without saying is left out."""
    listed = rule.targets.all() if targets is None else targets
    given = {
        "Name": rule.name,
        "Description": rule.notes,
        "State": STATE_WORDS[RuleState(rule.state)],
        "Account": rule.owner,
        "Mode": "" if rule.mode == "any" else rule.mode,
        "EventPattern": pattern_of(rule.pattern),
        "Targets": [target_document(target) for target in listed],
    }
    # The empty name is the primary account's.
    return {key: value for key, value in given.items() if value not in ("", None) or (key, value) == ("Account", "")}


def pattern_of(text: str) -> Any:
    """The pattern as an object; as the text itself where an object would lose something of it, or it is no JSON."""
    try:
        return json.loads(text, object_pairs_hook=without_repetition)
    except (ValueError, RecursionError):
        return text


def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def pattern_text(pattern: Any) -> str:
    return pattern if isinstance(pattern, str) else json.dumps(pattern, indent=2, ensure_ascii=False)


def target_document(target: Target) -> Document:
    transformer = {"InputPathsMap": target.input_paths_map, "InputTemplate": target.input_template}
    retries = {
        "MaximumEventAgeInSeconds": target.max_age_seconds if target.max_age_seconds != 86_400 else None,
        "MaximumRetryAttempts": target.max_retries if target.max_retries != Target.MOST_RETRIES else None,
    }
    given = {
        "Id": target.name,
        "Arn": target.arn,
        "Input": target.input,
        "InputPath": target.input_path,
        "InputTransformer": {key: value for key, value in transformer.items() if value}
        if target.input_template
        else None,
        **{key: target.parameters.get(key) for key in PARAMETER_KEYS},
        "RetryPolicy": {key: value for key, value in retries.items() if value is not None},
        "DeadLetterConfig": {"Arn": target.dead_letter_arn} if target.dead_letter_arn else None,
    }
    return {key: value for key, value in given.items() if value}


def fill(rule: Rule, document: Document) -> None:
    """Set the rule's fields as a document without flaws says; its state's consequences are the caller's."""
    rule.name = document["Name"]
    rule.notes = document.get("Description", "")
    rule.state = STATES[document.get("State", "DISABLED")]
    rule.owner = document.get("Account")
    rule.mode = document.get("Mode", "any")
    rule.pattern = pattern_text(document["EventPattern"])


def targets_of(rule: Rule, document: Document) -> list[Target]:
    """Return unsaved targets as a document without flaws says."""
    return [target_of(rule, given, position) for position, given in enumerate(document.get("Targets", []))]


def target_of(rule: Rule, given: Document, position: int) -> Target:
    transformer = given.get("InputTransformer", {})
    retries = given.get("RetryPolicy", {})
    return Target(
        rule=rule,
        name=given["Id"],
        kind=resource_of(given["Arn"]).kind,
        arn=given["Arn"],
        input=given.get("Input", ""),
        input_path=given.get("InputPath", ""),
        input_paths_map=transformer.get("InputPathsMap", {}),
        input_template=transformer.get("InputTemplate", ""),
        parameters={key: given[key] for key in PARAMETER_KEYS if given.get(key)},
        max_age_seconds=retries.get("MaximumEventAgeInSeconds", int(Target.LONGEST_AGE.total_seconds())),
        max_retries=retries.get("MaximumRetryAttempts", Target.MOST_RETRIES),
        dead_letter_arn=given.get("DeadLetterConfig", {}).get("Arn", ""),
        position=position,
    )
