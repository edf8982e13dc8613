"""One state at a time: what entering it asks for, and how it is left when that has come. Pure.

Whoever drives (`inline`, the durable engine) keeps the place, the clock and the world; these functions say what a
state's fields mean. Order of a JSONPath state: Step Functions docs, "Processing input and output"; of a JSONata state:
"Transforming data with JSONata".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ops.workflows.asl.definition import Catcher, Number, State
from ops.workflows.asl.errors import DATA_LIMIT, QUERY, Failure, StateFailed, matches, runtime
from ops.workflows.asl.expressions import Value, View
from ops.workflows.asl.fork import Fork, fork
from ops.workflows.asl.jsonata import unexpected
from ops.workflows.asl.paths import InvalidPath, Path, put
from ops.workflows.asl.retry import Again, next_try
from ops.workflows.asl.timestamps import read_timestamp
from ops.workflows.asl.written import LARGEST_PAYLOAD, size, written

Json = Any
LONGEST_WAIT_SECONDS = 99_999_999  # Step Functions docs, "Wait state"; a Task's time-outs too


@dataclass(frozen=True, slots=True)
class Exit:
    """A state is left: with this output and these variables, to the next state, or out of its flow (None)."""

    output: Json
    assigned: Mapping[str, Json]
    next: str | None


@dataclass(frozen=True, slots=True)
class Sleep:
    """A Wait state waits until then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Call:
    """A Task calls a resource. Times in seconds; None where there is no limit of its own."""

    resource: str
    arguments: Json
    timeout_seconds: int | None = None
    heartbeat_seconds: int | None = None
    credentials: Json = None


Entered = Exit | Sleep | Call | Fork
Notes = dict[str, Json]  # what the data was on its way, under the names of TestState's inspection data


def enter(state: State, view: View, *, now: datetime, notes: Notes | None = None) -> Entered:
    """Enter a state with `view.root` as its raw input; return what it asks for. Raises StateFailed."""
    return ENTER[state.kind](state, with_input(state, view), now, {} if notes is None else notes)


def with_input(state: State, view: View) -> View:
    return view.with_states(input=view.root) if state.jsonata else view


def effective(state: State, view: View, notes: Notes) -> Json:
    """A state's input after InputPath."""
    if state.jsonata:
        return view.root
    value = {} if state.discards_input else view.root
    if state.input_path:
        value = state.input_path(view)
    notes["afterInputPath"] = value
    return value


def with_parameters(state: State, view: View, value: Json, notes: Notes) -> Json:
    """A state's input after Parameters; a JSONata state's Arguments."""
    if state.parameters:
        value = state.parameters(view.at(value))
    notes["afterArguments" if state.jsonata else "afterParameters"] = value
    return value


def enter_pass(state: State, view: View, now: datetime, notes: Notes) -> Exit:
    result = with_parameters(state, view, effective(state, view, notes), notes)
    if "Result" in state.raw and not state.jsonata:
        result = state.raw["Result"]
    return leave(state, view, result, notes, nothing=state.jsonata)


def enter_succeed(state: State, view: View, now: datetime, notes: Notes) -> Exit:
    return leave(state, view, effective(state, view, notes), notes, nothing=True)


def enter_fail(state: State, view: View, now: datetime, notes: Notes) -> Exit:
    effective(state, view, notes)
    error = state.error(view) if state.error else None
    cause = state.cause(view) if state.cause else None
    for name, value in (("Error", error), ("Cause", cause)):
        if value is not None and not isinstance(value, str):
            raise unexpected(source_of(state.raw.get(name)), name, "string", value)
    raise StateFailed(error, cause, located=False)


def source_of(text: Json) -> str:
    return text[2:-2].strip() if isinstance(text, str) else ""


def enter_choice(state: State, view: View, now: datetime, notes: Notes) -> Exit:
    value = effective(state, view, notes)
    seen = view.at(value)
    for choice in state.choices:
        holds = choice.test(seen)
        if not isinstance(holds, bool):
            raise unexpected(source_of(condition_of(state, choice.next)), "Condition", "boolean", holds)
        if holds:
            return leave_choice(state, view, value, choice.next, choice.output, choice.assign, notes)
    if state.default is None:
        raise runtime("Failed to transition out of the state. The state does not point to a next state.")
    return leave_choice(state, view, value, state.default, None, None, notes)


def condition_of(state: State, target: str) -> Json:
    return next((rule["Condition"] for rule in state.raw["Choices"] if rule["Next"] == target), "")


def leave_choice(
    state: State, view: View, value: Json, target: str, output: Value | None, assign: Value | None, notes: Notes
) -> Exit:
    """Leave a Choice state by a rule, whose Output and Assign go before the state's own."""
    if state.jsonata:
        out = output or state.output
        assigned = assign or state.assign
        return Exit(out(view) if out else view.root, assigned(view) if assigned else {}, target)
    assigned = assign or state.assign
    variables = assigned(view.at(value)) if assigned else {}
    return Exit(after_output_path(state, view, value), variables, target)


def enter_wait(state: State, view: View, now: datetime, notes: Notes) -> Sleep:
    seen = view.at(effective(state, view, notes))
    if state.timestamp:
        return Sleep(moment(state, state.timestamp(seen)))
    return Sleep(now + timedelta(seconds=wait_seconds(state.numbers["Seconds"], seen)))


def moment(state: State, value: Json) -> datetime:
    at = read_timestamp(value)
    if at is not None:
        return at
    if "TimestampPath" in state.raw:
        path = state.raw["TimestampPath"]
        shown = value if isinstance(value, str) else written(value)
        form = "a valid ISO-8601 extended offset date-time format string"
        raise runtime(f"The TimestampPath parameter does not reference {form}: {path} == {shown}")
    if not isinstance(value, str):
        raise unexpected(source_of(state.raw["Timestamp"]), "Timestamp", "string", value)
    form = "an ISO-8601 extended offset date-time format string"
    raise StateFailed(QUERY, f"The Timestamp field cannot be parsed as {form}: {value}")


def wait_seconds(number: Number, view: View) -> float:
    if number.constant is not None:
        return number.constant
    value = number.value(view) if number.value else None
    shown = f"{number.path} == {value if isinstance(value, str) else written(value)}"
    if isinstance(value, bool) or not isinstance(value, int):
        if number.path:
            raise runtime(f"The {number.name} parameter cannot be parsed as a long value: {shown}")
        raise unexpected(number.source, number.name, "integer", value)
    if value < 0:
        if number.path:
            raise runtime(f"The {number.name} parameter references a negative value: {shown}")
        raise StateFailed(QUERY, f"The {number.name} field must be a positive integer, but was {value}.")
    if value > LONGEST_WAIT_SECONDS:
        raise runtime(f"The {number.name} parameter references a value greater than {LONGEST_WAIT_SECONDS}: {shown}")
    return value


def enter_task(state: State, view: View, now: datetime, notes: Notes) -> Call:
    value = effective(state, view, notes)
    seen = view.at(value)
    arguments = with_parameters(state, view, value, notes)
    return Call(
        resource=state.resource,
        arguments=arguments,
        timeout_seconds=limit(state, "TimeoutSeconds", seen),
        heartbeat_seconds=limit(state, "HeartbeatSeconds", seen),
        credentials=state.credentials(seen) if state.credentials else None,
    )


def limit(state: State, name: str, view: View) -> int | None:
    """A Task's time-out in seconds, as written or found. Raises StateFailed for what is no positive integer."""
    number = state.numbers.get(name)
    if number is None:
        return None
    value = number.constant if number.value is None else number.value(view)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        if number.path:
            raise runtime(f"The {number.name} parameter does not reference a positive integer: {number.path}")
        raise unexpected(number.source, number.name, "integer", value)
    return min(value, LONGEST_WAIT_SECONDS)


def enter_parallel(state: State, view: View, now: datetime, notes: Notes) -> Fork:
    value = with_parameters(state, view, effective(state, view, notes), notes)
    return Fork.of_branches(state, value, view.variables)


def enter_map(state: State, view: View, now: datetime, notes: Notes) -> Call | Fork:
    value = effective(state, view, notes)
    if state.reader:
        return enter_task(state.reader, with_input(state.reader, view.at(value)), now, {})
    return fork(state, view, value, notes)


def read_items(state: State, view: View, content: Json, *, notes: Notes | None = None) -> Fork:
    """Go on with a distributed Map whose items were read: `content` is the list. Raises StateFailed."""
    notes = {} if notes is None else notes
    seen = with_input(state, view)
    return fork(state, seen, effective(state, seen, notes), notes, read=content)


ENTER: dict[str, Callable[[State, View, datetime, Notes], Entered]] = {
    "Pass": enter_pass,
    "Succeed": enter_succeed,
    "Fail": enter_fail,
    "Choice": enter_choice,
    "Wait": enter_wait,
    "Task": enter_task,
    "Parallel": enter_parallel,
    "Map": enter_map,
}


def wake(state: State, view: View) -> Exit:
    """Leave a Wait state. Raises StateFailed."""
    seen = with_input(state, view)
    return leave(state, seen, effective(state, seen, {}), {}, nothing=True)


def complete(state: State, view: View, result: Json, *, notes: Notes | None = None) -> Exit:
    """Leave a Task, Parallel or Map state with its result. Raises StateFailed."""
    notes = {} if notes is None else notes
    return leave(state, with_input(state, view), result, notes)


def check_size(result: Json, resource: str) -> None:
    """Raises StateFailed where a result is larger than the service allows."""
    if size(result) > LARGEST_PAYLOAD:
        raise too_large(resource)


def too_large(what: str) -> StateFailed:
    sentence = (
        f"The state/task '{what}' returned a result with a size exceeding the maximum number of bytes service limit."
    )
    return StateFailed(DATA_LIMIT, sentence, located=False)


def leave(state: State, view: View, result: Json, notes: Notes, *, nothing: bool = False) -> Exit:
    """Leave a state with its result. `nothing`: there is no `$states.result`, and Output is the input by default."""
    if state.jsonata:
        seen = view if nothing else view.with_states(result=result)
        if not nothing:
            notes["result"] = result
        assigned = state.assign(seen) if state.assign else {}
        output = state.output(seen) if state.output else result
        return Exit(checked(output, state), assigned, state.next)
    if state.kind not in ("Wait", "Succeed"):
        notes["result"] = result
    if state.result_selector:
        result = state.result_selector(view.at(result))
    notes["afterResultSelector"] = result
    assigned = state.assign(view.at(result)) if state.assign else {}
    output = result if state.kind in ("Wait", "Succeed") else placed(state.result_path, view.root, result)
    notes["afterResultPath"] = output
    return Exit(checked(after_output_path(state, view, output), state), assigned, state.next)


def placed(path: Path | None, root: Json, result: Json) -> Json:
    """A state's raw input with its result at ResultPath. Raises StateFailed (States.Runtime) where it cannot be put."""
    if path is None:
        return root
    try:
        return put(path, root, result)
    except InvalidPath as error:
        raise StateFailed("States.ResultPathMatchFailure", str(error))


def after_output_path(state: State, view: View, value: Json) -> Json:
    if state.discards_output:
        return {}
    return state.output_path(view.at(value)) if state.output_path else value


def checked(output: Json, state: State) -> Json:
    if size(output) > LARGEST_PAYLOAD:
        raise too_large(state.name)
    return output


@dataclass(frozen=True, slots=True)
class Caught:
    """A catcher takes a failure: the state is left by it."""

    exit: Exit
    catcher: int


def recover(
    state: State, view: View, failure: Failure, *, used: Mapping[int, int], draw: Callable[[], float]
) -> Again | Caught | None:
    """Say what becomes of a state that failed: it is tried again, left by a catcher, or fails (None).

    `view.root` is the state's raw input, `used` how often each retrier was used. Raises StateFailed where a catcher's
    own fields fail.
    """
    again = next_try(state.retriers, failure.error, used, draw)
    if again:
        return again
    for number, catcher in enumerate(state.catchers):
        if matches(list(catcher.errors), failure.error):
            return Caught(leave_by(catcher, state, view, failure), number)
    return None


def leave_by(catcher: Catcher, state: State, view: View, failure: Failure) -> Exit:
    told = failure.output()
    if state.jsonata:
        seen = with_input(state, view).with_states(errorOutput=told)
        assigned = catcher.assign(seen) if catcher.assign else {}
        return Exit(catcher.output(seen) if catcher.output else told, assigned, catcher.next)
    assigned = catcher.assign(view.at(told)) if catcher.assign else {}
    return Exit(placed(catcher.result_path, view.root, told), assigned, catcher.next)
