"""Writing the read model: in the mirror's own transaction, one statement a table, and only what differs."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import itemgetter

import orjson
from django.db import transaction
from django.db.models import Model
from django.db.models.functions import Collate
from djstripe import models as djstripe

from billing.mirror.readrows import INVOICE_READS, SUBSCRIPTION_READS, Row, invoice_row, subscription_row
from billing.mirror.readtables import InvoiceRow, SubscriptionRow
from billing.mirror.shapes import Data
from billing.sending import sending_cursor

BATCH = 1000
# Filled in by the statement from what the database knows; all other columns come from the object.
LOOKED_UP = {"organization_id": "link.organization_id", "owner": "coalesce(mirrored.djstripe_owner_account_id, '')"}


@dataclass(frozen=True)
class Table:
    """One table of the read model, and how an object becomes a row of it."""

    model: type[Model]
    mirrored: type[Model]  # dj-stripe's table
    row: Callable[[Data], Row]
    reads: frozenset[str]  # the names in the object that the row is made from


TABLES: dict[str, Table] = {
    "subscription": Table(SubscriptionRow, djstripe.Subscription, subscription_row, SUBSCRIPTION_READS),
    "invoice": Table(InvoiceRow, djstripe.Invoice, invoice_row, INVOICE_READS),
}


def update(kind_name: str, objects: Sequence[Data], *, now: datetime) -> int:
    """Bring the rows of these objects (`stripe_data`, all of one kind) up to date; return how many were written.

    Called after dj-stripe's rows were written, in the same transaction. Kinds without a table are passed over.
    Rows are written in the order of their ids, so that two writers never wait for each other in a circle.
    """
    table = TABLES.get(kind_name)
    if table is None or not objects:
        return 0
    rows = {row["id"]: row for row in map(table.row, objects)}
    with sending_cursor() as cursor:
        cursor.execute(upsert(kind_name), [orjson.dumps(list(rows.values())).decode()])
        return int(cursor.rowcount)


@cache
def upsert(kind_name: str) -> str:
    """Return the statement that writes many rows of a kind; it leaves those that would stay the same alone."""
    table = TABLES[kind_name]
    columns = [str(field.column) for field in table.model._meta.concrete_fields]
    values = [LOOKED_UP.get(column, f"new.{column}") for column in columns]
    others = [column for column in columns if column != "id"]
    name, mirrored = table.model._meta.db_table, table.mirrored._meta.db_table
    return f"""
        INSERT INTO {name} AS old ({", ".join(columns)})
        SELECT {", ".join(values)} FROM jsonb_populate_recordset(NULL::{name}, %s::jsonb) AS new
        LEFT JOIN accounts_customerlink AS link ON link.customer_id = new.customer_id
        LEFT JOIN {mirrored} AS mirrored ON mirrored.id = new.id
        ORDER BY new.id COLLATE "C"
        ON CONFLICT (id) DO UPDATE SET ({", ".join(others)}) = ROW ({", ".join(f"EXCLUDED.{c}" for c in others)})
        WHERE ({", ".join(f"old.{c}" for c in others)})
            IS DISTINCT FROM ({", ".join(f"EXCLUDED.{c}" for c in others)})
    """  # noqa: S608 - names of our own tables and columns


def rebuild(kind_name: str, *, now: datetime) -> Iterator[tuple[int, int]]:
    """Make every row of a kind again, a batch a transaction; yield how many were looked at and written in each.

    Safe beside the mirror: a batch keeps its objects as they are while it reads and writes them.
    """
    after = 0
    while True:
        with transaction.atomic():
            found = objects_after(TABLES[kind_name], after)
            written = update(kind_name, [data for _, data in found], now=now)
        if not found:
            return
        after = found[-1][0]
        yield len(found), written


def reads(kind_name: str, changed: Collection[str]) -> bool:
    """Whether the row of an object of this kind says something of what has changed in it: names of its top level."""
    table = TABLES.get(kind_name)
    return table is not None and any(name in changed for name in table.reads)


def read_model_is_there() -> bool:
    """Say whether the read model was ever made: False for a mirror that is older than its read model."""
    return all(
        table.model._default_manager.exists() or not table.mirrored._default_manager.exists()
        for table in TABLES.values()
    )


def objects_after(table: Table, after: int) -> list[tuple[int, Data]]:
    """Return the next batch of mirrored objects by key, locked (in the order of the writer's locks) against change."""
    rows = table.mirrored._default_manager
    keys = rows.filter(djstripe_id__gt=after).order_by("djstripe_id").values_list("djstripe_id", flat=True)[:BATCH]
    locked = rows.filter(djstripe_id__in=list(keys)).order_by(Collate("id", "C")).select_for_update(no_key=True)
    return sorted(locked.values_list("djstripe_id", "stripe_data"), key=itemgetter(0))
