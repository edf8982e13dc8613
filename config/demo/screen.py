"""What the person at the terminal sees: steps with ticks and seconds, then where to go."""

import contextlib
import threading
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn


class Screen:
    """Writes to the terminal; goes on in silence when the terminal has been closed."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self._lock = threading.Lock()
        self._progress: Progress | None = None

    def say(self, text: str = "", *, style: str | None = None) -> None:
        """Print a line. rich's markup is not read, so logs can be quoted."""
        with self._lock, contextlib.suppress(OSError):
            self.console.print(text, style=style, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def steps(self) -> Iterator[None]:
        """Show the steps under way while the block runs; on a pipe only those that are done are written."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            self._progress = progress
            try:
                yield
            finally:
                self._progress = None

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show one step with its seconds: a tick when the block ends, a cross when it raises."""
        begun = time.monotonic()
        task = self._progress.add_task(title) if self._progress else None
        mark, style = "✗", "red"
        try:
            yield
            mark, style = "✓", "green"
        finally:
            if self._progress and task is not None:
                self._progress.remove_task(task)
            with self._lock, contextlib.suppress(OSError):
                self.console.print(f" [{style}]{mark}[/] {title:<44}[dim]{time.monotonic() - begun:5.1f} s[/]")
