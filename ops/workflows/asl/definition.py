"""Definitions, compiled: every field of every state is a function of what can be seen from it.

A definition is checked first (`validate`); what is compiled here is known to be well formed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.workflows.asl.choice import compile_rule
from ops.workflows.asl.expressions import (
    Value,
    View,
    compile_jsonata_field,
    compile_path,
    compile_template,
    is_jsonata,
)
from ops.workflows.asl.paths import Path, parse_path
from ops.workflows.asl.retry import Retrier, retrier_of

Json = Any
JSONPATH, JSONATA = "JSONPath", "JSONata"


@dataclass(frozen=True, slots=True)
class Catcher:
    """One entry of a state's Catch, or of Choices: where to go on, and with what."""

    errors: tuple[str, ...]
    next: str
    result_path: Path | None = None  # JSONPath: where the error output is put; None discards it
    output: Value | None = None
    assign: Value | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One rule of a Choice state."""

    test: Callable[[View], Json]
    next: str
    output: Value | None = None
    assign: Value | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A number that is written in the definition, found by a path, or given by an expression."""

    name: str  # of the field
    constant: float | int | None = None
    path: str = ""
    value: Value | None = None
    source: str = ""  # of the expression


@dataclass(slots=True)
class State:
    """One state. What a kind of state does not have is None or empty."""

    name: str
    kind: str
    raw: Mapping[str, Json]
    language: str
    machine_language: str  # of states inside this one that say nothing of their own (ASL, "QueryLanguage")
    next: str | None = None
    input_path: Value | None = None  # None: nothing is chosen
    discards_input: bool = False  # InputPath is null
    parameters: Value | None = None  # Parameters, or Arguments
    result_selector: Value | None = None
    result_path: Path | None = None  # None: the result is discarded
    output_path: Value | None = None
    discards_output: bool = False
    output: Value | None = None
    assign: Value | None = None
    retriers: tuple[Retrier, ...] = ()
    catchers: tuple[Catcher, ...] = ()
    choices: tuple[Choice, ...] = ()
    default: str | None = None
    resource: str = ""
    credentials: Value | None = None
    numbers: dict[str, Number] = field(default_factory=dict)  # Seconds, TimeoutSeconds, MaxConcurrency, …
    timestamp: Value | None = None
    error: Value | None = None
    cause: Value | None = None
    branches: tuple["Flow", ...] = ()
    items: Value | None = None
    item_selector: Value | None = None
    batch_input: Value | None = None
    reader: "State | None" = None  # what reads a distributed Map's items, as a Task
    writer: Value | None = None  # the arguments of what writes a distributed Map's results
    distributed: bool = False

    @property
    def jsonata(self) -> bool:
        return self.language == JSONATA


@dataclass(frozen=True, slots=True)
class Flow:
    """States that lead to each other: a whole machine's, a branch's, a Map's."""

    start_at: str
    states: Mapping[str, State]


@dataclass(frozen=True, slots=True)
class Machine:
    """A state machine that can be run."""

    flow: Flow
    definition: Mapping[str, Json]
    timeout_seconds: int | None = None


def compile_machine(definition: Mapping[str, Json]) -> Machine:
    """Compile a checked definition. Raises InvalidExpression where it was not checked."""
    language = definition.get("QueryLanguage", JSONPATH)
    return Machine(compile_flow(definition, language), definition, definition.get("TimeoutSeconds"))


def compile_flow(raw: Mapping[str, Json], language: str) -> Flow:
    return Flow(raw["StartAt"], {name: compile_state(name, state, language) for name, state in raw["States"].items()})


def compile_state(name: str, raw: Mapping[str, Json], language: str) -> State:
    state = State(name, raw["Type"], raw, raw.get("QueryLanguage", language), language, next=raw.get("Next"))
    state.retriers = tuple(retrier_of(entry) for entry in raw.get("Retry", ()))
    if state.jsonata:
        compile_jsonata_state(state)
    else:
        compile_jsonpath_state(state)
    state.catchers = tuple(compile_catcher(entry, state) for entry in raw.get("Catch", ()))
    state.numbers = {name: compile_number(name, state) for name in NUMBERS if name in raw or f"{name}Path" in raw}
    COMPILERS.get(state.kind, lambda _state: None)(state)
    return state


NUMBERS = (
    *("Seconds", "TimeoutSeconds", "HeartbeatSeconds"),
    *("MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage"),
)


def compile_jsonpath_state(state: State) -> None:
    raw = state.raw
    state.discards_input = "InputPath" in raw and raw["InputPath"] is None
    if raw.get("InputPath") not in (None, "$"):
        state.input_path = compile_path(raw["InputPath"], "InputPath", sentence=NO_RESULTS)
    state.discards_output = "OutputPath" in raw and raw["OutputPath"] is None
    if raw.get("OutputPath") not in (None, "$"):
        state.output_path = compile_path(raw["OutputPath"], "OutputPath", sentence=NO_RESULTS)
    if "Parameters" in raw and state.kind != "Map":
        state.parameters = compile_template(raw["Parameters"])
    if "ResultSelector" in raw:
        state.result_selector = compile_template(raw["ResultSelector"])
    path = raw.get("ResultPath", "$")
    state.result_path = None if path is None else parse_path(path)
    if "Assign" in raw:
        state.assign = compile_template(raw["Assign"])


NO_RESULTS = "Invalid path '{path}' : No results for path: {result}"


def compile_jsonata_state(state: State) -> None:
    raw = state.raw
    for attribute, name in (("parameters", "Arguments"), ("output", "Output"), ("assign", "Assign")):
        if name in raw:
            setattr(state, attribute, compile_jsonata_field(raw[name], name))


def compile_catcher(entry: Mapping[str, Json], state: State) -> Catcher:
    errors, target = tuple(entry["ErrorEquals"]), entry["Next"]
    output, assign = compile_leaving(entry, state)
    path = entry.get("ResultPath", "$")
    return Catcher(errors, target, None if path is None or state.jsonata else parse_path(path), output, assign)


def compile_leaving(entry: Mapping[str, Json], state: State) -> tuple[Value | None, Value | None]:
    """The Output and Assign that stand beside a Next inside a state."""
    if state.jsonata:
        output = compile_jsonata_field(entry["Output"], "Output") if "Output" in entry else None
        assign = compile_jsonata_field(entry["Assign"], "Assign") if "Assign" in entry else None
        return output, assign
    return None, compile_template(entry["Assign"]) if "Assign" in entry else None


def compile_number(name: str, state: State) -> Number:
    raw = state.raw
    if f"{name}Path" in raw:
        path = raw[f"{name}Path"]
        sentence = f"The {name}Path parameter does not reference an input value: {{path}}"
        return Number(f"{name}Path", path=path, value=compile_path(path, f"{name}Path", sentence=sentence))
    if is_jsonata(raw[name]):
        source = raw[name][2:-2].strip()
        return Number(name, value=compile_jsonata_field(raw[name], name), source=source)
    return Number(name, constant=raw[name])


def compile_choice(state: State) -> None:
    choices = []
    for rule in state.raw["Choices"]:
        test: Callable[[View], Json]
        test = compile_jsonata_field(rule["Condition"], "Condition") if state.jsonata else compile_rule(rule)
        choices.append(Choice(test, rule["Next"], *compile_leaving(rule, state)))
    state.choices = tuple(choices)
    state.default = state.raw.get("Default")


def compile_task(state: State) -> None:
    raw = state.raw
    state.resource = raw["Resource"]
    if "Credentials" in raw:
        credentials = raw["Credentials"]
        state.credentials = (
            compile_jsonata_field(credentials, "Credentials") if state.jsonata else compile_template(credentials)
        )


def compile_wait(state: State) -> None:
    raw = state.raw
    if "TimestampPath" in raw:
        sentence = "The TimestampPath parameter does not reference an input value: {path}"
        state.timestamp = compile_path(raw["TimestampPath"], "TimestampPath", sentence=sentence)
    elif "Timestamp" in raw:
        state.timestamp = (
            compile_jsonata_field(raw["Timestamp"], "Timestamp") if state.jsonata else constant(raw["Timestamp"])
        )


def constant(value: Json) -> Value:
    return lambda _view: value


def compile_fail(state: State) -> None:
    for name in ("Error", "Cause"):
        text = state.raw.get(f"{name}Path")
        if text is not None:
            value: Value = compile_path(text, f"{name}Path")
        elif name not in state.raw:
            continue
        else:
            given = state.raw[name]
            value = compile_jsonata_field(given, name) if state.jsonata else constant(given)
        setattr(state, name.lower(), value)


def compile_parallel(state: State) -> None:
    state.branches = tuple(compile_flow(branch, state.machine_language) for branch in state.raw["Branches"])


def compile_map(state: State) -> None:
    raw = state.raw
    processor = raw.get("ItemProcessor") or raw["Iterator"]
    state.branches = (compile_flow(processor, state.machine_language),)
    state.distributed = processor.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED"
    batcher = raw.get("ItemBatcher") or {}
    if state.jsonata:
        state.items = compile_jsonata_field(raw["Items"], "Items") if "Items" in raw else None
        selector = raw.get("ItemSelector")
        state.item_selector = compile_jsonata_field(selector, "ItemSelector") if selector is not None else None
        if "BatchInput" in batcher:
            state.batch_input = compile_jsonata_field(batcher["BatchInput"], "BatchInput")
    else:
        state.items = compile_path(raw["ItemsPath"], "ItemsPath") if raw.get("ItemsPath", "$") != "$" else None
        selector = raw.get("ItemSelector", raw.get("Parameters"))
        state.item_selector = compile_template(selector) if selector is not None else None
        if "BatchInput" in batcher:
            state.batch_input = compile_template(batcher["BatchInput"])
    if "ResultWriter" in raw:
        writer = raw["ResultWriter"]
        given = writer.get("Arguments", {}) if state.jsonata else writer.get("Parameters", {})
        state.writer = compile_jsonata_field(given, "Arguments") if state.jsonata else compile_template(given)
    if "ItemReader" in raw:
        reader = {"Type": "Task", "End": True, **raw["ItemReader"]}
        state.reader = compile_state(state.name, reader, state.language)


COMPILERS: dict[str, Callable[[State], None]] = {
    "Choice": compile_choice,
    "Task": compile_task,
    "Wait": compile_wait,
    "Fail": compile_fail,
    "Parallel": compile_parallel,
    "Map": compile_map,
}
