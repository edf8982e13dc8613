"""A worker that mirrors whatever is due until it is stopped, or killed. Run as `python -m tests.crashes.loop [BATCH]`.

BATCH events are one batch: where they are few, it soon has two batches in hand at once. Where PostgreSQL tears its
connection it goes on with another one, as a Celery worker does with its next task.
"""

import signal
import sys
import time
from types import FrameType

import django

django.setup()

from django.db import InterfaceError, OperationalError, connection  # noqa: E402 - after the setup
from django.utils import timezone  # noqa: E402

from billing.mirror import apply  # noqa: E402


def stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    if len(sys.argv) > 1:
        apply.BATCH = int(sys.argv[1])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        if not mirrored_any():
            time.sleep(0.02)


def mirrored_any() -> bool:
    try:
        return bool(apply.mirror_due(timezone.now, budget_seconds=5))
    except (OperationalError, InterfaceError):
        connection.close()
        return False


if __name__ == "__main__":
    main()
