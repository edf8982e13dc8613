"""A worker that builds or deletes servers, and kills itself around the call of one effect.

Run as `python -m tests.crashes.hosting_worker COMMA EFFECT`.
"""

import sys
from collections.abc import Callable
from typing import Any

import django

django.setup()

from django.utils import timezone  # noqa: E402 - after the setup

from ops.workflows import calls, engine  # noqa: E402
from tests.crashes.worker import die  # noqa: E402

BEFORE, UNRECORDED = "before the call", "after the call, before its record"


def about(effect: str, finished: Any) -> bool:
    return any(claimed.made.resource.endswith(f":{effect}") for claimed, _ in finished)


def recording(record: Callable[..., None], effect: str) -> Callable[..., None]:
    def dying(finished: Any, *, now: Any) -> None:
        if about(effect, finished):
            die()
        record(finished, now=now)

    return dying


def claiming(claim: Callable[..., Any], effect: str) -> Callable[..., Any]:
    def dying(**given: Any) -> Any:
        claimed = claim(**given)
        if about(effect, [(each, None) for each in claimed]):
            die()
        return claimed

    return dying


def main(comma: str, effect: str) -> None:
    if comma == BEFORE:
        calls.claim = claiming(calls.claim, effect)
    else:
        calls.record = recording(calls.record, effect)
    for _ in range(50):
        engine.advance_due(timezone.now, budget_seconds=5)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
