"""A worker that kills itself at a comma of the rules' sentence; comma "none" lives.

It calls an HTTP address that the environment names (TARGET_URL): the world outside, which counts.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

import httpx
from django.db import connections
from django.utils import timezone

from ops.effects.outcome import Done, Outcome
from ops.remediation import findings
from ops.rules import deliver, dispatch, matches, take
from ops.rules.targets.call import TargetCall


def die(*_args: Any, **_more: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(function: Callable[..., Any]) -> Callable[..., Any]:
    def dying(*args: Any, **more: Any) -> Any:
        function(*args, **more)
        die()

    return dying


COMMAS: dict[str, tuple[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = {
    "after the events were taken": (take, "take", die_after),
    "after they were matched": (dispatch, "find", die_after),
    "after the matches were written": (matches, "write", die_after),
    "after they were marked, before the commit": (take, "mark", die_after),
    "after the commit": (dispatch, "dispatch_batch", die_after),
    "after the calls were leased": (deliver, "claim", die_after),
    "after the call, before its record": (deliver, "answer", die_after),
    "after the record, before its commit": (deliver, "record_one", die_after),
    "after the record": (deliver, "record", die_after),
    "after the finding was opened, before its commit": (findings, "tell_opened", die_after),
}


def call_outside(call: TargetCall) -> Outcome:
    httpx.post(os.environ["TARGET_URL"], headers={"Idempotency-Key": call.key}, timeout=60, trust_env=False)
    return Done()


def run_worker(comma: str) -> int:
    """Run a worker in a process of its own on this test's database; return how it ended: a signal is negative.

    It is forked, as Celery's are, and opens connections of its own.
    """
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ended = 1
    try:
        for connection in connections.all(initialized_only=True):
            connection.connection = None  # the parent's; psycopg does not close it from here
        main(comma)
        ended = 0
    finally:
        os._exit(ended)


def main(comma: str) -> None:
    if comma in COMMAS:
        place, name, change = COMMAS[comma]
        setattr(place, name, change(getattr(place, name)))
    dispatch.dispatch_due(timezone.now, budget_seconds=30)
    deliver.deliver_due(timezone.now, budget_seconds=30)
