"""An execution from its beginning to its end in one go: in memory, on a clock of its own.

For tests, dry runs and backtests. Waits pass at once unless the clock is the real one; walkers take turns in the order
in which they come due, so that the same execution always has the same history.
"""

import random
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ops.workflows.asl import errors
from ops.workflows.asl.definition import Machine
from ops.workflows.asl.errors import Failure
from ops.workflows.asl.history import History, HistoryFull
from ops.workflows.asl.running import Answer, Ended, World
from ops.workflows.asl.timestamps import write_timestamp
from ops.workflows.asl.walking import Walking

Json = Any
NAME = "inline"
EXECUTION = f"arn:aws:states:local:000000000000:execution:{NAME}:{NAME}"
STATE_MACHINE = f"arn:aws:states:local:000000000000:stateMachine:{NAME}"


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
        seed: int = 0,
        redrives: bool = True,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.history = History()
        self._world = world
        self._sleep = sleep
        self._given = given
        self._until = now + timedelta(seconds=machine.timeout_seconds) if machine.timeout_seconds else None
        self._answers: list[tuple[datetime, int, Answer]] = []
        told = {
            "Id": EXECUTION,
            "Name": NAME,
            "Input": given,
            "StartTime": write_timestamp(now),
            "RoleArn": "arn:aws:iam::000000000000:role/local",
            **({"RedriveCount": 0} if redrives else {}),
            **(execution or {}),
        }
        context = {"Execution": told, "StateMachine": {"Id": STATE_MACHINE, "Name": NAME}}
        draw = random.Random(seed).random  # noqa: S311 - jitter
        self.walking = Walking(machine, context, self.history.record, draw, lambda number: f"token-{number}", now)

    @property
    def now(self) -> datetime:
        return self.walking.now

    def run(self) -> Ended:
        """Run to the end."""
        walking = self.walking
        started = self.history.record("ExecutionStarted", at=walking.now, previous=0, input=self._given)
        walking.begin(self._given, after=started)
        try:
            while not walking.ended:
                walking.advance()
                self._call()
                if not walking.ended and not self._pass_time():
                    break
        except HistoryFull:
            cause = "The execution reached the maximum number of history events (25000)."
            walking.end("FAILED", failure=Failure(errors.RUNTIME, cause))
        ended = walking.ended or Ended("FAILED", failure=Failure(errors.RUNTIME, "Everything waits for ever."))
        return Ended(ended.status, ended.output, ended.failure, tuple(self.history.events))

    def _call(self) -> None:
        """Ask the world about what was begun; its answers come after as long as they take."""
        asked, self.walking.asked = self.walking.asked, []
        for one in asked:
            answer = self._world.call(one.call, state=one.state, attempt=one.attempt)
            self._answers.append((self.now + timedelta(seconds=answer.seconds), one.number, answer))

    def _pass_time(self) -> bool:
        """Go on to the next moment at which something happens; False where nothing ever will."""
        walking = self.walking
        moments = [at for at, _, _ in self._answers]
        if due := walking.due_at():
            moments.append(due)
        if not moments:
            return False
        moment = min(moments)
        if self._until and moment >= self._until > walking.now:
            self._wait(self._until)
            walking.end("TIMED_OUT")
            return True
        self._wait(moment)
        # What is late by the same moment has been waited for too long: an answer must come before.
        walking.advance()
        for answer in sorted(self._answers, key=lambda answer: answer[:2]):
            if answer[0] <= walking.now:
                self._answers.remove(answer)
                walking.answer(answer[1], result=answer[2].result, failure=answer[2].failure)
        return True

    def _wait(self, moment: datetime) -> None:
        if moment > self.now:
            if self._sleep:
                self._sleep((moment - self.now).total_seconds())
            self.walking.now = moment


def run(machine: Machine, given: Json, world: World, *, now: datetime, real_time: bool = False, **more: Any) -> Ended:
    """Run an execution to its end in memory. With `real_time` waits take as long as they say."""
    return Execution(machine, given, world, now=now, sleep=time.sleep if real_time else None, **more).run()
