"""The sandbox's time: real time plus an offset.

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

    def now(self) -> int:
        return self.wall() + self.offset

    def wall(self) -> int:
        return int(self._wall())
