"""What each kind of state must say in its own fields. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ops.workflows.asl import reasons
from ops.workflows.asl.choice import COMPARISONS, TYPES, compile_rule
from ops.workflows.asl.expressions import is_jsonata
from ops.workflows.asl.fields import (
    Place,
    Problem,
    assign_problems,
    jsonata_problems,
    problem_of,
    reference_problems,
)
from ops.workflows.asl.resources import resource_fault
from ops.workflows.asl.timestamps import read_timestamp

Json = Any


def check_wait(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    stamp = state.get("Timestamp")
    if stamp is None or (place.jsonata and is_jsonata(stamp)):
        return
    if read_timestamp(stamp) is None:
        yield f"{place.path}/Timestamp", reasons.TIMESTAMP


def check_task(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    if place.kind != "Task":
        return
    resource = state.get("Resource")
    if not isinstance(resource, str) or not resource:
        yield f"{place.path}/Resource", reasons.REQUIRED_STRING.of(name="Resource")
    else:
        if fault := resource_fault(resource, express=place.express):
            yield f"{place.path}/Resource", fault
    if "Credentials" in state:
        credentials = state["Credentials"]
        named = isinstance(credentials, dict) and ("RoleArn" in credentials or "RoleArn.$" in credentials)
        if not named and not (place.jsonata and is_jsonata(credentials)):
            yield f"{place.path}/Credentials", reasons.ROLE_MISSING


def check_fail(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    if place.kind == "Fail":
        for name in ("Error", "Cause"):
            if name in state and not isinstance(state[name], str):
                yield f"{place.path}/{name}", reasons.STRING_FIELD.of(name=name)


def check_choice(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    if place.kind != "Choice":
        return
    choices = state.get("Choices")
    if not isinstance(choices, list) or not choices:
        yield f"{place.path}/Choices", reasons.NO_RULES
        return
    for number, rule in enumerate(choices):
        yield from rule_problems(rule, place, f"{place.path}/Choices/{number}", top=True)


def rule_problems(rule: Json, place: Place, path: str, *, top: bool = False) -> Iterator[Problem]:
    if not isinstance(rule, dict):
        yield path, reasons.RULE
        return
    known = {"Comment"} | ({"Next", "Assign"} if top else set())
    if top and not isinstance(rule.get("Next"), str):
        yield f"{path}/Next", reasons.REQUIRED_STRING.of(name="Next")
    yield from assign_problems(rule, place, path) if top else ()
    if place.jsonata:
        known |= {"Condition", "Output"}
        yield from condition_problems(rule, path)
    else:
        known |= {"Variable", "And", "Or", "Not", "IsPresent", *COMPARISONS, *TYPES}
        yield from comparison_problems(rule, place, path)
    for name in rule:
        if name not in known:
            yield f"{path}/{name}", reasons.UNKNOWN.of(name=name)


def condition_problems(rule: Mapping[str, Json], path: str) -> Iterator[Problem]:
    condition = rule.get("Condition")
    if not isinstance(condition, bool) and not is_jsonata(condition):
        yield f"{path}/Condition", reasons.CONDITION
    else:
        yield from jsonata_problems(condition, f"{path}/Condition")
    if "Output" in rule:
        yield from jsonata_problems(rule["Output"], f"{path}/Output")


def comparison_problems(rule: Mapping[str, Json], place: Place, path: str) -> Iterator[Problem]:
    combined = [name for name in ("And", "Or", "Not") if name in rule]
    compared = [name for name in rule if name in COMPARISONS or name in TYPES or name == "IsPresent"]
    if len(combined) + len(compared) != 1:
        yield path, reasons.ONE_COMPARISON
        return
    if combined:
        inner = rule[combined[0]]
        rules = inner if combined[0] != "Not" else [inner]
        if not isinstance(rules, list) or not rules:
            yield f"{path}/{combined[0]}", reasons.RULES
            return
        for number, one in enumerate(rules):
            yield from rule_problems(one, place, f"{path}/{combined[0]}/{number}")
        return
    yield from operand_problems(rule, compared[0], path)


def operand_problems(rule: Mapping[str, Json], name: str, path: str) -> Iterator[Problem]:
    if "Variable" not in rule:
        yield f"{path}/Variable", reasons.REQUIRED.of(name="Variable")
        return
    yield from reference_problems(rule["Variable"], f"{path}/Variable", intrinsics=False)
    given = rule[name]
    if name.endswith("Path"):
        yield from reference_problems(given, f"{path}/{name}", intrinsics=False)
    elif name.startswith("Is") or name == "BooleanEquals":
        if not isinstance(given, bool):
            yield f"{path}/{name}", reasons.BOOLEAN
    elif name.startswith("Numeric"):
        if isinstance(given, bool) or not isinstance(given, int | float):
            yield f"{path}/{name}", reasons.NUMBER
    elif not isinstance(given, str):
        yield f"{path}/{name}", reasons.STRING
    elif name.startswith("Timestamp") and read_timestamp(given) is None:
        yield f"{path}/{name}", reasons.TIMESTAMP
    else:
        yield from problem_of(compile_rule, {"Variable": "$", name: given}, f"{path}/{name}")


def check_map(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    if place.kind != "Map":
        return
    processor = state.get("ItemProcessor") or state.get("Iterator")
    config = processor.get("ProcessorConfig", {}) if isinstance(processor, dict) else {}
    distributed = isinstance(config, dict) and config.get("Mode") == "DISTRIBUTED"
    if isinstance(config, dict) and config.get("Mode", "INLINE") not in ("INLINE", "DISTRIBUTED"):
        why = reasons.ONE_OF.of(name="Mode", choices="INLINE, DISTRIBUTED")
        yield f"{place.path}/ItemProcessor/ProcessorConfig/Mode", why
    if distributed and config.get("ExecutionType") not in ("STANDARD", "EXPRESS"):
        why = reasons.ONE_OF.of(name="ExecutionType", choices="STANDARD, EXPRESS")
        yield f"{place.path}/ItemProcessor/ProcessorConfig/ExecutionType", why
    if not distributed:
        for name in ("ItemReader", "ItemBatcher", "ResultWriter", "Label"):
            if name in state:
                yield f"{place.path}/{name}", reasons.DISTRIBUTED_ONLY.of(name=name)
    label = state.get("Label")
    if label is not None and (not isinstance(label, str) or not LABEL.fullmatch(label)):
        yield f"{place.path}/Label", reasons.LABEL
    if "Items" in state and "ItemsPath" in state:
        yield place.path, reasons.ONLY_ONE.of(names="'Items', 'ItemsPath'")
    items = state.get("Items")
    if place.jsonata and items is not None and not isinstance(items, list | dict) and not is_jsonata(items):
        yield f"{place.path}/Items", reasons.ITEMS
    yield from reader_problems(state.get("ItemReader"), place)


LABEL = re.compile(r"[^\s?*<>{}\[\]:;,\\|^~$#%&`\"/\x00-\x1f\x7f-\x9f\ufffe\uffff]{1,40}")


def reader_problems(reader: Json, place: Place) -> Iterator[Problem]:
    if reader is None:
        return
    path = f"{place.path}/ItemReader"
    if not isinstance(reader, dict) or not isinstance(reader.get("Resource"), str):
        yield f"{path}/Resource", reasons.REQUIRED.of(name="Resource")
        return
    config = reader.get("ReaderConfig", {})
    if isinstance(config, dict) and "MaxItems" in config and "MaxItemsPath" in config:
        yield f"{path}/ReaderConfig", reasons.ONLY_ONE.of(names="'MaxItems', 'MaxItemsPath'")
