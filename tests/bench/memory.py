"""Whether a worker's memory stays flat while it mirrors.

python -m tests.bench.memory [--events 1000000]
"""

import argparse
import multiprocessing
import sys
import time
from itertools import count
from typing import Any

import psutil

from tests.bench.ground import Row, ground, print_table
from tests.bench.mirror import events_of, fill, learn_shapes, now

CHUNK = 10_000
EVENTS = 200_000  # what a million does shows after a fifth of it


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    options = parser.parse_args(argv)
    with ground():
        template = learn_shapes()
        fill(template)
        sizes = sizes_through(template, options.events)
    quarter = max(1, len(sizes) // 4)
    early, late = sizes[quarter - 1], sizes[-1]
    print_table(
        f"Memory of one worker through {options.events:,} events, MiB",
        [Row("at the end", late, early, f"after {quarter * CHUNK:,} events", "flat")],
    )
    return 0


def sizes_through(template: Any, amount: int) -> list[float]:
    """Feed a worker chunk by chunk; return its resident memory in MiB after each."""
    from billing.inbox.intake import store_events
    from billing.inbox.models import Door, InboxEvent

    worker = multiprocessing.get_context("spawn").Process(target=work, daemon=True)
    worker.start()
    process, seconds, sizes = psutil.Process(worker.pid), count(1_900_000_000), []
    for done in range(0, amount, CHUNK):
        batch = list(events_of(template, seconds, CHUNK))
        for start in range(0, CHUNK, 500):
            store_events(batch[start : start + 500], source="stripe.com", door=Door.WEBHOOK, owner="", now=now())
        while InboxEvent.objects.filter(state="received").exists():
            time.sleep(0.1)
        sizes.append(process.memory_info().rss / 2**20)
        sys.stderr.write(f"{done + CHUNK:,} events: {sizes[-1]:.0f} MiB\n")
    worker.terminate()
    return sizes


def work() -> None:
    import django

    django.setup()
    from billing.mirror.apply import mirror_due

    while True:
        if not mirror_due(now, budget_seconds=60):
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
