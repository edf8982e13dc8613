"""How fast a company is resynced from a Stripe that takes 50 ms to answer: ours and `djstripe_sync_models`.

python -m tests.bench.resync [--customers 200] [--months 18] [--stock-customers 8] [--runs 3]

The company is a grown one: to a customer about eight invoices with their payments and charges. A second resync spares
the writing, and the calls about customers who did not change: the one is seen without a limit, and in the processor's
time of each party, which are printed beside; the other where the limit binds.
"""

import argparse
import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx

from tests.bench.ground import KEY, Row, ground, print_table, start_sandbox

LATENCY_SECONDS = 0.05
RATES = (20.0, 80.0)  # calls a second: the settings' own for test and live mode
UNBOUND = 100_000.0
STOCK_MODELS = ("Product", "Price", "Customer", "Subscription", "PaymentIntent", "Charge", "Invoice")
# The same, and what dj-stripe's command syncs along with them.
KINDS = (
    "product", "price", "customer", "payment_method", "subscription", "payment_intent", "charge", "invoiceitem",
    "invoice",
)  # fmt: skip


@dataclass(frozen=True)
class Cpu:
    """Seconds of the processor: what the resync itself took, PostgreSQL, and the sandbox that plays Stripe."""

    own: float
    postgres: float
    sandbox: float

    def since(self, before: "Cpu") -> "Cpu":
        return Cpu(self.own - before.own, self.postgres - before.postgres, self.sandbox - before.sandbox)

    def __str__(self) -> str:
        return f"{self.own:.2f} own, {self.postgres:.2f} PostgreSQL; sandbox {self.sandbox:.2f}"


@dataclass(frozen=True)
class Measured:
    """One resync: how long, how many objects, how many calls of Stripe, how many rows of the mirror written."""

    seconds: float
    objects: int
    calls: int
    writes: int
    cpu: "Cpu"

    @property
    def per_second(self) -> float:
        return self.objects / self.seconds


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--months", type=int, default=18)
    parser.add_argument("--stock-customers", type=int, default=8, help="dj-stripe is given a smaller company")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(argv)
    with ground() as place:
        with company(place.directory / "small", options.stock_customers, 3):
            stock = [measure_stock() for _ in range(options.runs)]
        with company(place.directory / "large", options.customers, options.months) as sandbox:
            firsts, seconds = zip(*(measure_twice(UNBOUND, sandbox) for _ in range(options.runs)), strict=True)
            bound = {rate: [measure_twice(rate, sandbox) for _ in range(options.runs)] for rate in RATES}
    print_table("Objects resynced, Stripe answering after 50 ms", rows_of(stock, firsts, seconds, bound))
    return 0


def rows_of(
    stock: list[float],
    firsts: tuple[Measured, ...],
    seconds: tuple[Measured, ...],
    bound: dict[float, list[tuple[Measured, Measured]]],
) -> list[Row]:
    first, second, theirs = middle(firsts), middle(seconds), median(stock)
    limited = {rate: tuple(map(middle, zip(*runs, strict=True))) for rate, runs in bound.items()}
    return [
        Row("objects a second, empty mirror, no limit", first.per_second, theirs, "djstripe_sync_models", "40 ×"),
        *(
            Row(f"objects a second at {rate:.0f} calls a second", run.per_second, theirs, "the same")
            for rate, (run, _) in limited.items()
        ),
        *(
            Row(
                f"calls a second, {rate:.0f} allowed",
                run.calls / run.seconds,
                rate,
                "what the limit allows",
                "0.77 ×",
            )
            for rate, (run, _) in limited.items()
        ),
        Row("objects a second where nothing changed", second.per_second, first.per_second, "the first time", "3 ×"),
        *(
            Row(f"the same at {rate:.0f} calls a second", again.per_second, run.per_second, "the first time", "3 ×")
            for rate, (run, again) in limited.items()
        ),
        Row(
            "processor's seconds where nothing changed",
            second.cpu.own + second.cpu.postgres,
            first.cpu.own + first.cpu.postgres,
            f"the first time; {second.cpu}, first {first.cpu}",
        ),
        Row("rows written where nothing changed", second.writes, None, f"{first.writes:,} the first time", "0"),
        Row("objects in the company", first.objects, None, f"{first.calls:,} calls, {second.calls:,} the second time"),
    ]


def middle(runs: "tuple[Measured, ...] | list[Measured]") -> Measured:
    return sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]


@contextmanager
def company(data: Path, customers: int, months: int) -> Iterator[int]:
    """A sandbox with a company in it, which answers late; the settings point to it. Yields its process id."""
    from django.conf import settings

    from billing.stripe_client import set_up_stripe_library, stripe_client
    from sandbox.fill.command import Order, fill

    fill(Order(data, customers, months, 7, int(time.time()), KEY, "http://127.0.0.1:12111"), lambda *_: None)
    process, address = start_sandbox(data)
    httpx.post(
        f"{address}/_sandbox/faults", json={"effect": "latency", "seconds": LATENCY_SECONDS}, trust_env=False
    ).raise_for_status()
    settings.STRIPE_API_BASE = settings.STRIPE_API_HOST = address
    stripe_client.cache_clear()
    set_up_stripe_library()
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def measure_stock() -> float:
    """Objects a second of dj-stripe's own command."""
    from django.conf import settings
    from django.core.management import call_command

    empty_mirror()
    settings.STRIPE_RATE_LIMIT_TEST = UNBOUND
    began = time.monotonic()
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        call_command("djstripe_sync_models", *STOCK_MODELS, stdout=io.StringIO(), stderr=io.StringIO())
    return objects_mirrored() / (time.monotonic() - began)


def measure_twice(rate: float, sandbox: int) -> tuple[Measured, Measured]:
    first = measure_first(rate, sandbox)
    return first, measure(rate, sandbox)


def measure_first(rate: float, sandbox: int) -> Measured:
    empty_mirror()
    return measure(rate, sandbox)


def measure(rate: float, sandbox: int) -> Measured:
    """Resync the kinds that dj-stripe is given too, and what its command syncs along with them."""
    from django.conf import settings
    from django.core.management import call_command

    from billing.nudge import nudge_redis

    settings.STRIPE_RATE_LIMIT_TEST = rate
    settings.STRIPE_CALLS_AT_ONCE = 16
    nudge_redis().flushdb()
    writes, calls, cpu, began = rows_written(), calls_made(), cpu_now(sandbox), time.monotonic()
    call_command("resync", *KINDS, "--json", stdout=io.StringIO())
    seconds, cpu = time.monotonic() - began, cpu_now(sandbox).since(cpu)
    return Measured(seconds, objects_mirrored(), calls_made() - calls, rows_written() - writes, cpu)


def cpu_now(sandbox: int) -> Cpu:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        server = int(stat_of(cursor.fetchone()[0])[1])
    backends = (pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent_of(pid) == server)
    return Cpu(time.process_time(), cpu_of(server) + sum(map(cpu_of, backends)), cpu_of(sandbox))


def cpu_of(pid: int) -> float:
    """Seconds of a process and of its children that have ended."""
    return sum(map(int, stat_of(pid)[11:15])) / os.sysconf("SC_CLK_TCK")


def parent_of(pid: int) -> int | None:
    try:
        return int(stat_of(pid)[1])
    except OSError:  # it has ended meanwhile
        return None


def stat_of(pid: int) -> list[str]:
    """Linux tells of a process in one line (man 5 proc_pid_stat): from its state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def calls_made() -> int:
    from prometheus_client import REGISTRY

    return int(REGISTRY.get_sample_value("kessai_fetch_seconds_count") or 0)


def mirror_tables() -> list[str]:
    from django.db import connection

    own = {"billing_mirrorgate", "billing_rawobject", "billing_subscriptionrow", "billing_invoicerow"}
    names = connection.introspection.table_names()
    return [name for name in names if name.startswith("djstripe_") or name in own]


def empty_mirror() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(mirror_tables())}, billing_resyncrun, billing_listedparent CASCADE")


def objects_mirrored() -> int:
    from django.db import connection

    tables = (
        "product",
        "price",
        "customer",
        "paymentmethod",
        "subscription",
        "paymentintent",
        "charge",
        "invoiceitem",
        "invoice",
    )
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"SELECT count(*) FROM djstripe_{table}" for table in tables))
        return sum(row[0] for row in cursor.fetchall())


def rows_written() -> int:
    """Rows of the mirror inserted, updated or deleted so far. Threads' connections are closed, so they have told."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT 1")
        cursor.execute(
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables"
            " WHERE relname = ANY(%s)",
            [mirror_tables()],
        )
        return int(cursor.fetchone()[0])


if __name__ == "__main__":
    sys.exit(main())
