"""`python -m sandbox fill --data DIR --customers 10000 --months 12 --seed 7`."""

import argparse
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

from sandbox import routes, settings
from sandbox.clock import Clock
from sandbox.discovery import discover
from sandbox.documents import drawing_from
from sandbox.engine import Engine
from sandbox.events import KEPT_FOR
from sandbox.fill.bulk import bulk
from sandbox.fill.lives import Life, Repeatable, live_one
from sandbox.fill.people import Plot, chooser, person, plots
from sandbox.fill.stamps import Gaps, Pattern, Stamp, present, stamp
from sandbox.fill.stories import COUPON, EXTRA, METER
from sandbox.store import Store

FILE = "sandbox.sqlite3"
PRODUCTS = {"basic": "Basic", "pro": "Pro", "business": "Business", "team": "Team seat"}
PRICES = {
    "basic_jpy": ("basic", 1200, "jpy", "month"),
    "pro_jpy": ("pro", 3800, "jpy", "month"),
    "business_usd": ("business", 9900, "usd", "month"),
    "team_eur": ("team", 1500, "eur", "month"),
    "pro_yearly_usd": ("pro", 29900, "usd", "year"),
}
CALLS = (("1000", "0"), ("10000", "2"), ("inf", "1"))
"""What a call costs in yen, up to which number of them in a month."""
OF_HISTORY = (
    "of history. 0 keeps the present state alone: customers, their payment methods, cash and usage, subscriptions that "
    "have not ended, the last invoice of each and what paid it. It keeps no events, no earlier invoices and payments, "
    "and nothing of subscriptions that have ended."
)
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Order:
    """What is to be made. `now` is when the history ends (unix seconds)."""

    data: Path
    customers: int
    months: int
    seed: int
    now: int
    key: str
    base_url: str


class CannotFill(Exception):
    """The folder holds a sandbox already."""


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    now = options.now if options.now is not None else int(time.time())
    order = Order(
        options.data, options.customers, options.months, options.seed, now, options.key, options.base_url
    )  # fmt: skip
    begun = time.monotonic()
    try:
        objects = fill(order, _bar if sys.stderr.isatty() else _silent)
    except (CannotFill, OSError, sqlite3.Error) as error:
        sys.stderr.write(f"\n{options.data} was not filled: {error}\n")
        return 1
    seconds = time.monotonic() - begun
    sys.stdout.write(f"{options.customers:,} customers, {objects:,} objects in {options.data}, {seconds:.0f} seconds\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox fill", description="Make a company with a history.")
    parser.add_argument("--data", type=Path, required=True, help="folder that keeps the state; empty or new")
    parser.add_argument("--customers", type=_count, default=10_000)
    parser.add_argument("--months", type=_months, default=12, help=OF_HISTORY)
    parser.add_argument("--seed", type=int, default=7, help="the same seed makes the same company")
    parser.add_argument("--now", type=int, help="unix time at which the history ends; the machine's when not given")
    parser.add_argument("--key", default="sk_test_123", help="a key of the account that is filled")
    parser.add_argument("--base-url", default="http://127.0.0.1:12111", help="of the sandbox, for hosted pages")
    return parser


def _count(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("there must be somebody")
    return number


def _months(text: str) -> int:
    if not 0 <= (number := int(text)) <= 60:
        raise argparse.ArgumentTypeError("from 0 to 60")
    return number


def _bar(done: int, whole: int, what: str) -> None:
    width = 30
    full = width * done // whole
    sys.stderr.write(f"\r[{'#' * full}{'.' * (width - full)}] {done:,} of {whole:,} {what}   ")
    if done == whole:
        sys.stderr.write("\n")
    sys.stderr.flush()


def _silent(done: int, whole: int, what: str) -> None:
    """Nobody watches."""


def fill(order: Order, progress: Progress) -> int:
    """Make the file in DIR; the number of objects in it. Raises CannotFill when there is something already."""
    discover()
    target = order.data / FILE
    order.data.mkdir(parents=True, exist_ok=True)
    _check_empty(target)
    scratch = Path(tempfile.mkdtemp(prefix="filling-", dir=order.data))
    try:
        found = plots(order.months, order.now, _available())
        prices = _catalogue(order, scratch / "catalogue", min(plot.start for plot in found))
        stamps = _stamps(order, scratch, prices, found, progress)
        objects = _copy(order, scratch / "catalogue" / FILE, found, stamps, progress)
        for leftover in ("-wal", "-shm"):
            target.with_name(FILE + leftover).unlink(missing_ok=True)
        os.replace(scratch / "catalogue" / FILE, target)
    finally:
        shutil.rmtree(scratch)
    return objects


def _check_empty(target: Path) -> None:
    if not target.exists():
        return
    with closing(sqlite3.connect(target)) as connection:
        if connection.execute("SELECT 1 FROM objects LIMIT 1").fetchone():
            raise CannotFill("it holds a sandbox already. Give a new folder with --data.")


def _available() -> set[str]:
    return {
        story.__name__
        for story, (method, path) in EXTRA.items()
        if routes.match(method, path.replace("{id}", "x")) is not None
    }


def _catalogue(order: Order, folder: Path, at: int) -> dict[str, str]:
    """The products and prices, made by the API before anybody comes; the ids of the prices by name."""
    store = Store(folder)
    engine = Engine(store, Clock(wall=lambda: at), order.base_url, ())
    shop = Life(engine, order.key, "", at, 0, {}, [])
    with drawing_from(Repeatable(f"{order.seed}:catalogue")):
        products = {name: shop.post("/v1/products", name=title)["id"] for name, title in PRODUCTS.items()}
        prices = {
            name: shop.post(
                "/v1/prices", product=products[product], unit_amount=str(amount), currency=currency,
                lookup_key=name, **{"recurring[interval]": interval},
            )["id"]
            for name, (product, amount, currency, interval) in PRICES.items()
        }  # fmt: skip
        prices["calls_jpy"] = _counted(shop, products["pro"])
        shop.post(
            "/v1/coupons", id=COUPON, percent_off="20", duration="repeating", duration_in_months="3", name="Welcome"
        )
    with store.write() as tx:
        tx.sql("DELETE FROM object_index WHERE kind='event'")
        tx.sql("DELETE FROM objects WHERE kind='event'")
        tx.sql("DELETE FROM settings WHERE name=?", settings.CLOCK_OFFSET)
    store.close()
    return prices


def _counted(shop: Life, product: str) -> str:
    """A price by usage, in tiers; with the meter that counts."""
    counts = {"default_aggregation[formula]": "sum"}
    meter = shop.post("/v1/billing/meters", display_name="API calls", event_name=METER, **counts)["id"]
    tiers: dict[str, str] = {}
    for number, (up_to, amount) in enumerate(CALLS):
        tiers |= {f"tiers[{number}][up_to]": up_to, f"tiers[{number}][unit_amount]": amount}
    by = {"recurring[interval]": "month", "recurring[usage_type]": "metered", "recurring[meter]": meter}
    sold = {"product": product, "currency": "jpy", "billing_scheme": "tiered", "tiers_mode": "graduated"}
    return str(shop.post("/v1/prices", lookup_key="calls_jpy", **sold, **by, **tiers)["id"])


def _stamps(
    order: Order, scratch: Path, prices: dict[str, str], found: list[Plot], progress: Progress
) -> list[list[Stamp]]:
    """For each plot the moments of its life, oldest first."""
    stamps = []
    for number, plot in enumerate(found):
        life = live_one(
            scratch / f"life-{number}", scratch / "catalogue", prices, key=order.key, base_url=order.base_url,
            seed=f"{order.seed}:{number}", plan=plot.plan, start=plot.start, age=plot.age, now=order.now,
            story=plot.telling.story, clocked=plot.telling.clocked,
        )  # fmt: skip
        gaps, known = Gaps(life.drawn), dict[str, Pattern]()
        kept = [present(moment) for moment in life.moments] if not order.months else life.moments
        stamps.append([stamp(moment, gaps, known) for moment in kept])
        progress(number + 1, len(found), "lives")
    return stamps


def _copy(order: Order, path: Path, found: list[Plot], stamps: list[list[Stamp]], progress: Progress) -> int:
    random = Random(f"{order.seed}:people")  # noqa: S311 (nothing here is secret)
    choose = chooser(found)
    with closing(sqlite3.connect(path)) as connection:
        scope = connection.execute("SELECT scope FROM objects LIMIT 1").fetchone()[0]
        connection.execute("PRAGMA journal_mode=DELETE")
    redeemed = 0
    with bulk(path, scope, order.now - KEPT_FOR) as writer:
        for number in range(order.customers):
            life = choose(number, random)
            who = person(number, found[life], order.now, random)
            moments = [one for one in stamps[life] if one.since <= order.now - who.shift]
            writer.add(moments[-1] if moments else stamps[life][0], who, random)
            redeemed += found[life].telling.redeems
            if number % 100 == 99 or number + 1 == order.customers:
                progress(number + 1, order.customers, "customers")
        writer.redeemed(COUPON, redeemed)
    return writer.written
