"""Machines of flows inside flows, made at random, and a world that fails at random and knows what it has done."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, pairwise
from typing import Any

from hypothesis import strategies as st

from ops.effects.outcome import Done, Outcome, Refused, Retry
from ops.workflows.asl.running import Answer
from ops.workflows.asl.step import Call
from ops.workflows.made import Made
from tests.ops.workflows.moving import definition

EFFECT = "arn:aws:states:local:000000000000:activity:refund-invoice"
AGAIN = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "MaxAttempts": 1}]
BEFORE = {"path": "", "items": [0, 1]}  # the input: where one is, and what Maps go through
# An item's place is that of its Map's, and its number.
ITEM = {"path.$": "States.Format('{}/{}', $.path, $$.Map.Item.Index)", "items.$": "$.items"}


@st.composite
def machines(draw: st.DrawFn) -> dict[str, Any]:
    """A definition of nested Parallels, Maps and Tasks; each Task says where it is, and assigns what it got."""
    numbers = count(1)

    def flow(depth: int) -> dict[str, Any]:
        kinds = ["task", "task", "jsonata", "wait", *(["parallel", "map", "distributed"] if depth else [])]
        chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=2))
        states: dict[str, dict[str, Any]] = {}
        for kind in chosen:
            states |= STATES[kind](f"{kind}{next(numbers)}", lambda: flow(depth - 1), draw)
        names = list(states)
        for name, after in pairwise(names):
            states[name]["Next"] = after
        states[names[-1]]["End"] = True
        return definition(**states)

    return flow(2)


def task(name: str, flow: Any, draw: st.DrawFn) -> dict[str, Any]:
    given = {"at": name, "path.$": "$.path"}
    call = {"Type": "Task", "Resource": EFFECT, "Parameters": given, "ResultPath": f"$.{name}", "Retry": AGAIN}
    shown = {"Type": "Pass", "Parameters": {"got.$": f"${name}"}, "ResultPath": f"$.{name}shown"}
    assign = {"Assign": {f"{name}.$": "$"}}
    return {name: {**call, **assign, "TimeoutSeconds": 60}, f"{name}shown": shown}


def jsonata(name: str, flow: Any, draw: st.DrawFn) -> dict[str, Any]:
    output = f"{{% $merge([$states.input, {{'{name}': $states.result}}]) %}}"
    given = {"at": name, "path": "{% $states.input.path %}"}
    call = {"Type": "Task", "QueryLanguage": "JSONata", "Resource": EFFECT, "Arguments": given, "Output": output}
    never = [{"ErrorEquals": ["Never"], "Next": f"{name}shown"}]
    assign = {"Assign": {name: "{% $states.result.done %}"}}
    shown = {"Type": "Pass", "Parameters": {"got.$": f"${name}"}, "ResultPath": f"$.{name}shown"}
    return {name: {**call, **assign, "TimeoutSeconds": 60, "Catch": never}, f"{name}shown": shown}


def wait(name: str, flow: Any, draw: st.DrawFn) -> dict[str, Any]:
    return {name: {"Type": "Wait", "Seconds": draw(st.integers(1, 90))}}


def parallel(name: str, flow: Any, draw: st.DrawFn) -> dict[str, Any]:
    branches = [flow() for _ in range(draw(st.integers(1, 3)))]
    return {name: {"Type": "Parallel", "Branches": branches, "ResultPath": f"$.{name}"}}


def map_(name: str, flow: Any, draw: st.DrawFn, mode: str = "INLINE") -> dict[str, Any]:
    processor = {
        **flow(),
        "ProcessorConfig": {"Mode": mode, **({"ExecutionType": "STANDARD"} if mode != "INLINE" else {})},
    }
    state = {"Type": "Map", "ItemsPath": "$.items", "ItemSelector": ITEM, "ItemProcessor": processor}
    return {name: {**state, "MaxConcurrency": draw(st.integers(0, 2)), "ResultPath": f"$.{name}"}}


def distributed(name: str, flow: Any, draw: st.DrawFn) -> dict[str, Any]:
    return map_(name, flow, draw, mode="DISTRIBUTED")


STATES = {
    "task": task,
    "jsonata": jsonata,
    "wait": wait,
    "parallel": parallel,
    "map": map_,
    "distributed": distributed,
}
FAULTS = st.sampled_from(["done", "done", "odd", "busy", "lost"])


REFUSED = {"odd": Refused("Odd: it is odd"), "busy": Refused("Busy: not now")}


@dataclass
class Faulty:
    """Does each effect once for each key, as Stripe does, and then may fail to say so. After its faults it does all."""

    faults: list[str]
    done: Counter[str] = field(default_factory=Counter)  # place → how often something was done there
    keys: dict[str, Any] = field(default_factory=dict)  # key → what was done under it

    def __call__(self, made: Made, *, now: Any) -> Outcome:
        fault = self.faults.pop() if self.faults else "done"
        if fault in REFUSED and made.key not in self.keys:  # what was done is not refused under its key
            return REFUSED[fault]
        place = place_of(made.arguments)
        if made.key not in self.keys:
            self.done[place] += 1
            self.keys[made.key] = {"done": place}
        if fault == "lost":
            return Retry("Lost: it did not answer", after=timedelta(minutes=10))
        return Done(self.keys[made.key])


class Perfect:
    """The same world, where nothing fails, for the interpreter in memory."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()

    def call(self, call: Call, *, state: str, attempt: int) -> Answer:
        place = place_of(call.arguments)
        self.done[place] += 1
        return Answer({"done": place})


def place_of(arguments: dict[str, Any]) -> str:
    return f"{arguments['at']}@{arguments['path']}"
