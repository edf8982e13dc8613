"""How fast a pattern is tried on stored events, beside a bare SELECT of the same rows' payloads.

python -m tests.bench.backtest [--events 1000000] [--runs 3]

The payloads are events of the sandbox, in 600 variations. The bare SELECT brings what an unhelped backtest would have
to read, `payload::text` of every row, through a server-side cursor, and looks at none of it.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.bench.ground import Row, ground, median_of, print_table

VARIATIONS = 600
UNTIL = datetime(2026, 3, 1, tzinfo=UTC)
PERIOD = timedelta(days=90)
PATTERNS = {
    "one type": {"detail-type": ["invoice.payment_failed", "charge.failed", "invoice.paid"]},
    "a type and an amount": {
        "detail-type": ["invoice.paid"],
        "detail": {"data": {"object": {"currency": ["jpy"], "amount_due": [{"numeric": [">=", 9000]}]}}},
    },
    "an amount, of any type": {"detail": {"data": {"object": {"amount_due": [{"numeric": [">=", 9000]}]}}}},
    "a text in it, of any type": {"detail": {"data": {"object": {"customer": [{"suffix": "07"}]}}}},
    "every event": {"source": ["stripe.com"]},
}
FILL = """
    INSERT INTO billing_inboxevent (source, external_id, door, owner, account, livemode, type, api_version, object_kind,
        object_id, customer_id, occurred_at, received_at, payload, state, attempts, error, mirrored_at, dispatched_at)
    SELECT 'stripe.com', 'evt_' || n, 'webhook', '', '', false, made.type, '2026-08-26.dahlia', made.kind,
        made.kind || '_' || n, 'cus_' || n %% 20000, at, at, made.payload, 'mirrored', 1, '', at, at
    FROM generate_series(1, %(events)s) AS n
    JOIN made ON made.number = n::bigint * 7919 %% %(variations)s,
    LATERAL (SELECT %(since)s + (%(until)s - %(since)s) * ((n - 0.5) / %(events)s) AS at) AS moment
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(argv)
    with ground():
        began = time.monotonic()
        fill(options.events, list(variations()))
        size = megabytes()
        sys.stderr.write(f"  {options.events:,} events, {size:,} MB, stored in {time.monotonic() - began:.0f} s\n")
        bare = median_of(bare_select, runs=options.runs)
        rows = [measured(name, pattern, options, bare) for name, pattern in PATTERNS.items()]
    print_table(f"Backtest over {options.events:,} stored events: events looked at per second", rows)
    return 0


def measured(what: str, pattern: dict[str, Any], options: argparse.Namespace, bare: float) -> Row:
    found: list[Any] = []
    seconds = median_of(lambda: found.append(tried(pattern)) or found[-1].seconds, runs=options.runs)
    last = found[-1]
    assert last.looked == options.events
    label = f"{what} ({seconds:.1f} s; {last.read:,} read, {last.matched:,} matched)"
    return Row(label, options.events / seconds, options.events / bare, f"bare SELECT ({bare:.1f} s)")


def tried(pattern: dict[str, Any]) -> Any:
    from ops.rules.backtest import Trial, backtest
    from ops.rules.patterns import compile_pattern

    return list(backtest(Trial(compile_pattern(pattern), UNTIL - PERIOD, UNTIL)))[-1]


def bare_select() -> float:
    from django.db import connection, transaction

    began = time.monotonic()
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute("SELECT id, payload::text FROM billing_inboxevent ORDER BY received_at")
        while cursor.fetchmany(2_000):
            pass
    return time.monotonic() - began


def fill(events: int, payloads: list[dict[str, Any]]) -> None:
    """Store so many events, evenly over the period. A payload that is compressed once is copied as it is."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE made (number int PRIMARY KEY, type text, kind text, payload jsonb)")
        cursor.executemany(
            "INSERT INTO made VALUES (%s, %s, %s, %s)",
            [
                (number, payload["type"], payload["data"]["object"]["object"], json.dumps(payload))
                for number, payload in enumerate(payloads)
            ],
        )
        values = {"events": events, "variations": len(payloads), "since": UNTIL - PERIOD, "until": UNTIL}
        cursor.execute(FILL, values)
        cursor.execute("VACUUM (ANALYZE) billing_inboxevent")


def variations() -> Iterator[dict[str, Any]]:
    """Yield events as the sandbox makes them when customers subscribe and pay, with other amounts and customers."""
    chance = random.Random(5)
    events = events_of_the_sandbox()
    for number in range(VARIATIONS):
        payload = json.loads(json.dumps(events[number % len(events)]))
        about = payload["data"]["object"]
        if "customer" in about:
            about["customer"] = f"cus_{number:08}"
        for name in ("amount", "amount_due", "total"):
            if isinstance(about.get(name), int):
                about[name] = chance.randrange(100, 10_000)
        yield payload


def events_of_the_sandbox() -> list[dict[str, Any]]:
    from billing.mirror.fetch import get
    from billing.stripe_client import stripe_client

    v1 = stripe_client().v1
    product = v1.products.create({"name": "Pro"})
    price = v1.prices.create(
        {"product": product.id, "currency": "jpy", "unit_amount": 5000, "recurring": {"interval": "month"}}
    )
    for number in range(2):
        customer = v1.customers.create({"email": f"person{number}@example.com", "name": "Person"})
        method = v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
        v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
        made = v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})
        v1.subscriptions.cancel(made.id)
    return list(get("/v1/events?limit=100")["data"])


def megabytes() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size('billing_inboxevent')")
        return int(cursor.fetchone()[0]) >> 20


if __name__ == "__main__":
    sys.exit(main())
