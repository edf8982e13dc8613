"""How many webhooks one web process accepts, and how long each waits: ours, dj-stripe's stock view, a bare view.

python -m tests.bench.webhook [--seconds 4] [--runs 3] [--connections 48]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil

from config.env import BASE_DIR
from tests.bench.ground import KEY, Row, ground, print_table
from tests.bench.webhook_load import Load, Template, run_load
from tests.ports import next_port

STOCK = "tests.bench.webhook_stock"
BARE = "tests.bench.webhook_bare"
OURS = "config.asgi"


@dataclass(frozen=True)
class Server:
    name: str
    process: psutil.Process
    port: int
    path: str
    at_once: int | None = None  # requests; None for as many as are asked for

    def cpu_seconds(self) -> float:
        used = self.process.cpu_times()
        return float(used.user + used.system)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--connections", type=int, default=48)
    options = parser.parse_args(argv)
    with ground() as place, ExitStack() as stack:
        answers, event = learn(place.directory)
        servers = list(start_all(stack, answers))
        for server in servers:
            warm_up(server, event)
        met: dict[str, list[Load]] = {server.name: [] for server in servers}
        for _ in range(options.runs):
            for server in servers:
                template = Template(json.dumps(event), event["id"])
                before = server.cpu_seconds()
                at_once = server.at_once or options.connections
                load = run_load(server.port, server.path, template, seconds=options.seconds, connections=at_once)
                load.cpu_seconds = server.cpu_seconds() - before
                met[server.name].append(load)
    report(met, options.connections)
    return 0


def learn(directory: Path) -> tuple[Path, dict[str, str]]:
    """Let the sandbox make a subscription; return a file of what Stripe would answer about it, and an event of it."""
    from billing.stripe_client import stripe_client

    v1 = stripe_client().v1
    product = v1.products.create({"name": "Pro"})
    recurring = {"interval": "month"}
    price = v1.prices.create({"product": product.id, "currency": "jpy", "unit_amount": 5000, "recurring": recurring})
    customer = v1.customers.create({"email": "alice@example.com", "name": "Alice"})
    method = v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    given = {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": method.id}
    subscription = v1.subscriptions.create(given)
    v1.subscriptions.update(subscription.id, {"metadata": {"seats": "7"}})
    paths = [f"/v1/products/{product.id}", f"/v1/prices/{price.id}", f"/v1/customers/{customer.id}"]
    paths += [f"/v1/subscriptions/{subscription.id}", f"/v1/payment_methods/{method.id}", "/v1/account"]
    paths += [f"/v1/invoices/{subscription.latest_invoice}"]
    answers = {path: ask(path) for path in paths}
    answers[f"/v1/accounts/{answers['/v1/account']['id']}"] = answers["/v1/account"]
    file = directory / "answers.json"
    file.write_text(json.dumps(answers))
    return file, ask("/v1/events?type=customer.subscription.updated")["data"][0]


def ask(path: str) -> dict[str, str]:
    answer = httpx.get(
        os.environ["STRIPE_API_BASE"] + path, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False
    )
    return dict(answer.raise_for_status().json())


def start_all(stack: ExitStack, answers: Path) -> Iterator[Server]:
    from django.conf import settings

    def start(name: str, module: str, more: dict[str, str], path: str) -> Server:
        return Server(name, *stack.enter_context(a_server(module, more)), path)

    told = {"BENCH_ANSWERS": str(answers)}
    quick = start("API", "tests.bench.webhook_api", told, "/").port
    slow = start("API", "tests.bench.webhook_api", told | {"BENCH_DELAY": "0.1"}, "/").port
    version = {"BENCH_API_VERSION": settings.STRIPE_API_VERSION}
    yield start("ours", OURS, {"LOG_LEVEL": "INFO"}, "/webhooks/stripe/")
    run(BARE, {})
    yield start("bare", BARE, {}, "/")
    for name, api in (("stock, API at once", quick), ("stock, API after 100 ms", slow)):
        own = version | {"STOCK_DATABASE_URL": a_database(f"stock_{api}"), "STRIPE_API_BASE": f"http://127.0.0.1:{api}"}
        run(STOCK, own)
        stock = start(name, STOCK, own, "/webhook/00000000-0000-0000-0000-000000000001/")
        yield stock
        # As a synchronous worker takes them: it waits for the API, and nothing else happens in its process.
        yield replace(stock, name=f"{name}, one at a time", at_once=1)


@contextmanager
def a_server(module: str, more: dict[str, str]) -> Iterator[tuple[psutil.Process, int]]:
    """One web process as it is deployed, and its port."""
    port = next_port()
    command = [sys.executable, "-m", "uvicorn", f"{module}:application", "--port", str(port), "--no-access-log"]
    process = subprocess.Popen(
        [*command, "--log-level", "warning"], cwd=BASE_DIR, env=os.environ | more, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port)
        yield psutil.Process(process.pid), port
    finally:
        process.terminate()
        process.wait(30)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=10)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"No server came up on port {port}.")


def run(module: str, more: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-m", module], cwd=BASE_DIR, env=os.environ | more, check=True)


def a_database(name: str) -> str:
    """Make another database on the same PostgreSQL; return its URL."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    base, _, query = os.environ["DATABASE_URL"].partition("?")
    return f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


def warm_up(server: Server, event: dict[str, str]) -> None:
    """Let it load what it loads once, and fail where it does not accept."""
    template = Template(json.dumps(event), event["id"])
    for _ in range(2):
        load = run_load(server.port, server.path, template, seconds=0.5, connections=1)
    if not load.waits:
        raise RuntimeError(f"{server.name} accepted nothing.")


def report(met: dict[str, list[Load]], connections: int) -> None:
    rate = {name: statistics.median(load.rate for load in loads) for name, loads in met.items()}
    p99 = {name: statistics.median(load.p99_ms for load in loads) for name, loads in met.items()}
    refused = {name: sum(load.refused for load in loads) for name, loads in met.items()}
    reach = {"bare": "1 ×"}
    for way in ("", ", one at a time"):
        reach |= {f"stock, API at once{way}": "20 ×", f"stock, API after 100 ms{way}": "100 ×"}
    rows = [Row("webhooks accepted per second", rate["ours"], rate[name], name, reach[name]) for name in reach]
    cpu = {name: statistics.median(load.cpu_us for load in loads) for name, loads in met.items()}
    rows += [Row("CPU of the web process for one, µs", cpu["ours"], cpu[name], name) for name in reach]
    rows += [Row("p99 of the answers, ms", p99["ours"], p99[name], name) for name in reach]
    print_table(f"Webhooks, one web process, {connections} connections, medians", rows)
    told: Sequence[str] = [f"{name}: {count}" for name, count in refused.items() if count]
    if told:
        sys.stdout.write(f"Not accepted: {', '.join(told)}.\n")


if __name__ == "__main__":
    sys.exit(main())
