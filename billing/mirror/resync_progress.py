"""A resync as people see it: a line while it goes on, a table when it is done."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from billing.mirror.resync import Resync
from billing.mirror.resync_counts import Outcome
from billing.mirror.write import Change

PATIENCE_SECONDS = 2.0  # before a rate is told: the first numbers say nothing
LATELY_SECONDS = 10.0  # over which the rate is taken: full pages and calls for one object each are of different speeds


class ProgressLine:
    """How many objects, how fast, how long still. Stripe does not say how many there are: what is left is estimated
    from the spans of time that are not done, and only where something tells how dense objects lie in them."""

    def __init__(self, resync: Resync, *, shown: bool) -> None:
        self._resync = resync
        self._seen = deque([(time.monotonic(), 0)])  # when how many objects had been looked at
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=not shown,
            transient=True,
        )
        self._task = self._progress.add_task("asking Stripe", total=None)

    def __enter__(self) -> "ProgressLine":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self) -> None:
        done, now = self._resync.looked_at, time.monotonic()
        left, is_all = self._resync.walks.left()
        self._seen.append((now, done))
        while now - self._seen[1][0] > LATELY_SECONDS:
            self._seen.popleft()
        self._progress.update(
            self._task,
            description=described(done, left, rate_of(*self._seen[0], *self._seen[-1]), is_all=is_all),
            completed=done,
            total=done + left if is_all and left else None,
        )


def rate_of(began: float, first: int, now: float, last: int) -> float | None:
    """Objects a second; None as long as that cannot be known."""
    return (last - first) / (now - began) if now - began >= PATIENCE_SECONDS and last > first else None


def described(done: int, left: float, rate: float | None, *, is_all: bool) -> str:
    """The line in words."""
    if rate is None:
        return f"{done:,} objects"
    told = f"{done:,} objects, {rate:,.0f} a second"
    if not left:
        return told
    return f"{told}, {'about' if is_all else 'at least'} {span_of(left / rate)} left"


def span_of(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def table_of(outcomes: Mapping[tuple[str, str], Outcome], shown: Sequence[Change], *, check: bool) -> Table:
    """Counts of each kind; with `check` they are what would change."""
    table = Table(title="Nothing was written: this differs from Stripe" if check else None)
    accounts = len({owner for owner, _ in outcomes}) > 1
    if accounts:
        table.add_column("account")
    table.add_column("kind")
    for change in shown:
        table.add_column(change.value, justify="right")
    for (owner, name), outcome in outcomes.items():
        if not outcome.unavailable:
            counts = [str(outcome.counts[change.value] or "·") for change in shown]
            table.add_row(*([owner or "primary"] if accounts else []), name, *counts)
    return table
