"""Parallel and Map: the flows that run inside a state, with what each is given."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.workflows.asl.definition import Flow, Number, State
from ops.workflows.asl.errors import QUERY, TOO_MANY_FAILED, Failure, StateFailed, runtime
from ops.workflows.asl.expressions import View
from ops.workflows.asl.jsonata import unexpected
from ops.workflows.asl.reading import items_in
from ops.workflows.asl.written import size, written

Json = Any


@dataclass(frozen=True, slots=True)
class Branch:
    """One flow inside a state, and what it begins with. `item` is what the context object tells of a Map's item."""

    flow: Flow
    input: Json
    variables: Mapping[str, Json]
    item: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Fork:
    """A state waits for the flows inside it; its result is the list of their outputs."""

    branches: tuple[Branch, ...]
    concurrency: int = 0  # how many run at once; 0: as many as there are
    distributed: bool = False
    tolerance: "Tolerance" = field(default_factory=lambda: Tolerance())

    @classmethod
    def of_branches(cls, state: State, value: Json, variables: Mapping[str, Json]) -> "Fork":
        return cls(tuple(Branch(flow, value, variables) for flow in state.branches))


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How many of a distributed Map's children may fail: at most this many, and at most this share, in percent."""

    count: float | None = None
    percentage: float | None = None

    def exceeded(self, failed: int, items: int) -> bool:
        if not failed:
            return False
        if self.count is None and self.percentage is None:
            return True
        share = 100 * failed / items if items else 0
        over_count = self.count is not None and failed > self.count
        over_share = self.percentage is not None and share > self.percentage
        return over_count or over_share


MAP_RUN = "arn:aws:states:local:000000000000:mapRun"  # what is asked to run children that are executions


def map_run_of(state: State, fork: "Fork", scope: list[list[Json]], view: View) -> dict[str, Json]:
    """What a distributed Map asks for: its children's inputs, how many at once, how many may fail, where results go."""
    writer = state.writer(view) if state.writer else None
    return {
        "Scope": scope,
        "StartAt": state.branches[0].start_at,
        "Children": [{"Input": branch.input, "Item": branch.item} for branch in fork.branches],
        "Concurrency": fork.concurrency,
        "ToleratedCount": fork.tolerance.count,
        "ToleratedPercentage": fork.tolerance.percentage,
        "Writer": writer,
    }


EXCEEDED = Failure(TOO_MANY_FAILED, "The specified tolerated failure threshold was exceeded")


def fork(state: State, view: View, value: Json, notes: dict[str, Json], *, read: Json = None) -> Fork:
    """The iterations of a Map whose effective input is `value`; `read` is what its ItemReader gave.

    Raises StateFailed.
    """
    found = read_through(state, view.at(value), read) if state.reader else items_of(state, view, value)
    items = pairs_of(found) if state.distributed and isinstance(found, dict) else found
    if not isinstance(items, list):
        raise not_a_list(state, items)
    told = [told_of(found, index, item) for index, item in enumerate(items)]
    notes["afterItems" if state.jsonata else "afterItemsPath"] = items
    concurrency = whole_number(state, "MaxConcurrency", view.at(value), default=0)
    inputs = [selected(state, view, value, item, about) for item, about in zip(items, told, strict=True)]
    if state.item_selector:
        notes["afterItemSelector"] = inputs
    batches = batched(state, view, value, inputs)
    variables = {} if state.distributed else view.variables
    flow = state.branches[0]
    branches = tuple(
        Branch(flow, given, variables, told[index] if len(batches) == len(items) else {"Index": index, "Value": given})
        for index, given in enumerate(batches)
    )
    return Fork(branches, concurrency, state.distributed, tolerance_of(state, view.at(value)))


def read_through(state: State, view: View, content: Json) -> Json:
    config = state.raw["ItemReader"].get("ReaderConfig", {})
    most = batcher_limit(config, "MaxItems", view)
    return items_in(content, config, most=None if math.isinf(most) else int(most))


def items_of(state: State, view: View, value: Json) -> Json:
    if state.items is None:
        return value
    return state.items(view.at(value))


def not_a_list(state: State, items: Json) -> StateFailed:
    if state.jsonata and state.items is not None:
        source = state.raw["Items"]
        text = source[2:-2].strip() if isinstance(source, str) else written(source)
        return unexpected(text, "Items", "array", items)
    if state.jsonata:
        return StateFailed(QUERY, f"Map state input must be an array but was: {written(items)}")
    if state.items is not None:
        path = state.raw["ItemsPath"].replace("$$", "$")
        return runtime(f'Reference path "{path}" must point to array.')
    return runtime('Reference path "$" must point to array.')


def pairs_of(found: Mapping[str, Json]) -> list[Json]:
    """A distributed Map goes through an object's pairs (Step Functions docs, "ItemsPath"); an inline one fails."""
    return [{"Key": key, "Value": value} for key, value in found.items()]


def told_of(found: Json, index: int, item: Json) -> dict[str, Json]:
    """What the context object tells of an item; of an object's pair its key too."""
    return {"Index": index, **item} if isinstance(found, dict) else {"Index": index, "Value": item}


def selected(state: State, view: View, value: Json, item: Json, told: Mapping[str, Json]) -> Json:
    """An iteration's input: the item, or what ItemSelector makes of it."""
    if state.item_selector is None:
        return item
    context = {**view.context, "Map": {"Item": dict(told)}}
    return state.item_selector(View(value, context, view.variables, view.states))


def batched(state: State, view: View, value: Json, inputs: list[Json]) -> list[Json]:
    """A distributed Map's inputs in batches (Step Functions docs, "ItemBatcher")."""
    batcher = state.raw.get("ItemBatcher")
    if not batcher:
        return inputs
    most = batcher_limit(batcher, "MaxItemsPerBatch", view.at(value))
    most_bytes = batcher_limit(batcher, "MaxInputBytesPerBatch", view.at(value))
    shared = state.batch_input(view.at(value)) if state.batch_input else None
    batches: list[list[Json]] = []
    length = 0.0
    for given in inputs:
        length += size(given)
        if not batches or len(batches[-1]) >= most or length > most_bytes:
            batches.append([])
            length = size(given)
        batches[-1].append(given)
    return [{**({"BatchInput": shared} if state.batch_input else {}), "Items": batch} for batch in batches]


def batcher_limit(batcher: Mapping[str, Json], name: str, view: View) -> float:
    from ops.workflows.asl.expressions import compile_jsonata_field, compile_path, is_jsonata

    if f"{name}Path" in batcher:
        found = compile_path(batcher[f"{name}Path"], f"{name}Path")(view)
    else:
        given = batcher.get(name)
        found = compile_jsonata_field(given, name)(view) if is_jsonata(given) else given
    if found is None:
        return math.inf
    if isinstance(found, bool) or not isinstance(found, int) or found <= 0:
        raise runtime(f"{name} must be a positive integer, but was {written(found)}.")
    return found


def whole_number(state: State, name: str, view: View, *, default: int) -> int:
    """A number of a Map's fields that must be a whole one, from 0. Raises StateFailed."""
    number = state.numbers.get(name)
    if number is None:
        return default
    value = found(number, view, "integer", lambda given: isinstance(given, int))
    if value < 0:
        raise runtime(f"{name} must be a non-negative integer.")
    return int(value)


def tolerance_of(state: State, view: View) -> Tolerance:
    count, percentage = state.numbers.get("ToleratedFailureCount"), state.numbers.get("ToleratedFailurePercentage")
    most = found(count, view, "integer", lambda given: isinstance(given, int)) if count else None
    share = found(percentage, view, "float", lambda given: True) if percentage else None
    if most is not None and most < 0:
        raise started(runtime("ToleratedFailureCount must be a non-negative integer."))
    if share is not None and not 0 <= share <= 100:
        raise started(runtime("ToleratedFailurePercentage must be between 0 and 100."))
    return Tolerance(most, share)


def found(number: Number, view: View, kind: str, fits: Callable[[Json], bool]) -> float:
    if number.constant is not None:
        return number.constant
    value = number.value(view) if number.value else None
    value = numeral(value) if number.path else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
        shown = value if isinstance(value, str) else written(value)
        if number.path:
            sentence = f'The {number.name} field refers to value "{shown}" which is not a valid {kind}: {number.path}'
            failed = runtime(sentence)
            raise failed if number.name.startswith("MaxConcurrency") else started(failed)
        raise unexpected(number.source, number.name, "number" if kind == "float" else kind, value)
    return value


def numeral(value: Json) -> Json:
    """A number that a path found written as a text counts as a number."""
    try:
        return int(value) if isinstance(value, str) else value
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        return value


def started(failed: StateFailed) -> StateFailed:
    """Mark a failure that comes after the Map has been told as started, as Step Functions' histories have it."""
    failed.map_started = True
    return failed
