"""The fields of each kind of state, and what may stand in them. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops.workflows.asl.choice import COMPARISONS, TYPES, compile_rule
from ops.workflows.asl.definition import JSONATA
from ops.workflows.asl.expressions import (
    InvalidExpression,
    compile_jsonata_field,
    compile_path,
    compile_template,
    is_jsonata,
)
from ops.workflows.asl.intrinsics import is_intrinsic
from ops.workflows.asl.paths import InvalidPath, is_reference, parse_path
from ops.workflows.asl.resources import resource_fault
from ops.workflows.asl.timestamps import read_timestamp

Json = Any
Problem = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a state stands, and how it is read."""

    path: str
    kind: str
    language: str
    express: bool

    @property
    def jsonata(self) -> bool:
        return self.language == JSONATA


Check = Callable[[Mapping[str, Json], Place], Iterable[Problem]]
COMMON = {"Type", "Comment", "QueryLanguage"}
LEADING = {"Next", "End"}
CATCHING = {"Retry", "Catch"}
# kind → (in both languages, in JSONPath alone, in JSONata alone)
FIELDS: dict[str, tuple[set[str], set[str], set[str]]] = {
    "Pass": (
        LEADING | {"Assign"},
        {"Result", "Parameters", "InputPath", "OutputPath", "ResultPath"},
        {"Output"},
    ),
    "Task": (
        LEADING | CATCHING | {"Assign", "Resource", "TimeoutSeconds", "HeartbeatSeconds", "Credentials"},
        {
            *("Parameters", "InputPath", "OutputPath", "ResultPath", "ResultSelector"),
            *("TimeoutSecondsPath", "HeartbeatSecondsPath"),
        },
        {"Arguments", "Output"},
    ),
    "Choice": ({"Choices", "Default", "Assign"}, {"InputPath", "OutputPath"}, {"Output"}),
    "Wait": (
        LEADING | {"Assign", "Seconds", "Timestamp"},
        {"InputPath", "OutputPath", "SecondsPath", "TimestampPath"},
        {"Output"},
    ),
    "Succeed": (set(), {"InputPath", "OutputPath"}, {"Output"}),
    "Fail": ({"Error", "Cause"}, {"ErrorPath", "CausePath"}, set()),
    "Parallel": (
        LEADING | CATCHING | {"Assign", "Branches"},
        {"Parameters", "InputPath", "OutputPath", "ResultPath", "ResultSelector"},
        {"Arguments", "Output"},
    ),
    "Map": (
        LEADING
        | CATCHING
        | {
            *("Assign", "ItemProcessor", "Iterator", "ItemSelector", "ItemReader", "ItemBatcher", "ResultWriter"),
            *("MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage", "Label"),
        },
        {
            *("Parameters", "InputPath", "OutputPath", "ResultPath", "ResultSelector", "ItemsPath"),
            *("MaxConcurrencyPath", "ToleratedFailureCountPath", "ToleratedFailurePercentagePath"),
        },
        {"Items", "Output"},
    ),
}


def allowed(kind: str, language: str) -> frozenset[str]:
    both, jsonpath, jsonata = FIELDS[kind]
    return frozenset(COMMON | both | (jsonata if language == JSONATA else jsonpath))


def check_leading(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    if place.kind in ("Succeed", "Fail", "Choice"):
        return
    if "Next" in state and "End" in state and state["End"] is True:
        yield place.path, "A state has either 'Next' or 'End'"
    if "Next" in state and not isinstance(state["Next"], str):
        yield f"{place.path}/Next", "The field 'Next' must be a string"
    if "End" in state and not isinstance(state["End"], bool):
        yield f"{place.path}/End", "The field 'End' must be true or false"
    if "Next" not in state and state.get("End") is not True:
        yield place.path, "A state needs 'Next', or 'End' with true"


def check_one_of(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    for names in ALTERNATIVES:
        given = [name for name in names if name in state]
        if len(given) > 1:
            yield place.path, f"Only one of {' and '.join(repr(name) for name in given)} may be there"
    if place.kind == "Wait" and not any(name in state for name in ALTERNATIVES[0]):
        yield place.path, "A Wait state needs Seconds, Timestamp, SecondsPath or TimestampPath"


ALTERNATIVES = (
    ("Seconds", "Timestamp", "SecondsPath", "TimestampPath"),
    ("TimeoutSeconds", "TimeoutSecondsPath"),
    ("HeartbeatSeconds", "HeartbeatSecondsPath"),
    ("Error", "ErrorPath"),
    ("Cause", "CausePath"),
    ("MaxConcurrency", "MaxConcurrencyPath"),
    ("ToleratedFailureCount", "ToleratedFailureCountPath"),
    ("ToleratedFailurePercentage", "ToleratedFailurePercentagePath"),
    ("ItemProcessor", "Iterator"),
    ("ItemSelector", "Parameters"),
)


def check_paths(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    if place.jsonata:
        return
    for name in ("InputPath", "OutputPath"):
        if state.get(name) is not None:
            yield from problem_of(lambda text: compile_path(text, ""), state[name], f"{place.path}/{name}")
    for name in state:
        if name.endswith("Path") and name not in ("InputPath", "OutputPath", "ResultPath"):
            intrinsics = name in ("ErrorPath", "CausePath")
            yield from reference_problems(state[name], f"{place.path}/{name}", intrinsics=intrinsics)
    yield from result_path_problems(state, place.path)


def result_path_problems(entry: Mapping[str, Json], path: str) -> Iterator[Problem]:
    result_path = entry.get("ResultPath")
    if result_path is None:
        return
    yield from reference_problems(result_path, f"{path}/ResultPath", intrinsics=False)
    if isinstance(result_path, str) and result_path.startswith("$$"):
        yield f"{path}/ResultPath", "ResultPath cannot lead into the context object"


def reference_problems(text: Json, path: str, *, intrinsics: bool) -> Iterator[Problem]:
    if isinstance(text, str) and intrinsics and is_intrinsic(text):
        yield from problem_of(lambda call: compile_path(call, ""), text, path)
        return
    try:
        if not isinstance(text, str) or not is_reference(parse_path(text)):
            yield path, "The value must be a reference path: one place, without wildcards, filters or slices"
    except InvalidPath as error:
        yield path, str(error)


def problem_of(compile_it: Callable[[Any], object], given: Json, path: str) -> Iterator[Problem]:
    """What a compiler says against what is given."""
    try:
        compile_it(given)
    except (InvalidExpression, InvalidPath) as error:
        yield path, str(error)
    except (AttributeError, TypeError, KeyError):
        yield path, "The value has the wrong type"


def check_templates(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    if place.jsonata:
        for name in ("Arguments", "Output", "Items", "ItemSelector", "Error", "Cause", "Credentials"):
            if name in state:
                yield from jsonata_problems(state[name], f"{place.path}/{name}")
    else:
        for name in ("Parameters", "ResultSelector", "ItemSelector", "Credentials"):
            if name in state:
                yield from template_problems(state[name], f"{place.path}/{name}", must_be_object=name != "Parameters")
    yield from assign_problems(state, place, place.path)


def assign_problems(entry: Mapping[str, Json], place: Place, path: str) -> Iterator[Problem]:
    if "Assign" not in entry:
        return
    given = entry["Assign"]
    if not isinstance(given, dict):
        yield f"{path}/Assign", "The field 'Assign' must be an object"
        return
    yield from (
        jsonata_problems(given, f"{path}/Assign") if place.jsonata else template_problems(given, f"{path}/Assign")
    )
    for name in given:
        plain = name.removesuffix(".$")
        if not VARIABLE_NAME.fullmatch(plain) or plain == "states" or len(plain) > 80:
            yield f"{path}/Assign/{name}", f"'{plain}' is no name that a variable can have"


VARIABLE_NAME = re.compile(r"[^\W\d_][\w-]*|_[\w-]+|[^\W\d][\w-]*")


def template_problems(given: Json, path: str, *, must_be_object: bool = False) -> Iterator[Problem]:
    if must_be_object and not isinstance(given, dict):
        yield path, "The value must be an object"
        return
    yield from problem_of(compile_template, given, path)
    yield from twice_named(given, path)


def twice_named(given: Json, path: str) -> Iterator[Problem]:
    """Fields that are there with and without `.$`: both would have the same name."""
    if isinstance(given, dict):
        for name, inner in given.items():
            if name.endswith(".$") and name[:-2] in given:
                yield f"{path}/{name}", f"The field '{name[:-2]}' is there more than once"
            yield from twice_named(inner, f"{path}/{name}")
    elif isinstance(given, list):
        for number, inner in enumerate(given):
            yield from twice_named(inner, f"{path}/{number}")


def jsonata_problems(given: Json, path: str) -> Iterator[Problem]:
    if isinstance(given, str):
        if (given.startswith("{%") or given.endswith("%}")) and not is_jsonata(given):
            yield path, "A JSONata expression begins with {% and ends with %}"
        elif is_jsonata(given):
            yield from problem_of(lambda text: compile_jsonata_field(text, ""), given, path)
    elif isinstance(given, dict):
        for name, inner in given.items():
            yield from jsonata_problems(inner, f"{path}/{name}")
    elif isinstance(given, list):
        for number, inner in enumerate(given):
            yield from jsonata_problems(inner, f"{path}/{number}")


def check_numbers(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    for name, least in (("Seconds", 0), ("TimeoutSeconds", 1), ("HeartbeatSeconds", 1)):
        yield from check_seconds(state, name, place.path, least=least, jsonata=place.jsonata)
    for name in ("MaxConcurrency", "ToleratedFailureCount"):
        yield from whole_problems(state, name, place.path, jsonata=place.jsonata, least=0)
    share = state.get("ToleratedFailurePercentage")
    if share is not None and not (place.jsonata and is_jsonata(share)):
        number = isinstance(share, int | float) and not isinstance(share, bool)
        if not number or not 0 <= share <= 100:
            yield f"{place.path}/ToleratedFailurePercentage", "The value must be a number between 0 and 100"
    timeout, heartbeat = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
    if isinstance(timeout, int) and isinstance(heartbeat, int) and heartbeat >= timeout:
        yield f"{place.path}/HeartbeatSeconds", "HeartbeatSeconds must be smaller than TimeoutSeconds"


def check_seconds(
    given: Mapping[str, Json], name: str, path: str, *, least: int, jsonata: bool = False
) -> Iterator[Problem]:
    yield from whole_problems(given, name, path, jsonata=jsonata, least=least, most=99_999_999)


def whole_problems(
    given: Mapping[str, Json], name: str, path: str, *, jsonata: bool, least: int, most: int | None = None
) -> Iterator[Problem]:
    if name not in given:
        return
    value = given[name]
    if jsonata and is_jsonata(value):
        yield from jsonata_problems(value, f"{path}/{name}")
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        limits = f"between {least} and {most}" if most is not None else f"of at least {least}"
        yield f"{path}/{name}", f"The value must be a whole number {limits}"


def check_wait(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    stamp = state.get("Timestamp")
    if stamp is None or (place.jsonata and is_jsonata(stamp)):
        return
    if read_timestamp(stamp) is None:
        yield f"{place.path}/Timestamp", "String does not match RFC3339 timestamp"


def check_task(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    if place.kind != "Task":
        return
    resource = state.get("Resource")
    if not isinstance(resource, str) or not resource:
        yield f"{place.path}/Resource", "The field 'Resource' is required and must be a string"
    else:
        if fault := resource_fault(resource, express=place.express):
            yield f"{place.path}/Resource", fault
    if "Credentials" in state:
        credentials = state["Credentials"]
        named = isinstance(credentials, dict) and ("RoleArn" in credentials or "RoleArn.$" in credentials)
        if not named and not (place.jsonata and is_jsonata(credentials)):
            yield f"{place.path}/Credentials", "The field 'RoleArn' is required but was missing"


def check_fail(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    if place.kind == "Fail":
        for name in ("Error", "Cause"):
            if name in state and not isinstance(state[name], str):
                yield f"{place.path}/{name}", f"The field '{name}' must be a string"


def check_choice(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    if place.kind != "Choice":
        return
    choices = state.get("Choices")
    if not isinstance(choices, list) or not choices:
        yield f"{place.path}/Choices", "The field 'Choices' is required and must have at least one rule"
        return
    for number, rule in enumerate(choices):
        yield from rule_problems(rule, place, f"{place.path}/Choices/{number}", top=True)


def rule_problems(rule: Json, place: Place, path: str, *, top: bool = False) -> Iterator[Problem]:
    if not isinstance(rule, dict):
        yield path, "A choice rule must be an object"
        return
    known = {"Comment"} | ({"Next", "Assign"} if top else set())
    if top and not isinstance(rule.get("Next"), str):
        yield f"{path}/Next", "The field 'Next' is required and must be a string"
    yield from assign_problems(rule, place, path) if top else ()
    if place.jsonata:
        known |= {"Condition", "Output"}
        yield from condition_problems(rule, path)
    else:
        known |= {"Variable", "And", "Or", "Not", "IsPresent", *COMPARISONS, *TYPES}
        yield from comparison_problems(rule, place, path)
    for name in rule:
        if name not in known:
            yield f"{path}/{name}", f"The field '{name}' is not supported"


def condition_problems(rule: Mapping[str, Json], path: str) -> Iterator[Problem]:
    condition = rule.get("Condition")
    if not isinstance(condition, bool) and not is_jsonata(condition):
        yield f"{path}/Condition", "The field 'Condition' is required and must be a JSONata expression"
    else:
        yield from jsonata_problems(condition, f"{path}/Condition")
    if "Output" in rule:
        yield from jsonata_problems(rule["Output"], f"{path}/Output")


def comparison_problems(rule: Mapping[str, Json], place: Place, path: str) -> Iterator[Problem]:
    combined = [name for name in ("And", "Or", "Not") if name in rule]
    compared = [name for name in rule if name in COMPARISONS or name in TYPES or name == "IsPresent"]
    if len(combined) + len(compared) != 1:
        yield path, "A choice rule needs exactly one comparison, or one of And, Or, Not"
        return
    if combined:
        inner = rule[combined[0]]
        rules = inner if combined[0] != "Not" else [inner]
        if not isinstance(rules, list) or not rules:
            yield f"{path}/{combined[0]}", "The value must be a list of choice rules"
            return
        for number, one in enumerate(rules):
            yield from rule_problems(one, place, f"{path}/{combined[0]}/{number}")
        return
    yield from operand_problems(rule, compared[0], path)


def operand_problems(rule: Mapping[str, Json], name: str, path: str) -> Iterator[Problem]:
    if "Variable" not in rule:
        yield f"{path}/Variable", "The field 'Variable' is required"
        return
    yield from reference_problems(rule["Variable"], f"{path}/Variable", intrinsics=False)
    given = rule[name]
    if name.endswith("Path"):
        yield from reference_problems(given, f"{path}/{name}", intrinsics=False)
    elif name.startswith("Is") or name == "BooleanEquals":
        if not isinstance(given, bool):
            yield f"{path}/{name}", "The value must be true or false"
    elif name.startswith("Numeric"):
        if isinstance(given, bool) or not isinstance(given, int | float):
            yield f"{path}/{name}", "The value must be a number"
    elif not isinstance(given, str):
        yield f"{path}/{name}", "The value must be a string"
    elif name.startswith("Timestamp") and read_timestamp(given) is None:
        yield f"{path}/{name}", "String does not match RFC3339 timestamp"
    else:
        yield from problem_of(compile_rule, {"Variable": "$", name: given}, f"{path}/{name}")


def check_map(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    if place.kind != "Map":
        return
    processor = state.get("ItemProcessor") or state.get("Iterator")
    config = processor.get("ProcessorConfig", {}) if isinstance(processor, dict) else {}
    distributed = isinstance(config, dict) and config.get("Mode") == "DISTRIBUTED"
    if isinstance(config, dict) and config.get("Mode", "INLINE") not in ("INLINE", "DISTRIBUTED"):
        yield f"{place.path}/ItemProcessor/ProcessorConfig/Mode", "Mode must be INLINE or DISTRIBUTED"
    if distributed and config.get("ExecutionType") not in ("STANDARD", "EXPRESS"):
        yield f"{place.path}/ItemProcessor/ProcessorConfig/ExecutionType", "ExecutionType must be STANDARD or EXPRESS"
    if not distributed:
        for name in ("ItemReader", "ItemBatcher", "ResultWriter", "Label"):
            if name in state:
                yield f"{place.path}/{name}", f"The field '{name}' is for maps in DISTRIBUTED mode"
    label = state.get("Label")
    if label is not None and (not isinstance(label, str) or not LABEL.fullmatch(label)):
        yield f"{place.path}/Label", "A label has 1 to 40 characters, and none of whitespace, ? * < > { } [ ] : ; , \\ | ^ ~ $ # % & ` \" /"
    if "Items" in state and "ItemsPath" in state:
        yield place.path, "Only one of 'Items' and 'ItemsPath' may be there"
    items = state.get("Items")
    if place.jsonata and items is not None and not isinstance(items, list | dict) and not is_jsonata(items):
        yield f"{place.path}/Items", "The field 'Items' must be a list or a JSONata expression"
    yield from reader_problems(state.get("ItemReader"), place)


LABEL = re.compile(r"[^\s?*<>{}\[\]:;,\\|^~$#%&`\"/\x00-\x1f\x7f-\x9f\ufffe\uffff]{1,40}")


def reader_problems(reader: Json, place: Place) -> Iterator[Problem]:
    if reader is None:
        return
    path = f"{place.path}/ItemReader"
    if not isinstance(reader, dict) or not isinstance(reader.get("Resource"), str):
        yield f"{path}/Resource", "The field 'Resource' is required"
        return
    config = reader.get("ReaderConfig", {})
    if isinstance(config, dict) and "MaxItems" in config and "MaxItemsPath" in config:
        yield f"{path}/ReaderConfig", "Only one of 'MaxItems' and 'MaxItemsPath' may be there"


def check_retry(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    retry = state.get("Retry", [])
    if not isinstance(retry, list):
        yield f"{place.path}/Retry", "The field 'Retry' must be a list"
        return
    for number, entry in enumerate(retry):
        path = f"{place.path}/Retry/{number}"
        yield from error_problems(entry, path, last=number == len(retry) - 1)
        if isinstance(entry, dict):
            yield from retrier_problems(entry, path)


RETRIER_FIELDS = frozenset(
    {"ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds", "JitterStrategy", "Comment"}
)


def retrier_problems(entry: Mapping[str, Json], path: str) -> Iterator[Problem]:
    for name in entry:
        if name not in RETRIER_FIELDS:
            yield f"{path}/{name}", f"The field '{name}' is not supported"
    yield from whole_problems(entry, "IntervalSeconds", path, jsonata=False, least=1, most=99_999_999)
    yield from whole_problems(entry, "MaxAttempts", path, jsonata=False, least=0, most=99_999_999)
    yield from whole_problems(entry, "MaxDelaySeconds", path, jsonata=False, least=1, most=31_622_400)
    rate = entry.get("BackoffRate", 2)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 1:
        yield f"{path}/BackoffRate", "The value must be a number of at least 1"
    if entry.get("JitterStrategy", "NONE") not in ("FULL", "NONE"):
        yield f"{path}/JitterStrategy", "JitterStrategy must be FULL or NONE"
    delay, interval = entry.get("MaxDelaySeconds"), entry.get("IntervalSeconds", 1)
    if isinstance(delay, int) and isinstance(interval, int) and delay <= interval:
        yield f"{path}/MaxDelaySeconds", "MaxDelaySeconds must be greater than IntervalSeconds"


def check_catch(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    catch = state.get("Catch", [])
    if not isinstance(catch, list):
        yield f"{place.path}/Catch", "The field 'Catch' must be a list"
        return
    known = {"ErrorEquals", "Next", "Comment", "Assign"} | ({"Output"} if place.jsonata else {"ResultPath"})
    for number, entry in enumerate(catch):
        path = f"{place.path}/Catch/{number}"
        yield from error_problems(entry, path, last=number == len(catch) - 1)
        if not isinstance(entry, dict):
            continue
        for name in entry:
            if name not in known:
                yield f"{path}/{name}", f"The field '{name}' is not supported"
        if not isinstance(entry.get("Next"), str):
            yield f"{path}/Next", "The field 'Next' is required and must be a string"
        if "Output" in entry and place.jsonata:
            yield from jsonata_problems(entry["Output"], f"{path}/Output")
        if not place.jsonata:
            yield from result_path_problems(entry, path)
        yield from assign_problems(entry, place, path)


def error_problems(entry: Json, path: str, *, last: bool) -> Iterator[Problem]:
    if not isinstance(entry, dict):
        yield path, "The entry must be an object"
        return
    errors = entry.get("ErrorEquals")
    if not isinstance(errors, list) or not errors or not all(isinstance(name, str) for name in errors):
        yield f"{path}/ErrorEquals", "The field 'ErrorEquals' is required and must be a list of errors' names"
    elif "States.ALL" in errors and (len(errors) > 1 or not last):
        yield f"{path}/ErrorEquals", "States.ALL must stand alone, in the last entry"


CHECKS: tuple[Check, ...] = (
    *(check_leading, check_one_of, check_paths, check_templates, check_numbers),
    *(check_wait, check_task, check_fail, check_choice, check_map, check_retry, check_catch),
)
