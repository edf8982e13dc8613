"""Flows that break: what becomes of a state of which one flow has failed, and of what was broken off beside it. Pure.

Those that were broken off stay, stopped, for as long as the failure is on its way: a state that is tried again or left
by a catcher forgets them; where the execution fails, they are what a redrive goes on from (`redriven`).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ops.workflows.asl.definition import State
from ops.workflows.asl.errors import Failure
from ops.workflows.asl.fork import EXCEEDED, Tolerance
from ops.workflows.asl.running import Phase, Walker
from ops.workflows.asl.walked import waited_for

if TYPE_CHECKING:
    from ops.workflows.asl.walking import Walking


def broken(walking: "Walking", walker: Walker, failure: Failure) -> None:
    """A flow has failed: the execution with it, or the state that it runs in."""
    if walker.parent is None:
        walking.end("FAILED", failure=failure)
        return
    owner = walking.walkers[walker.parent]
    gathering = waited_for(owner)
    gathering.failed += 1
    tolerance = Tolerance(gathering.tolerated_count, gathering.tolerated_percentage)
    if gathering.distributed and not tolerance.exceeded(gathering.failed, gathering.branches):
        walking.failed_in = ()
        gathering.outputs[str(walker.index)] = failure.output()
        walking.one_less(walker, owner, gathering)
        return
    is_map = walking.state_of(owner).kind == "Map"
    break_off(walking, owner, aborts=not is_map)
    if gathering.distributed:
        walking.tell(owner, "MapRunFailed")
        failure = EXCEEDED
    elif is_map:
        before = walker.last_id
        owner.last_id = walking.tell(walker, "MapIterationFailed", name=owner.state, index=walker.index)
        walker.last_id = before  # redriven, it goes on in its state
    owner.phase, owner.due = Phase.BROKEN, walking.now
    owner.failure = {"error": failure.error, "cause": failure.cause}


def break_off(walking: "Walking", owner: Walker, *, aborts: bool) -> None:
    """Stop the flows inside a state of which one has failed, and those inside them."""
    inside = [walker for walker in walking.walkers.values() if walker.parent == owner.id and not walker.stopped]
    not_called(walking, inside)
    for walker in inside:
        if aborts and walker.entered_id and walking.state_of(walker).kind == "Task":
            walking.tell(walker, "TaskStateAborted", name=walker.state)
        if walker.gathering:
            break_off(walking, walker, aborts=False)
        walker.stopped, walker.due = True, None


def not_called(walking: "Walking", walkers: Iterable[Walker]) -> None:
    """Take back what walkers asked for that has not been called yet: each stands before its call once more."""
    asked = {one.number: one for one in walking.asked}
    for walker in walkers if asked else ():
        if walker.phase is Phase.CALL and (one := asked.get(walker.call_number)):
            walking.asked.remove(one)
            walker.phase, walker.call_number, walker.gathering = Phase.AGAIN, one.retries, None


def forget_flows(walking: "Walking", owner: Walker) -> None:
    """Let go of the flows inside a state: it is begun anew, or left."""
    for walker in [walker for walker in walking.walkers.values() if walker.parent == owner.id]:
        del walking.walkers[walker.id]
        forget_flows(walking, walker)
    owner.gathering = None


def recover_from_branch(walking: "Walking", owner: Walker, state: State) -> None:
    told = owner.failure or {}
    walking.recover(owner, state, Failure(told.get("error"), told.get("cause")))
