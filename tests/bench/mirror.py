"""How fast events are mirrored: ours and dj-stripe's `Event.process`, with few rows in the tables and with many.

python -m tests.bench.mirror [--rows 1000000] [--events 10000] [--runs 3]
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import stripe as stripe_library

from tests.bench.ground import KEY, Row, ground, median_of, print_table

FEW = 1_000  # rows of each kind that the events are about
STOCK = 300  # events that dj-stripe is given
Template = dict[str, str]  # by kind: an object or event of the sandbox's as JSON, with NNN in the place of its ids


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows in the tables for the second measurement")
    parser.add_argument("--events", type=int, default=10_000, help="events of one measurement")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(argv)
    with ground():
        template = learn_shapes()
        fill(template)
        seconds = count(1_900_000_000)

        def rate(workers: int) -> float:
            return median_of(lambda: measure(template, seconds, options.events, workers=workers), runs=options.runs)

        one, two = rate(1), rate(2)
        stock = median_of(lambda: measure_stock(template, seconds), runs=options.runs)
        grow(options.rows)
        large = rate(2)
    against = "dj-stripe's Event.process, one process, API answers at once"
    print_table(
        "Events mirrored per second: customer.subscription.updated and invoice.paid, mixed",
        [
            Row("one worker", one, stock, against, "40 ×"),
            Row("two workers", two, stock, against),
            Row(
                f"two workers, {options.rows:,} rows in the tables", large, two, f"the same with {FEW:,} rows", "0.80 ×"
            ),
        ],
    )
    return 0


def learn_shapes() -> Template:
    """Let the sandbox make one subscription, and take its objects and events for patterns."""
    from billing.stripe_client import stripe_client

    stripe = stripe_client()
    product = stripe.v1.products.create({"name": "Pro"})
    price = stripe.v1.prices.create(
        {"product": product.id, "currency": "jpy", "unit_amount": 5000, "recurring": {"interval": "month"}}
    )
    customer = stripe.v1.customers.create({"email": "alice@example.com", "name": "Alice"})
    method = stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    subscription = stripe.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": method.id}
    )
    stripe.v1.subscriptions.update(subscription.id, {"metadata": {"seats": "4"}})
    events = {event.type: json.loads(str(event)) for event in stripe.v1.events.list({"limit": 100}).data}
    updated, paid = events["customer.subscription.updated"], events["invoice.paid"]
    own = [customer.id, subscription.id, paid["data"]["object"]["id"], method.id]
    own += [item["id"] for item in updated["data"]["object"]["items"]["data"]]
    own += [line["id"] for line in paid["data"]["object"]["lines"]["data"]]
    keep(product, price)
    whole = {
        "customer": json.loads(str(stripe.v1.customers.retrieve(customer.id))),
        "payment_method": json.loads(str(stripe.v1.payment_methods.retrieve(method.id))),
        "subscription": updated["data"]["object"],
        "invoice": paid["data"]["object"],
        "subscription event": updated,
        "invoice event": paid,
    }
    return {name: numbered(data, own) for name, data in whole.items()}


def numbered(data: dict[str, Any], ids: Iterable[str]) -> str:
    text = json.dumps(data)
    for own in ids:
        text = text.replace(own, f"{own[:-3]}NNN")
    return text


def keep(*objects: Any) -> None:
    """Mirror these as they are."""
    from billing.mirror import asking
    from billing.mirror.kinds import Ref
    from billing.stripe_accounts import primary

    refs = [Ref(one.object, one.id) for one in objects]
    asking.refresh(refs, account=primary(), clock=now)


def now() -> datetime:
    return datetime.now(UTC)


def made(template: Template, name: str, number: int) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(template[name].replace("NNN", f"{number:08d}"))
    return data


def fill(template: Template) -> None:
    """Mirror the objects that the events will be about."""
    from billing.mirror.kinds import Ref
    from billing.mirror.owner import owner_id
    from billing.mirror.write import Snapshot, write_now
    from billing.stripe_accounts import primary

    for name in ("customer", "payment_method", "subscription", "invoice"):
        objects = (made(template, name, number) for number in range(FEW))
        snapshots = [Snapshot(Ref(name, data["id"]), data, 1, 1) for data in objects]
        write_now(snapshots, account=primary(), owner_id=owner_id(primary()), now=now())


def events_of(template: Template, seconds: Iterator[int], amount: int) -> Iterator[dict[str, Any]]:
    """Events about the objects in turn, each a second later than the one before."""
    for number, second in zip(range(amount), seconds, strict=False):
        name = ("subscription", "invoice")[number % 2]
        event = made(template, f"{name} event", number // 2 % FEW)
        event |= {"id": f"evt_{second}", "created": second}
        event["data"]["object"]["metadata"] = {"seats": str(second)}
        yield event


def measure(template: Template, seconds: Iterator[int], amount: int, *, workers: int) -> float:
    """Store events, let so many workers mirror them, and return how many they mirrored a second."""
    from django.db import connection

    from billing.inbox.intake import store_events
    from billing.inbox.models import Door, InboxEvent

    batch = list(events_of(template, seconds, amount))
    for start in range(0, amount, 500):
        store_events(batch[start : start + 500], source="stripe.com", door=Door.WEBHOOK, owner="", now=now())
    connection.close()
    processes = multiprocessing.get_context("spawn")
    ready = processes.Barrier(workers + 1)
    started = [processes.Process(target=work, args=[ready]) for _ in range(workers)]
    for process in started:
        process.start()
    ready.wait()
    begun = time.perf_counter()
    ready.wait()
    took = time.perf_counter() - begun
    for process in started:
        process.join()
    left = InboxEvent.objects.filter(state="received").count()
    if left:
        sys.exit(f"{left} events were not mirrored: the number would mean nothing.")
    sys.stderr.write(f"{workers} workers: {amount / took:,.0f} events a second\n")
    return amount / took


def work(ready: Any) -> None:
    import django

    django.setup()
    from billing.mirror.apply import mirror_due
    from billing.mirror.owner import owner_id
    from billing.stripe_accounts import primary

    owner_id(primary())
    ready.wait()
    mirror_due(now, budget_seconds=600)
    ready.wait()


def measure_stock(template: Template, seconds: Iterator[int]) -> float:
    """Let dj-stripe process events of the same kind, its API answering at once, from memory."""
    from djstripe.models import Event

    from billing.mirror.fetch import get
    from billing.stripe_accounts import primary

    batch = list(events_of(template, seconds, STOCK))
    answers = {event["data"]["object"]["id"]: event["data"]["object"] for event in batch}
    answers |= {event["id"]: event for event in batch}
    account = get("/v1/account", account=primary())
    answers |= {"account": account, account["id"]: account}
    client, stripe_library.default_http_client = stripe_library.default_http_client, AtOnce(answers)
    try:
        begun = time.perf_counter()
        for event in batch:
            Event.process(event, api_key=KEY)
        return STOCK / (time.perf_counter() - begun)
    finally:
        stripe_library.default_http_client = client


class AtOnce(stripe_library.HTTPClient):
    """A Stripe in memory, without a network: the outermost edge, and as fast as can be."""

    name = "at once"

    def __init__(self, answers: dict[str, dict[str, Any]]) -> None:
        super().__init__()
        self.answers = answers

    def request(self, method: str, url: str, *_args: Any, **_more: Any) -> Any:
        object_id = url.partition("?")[0].rstrip("/").rsplit("/", 1)[-1]
        answer = self.answers.get(object_id)
        if answer is None:
            return json.dumps({"error": {"type": "invalid_request_error", "message": f"No such {object_id}"}}), 404, {}
        return json.dumps(answer), 200, {}

    def close(self) -> None:
        """Nothing is open."""


# The tables that mirroring writes or looks things up in, each with the key that a copy gets another value of.
TABLES = {
    "djstripe_customer": "id",
    "djstripe_subscription": "id",
    "djstripe_invoice": "id",
    "billing_mirrorgate": "object_id",
    "billing_subscriptionrow": "id",
    "billing_invoicerow": "id",
    "billing_inboxevent": "external_id",
}


def grow(rows: int) -> None:
    """Bring the tables to so many rows, by copies of those that are there."""
    from django.db import connection

    with connection.cursor() as cursor:
        for table, key in TABLES.items():
            copy_rows(cursor, table, key, rows)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")  # last: what the copying left to do is not the mirror's work


def copy_rows(cursor: Any, table: str, key: str, rows: int) -> None:
    """Copy all columns but the key; of old events the archive has the payloads."""
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_identity = 'NO'"
        " AND column_default IS NULL AND column_name <> ALL(%s)",
        [table, [key, "payload"]],
    )
    columns = ", ".join(f'"{name}"' for (name,) in cursor.fetchall())
    cursor.execute(f"SELECT count(*) FROM {table}")
    (there,) = cursor.fetchone()
    more = max(0, rows - there)
    cursor.execute(
        f"INSERT INTO {table} ({key}, {columns}) SELECT {key} || '_' || copy, {columns}"
        f" FROM {table}, generate_series(1, %s) AS copy LIMIT %s",
        [-(-more // max(there, 1)), more],
    )


if __name__ == "__main__":
    sys.exit(main())
