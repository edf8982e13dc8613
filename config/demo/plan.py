"""Steps in parallel where one does not need the other."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from config.demo.screen import Screen
from config.demo.trouble import Interrupted


class Plan:
    """Steps that wait for one another. When one fails, those that have not begun never do."""

    def __init__(self, screen: Screen, pool: ThreadPoolExecutor, failed: threading.Event) -> None:
        self._screen, self._pool, self._failed = screen, pool, failed
        self._steps: list[Future[None]] = []

    def step(
        self, title: str, work: Callable[[], None], *, after: Iterable["Future[None]"] = (), unless: bool = False
    ) -> "Future[None]":
        """Do `work` once all of `after` are done; nothing at all `unless` it is not needed."""
        step: Future[None] = self._pool.submit(self._do, title, work, tuple(after), unless=unless)
        self._steps.append(step)
        return step

    def _do(self, title: str, work: Callable[[], None], after: Iterable["Future[None]"], *, unless: bool) -> None:
        for step in after:
            step.result()
        if unless:
            return
        if self._failed.is_set():
            raise Interrupted
        try:
            with self._screen.step(title):
                work()
        except BaseException:
            self._failed.set()
            raise

    def wait(self) -> None:
        """Wait for all steps; when some failed, raise the cause and not what it drew along."""
        wait(self._steps)
        errors = [error for step in self._steps if (error := step.exception())]
        causes = [error for error in errors if not isinstance(error, Interrupted)]
        for error in causes or errors:
            raise error
