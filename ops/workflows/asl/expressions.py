"""What a state's fields say, compiled: payload templates with paths and intrinsics, or with JSONata in `{% %}`.

Every field becomes a function of a `View`: what `$`, `$$`, variables and `$states` mean where it is evaluated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ops.workflows.asl import reasons
from ops.workflows.asl.errors import StateFailed, runtime
from ops.workflows.asl.intrinsics import Intrinsic, InvalidIntrinsic, is_intrinsic, parse_intrinsic
from ops.workflows.asl.jsonata import InvalidJsonata, Jsonata, compile_jsonata
from ops.workflows.asl.paths import InvalidPath, NoResult, Path, parse_path
from ops.workflows.asl.reasons import reason_in
from ops.workflows.asl.written import written

Json = Any


class InvalidExpression(ValueError):
    """A field's path, intrinsic or expression cannot be read."""


@dataclass(frozen=True, slots=True)
class View:
    """What can be seen from a field. `root` is `$` of JSONPath; the rest of `$states` is there where it is told."""

    root: Json
    context: Mapping[str, Json]
    variables: Mapping[str, Json] = field(default_factory=dict)
    states: Mapping[str, Json] = field(default_factory=dict)  # input, result, errorOutput: of JSONata

    def at(self, root: Json) -> "View":
        return replace(self, root=root)

    def with_states(self, **more: Json) -> "View":
        return replace(self, states={**self.states, **more})

    def look(self, path: Path) -> Json:
        """Return what a path leads to. Raises NoResult."""
        if path.root == "$":
            return path.find(self.root)
        if path.root == "$$":
            return path.find(self.context)
        if path.root not in self.variables:
            raise NoResult(f"${path.root}")
        return path.find(self.variables[path.root])


Value = Callable[[View], Json]


def compile_path(text: str, field_name: str, *, sentence: str = "") -> Value:
    """Compile a path, or an intrinsic call. Raises InvalidExpression.

    The value fails with `sentence`, in which {path} and {result} stand for what was asked, or with the usual one.
    """
    if is_intrinsic(text):
        return compile_intrinsic(text, field_name)
    try:
        path = parse_path(text)
    except InvalidPath as error:
        raise InvalidExpression(reason_in(error))

    def value(view: View) -> Json:
        try:
            return view.look(path)
        except NoResult as nowhere:
            if sentence:
                raise runtime(sentence.format(path=text, result=nowhere))
            raise missing(text, field_name, view.root)

    return value


def missing(path: str, field_name: str, root: Json) -> StateFailed:
    return runtime(
        f"The JSONPath '{path}' specified for the field '{field_name}' could not be found in the input "
        f"'{written(root)}'"
    )


def compile_intrinsic(text: str, field_name: str) -> Value:
    try:
        intrinsic: Intrinsic = parse_intrinsic(text)
    except InvalidIntrinsic as error:
        raise InvalidExpression(reason_in(error))

    def value(view: View) -> Json:
        try:
            return intrinsic.evaluate(view.look)
        except NoResult:
            raise missing(text, field_name, view.root)

    return value


def compile_template(template: Json) -> Value:
    """Compile a payload template of JSONPath: keys in `.$` have paths or intrinsics. Raises InvalidExpression."""
    if isinstance(template, dict):
        return compile_object(template)
    if isinstance(template, list):
        items = [compile_template(item) for item in template]
        return lambda view: [item(view) for item in items]
    return lambda _view: template


def compile_object(template: dict[str, Json]) -> Value:
    members: dict[str, Value] = {}
    for key, inner in template.items():
        if not key.endswith(".$"):
            members[key] = compile_template(inner)
        elif isinstance(inner, str) and (inner.startswith("$") or is_intrinsic(inner)):
            members[key[:-2]] = compile_path(inner, key)
        else:
            raise InvalidExpression(reasons.PATH_OR_INTRINSIC.of(name=key))
    return lambda view: {key: member(view) for key, member in members.items()}


def is_jsonata(value: Json) -> bool:
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}") and len(value) >= 4


def compile_jsonata_field(template: Json, field_name: str) -> Value:
    """Compile a field of a JSONata state: every string in `{% %}` is an expression. Raises InvalidExpression."""
    if is_jsonata(template):
        return compile_expression(template, field_name)
    if isinstance(template, dict):
        members = {key: compile_jsonata_field(inner, f"{field_name}/{key}") for key, inner in template.items()}
        return lambda view: {key: member(view) for key, member in members.items()}
    if isinstance(template, list):
        items = [compile_jsonata_field(item, f"{field_name}[{number}]") for number, item in enumerate(template)]
        return lambda view: [item(view) for item in items]
    return lambda _view: template


def compile_expression(text: str, field_name: str) -> Value:
    source = text[2:-2].strip()
    try:
        expression: Jsonata = compile_jsonata(source)
    except InvalidJsonata as error:
        raise InvalidExpression(reason_in(error))

    def value(view: View) -> Json:
        states = {"context": dict(view.context), **view.states}
        return expression.evaluate({**view.variables, "states": states}, field_name)

    return value
