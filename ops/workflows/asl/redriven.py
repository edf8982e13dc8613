"""Where an execution goes on that ended other than well: from each flow that failed or was broken off. Pure.

Step Functions docs, "Restarting state machine executions with redrive": branches and iterations that succeeded keep
their results and do not run again; a state that runs again has all its retries and its whole time-out.
"""

from collections.abc import Container, Iterable
from datetime import datetime

from ops.workflows.asl.definition import Machine
from ops.workflows.asl.running import Phase, Walker
from ops.workflows.asl.walked import state_at


def redrive(
    walkers: Iterable[Walker], machine: Machine, *, answered: Container[int], now: datetime, after: int
) -> list[Walker]:
    """Let walkers that were kept (`Walking.kept`) go on, and return those whose Map Run has to be made again.

    `answered`: the numbers of calls whose answers have come and were not taken. `after`: the id of the event that tells
    of the redrive.
    """
    runs = []
    for walker in walkers:
        walker.stopped, walker.used, walker.failure = False, {}, None
        if walker.parent is None:
            walker.last_id = after
        if waits_for_run(walker, answered):
            runs.append(walker)
        if walker.gathering:
            walker.gathering.failed = 0
        walker.phase, walker.due = goes_on(walker, machine, answered, now)
        if walker.phase is not Phase.ANSWER:
            walker.answer = None
    return runs


def waits_for_run(walker: Walker, answered: Container[int]) -> bool:
    """Whether its children are executions of their own, of which some have not succeeded."""
    if not walker.gathering or walker.phase not in (Phase.CALL, Phase.ANSWER):
        return False
    return not has_result(walker) and walker.call_number not in answered


def has_result(walker: Walker) -> bool:
    """Whether its call has succeeded, and it has not gone on with that yet."""
    return walker.phase is Phase.ANSWER and walker.answer is not None and "result" in walker.answer


def goes_on(walker: Walker, machine: Machine, answered: Container[int], now: datetime) -> tuple[Phase, datetime | None]:
    """What a walker does next, and when."""
    match walker.phase:
        case Phase.BEGIN | Phase.ENTER | Phase.GATHER:
            return walker.phase, now
        case Phase.FORK | Phase.BROKEN:
            return Phase.FORK, None
        case Phase.ANSWER if has_result(walker):
            return Phase.ANSWER, now
        case Phase.CALL if walker.call_number in answered:
            return Phase.CALL, None
        case Phase.CALL | Phase.ANSWER if walker.gathering:
            return Phase.CALL, None
    if state_at(machine, walker).kind == "Fail":  # it is entered again, and fails again
        return Phase.ENTER, now
    return Phase.AGAIN, now
