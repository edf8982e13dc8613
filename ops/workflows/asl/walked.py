"""Small questions about what is walked through. Pure."""

from typing import Any

from ops.workflows.asl.definition import Flow, Machine, State
from ops.workflows.asl.fork import Branch
from ops.workflows.asl.running import Gathering, Walker

Json = Any
SHARED_FLOW = "Map"  # all iterations of a Map walk through its one flow


def flow_at(machine: Machine, scope: list[list[Json]]) -> Flow:
    """The flow at a place: the machine's own, or one inside a state."""
    flow = machine.flow
    for name, number in scope:
        flow = flow.states[name].branches[number]
    return flow


def state_at(machine: Machine, walker: Walker) -> State:
    return flow_at(machine, walker.scope).states[walker.state]


def waiting_branch(state: State, index: int, branch: Branch) -> list[Json]:
    number = 0 if state.kind == SHARED_FLOW else index
    return [index, number, branch.input, branch.item]


def resource_of(state: State) -> str:
    return state.reader.resource if state.reader else state.resource


def waited_for(owner: Walker) -> Gathering:
    if owner.gathering is None:
        raise AssertionError("A walker whose flows walk has a gathering.")
    return owner.gathering


def name_of(resource: str) -> str:
    """A resource as Step Functions names it in causes: the service of an integration, the whole ARN of a function."""
    head, integration, rest = resource.partition(":states:::")
    return rest.partition(":")[0] if integration else head
