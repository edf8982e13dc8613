"""The ground of a measurement: a durable PostgreSQL, a Redis and a Stripe of its own, and a table of what came out.

    with ground() as place:
        …                       # Django is set up on an empty, prepared database
    print_table("…", [Row("events mirrored per second", ours=…, theirs=…, reach="40 ×")])

Nothing is asserted: numbers are printed, medians of several runs, and ratios of one run.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from config.env import BASE_DIR
from config.local import start_postgres, start_redis

# A key of the sandbox's form: it names an account of its own there.
KEY = "sk_test_51Benchmark00000" + "0" * 16


@dataclass(frozen=True)
class Place:
    directory: Path
    sandbox: str  # its base address


@contextmanager
def ground() -> Iterator[Place]:
    """Start what a deployment has, with commits that are durable, and set Django up on it; stop it all at the end."""
    directory = Path(tempfile.mkdtemp(prefix="kessai-bench-"))
    directory.chmod(0o711)  # as root, PostgreSQL runs as another user and must get through
    postgres = start_postgres(directory / "postgres")
    redis = start_redis(directory / "redis")
    sandbox, address = start_sandbox(directory / "sandbox")
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": postgres.url,
        "REDIS_URL": redis.url,
        "SECRET_KEY": "bench" * 10,
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_WEBHOOK_SECRET": "whsec_bench",
        "STRIPE_API_BASE": address,
        "LOG_LEVEL": "ERROR",
    }
    try:
        set_up()
        yield Place(directory, address)
    finally:
        sandbox.terminate()
        sandbox.wait(10)
        redis.stop()
        postgres.stop()
        shutil.rmtree(directory, ignore_errors=True)


def start_sandbox(data: Path) -> tuple["subprocess.Popen[str]", str]:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--data", str(data)]
    process = subprocess.Popen(command, cwd=BASE_DIR, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, process.stdout.readline().removeprefix("listening on ").strip()


def set_up() -> None:
    import django

    django.setup()
    from django.db import connection

    from billing.mirror.schema import prepare_database

    prepare_database(connection, verbosity=0)


def median_of(measure: Callable[[], float], *, runs: int) -> float:
    return statistics.median(measure() for _ in range(runs))


@dataclass(frozen=True)
class Row:
    """One thing measured: ours beside theirs, both in the same unit, from the same run."""

    what: str
    ours: float
    theirs: float | None = None
    against: str = ""
    reach: str = ""

    @property
    def ratio(self) -> str:
        return f"{self.ours / self.theirs:,.2f} ×" if self.theirs else ""


def print_table(title: str, rows: Sequence[Row]) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    for name in ("ours", "against", "", "ratio", "reach"):
        table.add_column(name, justify="left" if name == "" else "right")
    for row in rows:
        theirs = "" if row.theirs is None else f"{row.theirs:,.1f}"
        table.add_row(row.what, f"{row.ours:,.1f}", theirs, row.against, row.ratio, row.reach)
    Console(width=150).print(table)
