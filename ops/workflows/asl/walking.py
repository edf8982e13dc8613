"""Walking through an execution: who is due takes a step; what has to wait is laid down as data. Pure.

Two drive it: `inline`, in memory with a clock of its own, and the durable engine, which lays walkers into a row between
two steps. Both have the same semantics because these are they. The world is reached through `asked`: calls that were
begun and want an answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ops.workflows.asl import errors
from ops.workflows.asl.apart import map_run_over, run_apart
from ops.workflows.asl.breaking import broken, forget_flows, not_called, recover_from_branch
from ops.workflows.asl.definition import Machine, State
from ops.workflows.asl.errors import Failure, StateFailed
from ops.workflows.asl.expressions import View
from ops.workflows.asl.fork import Fork
from ops.workflows.asl.history import call_word, submits
from ops.workflows.asl.retry import Again
from ops.workflows.asl.running import Asked, Ended, Gathering, Phase, Walker, states_of
from ops.workflows.asl.step import Call, Caught, Exit, Sleep, check_size, complete, enter, read_items, recover, wake
from ops.workflows.asl.timestamps import write_timestamp
from ops.workflows.asl.walked import flow_at, name_of, resource_of, waited_for, waiting_branch

Json = Any
Record = Callable[..., int]  # (type, at=, previous=, name=, **details) → the event's id


@dataclass(slots=True)
class Walking:
    """One execution while it is in hand. `walkers` is all that must be kept of where it stands."""

    machine: Machine
    context: Mapping[str, Json]  # Execution and StateMachine of the context object
    record: Record
    draw: Callable[[], float]
    token: Callable[[int], str]  # number of a call → its task token
    now: datetime
    walkers: dict[int, Walker] = field(default_factory=dict)
    next_walker: int = 1
    calls: int = 0  # how many were made
    asked: list[Asked] = field(default_factory=list)
    failed_in: tuple[str, ...] = ()  # the states that a failure has come through, the innermost first
    ended: Ended | None = None
    kept: list[Walker] = field(default_factory=list)  # where they stood when it ended other than well: for a redrive
    apart: bool = False  # children of a distributed Map are executions of their own: whoever drives runs them

    # --- beginning and going on ---

    def begin(self, given: Json, *, after: int) -> None:
        """Let the first walker begin. `after` is the id of the event that it follows."""
        flow = self.machine.flow
        walker = Walker(0, [], flow.start_at, given, {}, Phase.ENTER, self.now, last_id=after)
        self.walkers[0] = walker

    def due_at(self) -> datetime | None:
        """When somebody is due next; None where all wait for answers."""
        return min((walker.due for walker in self.walkers.values() if walker.due is not None), default=None)

    def advance(self, *, most: int | None = None) -> int:
        """Let every walker that is due take its steps, until none is due or the execution has ended.

        Returns how many steps were taken; at most `most`, after which the rest is still due.
        """
        steps = 0
        while not self.ended and (most is None or steps < most):
            walker = self.first_due()
            if walker is None:
                break
            self.act(walker)
            steps += 1
        return steps

    def first_due(self) -> Walker | None:
        due = [walker for walker in self.walkers.values() if walker.due is not None and walker.due <= self.now]
        return min(due, key=lambda walker: (walker.due, walker.id)) if due else None

    def answer(self, number: int, *, result: Json = None, failure: Failure | None = None) -> bool:
        """Hand an answer to the walker that waits for this call; False where nobody waits for it any more."""
        for walker in self.walkers.values():
            if walker.phase is Phase.CALL and walker.call_number == number and not walker.stopped:
                told = {"error": failure.error, "cause": failure.cause} if failure else {"result": result}
                walker.phase, walker.due, walker.answer = Phase.ANSWER, self.now, told
                return True
        return False

    def waited(self) -> set[int]:
        """The numbers of the calls that somebody waits for."""
        return {
            walker.call_number for walker in self.walkers.values() if walker.phase is Phase.CALL and not walker.stopped
        }

    def act(self, walker: Walker) -> None:
        state = self.state_of(walker)
        try:
            ACTS[walker.phase](self, walker, state)
        except StateFailed as failed:
            self.fail(walker, state, failed)

    def state_of(self, walker: Walker) -> State:
        return flow_at(self.machine, walker.scope).states[walker.state]

    # --- states ---

    def begin_flow(self, walker: Walker, state: State) -> None:
        parent = self.walkers[walker.parent] if walker.parent is not None else None
        if parent and parent.gathering and self.state_of(parent).kind == "Map" and not parent.gathering.distributed:
            self.tell(walker, "MapIterationStarted", name=parent.state, index=walker.index)
        self.enter(walker, state)

    def enter(self, walker: Walker, state: State) -> None:
        walker.entered_at, walker.used = self.now, {}
        walker.entered_id = self.tell(walker, f"{state.kind}StateEntered", name=state.name, input=walker.input)
        walker.phase = Phase.AGAIN  # should it fail here, it has been entered
        self.attempt(walker, state)

    def attempt(self, walker: Walker, state: State) -> None:
        entered = enter(state, self.view(walker, state, upcoming=True), now=self.now)
        if isinstance(entered, Exit):
            self.leave(walker, state, entered)
        elif isinstance(entered, Sleep):
            walker.phase, walker.due = Phase.SLEEP, max(entered.until, self.now)
        elif isinstance(entered, Call):
            self.ask(walker, state, entered)
        else:
            self.fork(walker, state, entered)

    def view(self, walker: Walker, state: State, *, upcoming: bool = False) -> View:
        """What can be seen from a state. `upcoming`: of a Task that is about to call, under its next number."""
        told: dict[str, Json] = {"Name": state.name, "EnteredTime": write_timestamp(walker.entered_at or self.now)}
        if state.kind == "Task":
            told["RetryCount"] = walker.attempts
        context: dict[str, Json] = {**self.context, "State": told}
        if state.kind == "Task" and submits(state.resource):
            context["Task"] = {"Token": self.token(self.calls + 1 if upcoming else walker.call_number)}
        if walker.item is not None:
            context["Map"] = {"Item": walker.item}
        return View(walker.input, context, walker.variables)

    def wake(self, walker: Walker, state: State) -> None:
        self.leave(walker, state, wake(state, self.view(walker, state)))

    def leave(self, walker: Walker, state: State, left: Exit) -> None:
        assigned = {"assignedVariables": left.assigned} if left.assigned else {}
        self.tell(walker, f"{state.kind}StateExited", name=state.name, output=left.output, **assigned)
        walker.variables = {**walker.variables, **left.assigned} if left.assigned else walker.variables
        walker.input, walker.answer, walker.failure, walker.gathering = left.output, None, None, None
        walker.call_number = 0
        if left.next is None:
            self.through(walker, left.output)
        else:
            walker.state, walker.phase, walker.due = left.next, Phase.ENTER, self.now

    # --- tasks ---

    def ask(self, walker: Walker, state: State, call: Call) -> None:
        self.calls += 1
        retries, walker.call_number = walker.call_number, self.calls
        word = call_word(call.resource)
        limits = {"timeoutInSeconds": call.timeout_seconds, "heartbeatInSeconds": call.heartbeat_seconds}
        told = {name: seconds for name, seconds in limits.items() if seconds is not None}
        self.tell(walker, f"{word}Scheduled", resource=call.resource, parameters=call.arguments, **told)
        self.tell(walker, f"{word}Started", resource=call.resource)
        walker.phase, walker.due = Phase.CALL, self.patience(call)
        token = self.token(self.calls) if submits(call.resource) else ""
        self.asked.append(Asked(walker.id, self.calls, state.name, walker.attempts, call, token, retries))

    def patience(self, call: Call) -> datetime | None:
        """Until when an answer, or a first sign of life, is waited for."""
        limits = [seconds for seconds in (call.timeout_seconds, call.heartbeat_seconds) if seconds is not None]
        return self.now + timedelta(seconds=min(limits)) if limits else None

    def lose_patience(self, walker: Walker, state: State) -> None:
        """The answer has not come in time."""
        error = self.which_limit(state)
        resource = resource_of(state)
        self.tell_submitted(walker, resource)
        self.tell(walker, f"{call_word(resource)}TimedOut", error=error, cause="")
        self.recover(walker, state, Failure(error, ""))

    def tell_submitted(self, walker: Walker, resource: str) -> None:
        """A call that is answered first and done later was answered first; told when what is done later has come."""
        if submits(resource):
            self.tell(walker, f"{call_word(resource)}Submitted", resource=resource)

    def which_limit(self, state: State) -> str:
        heartbeat, timeout = state.numbers.get("HeartbeatSeconds"), state.numbers.get("TimeoutSeconds")
        return errors.HEARTBEAT_TIMEOUT if heartbeat and not timeout else errors.TIMEOUT

    def answered(self, walker: Walker, state: State) -> None:
        answer = walker.answer or {}
        if walker.gathering:
            map_run_over(self, walker, state, answer)
            return
        resource = resource_of(state)
        word = call_word(resource)
        self.tell_submitted(walker, resource)
        if "result" not in answer:
            failure = Failure(answer.get("error"), answer.get("cause"))
            how = "TimedOut" if failure.error in (errors.TIMEOUT, errors.HEARTBEAT_TIMEOUT) else "Failed"
            self.tell(walker, f"{word}{how}", error=failure.error, cause=failure.cause)
            self.recover(walker, state, failure)
            return
        result = answer["result"]
        try:
            if not state.reader:
                check_size(result, name_of(resource))
        except StateFailed as failed:
            self.tell(walker, f"{word}Failed", error=failed.error, cause=failed.cause)
            self.recover(walker, state, Failure(failed.error, failed.cause))
            return
        self.tell(walker, f"{word}Succeeded", output=result)
        view = self.view(walker, state)
        if state.reader:
            self.fork(walker, state, read_items(state, view, result))
        else:
            self.leave(walker, state, complete(state, view, result))

    # --- failing ---

    def fail(self, walker: Walker, state: State, failed: StateFailed) -> None:
        failure = failed.failure(state.name, walker.entered_id)
        if failed.error == errors.QUERY:
            self.tell(walker, "EvaluationFailed", error=failure.error, cause=failure.cause, state=state.name)
        if failed.map_started:
            self.tell(walker, "MapStateStarted")
        self.recover(walker, state, failure)

    def recover(self, walker: Walker, state: State, failure: Failure) -> None:
        """Try a failed state again, leave it by a catcher, or let its flow fail."""
        walker.answer, walker.failure = None, None
        used = {int(number): times for number, times in walker.used.items()}
        try:
            what = recover(state, self.view(walker, state), failure, used=used, draw=self.draw)
        except StateFailed as failed:
            failure, what = failed.failure(state.name, walker.entered_id), None
        self.failed_in = () if what else (*self.failed_in, state.name)
        if what and walker.gathering:
            forget_flows(self, walker)
        if isinstance(what, Again):
            walker.used[str(what.retrier)] = what.attempt
            walker.phase, walker.due = Phase.AGAIN, self.now + timedelta(seconds=min(what.delay_seconds, 3e9))
        elif isinstance(what, Caught):
            self.leave(walker, state, what.exit)
        else:
            if (state.kind == "Map" and failure.error != errors.RUNTIME) or state.kind == "Parallel":
                self.tell(walker, f"{state.kind}StateFailed", error=failure.error, cause=failure.cause)
            broken(self, walker, failure)

    # --- flows inside states ---

    def fork(self, walker: Walker, state: State, fork: Fork) -> None:
        if state.kind == "Map":
            self.tell(walker, "MapStateStarted", length=len(fork.branches))
            if fork.distributed:
                self.tell(walker, "MapRunStarted")
        else:
            self.tell(walker, "ParallelStateStarted")
        walker.gathering = Gathering(
            branches=len(fork.branches),
            concurrency=fork.concurrency or len(fork.branches),
            distributed=fork.distributed,
            tolerated_count=fork.tolerance.count,
            tolerated_percentage=fork.tolerance.percentage,
            waiting=[waiting_branch(state, index, branch) for index, branch in enumerate(fork.branches)],
        )
        if fork.distributed and fork.branches and self.apart:
            run_apart(self, walker, state, fork)
            return
        walker.phase, walker.due = Phase.FORK, None
        if fork.branches:
            self.start_more(walker, walker.gathering)
        else:
            self.gathered(walker, state)

    def start_more(self, owner: Walker, gathering: Gathering) -> None:
        while gathering.waiting and gathering.running < gathering.concurrency:
            index, number, given, item = gathering.waiting.pop(0)
            gathering.running += 1
            scope = [*owner.scope, [owner.state, number]]
            walker = Walker(
                id=self.next_walker,
                scope=scope,
                state=flow_at(self.machine, scope).start_at,
                input=given,
                variables={} if gathering.distributed else owner.variables,
                phase=Phase.BEGIN,
                due=self.now,
                parent=owner.id,
                index=index,
                item=item if item is not None else owner.item,
                last_id=owner.last_id,
                quiet=owner.quiet or gathering.distributed,
            )
            self.walkers[walker.id] = walker
            self.next_walker += 1

    def through(self, walker: Walker, output: Json) -> None:
        """A flow has come to its end."""
        if walker.parent is None:
            self.end("SUCCEEDED", output=output)
            return
        owner = self.walkers[walker.parent]
        gathering = waited_for(owner)
        if self.state_of(owner).kind == "Map" and not gathering.distributed:
            self.tell(walker, "MapIterationSucceeded", name=owner.state, index=walker.index)
        gathering.outputs[str(walker.index)] = output
        self.one_less(walker, owner, gathering)

    def one_less(self, walker: Walker, owner: Walker, gathering: Gathering) -> None:
        del self.walkers[walker.id]
        gathering.running -= 1
        owner.last_id = max(owner.last_id, walker.last_id)
        if gathering.waiting:
            self.start_more(owner, gathering)
        elif not gathering.running:
            owner.phase, owner.due = Phase.GATHER, self.now

    def gathered(self, owner: Walker, state: State) -> None:
        gathering = waited_for(owner)
        if gathering.distributed:
            self.tell(owner, "MapRunSucceeded")
        if state.kind == "Map":
            self.tell(owner, "MapStateSucceeded")
        outputs = [gathering.outputs[str(index)] for index in range(gathering.branches)]
        self.leave(owner, state, complete(state, self.view(owner, state), outputs))

    # --- the end ---

    def end(self, status: str, *, output: Json = None, failure: Failure | None = None) -> None:
        """End the execution. The first end counts."""
        if self.ended:
            return
        failure = failure or Failure()
        details = {"output": output} if status == "SUCCEEDED" else {"error": failure.error, "cause": failure.cause}
        last = max((walker.last_id for walker in self.walkers.values()), default=0)
        self.record(ENDINGS[status], at=self.now, previous=last, **details)
        states = () if status == "SUCCEEDED" else self.failed_in or states_of(self.walkers.values())
        self.ended = Ended(status, output, failure, states=states)
        if status != "SUCCEEDED":
            not_called(self, self.walkers.values())
            self.kept = list(self.walkers.values())
        self.walkers.clear()

    def tell(self, walker: Walker, type_: str, **details: Any) -> int:
        if not walker.quiet:
            walker.last_id = self.record(type_, at=self.now, previous=walker.last_id, **details)
        return walker.last_id


ENDINGS = {
    "SUCCEEDED": "ExecutionSucceeded",
    "FAILED": "ExecutionFailed",
    "TIMED_OUT": "ExecutionTimedOut",
    "ABORTED": "ExecutionAborted",
}
ACTS: dict[Phase, Callable[[Walking, Walker, State], None]] = {
    Phase.BEGIN: Walking.begin_flow,
    Phase.ENTER: Walking.enter,
    Phase.AGAIN: Walking.attempt,
    Phase.SLEEP: Walking.wake,
    Phase.CALL: Walking.lose_patience,
    Phase.ANSWER: Walking.answered,
    Phase.GATHER: Walking.gathered,
    Phase.BROKEN: recover_from_branch,
}
