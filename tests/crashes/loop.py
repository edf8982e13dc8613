"""A worker that mirrors whatever is due until it is stopped, or killed. Run as `python -m tests.crashes.loop`."""

import signal
import sys
import time
from types import FrameType

import django

django.setup()

from django.utils import timezone  # noqa: E402 - after the setup

from billing.mirror.apply import mirror_due  # noqa: E402


def stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        if not mirror_due(timezone.now, budget_seconds=5):
            time.sleep(0.02)


if __name__ == "__main__":
    main()
