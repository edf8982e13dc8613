"""A call of a Task as it is made, and the answer that comes by itself later."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops.effects.outcome import Later as Later  # what a call that is answered later comes to

Json = Any


@dataclass(frozen=True, slots=True)
class Made:
    """A call as it is made: what, with what, under which key, and what it goes back to."""

    key: str
    machine: str
    state: str
    resource: str
    arguments: Json
    event_id: str = ""
    customer_id: str = ""
    depth: int = 0
    call: int = 0  # the row's id; 0: an execution on AWS calls, see `task`
    task: int = 0  # the id of the row of a task of Step Functions
    started_at: datetime | None = None  # the execution
    until: datetime | None = None  # the Task's time-out
