"""Distributed Maps whose children are executions of their own: whoever drives runs them, the walker waits. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ops.workflows.asl.definition import State
from ops.workflows.asl.errors import Failure
from ops.workflows.asl.fork import MAP_RUN, Fork, map_run_of
from ops.workflows.asl.running import Asked, Gathering, Phase, Walker
from ops.workflows.asl.step import Call, complete

if TYPE_CHECKING:
    from ops.workflows.asl.walking import Walking

Json = Any


def run_apart(walking: "Walking", walker: Walker, state: State, fork: Fork) -> None:
    """Ask for the children to be run, and wait for all their outputs."""
    walker.gathering = Gathering(branches=len(fork.branches), concurrency=fork.concurrency, distributed=True)
    walking.calls += 1
    walker.call_number, walker.phase, walker.due = walking.calls, Phase.CALL, None
    arguments = map_run_of(state, fork, [*walker.scope, [state.name, 0]], walking.view(walker, state))
    walking.asked.append(
        Asked(walker.id, walking.calls, state.name, walker.attempts, Call(MAP_RUN, arguments), token="")
    )


def map_run_over(walking: "Walking", walker: Walker, state: State, answer: Mapping[str, Json]) -> None:
    """The children have ended: with their outputs, or more failed than may."""
    if "result" in answer:
        walking.tell(walker, "MapRunSucceeded")
        walking.tell(walker, "MapStateSucceeded")
        walking.leave(walker, state, complete(state, walking.view(walker, state), answer["result"]))
    else:
        walking.tell(walker, "MapRunFailed")
        walking.recover(walker, state, Failure(answer.get("error"), answer.get("cause")))
