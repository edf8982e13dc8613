"""A worker that kills itself at a comma. Run as `python -m tests.crashes.worker COMMA`; COMMA "none" lives."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django

django.setup()

from django.utils import timezone  # noqa: E402 - after the setup

from billing.inbox import claim  # noqa: E402
from billing.mirror import apply, asking, gates, inquiry, tables, write  # noqa: E402


def die(*_args: Any, **_more: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(function: Callable[..., Any]) -> Callable[..., Any]:
    def dying(*args: Any, **more: Any) -> Any:
        function(*args, **more)
        die()

    return dying


# The sentence of the first look, in one transaction; then the one of a question, with the answer between two.
PROVEN: dict[str, tuple[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = {
    "after the events were taken": (claim, "take", die_after),
    "after the gates were locked": (gates, "lock", die_after),
    "after the rows were written": (tables, "write", die_after),
    "after the gates were stamped": (gates, "advance", die_after),
    "after the reaction": (write, "react", die_after),
    "before the commit": (claim, "lease", die_after),
    "after the commit": (apply, "second_look", lambda _: die),
}
ASKED: dict[str, tuple[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = {
    "before the question": (inquiry, "fetch_many", lambda _: die),
    "after the answer": (inquiry, "fetch_many", die_after),
    "after the answer was written": (asking, "write_held", die_after),
    "after its events were settled": (apply, "settle_asked", die_after),
    "after the second commit": (asking, "fail", lambda _: die),
}
COMMAS = PROVEN | ASKED


def main(comma: str) -> None:
    if comma in COMMAS:
        place, name, change = COMMAS[comma]
        setattr(place, name, change(getattr(place, name)))
    apply.mirror_due(timezone.now, budget_seconds=30)


if __name__ == "__main__":
    main(sys.argv[1])
