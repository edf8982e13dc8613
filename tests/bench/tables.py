"""How fast objects become rows: ours in bulk, and dj-stripe's `sync_from_stripe_data` on the same objects.

python -m tests.bench.tables [--objects 3000] [--runs 3]

No Stripe is asked in either: dj-stripe gets its owner account for nothing, and finds every parent in its tables.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.bench.ground import Row, ground, median_of, print_table

BATCH = 500
STOCK = 40  # objects that dj-stripe is given
Data = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=3_000, help="objects of each kind")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(argv)
    with ground():
        shapes = Shapes()
        rows: list[Row] = []
        rows += measured("subscriptions with one item", shapes.subscription, options, reach="5,000")
        rows += measured("invoices with three lines", shapes.invoice, options, reach="3,000")
    print_table("Objects written per second, one connection", rows)
    return 0


class Shapes:
    """One subscription and one invoice of the sandbox's, made into as many as are wanted."""

    def __init__(self) -> None:
        from billing.mirror.fetch import get
        from billing.stripe_client import stripe_client

        v1 = stripe_client().v1
        customer = v1.customers.create({"email": "alice@example.com"})
        method = v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
        v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
        product = v1.products.create({"name": "Pro"})
        price = v1.prices.create(
            {"product": product.id, "currency": "jpy", "unit_amount": 5000, "recurring": {"interval": "month"}}
        )
        for text in ("Setting up", "Training"):
            v1.invoice_items.create({"customer": customer.id, "amount": 700, "currency": "jpy", "description": text})
        made = v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})
        self.made = get(f"/v1/subscriptions/{made.id}")
        self.paid = get(f"/v1/invoices/{self.made['latest_invoice']}")
        self.ids = {line["id"] for line in self.paid["lines"]["data"]}
        parents = (("products", product), ("prices", price), ("customers", customer), ("payment_methods", method))
        own_account()
        write([get(f"/v1/{path}/{parent.id}") for path, parent in parents])
        write([self.made, self.paid, *get("/v1/invoiceitems")["data"]])

    def subscription(self, number: int, state: str) -> Data:
        whole = json.dumps({**self.made, "metadata": {"state": state}})
        return json.loads(numbered(whole, {self.made["id"], self.made["items"]["data"][0]["id"]}, number))  # type: ignore[no-any-return]

    def invoice(self, number: int, state: str) -> Data:
        whole = json.dumps({**self.paid, "metadata": {"state": state}})
        return json.loads(numbered(whole, {self.paid["id"], *self.ids}, number))  # type: ignore[no-any-return]


def numbered(whole: str, ids: set[str], number: int) -> str:
    for object_id in ids:
        whole = whole.replace(object_id, f"{object_id}{number:07}")
    return whole


def own_account() -> None:
    from djstripe.models import Account

    from tests.billing.mirror.oracle import OWNER_ID

    Account.objects.get_or_create(id=OWNER_ID, defaults={"stripe_data": {}})


def write(objects: list[Data], before: list[Data] | None = None) -> None:
    """Write objects as the mirror does; `before` are the same ones as it has them."""
    from django.db import transaction
    from django.utils import timezone

    from billing.mirror import tables
    from billing.mirror.columns import rows_of
    from billing.mirror.kinds import kind_for
    from tests.billing.mirror.oracle import OWNER_ID

    pairs = list(zip(objects, before or [None] * len(objects), strict=True))
    for start in range(0, len(objects), BATCH):
        rows = [
            row
            for data, known in pairs[start : start + BATCH]
            for row in rows_of(kind_for(data["object"]), data, owner_id=OWNER_ID, now=timezone.now(), before=known)
        ]
        with transaction.atomic():
            refused = tables.write(rows)
        assert not refused


def measured(what: str, shape: Callable[[int, str], Data], options: argparse.Namespace, *, reach: str) -> Iterator[Row]:
    first = iter(range(10_000_000, 90_000_000, options.objects))

    def rate(before: Callable[[int], Data] | None, now: Callable[[int], Data]) -> float:
        numbers = range(start := next(first), start + options.objects)
        known = [before(number) for number in numbers] if before else None
        write(known or [])
        objects = [now(number) for number in numbers]
        began = time.perf_counter()
        write(objects, known)
        return options.objects / (time.perf_counter() - began)

    def in_state(state: str) -> Callable[[int], Data]:
        return lambda number: shape(number, state)

    new = median_of(lambda: rate(None, in_state("new")), runs=options.runs)
    changed = median_of(lambda: rate(in_state("new"), in_state("changed")), runs=options.runs)
    same = median_of(lambda: rate(in_state("new"), in_state("new")), runs=options.runs)
    stock_new, stock_changed = stock_rates(shape)
    against = "dj-stripe's sync_from_stripe_data"
    yield Row(f"{what}: new", new, stock_new, against, reach)
    yield Row(f"{what}: changed, the inner ones not", changed, stock_changed, against, reach)
    yield Row(f"{what}: as they were", same, stock_changed, against)


def stock_rates(shape: Callable[[int, str], Data]) -> tuple[float, float]:
    from billing.stripe_client import stripe_client
    from tests.billing.mirror.oracle import stock_djstripe

    def rate(state: str) -> float:
        from billing.mirror.kinds import KINDS

        objects = [stripe_client().deserialize(shape(number, state), api_mode="V1") for number in range(STOCK)]
        model: Any = KINDS[objects[0]["object"]].model
        began = time.perf_counter()
        for data in objects:
            model.sync_from_stripe_data(data)
        return STOCK / (time.perf_counter() - began)

    with stock_djstripe():
        return rate("new"), rate("changed")


if __name__ == "__main__":
    sys.exit(main())
