"""A worker that kills itself at a comma. Run as `python -m tests.crashes.worker COMMA`; COMMA "none" lives."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django

django.setup()

from django.utils import timezone  # noqa: E402 - after the setup

from billing.mirror import apply, objects  # noqa: E402


def die(*_args: Any, **_more: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(function: Callable[..., Any]) -> Callable[..., Any]:
    def dying(*args: Any, **more: Any) -> Any:
        function(*args, **more)
        die()

    return dying


COMMAS: dict[str, tuple[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = {
    "after the claim": (apply, "mirror_batch", lambda _: die),
    "after the fetch": (objects, "fetch", die_after),
    "after the write": (objects, "write", die_after),
    "after the reaction": (objects, "after_mirrored", die_after),
    "before the commit": (objects, "mark_mirrored", die_after),
    "after the commit": (objects, "describe_change", lambda _: die),
}


def main(comma: str) -> None:
    if comma in COMMAS:
        place, name, change = COMMAS[comma]
        setattr(place, name, change(getattr(place, name)))
    apply.mirror_due(timezone.now, budget_seconds=30)


if __name__ == "__main__":
    main(sys.argv[1])
