"""Choice rules of JSONPath states, compiled (ASL, "Choice State")."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ops.workflows.asl import reasons
from ops.workflows.asl.errors import runtime
from ops.workflows.asl.expressions import InvalidExpression, View
from ops.workflows.asl.paths import InvalidPath, NoResult, Path, parse_path
from ops.workflows.asl.timestamps import read_timestamp

Json = Any
Test = Callable[[View], bool]

NOWHERE = "Invalid path '{path}': The choice state's condition path references an invalid value."


def compile_rule(rule: Mapping[str, Json]) -> Test:
    """Compile one rule of a Choice state, or one inside And, Or, Not. Raises InvalidExpression."""
    if "And" in rule:
        tests = [compile_rule(inner) for inner in rule["And"]]
        return lambda view: all(test(view) for test in tests)
    if "Or" in rule:
        tests = [compile_rule(inner) for inner in rule["Or"]]
        return lambda view: any(test(view) for test in tests)
    if "Not" in rule:
        test = compile_rule(rule["Not"])
        return lambda view: not test(view)
    return compile_comparison(rule)


def compile_comparison(rule: Mapping[str, Json]) -> Test:
    variable = path_of(rule.get("Variable"))
    names = [name for name in rule if name in COMPARISONS or name in TYPES or name == "IsPresent"]
    if len(names) != 1:
        raise InvalidExpression(reasons.VARIABLE_COMPARED)
    name, wanted = names[0], rule[names[0]]
    if name == "IsPresent":
        return lambda view: is_present(view, variable) is bool(wanted)
    if name in TYPES:
        is_type = TYPES[name]
        return lambda view: is_type(value_at(view, variable)) is bool(wanted)
    compare = COMPARISONS[name]
    if name.endswith("Path"):
        other = path_of(wanted)
        return lambda view: compare(value_at(view, variable), value_at(view, other))
    return lambda view: compare(value_at(view, variable), wanted)


def path_of(text: Json) -> Path:
    if not isinstance(text, str):
        raise InvalidExpression(reasons.VARIABLE_PATH)
    try:
        return parse_path(text)
    except InvalidPath as error:
        raise InvalidExpression(reasons.reason_in(error))


def value_at(view: View, path: Path) -> Json:
    try:
        return view.look(path)
    except NoResult:
        raise runtime(NOWHERE.format(path=path.text))


def is_present(view: View, path: Path) -> bool:
    try:
        view.look(path)
    except NoResult:
        return False
    return True


def is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TYPES: dict[str, Callable[[Json], bool]] = {
    "IsNull": lambda value: value is None,
    "IsNumeric": is_number,
    "IsString": lambda value: isinstance(value, str),
    "IsBoolean": lambda value: isinstance(value, bool),
    "IsTimestamp": lambda value: read_timestamp(value) is not None,
}

Compare = Callable[[Json, Json], bool]


def of_strings(compare: Compare) -> Compare:
    return lambda left, right: isinstance(left, str) and isinstance(right, str) and compare(left, right)


def of_numbers(compare: Compare) -> Compare:
    return lambda left, right: is_number(left) and is_number(right) and compare(left, right)


def of_timestamps(compare: Compare) -> Compare:
    def test(left: Json, right: Json) -> bool:
        first, second = read_timestamp(left), read_timestamp(right)
        return first is not None and second is not None and compare(first, second)

    return test


def string_matches(value: Json, pattern: Json) -> bool:
    return isinstance(value, str) and isinstance(pattern, str) and wildcard(pattern).fullmatch(value) is not None


@lru_cache(maxsize=512)
def wildcard(pattern: str) -> re.Pattern[str]:
    """A regular expression for `*` wildcards, where a backslash makes the next character mean itself."""
    parts, escaped = [], False
    for letter in pattern:
        if escaped or letter not in "*\\":
            parts.append(re.escape(letter))
            escaped = False
        elif letter == "*":
            parts.append(".*")
        else:
            escaped = True
    return re.compile("".join(parts), re.DOTALL)


ORDER: dict[str, Compare] = {
    "Equals": lambda left, right: bool(left == right),
    "LessThan": lambda left, right: bool(left < right),
    "GreaterThan": lambda left, right: bool(left > right),
    "LessThanEquals": lambda left, right: bool(left <= right),
    "GreaterThanEquals": lambda left, right: bool(left >= right),
}
KINDS: dict[str, Callable[[Compare], Compare]] = {
    "String": of_strings,
    "Numeric": of_numbers,
    "Timestamp": of_timestamps,
}
COMPARISONS: dict[str, Compare] = {
    "StringMatches": string_matches,
    "BooleanEquals": lambda left, right: isinstance(left, bool) and left is right,
    "BooleanEqualsPath": lambda left, right: isinstance(left, bool) and left is right,
    **{
        f"{kind}{order}{path}": of_kind(compare)
        for kind, of_kind in KINDS.items()
        for order, compare in ORDER.items()
        for path in ("", "Path")
    },
}
