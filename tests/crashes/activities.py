"""`manage.py work_activities` that kills itself at a comma of the first task that it is given.

Run as `python -m tests.crashes.activities COMMA EFFECT…`.
"""

import sys
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402 - after the setup

from ops.workflows.aws import tasks  # noqa: E402
from tests.crashes.worker import die, die_after  # noqa: E402

# The sentence of a task: written, called, recorded, told, that recorded.
COMMAS: dict[str, tuple[str, Any]] = {
    "after the task was written, before the call": ("outcome_of", lambda _: die),
    "after the call, before its record": ("outcome_of", die_after),
    "after the record, before Step Functions was told": ("record", die_after),
    "after Step Functions was told, before that was recorded": ("told", lambda _: die),
}


def main(comma: str, effects: list[str]) -> None:
    name, change = COMMAS[comma]
    setattr(tasks, name, change(getattr(tasks, name)))
    call_command("work_activities", *effects)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
