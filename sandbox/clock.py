"""The sandbox's time: real time plus an offset, or standing while time is advanced step by step.

`now()` is simulated time and dates everything the API shows. `wall()` is the machine's time and is used
only where the other side compares with its own clock: webhook signatures.
"""

import time
from collections.abc import Callable


class Clock:
    """Unix seconds. `wall` can be replaced by a test."""

    def __init__(self, *, offset: int = 0, wall: Callable[[], float] = time.time) -> None:
        self.offset = offset
        self._wall = wall
        self._standing: int | None = None

    def now(self) -> int:
        standing = self._standing
        return self.wall() + self.offset if standing is None else standing

    def wall(self) -> int:
        return int(self._wall())

    def stand_at(self, at: int) -> None:
        """It is `at` until told otherwise."""
        self.offset = at - self.wall()
        self._standing = at

    def go_on(self) -> None:
        """Run again, from where it stood."""
        if self._standing is not None:
            self.offset = self._standing - self.wall()
            self._standing = None
