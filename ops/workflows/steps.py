"""What an execution's history tells of each state that was entered: how long, how often tried, how it was left. Pure.

Histories of both engines read the same: Step Functions' event types, each pointing to the event that led to it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ops.workflows.graph.shape import END, START

FAILING = ("Failed", "TimedOut")
ENDS = {"ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"}
REDRIVEN = "ExecutionRedriven"


class Outcome(StrEnum):
    """How a state was left, the worst last."""

    STOPPED = "stopped"  # it was broken off: by a person, or since another branch failed
    DONE = "done"
    CAUGHT = "caught"  # it failed, and a catcher led on
    RUNNING = "running"
    FAILED = "failed"


class Mark(NamedTuple):
    """An event without what it carries."""

    id: int
    previous: int
    type: str
    name: str
    at: datetime


@dataclass(slots=True)
class Step:
    """One visit to a state. Numbers are those of events, which carry its input, output and errors."""

    entered: int
    name: str
    kind: str
    entered_at: datetime
    parent: int | None = None  # the step of the state that it lies in
    came_from: int | None = None  # the step before it in its flow
    exited: int | None = None
    left_at: datetime | None = None
    scheduled: list[int] = field(default_factory=list)  # its calls
    answered: int | None = None  # the last of them that succeeded
    failures: list[int] = field(default_factory=list)
    outcome: Outcome = Outcome.RUNNING
    failing: bool = False  # the last that was told of it is a failure

    @property
    def broke(self) -> bool:
        """Whether it failed, if it was not left."""
        return self.failing or self.kind == "Fail"

    @property
    def tries(self) -> int:
        return len(self.scheduled)


def steps_of(marks: Iterable[Mark]) -> list[Step]:
    """Return the steps that a history tells of, in the order in which they were entered."""
    reading = Reading()
    for mark in marks:
        reading.read(mark)
    return list(reading.steps.values())


class Reading:
    """A history while it is read, from its beginning."""

    def __init__(self) -> None:
        self.steps: dict[int, Step] = {}
        self.owner: dict[int, int | None] = {}  # event → the step that it belongs to
        self.types: dict[int, str] = {}
        self.inside: dict[int, list[int]] = defaultdict(list)  # step → those inside of it
        self.broken_off: list[int] = []  # steps that the execution's last end has ended, each as it was then
        self.reopened: dict[int, tuple[Outcome, datetime | None, bool]] = {}  # … and that a redrive goes on with
        self.broken: int | None = (
            None  # the step that is told of next where AWS redrives: its state is not entered anew
        )

    def read(self, mark: Mark) -> None:
        self.types[mark.id] = mark.type
        owner = self.owner.get(mark.previous)
        if mark.type.endswith("StateEntered"):
            owner = self.enter(mark, owner)
        elif mark.type == REDRIVEN:
            self.broken = self.innermost_failed()
            owner = self.redrive()
        elif mark.type in ENDS:
            self.end(mark, owner)
        else:
            owner = self.whose(mark, owner)
            if owner is not None:
                self.tell(mark, self.steps[owner])
        self.owner[mark.id] = owner

    def whose(self, mark: Mark, owner: int | None) -> int | None:
        """The step that an event tells of: a state that holds others is told of after the last event inside of it."""
        told = "Map" if mark.type.startswith("Map") else "Parallel" if mark.type.startswith("Parallel") else ""
        if not told and not mark.type.endswith("StateExited"):
            return self.broken if self.types.get(mark.previous) == REDRIVEN else owner
        if owner is not None and mark.type == "MapIterationFailed":
            self.steps[owner].failing = True
        at = owner
        while at is not None:
            step = self.steps[at]
            if step.exited is None and (step.name == mark.name if mark.name else step.kind == told):
                return at
            at = step.parent
        return owner

    def innermost_failed(self) -> int | None:
        """The step that failed and was not left, as deep inside of others as there is one."""
        found = next((step.entered for step in reversed(self.steps.values()) if step.parent is None), None)
        for number, step in self.steps.items():
            if step.parent == found and step.exited is None and step.outcome is Outcome.FAILED:
                found = number
        return found

    def redrive(self) -> int | None:
        """What the end has broken off goes on; return the last of the machine's own steps."""
        for number in self.broken_off:
            step = self.steps[number]
            self.reopened[number] = step.outcome, step.left_at, step.failing
            step.outcome, step.left_at, step.failing = Outcome.RUNNING, None, False
        self.broken_off = []
        return next((step.entered for step in reversed(self.steps.values()) if step.parent is None), None)

    def enter(self, mark: Mark, owner: int | None) -> int:
        before = self.steps[owner] if owner is not None else None
        if again := self.entered_anew(mark, before):
            self.leave_as_it_was(again)
            before = again
        follows = before is not None and (before.exited is not None or again is not None)
        self.steps[mark.id] = Step(
            entered=mark.id,
            name=mark.name,
            kind=mark.type.removesuffix("StateEntered"),
            entered_at=mark.at,
            parent=before.parent if before and follows else owner,
            came_from=before.entered if before and before.exited is not None else None,
        )
        if (parent := self.steps[mark.id].parent) is not None:
            self.inside[parent].append(mark.id)
        return mark.id

    def entered_anew(self, mark: Mark, before: Step | None) -> Step | None:
        """The step that a redrive would go on with, were its state not entered once more."""
        redriven = self.types.get(mark.previous) == REDRIVEN
        for step in (self.steps[number] for number in self.reopened) if redriven else (before,):
            if step and step.name == mark.name and step.exited is None and step.entered in self.reopened:
                return step
        return None

    def leave_as_it_was(self, step: Step) -> None:
        """A state that was entered anew after a redrive does not go on in the step that it was before."""
        step.outcome, step.left_at, step.failing = self.reopened.pop(step.entered)
        for number in self.inside.pop(step.entered, ()):
            if number in self.reopened:
                self.leave_as_it_was(self.steps[number])

    def tell(self, mark: Mark, step: Step) -> None:
        if mark.type.endswith("StateExited"):
            step.exited, step.left_at = mark.id, mark.at
            # A Parallel whose branch was broken off is told of as failed only where nothing caught it.
            broken = any(self.steps[number].outcome is Outcome.RUNNING for number in self.inside[step.entered])
            step.outcome = Outcome.CAUGHT if step.failing or broken else Outcome.DONE
            self.leave_inner(step, mark.at)
        elif mark.type.endswith("Scheduled"):
            step.scheduled.append(mark.id)
            step.failing = False
        elif mark.type.endswith("Succeeded"):
            step.answered, step.failing = mark.id, False
        elif mark.type.endswith(FAILING) or mark.type == "MapIterationFailed":
            step.failures.append(mark.id)
            step.failing = True

    def leave_inner(self, owner: Step, at: datetime) -> None:
        """What is inside of a state that was left is over."""
        for step in (self.steps[number] for number in self.inside.pop(owner.entered, ())):
            if step.outcome is Outcome.RUNNING:
                step.outcome, step.left_at = Outcome.FAILED if step.broke else Outcome.STOPPED, at
                self.leave_inner(step, at)

    def end(self, mark: Mark, owner: int | None) -> None:
        """The execution has ended other than well: in the state that led to it, and those around that one."""
        failed = set()
        while owner is not None:
            failed.add(owner)
            owner = self.steps[owner].parent
        for number, step in self.steps.items():
            if step.outcome is Outcome.RUNNING:
                self.broken_off.append(number)
                broke = step.broke or (number in failed and mark.type != "ExecutionAborted")
                step.outcome, step.left_at = Outcome.FAILED if broke else Outcome.STOPPED, mark.at


def standing_of(steps: Sequence[Step]) -> list[str]:
    """The states in which an execution stands, or in which it ended other than well, the innermost first."""
    here = [step for step in steps if step.outcome is Outcome.RUNNING]
    if not here and steps:
        last = max((step.left_at for step in steps if step.exited is None and step.left_at), default=None)
        here = [step for step in steps if step.exited is None and step.left_at == last]
        here = [step for step in here if step.outcome is Outcome.FAILED] or here
    return list(dict.fromkeys(step.name for step in reversed(here)))


def outcomes_of(steps: Sequence[Step]) -> Mapping[str, Outcome]:
    """How each state stands: by its last visit; of those inside of one Map or Parallel, by the worst."""
    last = {step.name: step for step in steps}
    worst = list(Outcome)
    found: dict[str, Outcome] = {}
    for step in steps:
        if step.parent == last[step.name].parent and (step.parent is not None or step is last[step.name]):
            before = found.get(step.name, Outcome.STOPPED)
            found[step.name] = max(before, step.outcome, key=worst.index)
    return found


def ways_of(steps: Sequence[Step], *, ended_well: bool) -> Mapping[tuple[str, str], set[bool]]:
    """Which ways were gone: from and to which state, and whether by a catcher."""
    by_number = {step.entered: step for step in steps}
    ways: dict[tuple[str, str], set[bool]] = {}
    if steps:
        ways[START, steps[0].name] = {False}
    for step in steps:
        if step.came_from is not None:
            before = by_number[step.came_from]
            ways.setdefault((before.name, step.name), set()).add(before.outcome is Outcome.CAUGHT)
    if ended_well:
        last = [step for step in steps if step.parent is None][-1:]
        ways |= {(step.name, END): {False} for step in last}
    return ways
