"""A worker that begins to wait for events, or dispatches them, and kills itself at a comma.

Run as `python -m tests.crashes.waits_worker COMMA`.
"""

import sys
from typing import Any

import django

django.setup()

from django.utils import timezone  # noqa: E402 - after the setup

from ops.rules import dispatch, take  # noqa: E402
from ops.workflows import calls, engine  # noqa: E402
from ops.workflows.waits import met, register  # noqa: E402
from tests.crashes.worker import die_after  # noqa: E402

# The sentence of a wait: committed, looked back, recorded; and of the event that meets it, in one transaction.
COMMAS: dict[str, tuple[Any, str, Any]] = {
    "after the wait was committed": (register, "commit", die_after),
    "after the look back": (register, "look_back", die_after),
    "after its record": (calls, "record", die_after),
    "after the event was taken": (take, "take", die_after),
    "after the execution was woken": (met, "wake", die_after),
}


def main(comma: str) -> None:
    place, name, change = COMMAS[comma]
    setattr(place, name, change(getattr(place, name)))
    engine.advance_due(timezone.now, budget_seconds=10)
    dispatch.dispatch_due(timezone.now, budget_seconds=10)
    engine.advance_due(timezone.now, budget_seconds=10)


if __name__ == "__main__":
    main(sys.argv[1])
