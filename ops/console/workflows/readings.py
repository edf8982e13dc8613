"""Histories as they were read, kept in this process while they are long: who looks again reads only what is new.

A history only grows, in the order of its numbers: what was read stays true.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Lock

from ops.workflows.steps import Mark, Reading

LONG = 1_000  # events; shorter ones are read anew in a few milliseconds
MOST = 8  # of those read last; one of 25,000 events takes some 8 MB

Marks = Callable[[int], Iterable[Mark]]  # the events that follow a number


@dataclass
class Kept:
    """A reading with the number of the last event in it."""

    reading: Reading = field(default_factory=Reading)
    last: int = 0
    lock: Lock = field(default_factory=Lock)

    def go_on(self, marks: Marks) -> Reading:
        with self.lock:
            for mark in marks(self.last):
                self.reading.read(mark)
                self.last = mark.id
        return self.reading


class Readings:
    """The readings of long histories, by execution."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Kept] = OrderedDict()
        self._lock = Lock()

    def of(self, execution_id: int, events: int, marks: Marks) -> Reading:
        """Read an execution's history as far as it has come, from where it was read last."""
        if events < LONG:
            return Kept().go_on(marks)
        with self._lock:
            kept = self._kept.setdefault(execution_id, Kept())
            self._kept.move_to_end(execution_id)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return kept.go_on(marks)


readings = Readings()
