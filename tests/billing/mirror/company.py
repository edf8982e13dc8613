"""A company with a history of its own, in a sandbox of its own: for resyncs that have something to do."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stripe as stripe_library
from django.db import connection

from billing.mirror.columns import layout_for
from billing.mirror.compare import differences
from billing.mirror.fetch import list_pages
from billing.mirror.kinds import kind_for
from billing.mirror.tables import read
from sandbox.fill.command import Order, fill
from tests.sandbox.running import RunningSandbox

KEY = "sk_test_123"
LISTED = ("product", "price", "customer", "subscription", "payment_intent", "charge", "invoice")


@dataclass(frozen=True)
class Company:
    sandbox: RunningSandbox

    @property
    def url(self) -> str:
        return self.sandbox.url

    def listed(self, name: str) -> dict[str, Any]:
        """What Stripe lists of a kind now, by id."""
        kind = kind_for(name)
        params = {**(kind.listing or {}), "expand": [f"data.{path}" for path in kind.expand]}
        return {data["id"]: data for page in list_pages(kind.path, params) for data in page.objects}


@contextmanager
def running_company(data: Path, *, customers: int, months: int) -> Iterator[Company]:
    fill(Order(data, customers, months, 7, int(time.time()), KEY, "http://127.0.0.1:12111"), lambda *_: None)
    sandbox = RunningSandbox(data).start()
    try:
        yield Company(sandbox)
    finally:
        sandbox.stop()


def use(company: Company, settings: Any) -> stripe_library.StripeClient:
    """Point the portal to the company's sandbox."""
    from billing import stripe_client

    settings.STRIPE_API_BASE = settings.STRIPE_API_HOST = company.url
    settings.STRIPE_SECRET_KEY = KEY
    stripe_client.stripe_client.cache_clear()
    return stripe_client.stripe_client()


def assert_mirrored(company: Company, *names: str) -> None:
    """The mirror holds what Stripe lists, field by field, and nothing else that lives."""
    for name in names or LISTED:
        theirs = company.listed(name)
        ours = read(kind_for(name), ids_of(name))
        absent = elsewhere(ours)
        living = {key: data for key, data in ours.items() if not data.get("deleted") and key not in absent}
        assert living.keys() == theirs.keys(), name
        found = [(key, differences(name, living[key], theirs[key])) for key in theirs if living[key] != theirs[key]]
        assert found == []


def elsewhere(ours: dict[str, Any]) -> set[str]:
    """What lives by a test clock: Stripe lists it only there."""
    customers = {key for key, data in read(kind_for("customer"), ids_of("customer")).items() if data.get("test_clock")}
    return {key for key, data in ours.items() if data.get("test_clock") or {key, data.get("customer")} & customers}


def ids_of(name: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT id FROM "{layout_for(kind_for(name)).table}"')
        return [row[0] for row in cursor.fetchall()]


def row_versions() -> dict[str, list[Any]]:
    """Which rows of the mirror there are, and which transaction wrote each: equal before and after if nothing wrote."""
    tables = [
        name
        for name in connection.introspection.table_names()
        if name.startswith("djstripe_")
        or name in ("billing_mirrorgate", "billing_rawobject", "billing_activity")
        or name.endswith("row")
    ]
    found = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f'SELECT ctid::text, xmin::text FROM "{table}" ORDER BY 1')
            found[table] = cursor.fetchall()
    return found
