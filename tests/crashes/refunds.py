"""A worker that advances executions until it is stopped, killed, or has killed itself at a comma.

Run as `python -m tests.crashes.refunds COMMA`; COMMA "none" lives and goes on until it is stopped.
"""

import signal
import sys
import time
from types import FrameType
from typing import Any

import django

django.setup()

from django.utils import timezone  # noqa: E402 - after the setup

from ops.workflows import calls, engine, resources  # noqa: E402
from tests.crashes.worker import die, die_after  # noqa: E402

# The sentence of a step: taken, walked, laid down; then a call: leased, made, recorded.
COMMAS: dict[str, tuple[Any, str, Any]] = {
    "after executions were taken": (engine, "take", die_after),
    "after the steps were laid down": (engine.Written, "write", die_after),
    "after the commit, before the call": (calls, "claim", lambda _: die),
    "after the call was leased": (calls, "claim", die_after),
    "after the call, before its record": (calls, "record", lambda _: die),
    "after the record": (calls, "record", die_after),
}


def stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main(comma: str) -> None:
    signal.signal(signal.SIGTERM, stop)
    if comma in COMMAS:
        place, name, change = COMMAS[comma]
        setattr(place, name, change(getattr(place, name)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        if not engine.advance_due(timezone.now, budget_seconds=5, make=resources.make):
            time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1])
