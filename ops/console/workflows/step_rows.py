"""The steps of an execution as rows: when, how long, with what, and what came of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ops.workflows.steps import Step

Details = Mapping[int, Mapping[str, Any]]  # what events carry, by their numbers
Read = Callable[[Iterable[int]], Details]
BAR = 120.0  # how wide the time line is


@dataclass(frozen=True)
class Row:
    """One visit to a state. What it was given and gave is None where the history does not tell."""

    step: Step
    depth: int
    took: timedelta | None
    bar_x: str
    bar_width: str
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


def rows_of(steps: Sequence[Step], shown: Sequence[Step], read: Read, *, since: datetime, until: datetime) -> list[Row]:
    """Those `shown` of an execution's steps. The time line reaches from `since` to `until`."""
    wanted = [number for step in shown for number in numbers_of(step)]
    details = read(wanted)
    parents = {step.entered: step.parent for step in steps}
    whole = max((until - since).total_seconds(), 0.001)
    return [row_of(step, details, depth_of(step, parents), since, until, whole) for step in shown]


def numbers_of(step: Step) -> list[int]:
    numbers = [step.entered, step.exited, step.answered, *step.scheduled[-1:], *step.failures[-1:]]
    return [number for number in numbers if number is not None]


def depth_of(step: Step, parents: Mapping[int, int | None]) -> int:
    depth, at = 0, step.parent
    while at is not None:
        depth, at = depth + 1, parents.get(at)
    return depth


def row_of(step: Step, details: Details, depth: int, since: datetime, until: datetime, whole: float) -> Row:
    entered, exited = details.get(step.entered, {}), details.get(step.exited or 0, {})
    answered = details.get(step.answered or 0, {})
    scheduled = details.get(step.scheduled[-1], {}) if step.scheduled else {}
    failed = details.get(step.failures[-1], {}) if step.failures else {}
    begins = (step.entered_at - since).total_seconds() / whole * BAR
    length = ((step.left_at or until) - step.entered_at).total_seconds() / whole * BAR
    large = [number for number in numbers_of(step) if LARGE in details.get(number, {})]
    return Row(
        step=step,
        depth=depth,
        took=step.left_at - step.entered_at if step.left_at else None,
        bar_x=f"{min(begins, BAR - 2):.1f}",
        bar_width=f"{max(length, 2.0):.1f}",
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
