"""What dj-stripe itself would write: its own sync, run in a transaction that is taken back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import stripe as stripe_library
from django.db import connection, transaction
from djstripe.models import Account, Customer, Discount, Product
from djstripe.models.base import StripeModel

from billing.mirror.columns import LINKS, TableRow, references, rows_of
from billing.mirror.kinds import Kind, Ref, kind_for
from billing.mirror.layout import Links
from billing.mirror.tables import write
from tests.billing.objects import NOW

OWNER_ID = "acct_oracle"
OWN_BUSINESS = {"djstripe_id", "djstripe_created", "djstripe_updated", "djstripe_uuid"}

Data = dict[str, Any]


@contextmanager
def taken_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@contextmanager
def stock_djstripe() -> Iterator[None]:
    """dj-stripe's sync with a known owner, without the calls that it makes beside, and past two of its failures."""
    with pytest.MonkeyPatch.context() as patch:
        owner = Account.objects.get(id=OWNER_ID)
        patch.setattr(StripeModel, "_find_owner_account", classmethod(lambda cls, data, **_: owner))
        patch.setattr(Product, "_sync_product_features", lambda self, api_key=None: None)
        # It looks for the coupon where Stripe had it until 2025-09-30, and fails for every customer with a discount.
        patch.setattr(Customer, "_attach_objects_post_save_hook", StripeModel._attach_objects_post_save_hook)
        # It fails on the discounts of an invoice unless they are expanded.
        sync = Discount.sync_from_stripe_data
        patch.setattr(
            Discount, "sync_from_stripe_data", lambda data, **_: None if isinstance(data, str) else sync(data)
        )
        yield


def theirs(kind: Kind, data: Data, rows: list[TableRow]) -> list[dict[str, Any] | None]:
    """The rows, in the tables and under the ids of `rows`, that dj-stripe's own sync makes of an object."""
    client = stripe_library.StripeClient("sk_test_oracle")
    mode = "V2" if kind.name.startswith("v2.") else "V1"
    with taken_back(), stock_djstripe():
        kind.model.sync_from_stripe_data(client.deserialize(json.loads(json.dumps(data)), api_mode=mode))  # type: ignore[union-attr]
        return [row_in_table(row) for row in rows]


def ours(rows: list[TableRow]) -> list[dict[str, Any] | None]:
    with taken_back():
        assert write(rows) == set()
        return [row_in_table(row) for row in rows]


def differences(rows: list[TableRow], theirs: list[Any], ours: list[Any]) -> dict[str, Any]:
    """The columns, as table.column, in which the two differ; the table alone where only one has the row."""
    found: dict[str, Any] = {}
    for row, their, our in zip(rows, theirs, ours, strict=True):
        if their is None or our is None:
            found |= {row.table: (their, our)} if their is not our else {}
        else:
            found |= {f"{row.table}.{name}": (their[name], our[name]) for name in their if their[name] != our[name]}
    return found


def row_in_table(row: TableRow) -> dict[str, Any] | None:
    if row.table in LINKS:
        return {} if is_linked(LINKS[row.table], row) else None
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT to_jsonb(t) FROM "{row.table}" t WHERE id = %s', [row.id])
        found = cursor.fetchone()
    return {k: v for k, v in json.loads(found[0]).items() if k not in OWN_BUSINESS} if found else None


def put_parents(rows: list[TableRow], examples: dict[str, Any]) -> None:
    """Write what the rows point to, and what that points to: examples under the ids that are referred to."""
    waiting = {reference.ref for reference in references(rows)}
    done: set[Ref] = set()
    parents: list[TableRow] = []
    while waiting:
        ref = waiting.pop()
        done.add(ref)
        made = rows_of(kind_for(ref.kind), {**examples[ref.kind], "id": ref.id}, owner_id=OWNER_ID, now=NOW)
        parents += made
        waiting |= {reference.ref for reference in references(made)} - done
    write(parents)


def is_linked(links: Links, row: TableRow) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT 1 FROM "{links.table}" l
            JOIN "{links.owner_table}" o ON o.djstripe_id = l.{links.owner_column}
            JOIN "{links.target._meta.db_table}" t ON t.djstripe_id = l.{links.target_column}
            WHERE o.id = %s AND t.id = %s
            """,
            [row.values[links.owner_column], row.values[links.target_column]],
        )
        return cursor.fetchone() is not None
