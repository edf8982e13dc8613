"""The fields of each kind of state, and what may stand in them. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops.workflows.asl import reasons
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
from ops.workflows.asl.reasons import Reason, reason_in

Json = Any
Problem = tuple[str, Reason]


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
        yield place.path, reasons.NEXT_AND_END
    if "Next" in state and not isinstance(state["Next"], str):
        yield f"{place.path}/Next", reasons.STRING_FIELD.of(name="Next")
    if "End" in state and not isinstance(state["End"], bool):
        yield f"{place.path}/End", reasons.BOOLEAN_FIELD.of(name="End")
    if "Next" not in state and state.get("End") is not True:
        yield place.path, reasons.NEXT_OR_END


def check_one_of(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    for names in ALTERNATIVES:
        given = [name for name in names if name in state]
        if len(given) > 1:
            yield place.path, reasons.ONLY_ONE.of(names=", ".join(map(repr, given)))
    if place.kind == "Wait" and not any(name in state for name in ALTERNATIVES[0]):
        yield place.path, reasons.WAIT_NEEDS


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
        yield f"{path}/ResultPath", reasons.RESULT_PATH


def reference_problems(text: Json, path: str, *, intrinsics: bool) -> Iterator[Problem]:
    if isinstance(text, str) and intrinsics and is_intrinsic(text):
        yield from problem_of(lambda call: compile_path(call, ""), text, path)
        return
    try:
        if not isinstance(text, str) or not is_reference(parse_path(text)):
            yield path, reasons.REFERENCE
    except InvalidPath as error:
        yield path, reason_in(error)


def problem_of(compile_it: Callable[[Any], object], given: Json, path: str) -> Iterator[Problem]:
    """What a compiler says against what is given."""
    try:
        compile_it(given)
    except (InvalidExpression, InvalidPath) as error:
        yield path, reason_in(error)
    except (AttributeError, TypeError, KeyError):
        yield path, reasons.WRONG_TYPE


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
        yield f"{path}/Assign", reasons.OBJECT_FIELD.of(name="Assign")
        return
    yield from (
        jsonata_problems(given, f"{path}/Assign") if place.jsonata else template_problems(given, f"{path}/Assign")
    )
    for name in given:
        plain = name.removesuffix(".$")
        if not VARIABLE_NAME.fullmatch(plain) or plain == "states" or len(plain) > 80:
            yield f"{path}/Assign/{name}", reasons.VARIABLE_NAME.of(name=plain)


VARIABLE_NAME = re.compile(r"[^\W\d_][\w-]*|_[\w-]+|[^\W\d][\w-]*")


def template_problems(given: Json, path: str, *, must_be_object: bool = False) -> Iterator[Problem]:
    if must_be_object and not isinstance(given, dict):
        yield path, reasons.OBJECT
        return
    yield from problem_of(compile_template, given, path)
    yield from twice_named(given, path)


def twice_named(given: Json, path: str) -> Iterator[Problem]:
    """Fields that are there with and without `.$`: both would have the same name."""
    if isinstance(given, dict):
        for name, inner in given.items():
            if name.endswith(".$") and name[:-2] in given:
                yield f"{path}/{name}", reasons.REPEATED.of(name=name[:-2])
            yield from twice_named(inner, f"{path}/{name}")
    elif isinstance(given, list):
        for number, inner in enumerate(given):
            yield from twice_named(inner, f"{path}/{number}")


def jsonata_problems(given: Json, path: str) -> Iterator[Problem]:
    if isinstance(given, str):
        if (given.startswith("{%") or given.endswith("%}")) and not is_jsonata(given):
            yield path, reasons.BRACES
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
            yield f"{place.path}/ToleratedFailurePercentage", reasons.NUMBER_BETWEEN.of(least=0, most=100)
    timeout, heartbeat = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
    if isinstance(timeout, int) and isinstance(heartbeat, int) and heartbeat >= timeout:
        why = reasons.SMALLER.of(name="HeartbeatSeconds", other="TimeoutSeconds")
        yield f"{place.path}/HeartbeatSeconds", why


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
        between = reasons.WHOLE_BETWEEN.of(least=least, most=most)
        yield f"{path}/{name}", reasons.WHOLE_AT_LEAST.of(least=least) if most is None else between
