"""Measures, prints, keeps nothing: requests, list pages, a month for many subscriptions, long lists, memory.

The sandbox runs as it always does, in a process of its own, and is asked over HTTP.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx

from sandbox.bench.machine import described, resident, worked, yardstick
from sandbox.fill.command import Order, fill

KEY = "sk_test_123"
LANES = 8
"""Clients that ask at the same time."""
RUNS = 3
"""Of which the one in the middle is told, with the slowest and the fastest."""
MONTH = 31 * 24 * 3600
TWO_MONTHS = 60 * 24 * 3600


@dataclass(frozen=True)
class Running:
    client: httpx.Client
    process: int


@contextmanager
def running(data: Path) -> Iterator[Running]:
    """A sandbox on a free port, and a client of it."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 (our own module)
    if process.stdout is None:
        raise RuntimeError("no output")
    url = process.stdout.readline().removeprefix("listening on ").strip()
    headers = {"Authorization": f"Bearer {KEY}"}
    limits = httpx.Limits(max_connections=LANES)
    try:
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=3600, limits=limits) as client:
            yield Running(client, process.pid)
    finally:
        process.terminate()
        process.wait()


def asked(client: httpx.Client, method: str, path: str, **given: Any) -> Any:
    said = client.request(method, path, **given)
    said.raise_for_status()
    return said.json()


def per_second(work: Callable[[], object], seconds: float, lanes: int) -> float:
    """How often `work` gets done each second by so many at once."""
    end = time.monotonic() + seconds

    def lane(_: int) -> int:
        done = 0
        while time.monotonic() < end:
            work()
            done += 1
        return done

    with ThreadPoolExecutor(lanes) as pool:
        begun = time.monotonic()
        return sum(pool.map(lane, range(lanes))) / (time.monotonic() - begun)


def measure_requests(client: httpx.Client, seconds: float) -> None:
    customers = asked(client, "GET", "/v1/customers", params={"limit": 100})["data"]
    ids = cycle([customer["id"] for customer in customers])
    who = customers[0]["email"]
    works: dict[str, Callable[[], object]] = {
        "retrieve a customer": lambda: asked(client, "GET", f"/v1/customers/{next(ids)}"),
        "search by e-mail": lambda: asked(client, "GET", "/v1/customers/search", params={"query": f"email:'{who}'"}),
        "read the balance": lambda: asked(client, "GET", "/v1/balance"),
        "create a customer": lambda: asked(client, "POST", "/v1/customers", data={"email": "bench@example.com"}),
        "pay with a card": lambda: asked(client, "POST", "/v1/payment_intents", data=_payment()),
    }
    for what, work in works.items():
        for lanes in (1, LANES):
            rates = sorted(per_second(work, seconds / RUNS, lanes) for _ in range(RUNS))
            say(f"{what}, {lanes} at once", f"{rates[RUNS // 2]:,.0f} per second ({rates[0]:,.0f} to {rates[-1]:,.0f})")


def _payment() -> dict[str, str]:
    return {
        "amount": "5000", "currency": "jpy", "payment_method": "pm_card_visa", "confirm": "true",
        "automatic_payment_methods[enabled]": "true", "automatic_payment_methods[allow_redirects]": "never",
    }  # fmt: skip


def measure_lists(client: httpx.Client, seconds: float) -> None:
    for kind, query in (
        ("customers", {}), ("subscriptions", {"status": "active"}), ("invoices", {}), ("events", {}),
    ):  # fmt: skip
        times = sorted(_pages(client, f"/v1/{kind}", query, seconds / 2))
        middle, slow = times[len(times) // 2], times[int(len(times) * 0.99)]
        say(f"100 {kind}, page after page", f"{middle:,.1f} ms; of 100 pages 99 within {slow:,.1f} ms")


def _pages(client: httpx.Client, path: str, query: dict[str, str], seconds: float) -> Iterator[float]:
    """Milliseconds of each page, from the newest to the oldest and over again."""
    end, after = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        begun = time.monotonic()
        place = {"starting_after": after} if after else {}
        page = asked(client, "GET", path, params={"limit": "100", **query, **place})
        yield (time.monotonic() - begun) * 1000
        after = page["data"][-1]["id"] if page["has_more"] else ""


def measure_deep_pages(client: httpx.Client, seconds: float) -> None:
    """One page of 100, from the newest and from the middle of the list, over and over."""
    for kind in ("customers", "subscriptions", "invoices"):
        for where, after in (("newest", ""), ("in the middle", _middle(client, kind))):
            place = {"starting_after": after} if after else {}
            times = sorted(_repeated(client, f"/v1/{kind}", {"limit": "100", **place}, seconds / 6))
            say(f"100 {kind}, {where}", f"{times[len(times) // 2]:,.1f} ms")


def _middle(client: httpx.Client, kind: str) -> str:
    """An id from about the middle of the list: of a company of the present, half came before then."""
    newest = asked(client, "GET", f"/v1/{kind}", params={"limit": "1"})["data"][0]["created"]
    half = {"limit": "1", "created[lte]": str(newest - TWO_MONTHS)}
    return str(asked(client, "GET", f"/v1/{kind}", params=half)["data"][0]["id"])


def _repeated(client: httpx.Client, path: str, query: dict[str, str], seconds: float) -> Iterator[float]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        asked(client, "GET", path, params=query)
        yield (time.monotonic() - begun) * 1000


def measure_month(sandbox: Running) -> None:
    begun, before = time.monotonic(), worked(sandbox.process)
    went = asked(sandbox.client, "POST", "/_sandbox/advance", json={"by": MONTH})
    seconds, after = time.monotonic() - begun, worked(sandbox.process)
    jobs, events = sum(went["jobs"].values()), sum(went["events"].values())
    used = "" if before is None or after is None else f" ({after - before:,.1f} s of a processor)"
    say("the yardstick", f"{yardstick():,.2f} s of a processor")
    say("one month forward", f"{seconds:,.1f} s{used} for {jobs:,} jobs and {events:,} events")


def say(what: str, answer: str) -> None:
    sys.stdout.write(f"  {what:<44} {answer}\n")
    sys.stdout.flush()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.bench", description="How fast is the sandbox here?")
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--subscriptions", type=int, default=10_000, help="that live through a month")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--many", type=int, default=100_000, help="customers of the company whose lists are long")
    options = parser.parse_args(argv)
    sys.stdout.write(f"{described()}\n")
    with tempfile.TemporaryDirectory() as folder:
        _bench_company(Path(folder) / "company", options.customers, options.seconds)
        _bench_month(Path(folder) / "living", options.subscriptions)
        _bench_many(Path(folder) / "many", options.many, options.seconds)


def _bench_company(data: Path, customers: int, seconds: float) -> None:
    sys.stdout.write(f"A company with {customers:,} customers and a year of history\n")
    begun = time.monotonic()
    objects = _filled(data, customers, 12)
    size = (data / "sandbox.sqlite3").stat().st_size / 2**20
    say("fill", f"{time.monotonic() - begun:,.1f} s for {objects:,} objects, {size:,.0f} MiB on disk")
    with running(data) as sandbox:
        _say_memory("memory when it has started", sandbox)
        measure_lists(sandbox.client, seconds)
        measure_requests(sandbox.client, seconds)
        _say_memory("memory after all this", sandbox)


def _bench_many(data: Path, customers: int, seconds: float) -> None:
    sys.stdout.write(f"A company with {customers:,} customers in their present state\n")
    begun = time.monotonic()
    objects = _filled(data, customers, 0)
    say("fill", f"{time.monotonic() - begun:,.1f} s for {objects:,} objects")
    with running(data) as sandbox:
        measure_deep_pages(sandbox.client, 2 * seconds)
        _say_memory("memory after these lists", sandbox)


def _bench_month(data: Path, subscriptions: int) -> None:
    """One in eight customers of a company has no subscription that would renew."""
    _filled(data, subscriptions * 8 // 7, 0)
    with running(data) as sandbox:
        sys.stdout.write(f"{_count(sandbox.client):,} subscriptions that renew\n")
        measure_month(sandbox)
        _say_memory("memory afterwards", sandbox)


def _count(client: httpx.Client) -> int:
    count, after = 0, dict[str, str]()
    while True:
        page = asked(client, "GET", "/v1/subscriptions", params={"limit": "100", "status": "active", **after})
        count += len(page["data"])
        if not page["has_more"]:
            return count
        after = {"starting_after": page["data"][-1]["id"]}


def _say_memory(what: str, sandbox: Running) -> None:
    held = resident(sandbox.process)
    say(what, "not told by this system" if held is None else f"{held:,.0f} MiB")


def _filled(data: Path, customers: int, months: int) -> int:
    return fill(Order(data, customers, months, 7, int(time.time()), KEY, "http://127.0.0.1:12111"), _unwatched)


def _unwatched(done: int, whole: int, what: str) -> None:
    """The numbers are enough."""


if __name__ == "__main__":
    main()
