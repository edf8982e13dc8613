"""One state on its own: what it makes of an input and of a mocked result (API reference, "TestState"). Pure."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ops.workflows.asl.definition import Flow, State, compile_machine
from ops.workflows.asl.errors import Failure, StateFailed
from ops.workflows.asl.expressions import View
from ops.workflows.asl.fork import EXCEEDED, Fork
from ops.workflows.asl.retry import Again
from ops.workflows.asl.running import Answer, World
from ops.workflows.asl.step import Call, Caught, Exit, Notes, Sleep, complete, enter, read_items, recover, wake
from ops.workflows.asl.timestamps import write_timestamp

Json = Any
DEFAULT_NAME = "StateName"  # as Step Functions calls a state that is tested alone
# What inspection data tells of a state of this kind, beside its input; other notes stay untold.
TOLD = {
    "Parallel": ("afterResultSelector", "afterResultPath"),
    "Succeed": ("afterInputPath",),
    "Wait": ("afterInputPath",),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """What a state is tried with."""

    input: Json
    now: datetime
    state_name: str = ""
    variables: Mapping[str, Json] = field(default_factory=dict)
    context: Mapping[str, Json] | None = None
    mock: Answer | None = None
    failed_iterations: int | None = None  # of a Map
    retries: int = 0  # how often its retrier was used already
    items: Json = None  # what a Map's reader would read


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it: SUCCEEDED, FAILED, RETRIABLE or CAUGHT_ERROR."""

    status: str
    output: Json = None
    failure: Failure = field(default_factory=Failure)
    next: str | None = None
    inspection: Mapping[str, Json] = field(default_factory=dict)


def try_state(definition: Mapping[str, Json], trial: Trial, world: World) -> Tried:
    """Run one state, given alone or by its name in a machine. Raises LookupError where there is none of that name."""
    name, state = find_state(definition, trial.state_name)
    notes: Notes = {"input": trial.input}
    view = View(trial.input, context_of(name, trial), trial.variables)
    try:
        left = run_state(state, view, trial, world, notes)
    except StateFailed as failed:
        return failing(state, view, Failure(failed.error, failed.cause), trial, notes)
    if isinstance(left, Failure):
        return failing(state, view, left, trial, notes)
    return Tried("SUCCEEDED", left.output, next=left.next, inspection=told(state, notes))


def find_state(definition: Mapping[str, Json], name: str) -> tuple[str, State]:
    if "States" not in definition:
        alone = name or DEFAULT_NAME
        machine = compile_machine({"StartAt": alone, "States": {alone: definition}})
        return alone, machine.flow.states[alone]
    machine = compile_machine(definition)
    found = state_within(machine.flow, name) if name else None
    if found is None:
        raise LookupError(f"There is no state named {name!r} in the definition.")
    return name, found


def state_within(flow: Flow, name: str) -> State | None:
    if name in flow.states:
        return flow.states[name]
    inner = (state_within(branch, name) for state in flow.states.values() for branch in state.branches)
    return next((state for state in inner if state), None)


def context_of(name: str, trial: Trial) -> Mapping[str, Json]:
    if trial.context is not None:
        return trial.context
    moment = write_timestamp(trial.now)
    machine = f"arn:aws:states:local:000000000000:stateMachine:{name}"
    return {
        "Execution": {
            "Id": f"arn:aws:states:local:000000000000:express:{name}:test",
            "Input": trial.input,
            "Name": "test",
            "RoleArn": "arn:aws:iam::000000000000:role/local",
            "StartTime": moment,
        },
        "StateMachine": {"Id": machine, "Name": name},
        "State": {"Name": name, "EnteredTime": moment, "RetryCount": trial.retries},
    }


def run_state(state: State, view: View, trial: Trial, world: World, notes: Notes) -> Exit | Failure:
    entered = enter(state, view, now=trial.now, notes=notes)
    if isinstance(entered, Exit):
        return entered
    if isinstance(entered, Sleep):
        return wake(state, view)
    if state.kind == "Map" and isinstance(entered, Call):
        entered = read_items(state, view, trial.items, notes=notes)
    if isinstance(entered, Fork) and state.kind == "Map":
        note_fork(state, entered, notes)
    answer = trial.mock
    if answer is None:
        if not isinstance(entered, Call):
            raise StateFailed(None, "The result of this state must be given: it runs flows of its own.")
        answer = world.call(entered, state=state.name, attempt=trial.retries)
    if answer.failure:
        return answer.failure
    if too_many_failed(entered, trial):
        return EXCEEDED
    return complete(state, view, answer.result, notes=notes)


def note_fork(state: State, fork: Fork, notes: Notes) -> None:
    notes["maxConcurrency"] = fork.concurrency
    if fork.tolerance.count is not None:
        notes["toleratedFailureCount"] = fork.tolerance.count
    if fork.tolerance.percentage is not None:
        notes["toleratedFailurePercentage"] = fork.tolerance.percentage


def too_many_failed(entered: Call | Fork, trial: Trial) -> bool:
    if not isinstance(entered, Fork) or not trial.failed_iterations:
        return False
    tolerance = entered.tolerance
    stated = tolerance.count is not None or tolerance.percentage is not None
    return stated and tolerance.exceeded(trial.failed_iterations, len(entered.branches))


def failing(state: State, view: View, failure: Failure, trial: Trial, notes: Notes) -> Tried:
    used = dict.fromkeys(range(len(state.retriers)), trial.retries)
    try:
        what = recover(state, view, failure, used=used, draw=random.random)
    except StateFailed as failed:
        return Tried("FAILED", failure=Failure(failed.error, failed.cause), inspection=told(state, notes))
    if isinstance(what, Again):
        seconds = what.delay_seconds
        notes["errorDetails"] = {
            "retryIndex": what.retrier,
            "retryBackoffIntervalSeconds": int(seconds) if seconds == int(seconds) else seconds,
        }
        return Tried("RETRIABLE", failure=failure, inspection=told(state, notes))
    if isinstance(what, Caught):
        notes["errorDetails"] = {"catchIndex": what.catcher}
        exit_ = what.exit
        return Tried("CAUGHT_ERROR", exit_.output, failure, exit_.next, told(state, notes))
    return Tried("FAILED", failure=failure, inspection=told(state, notes))


def told(state: State, notes: Notes) -> Mapping[str, Json]:
    """The notes that Step Functions tells of a state of this kind."""
    if state.jsonata:
        names = {"input", "afterArguments", "errorDetails", *LIMITS} - (
            {"afterArguments"} if state.kind != "Task" else set()
        )
        return {name: value for name, value in notes.items() if name in names}
    if state.kind == "Pass" and "Result" in state.raw:
        return {name: value for name, value in notes.items() if name not in ("afterInputPath", "afterParameters")}
    hidden = {"result"} if state.kind in ("Pass", "Map") else set()
    if state.kind in TOLD:
        kept = {"input", "errorDetails", *TOLD[state.kind]}
        return {name: value for name, value in notes.items() if name in kept}
    return {name: value for name, value in notes.items() if name not in hidden}


LIMITS = ("maxConcurrency", "toleratedFailureCount", "toleratedFailurePercentage")


def answer_of(mock: Mapping[str, Json] | None) -> Answer | None:
    """A mock as TestState takes it: `result` is JSON in a string, `errorOutput` an error and its cause."""
    if mock is None:
        return None
    if "errorOutput" in mock:
        error = mock["errorOutput"]
        return Answer(failure=Failure(error.get("error"), error.get("cause")))
    result = mock.get("result")
    return Answer(json.loads(result) if isinstance(result, str) else result)
