"""An execution from its beginning to its end in one go: in memory, on a clock of its own.

For tests, dry runs and backtests. Waits pass at once unless the clock is the real one; branches take turns in the
order in which they come due, so that the same execution always has the same history.
"""

import heapq
import itertools
import random
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ops.workflows.asl import errors
from ops.workflows.asl.definition import Machine, State
from ops.workflows.asl.errors import Failure, StateFailed
from ops.workflows.asl.expressions import View
from ops.workflows.asl.fork import EXCEEDED, Branch, Fork
from ops.workflows.asl.history import History, HistoryFull, call_word, submits
from ops.workflows.asl.retry import Again
from ops.workflows.asl.running import Answer, Ended, Gathering, Walker, World
from ops.workflows.asl.step import Call, Caught, Exit, Sleep, check_size, complete, enter, read_items, recover, wake
from ops.workflows.asl.timestamps import write_timestamp

Json = Any


class Execution:
    """One execution in memory."""

    def __init__(
        self,
        machine: Machine,
        given: Json,
        world: World,
        *,
        now: datetime,
        execution: Mapping[str, Json] | None = None,
        state_machine: Mapping[str, Json] | None = None,
        seed: int = 0,
        redrives: bool = True,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.machine = machine
        self.world = world
        self.now = now
        self.history = History()
        self._draw = random.Random(seed).random  # noqa: S311 - jitter
        self._sleep = sleep
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._ended: Ended | None = None
        self._given = given
        name = "inline"
        base = {"Id": f"arn:aws:states:local:000000000000:execution:{name}:{name}", "Name": name}
        self._execution = {
            **base,
            "Input": given,
            "StartTime": write_timestamp(now),
            "RoleArn": "arn:aws:iam::000000000000:role/local",
            **({"RedriveCount": 0} if redrives else {}),
            **(execution or {}),
        }
        self._machine = state_machine or {"Id": f"arn:aws:states:local:000000000000:stateMachine:{name}", "Name": name}

    def run(self) -> Ended:
        """Run to the end."""
        flow = self.machine.flow
        started = self.history.record("ExecutionStarted", at=self.now, previous=0, input=self._given)
        walker = Walker(flow, flow.start_at, self._given, {}, last_id=started)
        if self.machine.timeout_seconds:
            self._later(self.machine.timeout_seconds, lambda: self._end("TIMED_OUT"))
        self._later(0, lambda: self._walk(walker))
        try:
            while self._agenda and not self._ended:
                due, _, act = heapq.heappop(self._agenda)
                self._pass_time(due)
                act()
        except HistoryFull:
            sentence = "The execution reached the maximum number of history events (25000)."
            self._ended = Ended("FAILED", failure=Failure(errors.RUNTIME, sentence))
        ended = self._ended or Ended("FAILED", failure=Failure(errors.RUNTIME, "The execution stood still."))
        return Ended(ended.status, ended.output, ended.failure, tuple(self.history.events))

    def _pass_time(self, due: datetime) -> None:
        if due <= self.now:
            return
        if self._sleep:
            self._sleep((due - self.now).total_seconds())
        self.now = due

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        due = self.now + timedelta(seconds=min(seconds, 3e9))
        heapq.heappush(self._agenda, (due, next(self._order), act))

    def _record(self, walker: Walker, type_: str, **details: Any) -> int:
        if walker.quiet:
            return walker.last_id
        walker.last_id = self.history.record(type_, at=self.now, previous=walker.last_id, **details)
        return walker.last_id

    # --- walking ---

    def _walk(self, walker: Walker) -> None:
        """Enter states one after the other until one has to wait."""
        while not walker.dead and not self._ended:
            state = walker.flow.states[walker.state]
            walker.entered_at = self.now
            walker.used = {}
            walker.entered_id = self._record(walker, f"{state.kind}StateEntered", name=state.name, input=walker.input)
            if not self._attempt(walker, state):
                return

    def _attempt(self, walker: Walker, state: State) -> bool:
        """Enter the state that the walker stands in, or try it again; return whether the walker has moved on."""
        try:
            entered = enter(state, self._view(walker, state), now=self.now)
        except StateFailed as failed:
            return self._fail(walker, state, failed)
        if isinstance(entered, Exit):
            return self._exit(walker, state, entered)
        if isinstance(entered, Sleep):
            self._later(max(0.0, (entered.until - self.now).total_seconds()), self._alive(walker, self._wake))
        elif isinstance(entered, Call):
            self._call(walker, state, entered)
        else:
            return self._fork(walker, state, entered)
        return False

    def _view(self, walker: Walker, state: State) -> View:
        told: dict[str, Json] = {"Name": state.name, "EnteredTime": write_timestamp(walker.entered_at or self.now)}
        if state.kind == "Task":
            told["RetryCount"] = sum(walker.used.values())
        context: dict[str, Json] = {"Execution": self._execution, "StateMachine": self._machine, "State": told}
        if state.kind == "Task" and submits(state.resource):
            context["Task"] = {"Token": f"token-{walker.entered_id}-{sum(walker.used.values())}"}
        if walker.item is not None:
            context["Map"] = {"Item": walker.item}
        return View(walker.input, context, walker.variables)

    def _alive(self, walker: Walker, act: Callable[[Walker], bool | None]) -> Callable[[], None]:
        """Go on with a walker later, if it is still wanted then."""

        def go_on() -> None:
            if not walker.dead and act(walker):
                self._walk(walker)

        return go_on

    def _wake(self, walker: Walker) -> bool:
        state = walker.flow.states[walker.state]
        try:
            left = wake(state, self._view(walker, state))
        except StateFailed as failed:
            return self._fail(walker, state, failed)
        return self._exit(walker, state, left)

    def _exit(self, walker: Walker, state: State, left: Exit) -> bool:
        assigned = {"assignedVariables": left.assigned} if left.assigned else {}
        self._record(walker, f"{state.kind}StateExited", name=state.name, output=left.output, **assigned)
        walker.variables.update(left.assigned)
        walker.input = left.output
        if left.next is not None:
            walker.state = left.next
            return True
        self._through(walker, left.output)
        return False

    # --- tasks ---

    def _call(self, walker: Walker, state: State, call: Call) -> None:
        word = call_word(call.resource)
        self._record(walker, f"{word}Scheduled", resource=call.resource, parameters=call.arguments)
        self._record(walker, f"{word}Started", resource=call.resource)
        answer = self.world.call(call, state=state.name, attempt=sum(walker.used.values()))
        limits = [seconds for seconds in (call.timeout_seconds, call.heartbeat_seconds) if seconds is not None]
        longest = min(limits, default=None)
        if longest is not None and answer.seconds > longest:
            error = errors.TIMEOUT if longest == call.timeout_seconds else errors.HEARTBEAT_TIMEOUT
            answer = Answer(failure=Failure(error, ""), seconds=longest)
        elif submits(call.resource):
            self._record(walker, f"{word}Submitted", resource=call.resource)
        self._later(answer.seconds, self._alive(walker, lambda waiting: self._answered(waiting, state, call, answer)))

    def _answered(self, walker: Walker, state: State, call: Call, answer: Answer) -> bool:
        word = call_word(call.resource)
        if answer.failure:
            timed_out = answer.failure.error in (errors.TIMEOUT, errors.HEARTBEAT_TIMEOUT)
            how = "TimedOut" if timed_out else "Failed"
            self._record(walker, f"{word}{how}", error=answer.failure.error, cause=answer.failure.cause)
            return self._recover(walker, state, answer.failure)
        try:
            check_size(answer.result, name_of(call.resource))
        except StateFailed as failed:
            self._record(walker, f"{word}Failed", error=failed.error, cause=failed.cause)
            return self._recover(walker, state, Failure(failed.error, failed.cause))
        self._record(walker, f"{word}Succeeded", output=answer.result)
        try:
            if state.reader:
                return self._fork(walker, state, read_items(state, self._view(walker, state), answer.result))
            left = complete(state, self._view(walker, state), answer.result)
        except StateFailed as failed:
            return self._fail(walker, state, failed)
        return self._exit(walker, state, left)

    # --- failing ---

    def _fail(self, walker: Walker, state: State, failed: StateFailed) -> bool:
        failure = failed.failure(state.name, walker.entered_id)
        if failed.error == errors.QUERY:
            self._record(walker, "EvaluationFailed", error=failure.error, cause=failure.cause, state=state.name)
        if failed.map_started:
            self._record(walker, "MapStateStarted")
        return self._recover(walker, state, failure)

    def _recover(self, walker: Walker, state: State, failure: Failure) -> bool:
        """Try a failed state again, leave it by a catcher, or let its flow fail; return whether the walker moved on."""
        try:
            what = recover(state, self._view(walker, state), failure, used=walker.used, draw=self._draw)
        except StateFailed as failed:
            failure, what = failed.failure(state.name, walker.entered_id), None
        if isinstance(what, Again):
            walker.used[what.retrier] = what.attempt
            self._later(what.delay_seconds, self._alive(walker, lambda again: self._attempt(again, state)))
            return False
        if isinstance(what, Caught):
            return self._exit(walker, state, what.exit)
        if (state.kind == "Map" and failure.error != errors.RUNTIME) or state.kind == "Parallel":
            self._record(walker, f"{state.kind}StateFailed", error=failure.error, cause=failure.cause)
        self._broken(walker, failure)
        return False

    # --- flows inside states ---

    def _fork(self, walker: Walker, state: State, fork: Fork) -> bool:
        if state.kind == "Map":
            self._record(walker, "MapStateStarted", length=len(fork.branches))
            if fork.distributed:
                self._record(walker, "MapRunStarted")
        else:
            self._record(walker, "ParallelStateStarted")
        gathering = Gathering(walker, fork, [None] * len(fork.branches), list(range(len(fork.branches))))
        if not fork.branches:
            return self._gathered(gathering)
        self._start_more(gathering)
        return False

    def _start_more(self, gathering: Gathering) -> None:
        most = gathering.fork.concurrency or len(gathering.fork.branches)
        while gathering.waiting and gathering.running < most:
            index = gathering.waiting.pop(0)
            gathering.running += 1
            walker = self._branch(gathering, gathering.fork.branches[index], index)
            self._later(0, self._alive(walker, self._begin))

    def _branch(self, gathering: Gathering, branch: Branch, index: int) -> Walker:
        owner = gathering.owner
        walker = Walker(
            *(branch.flow, branch.flow.start_at, branch.input, dict(branch.variables), gathering, index),
            item=branch.item if branch.item is not None else owner.item,
            last_id=owner.last_id,
            quiet=owner.quiet or gathering.fork.distributed,
        )
        gathering.walkers.append(walker)
        return walker

    def _begin(self, walker: Walker) -> bool:
        gathering = walker.parent
        if gathering and is_map(gathering.owner) and not gathering.fork.distributed:
            self._record(walker, "MapIterationStarted", name=gathering.owner.state, index=walker.index)
        return True

    def _through(self, walker: Walker, output: Json) -> None:
        """A flow has come to its end."""
        gathering = walker.parent
        if gathering is None:
            self._end("SUCCEEDED", output=output)
            return
        owner = gathering.owner
        if is_map(owner) and not gathering.fork.distributed:
            self._record(walker, "MapIterationSucceeded", name=owner.state, index=walker.index)
        gathering.outputs[walker.index] = output
        self._one_less(gathering)

    def _one_less(self, gathering: Gathering) -> None:
        gathering.running -= 1
        owner = gathering.owner
        if gathering.waiting:
            self._start_more(gathering)
        elif not gathering.running:
            self._later(0, self._alive(owner, lambda _owner: self._gathered(gathering)))

    def _gathered(self, gathering: Gathering) -> bool:
        owner = gathering.owner
        state = owner.flow.states[owner.state]
        if gathering.fork.distributed:
            self._record(owner, "MapRunSucceeded")
        if state.kind == "Map":
            self._record(owner, "MapStateSucceeded")
        try:
            left = complete(state, self._view(owner, state), gathering.outputs)
        except StateFailed as failed:
            return self._fail(owner, state, failed)
        return self._exit(owner, state, left)

    def _broken(self, walker: Walker, failure: Failure) -> None:
        """A flow has failed: the execution with it, or the state that it runs in."""
        walker.dead = True
        gathering = walker.parent
        if gathering is None:
            self._end("FAILED", failure=failure)
            return
        gathering.failed += 1
        owner, fork = gathering.owner, gathering.fork
        if fork.distributed and not fork.tolerance.exceeded(gathering.failed, len(fork.branches)):
            gathering.outputs[walker.index] = failure.output()
            self._one_less(gathering)
            return
        self._break_off(gathering, walker, failure)
        state = owner.flow.states[owner.state]
        if fork.distributed:
            self._record(owner, "MapRunFailed")
            failure = EXCEEDED
        elif is_map(owner):
            self._record(walker, "MapIterationFailed", name=owner.state, index=walker.index)
            owner.last_id = walker.last_id
        self._later(0, self._alive(owner, lambda waiting: self._recover(waiting, state, failure)))

    def _break_off(self, gathering: Gathering, failing: Walker, failure: Failure) -> None:
        """Stop the flows that run beside one that failed, and those inside them."""
        gathering.waiting.clear()
        for walker in gathering.walkers:
            state = walker.flow.states[walker.state]
            standing = walker is failing or (not walker.dead and walker.entered_id)
            if standing and state.kind == "Task" and not is_map(gathering.owner):
                self._record(walker, "TaskStateAborted", name=state.name)
            walker.dead = True

    def _end(self, status: str, *, output: Json = None, failure: Failure | None = None) -> None:
        if self._ended:
            return
        words = {"SUCCEEDED": "ExecutionSucceeded", "FAILED": "ExecutionFailed", "TIMED_OUT": "ExecutionTimedOut"}
        last = len(self.history.events)
        failure = failure or Failure()
        details = {"output": output} if status == "SUCCEEDED" else {"error": failure.error, "cause": failure.cause}
        self.history.record(words[status], at=self.now, previous=last, **details)
        self._ended = Ended(status, output, failure)


def is_map(walker: Walker) -> bool:
    return walker.flow.states[walker.state].kind == "Map"


def name_of(resource: str) -> str:
    """A resource as Step Functions names it in causes: the service of an integration, the whole ARN of a function."""
    head, integration, rest = resource.partition(":states:::")
    return rest.partition(":")[0] if integration else head


def run(machine: Machine, given: Json, world: World, *, now: datetime, real_time: bool = False, **more: Any) -> Ended:
    """Run an execution to its end in memory. With `real_time` waits take as long as they say."""
    return Execution(machine, given, world, now=now, sleep=time.sleep if real_time else None, **more).run()
