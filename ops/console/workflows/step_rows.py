"""The steps of an execution as rows, and what each was given and gave, which is read when it is looked at."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ops.workflows.steps import Step

Details = Mapping[int, Mapping[str, Any]]  # what events carry, by their numbers
Read = Callable[[Iterable[int]], Details]
BAR = 120.0  # how wide the time line is


@dataclass(frozen=True)
class Data:
    """What a visit to a state was given and gave. What the history does not tell is None."""

    input: Any
    output: Any
    has_output: bool
    result: Any
    has_result: bool
    arguments: Any
    resource: str
    error: str
    cause: str
    cut: int | None  # the event whose JSON is too large to stand here


@dataclass(frozen=True)
class Row:
    """One visit to a state on one line."""

    step: Step
    depth: int
    took: timedelta | None
    bar_x: str
    bar_width: str
    resource: str
    error: str
    cause: str
    told: str  # changes with what is told of it
    data: Data | None = None  # where it is at hand


def rows_of(
    shown: Sequence[Step], steps: Mapping[int, Step], read: Read, *, since: datetime, until: datetime
) -> list[Row]:
    """Those `shown` of an execution's steps, on a time line from `since` to `until`. `read` gives what calls and
    failures tell, which may be no more than resource, error and the beginning of the cause."""
    heads = read([number for step in shown for number in (*step.scheduled[-1:], *step.failures[-1:])])
    whole = max((until - since).total_seconds(), 0.001)
    return [row_of(step, heads, depth_of(step, steps), since, until, whole) for step in shown]


def row_of(step: Step, heads: Details, depth: int, since: datetime, until: datetime, whole: float) -> Row:
    begins = (step.entered_at - since).total_seconds() / whole * BAR
    length = ((step.left_at or until) - step.entered_at).total_seconds() / whole * BAR
    scheduled, failed = last_of(step.scheduled, heads), last_of(step.failures, heads)
    return Row(
        step=step,
        depth=min(depth, DEEPEST),
        took=step.left_at - step.entered_at if step.left_at else None,
        bar_x=f"{min(max(begins, 0.0), BAR - 2):.1f}",
        bar_width=f"{min(max(length, 2.0), BAR):.1f}",
        resource=str(scheduled.get("resource") or ""),
        error=str(failed.get("error") or ""),
        cause=str(failed.get("cause") or ""),
        told=f"{step.exited or 0}-{len(step.scheduled)}-{len(step.failures)}-{step.answered or 0}-{step.outcome}",
    )


DEEPEST = 5  # a deeper one stands no further to the right


def last_of(numbers: Sequence[int], details: Details) -> Mapping[str, Any]:
    return details.get(numbers[-1], {}) if numbers else {}


def depth_of(step: Step, steps: Mapping[int, Step]) -> int:
    depth, at = 0, step.parent
    while at is not None and at in steps:
        depth, at = depth + 1, steps[at].parent
    return depth


def numbers_of(step: Step) -> list[int]:
    """The events that carry what a step was given and gave."""
    numbers = [step.entered, step.exited, step.answered, *step.scheduled[-1:], *step.failures[-1:]]
    return [number for number in numbers if number is not None]


def data_of(step: Step, details: Details) -> Data:
    entered, exited = details.get(step.entered, {}), details.get(step.exited or 0, {})
    answered = details.get(step.answered or 0, {})
    scheduled, failed = last_of(step.scheduled, details), last_of(step.failures, details)
    large = [number for number in numbers_of(step) if LARGE in details.get(number, {})]
    return Data(
        input=entered.get("input"),
        output=exited.get("output"),
        has_output="output" in exited,
        result=answered.get("output"),
        has_result="output" in answered,
        arguments=scheduled.get("parameters"),
        resource=str(scheduled.get("resource") or ""),
        error=str(failed.get("error") or ""),
        cause=str(failed.get("cause") or ""),
        cut=large[0] if large else None,
    )


LARGE = "\0large"  # stands for JSON that is too large for a page that shows many
