"""The mirror's tables in bulk: one statement for each table, however many rows. The caller has the transaction."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from django.db import connection

from billing.inbox.intake import storable
from billing.mirror.columns import MODELS, TableRow, as_stripe_has_it, layout_for, rows_of
from billing.mirror.kinds import KINDS, MODEL_KINDS, Kind, Ref, kind_for
from billing.mirror.layout import CREATED, DATA, OWNER, UPDATED, Column, Data, Layout, layout_of


def read(kind: Kind, ids: Iterable[str], *, livemode: bool | None = None) -> dict[str, Data]:
    """Return those of the objects that the mirror holds, as Stripe has them; one statement.

    `livemode` is needed for coupons alone, whose ids may be the same in both modes.
    """
    layout = layout_for(kind)
    mode = "AND coalesce(livemode = %(mode)s, true)" if "livemode" in layout.key else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT id, {DATA} FROM "{layout.table}" WHERE id = ANY(%(ids)s) {mode}',  # noqa: S608
            {"ids": list(ids), "mode": livemode},
        )
        return {object_id: as_stripe_has_it(kind, orjson.loads(data)) for object_id, data in cursor.fetchall()}


def existing(refs: Iterable[Ref]) -> set[Ref]:
    """Return those of the objects that the mirror holds; one statement."""
    ids: dict[str, list[str]] = defaultdict(list)
    for ref in refs:
        ids[ref.kind].append(ref.id)
    if not ids:
        return set()
    parts = [f"SELECT '{name}', id FROM \"{layout_for(kind_for(name)).table}\" WHERE id = ANY(%s)" for name in ids]  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), list(ids.values()))
        return {Ref(kind_name, object_id) for kind_name, object_id in cursor.fetchall()}


def write(rows: Sequence[TableRow]) -> set[str]:
    """Insert or update the rows, one statement for each table; return the ids of those that were refused.

    A row that belongs to another Stripe account, or to the other mode, is refused: it stays as it is. Of two rows with
    the same id the later one counts. Parents stand before children, ids in order, so that no two writers wait for
    each other in a circle. Must run in a transaction.
    """
    tables: dict[str, dict[str, TableRow]] = defaultdict(dict)
    for row in rows:
        tables[row.table][row.id] = row
    refused: set[str] = set()
    for table in sorted(tables, key=ORDER.__getitem__):
        refused |= upsert(layout_of(MODELS[table]), tables[table])
    return refused


ORDER = {table: number for number, table in enumerate(MODELS)}


def upsert(layout: Layout, rows: dict[str, TableRow]) -> set[str]:
    body = as_json([rows[object_id].values for object_id in sorted(rows)])
    with connection.cursor() as cursor:
        cursor.execute(upsert_sql(layout), [body])
        written = {object_id for object_id, _created in cursor.fetchall()}
    return foreign(layout, rows, rows.keys() - written)


def as_json(values: list[dict[str, Any]]) -> str:
    """Write JSON that PostgreSQL takes: it keeps neither NUL nor half a surrogate pair."""
    try:
        body = orjson.dumps(values)
        if b"\\u0000" not in body:
            return body.decode()
    except TypeError:
        pass
    return orjson.dumps([storable(value) for value in values]).decode()


@cache
def upsert_sql(layout: Layout) -> str:
    """One statement that takes all rows as JSON, and writes only those that differ from what the table has."""
    columns = layout.columns
    changing = [column for column in columns if column.name not in layout.key and not column.only_new]
    compared = [column for column in changing if column.name != UPDATED]
    return f"""
        INSERT INTO "{layout.table}" AS t ({", ".join(column.name for column in columns)})
        SELECT {", ".join(column.value for column in columns)}
        FROM jsonb_to_recordset(%s) AS r({", ".join(f"{column.name} {column.type}" for column in columns)})
        ON CONFLICT ({", ".join(layout.key)}) DO UPDATE SET
            {", ".join(f"{column.name} = {value_after(column)}" for column in changing)}
        WHERE {same_owner(layout, "EXCLUDED")}
          AND ({", ".join(f"t.{column.name}" for column in compared)})
              IS DISTINCT FROM ({", ".join(value_after(column) for column in compared)})
        RETURNING id, xmax = 0
    """  # noqa: S608


def value_after(column: Column) -> str:
    return f"coalesce(EXCLUDED.{column.name}, t.{column.name})" if column.keeps else f"EXCLUDED.{column.name}"


def same_owner(layout: Layout, other: str) -> str:
    """Two Stripe accounts, and live and test mode, never mix. What is not known of a row does not part it."""
    conditions = [
        f"coalesce(t.{name} = {other}.{name}, true)" for name in (OWNER, "livemode") if name in layout.names
    ]
    return " AND ".join(conditions) or "true"


def foreign(layout: Layout, rows: dict[str, TableRow], unwritten: Iterable[str]) -> set[str]:
    """Return those of the rows not written that belong to another account or mode; the others were up to date."""
    ids = sorted(unwritten)
    if not ids or OWNER not in layout.names:
        return set()
    asked = [{name: rows[object_id].values.get(name) for name in ("id", OWNER, "livemode")} for object_id in ids]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id FROM jsonb_to_recordset(%s) AS r(id text, {OWNER} text, livemode boolean)
            JOIN "{layout.table}" t USING (id) WHERE NOT ({same_owner(layout, "r")})
            """,  # noqa: S608
            [as_json(asked)],
        )
        return {object_id for (object_id,) in cursor.fetchall()}


def bury(refs: Iterable[Ref], *, owner_id: str | None, livemode: bool | None, now: datetime) -> set[Ref]:
    """Put up tombstones for objects that were gone before the mirror saw them; return those that can have one.

    Stripe still lists the invoices of deleted customers, and their table requires the customer's row. A kind whose
    own row needs what only Stripe could say (a price its product) can have none. Rows that exist stay as they are.
    """
    buried = {ref for ref in refs if may_be_buried(kind_for(ref.kind))}
    stones = []
    for ref in buried - existing(buried):
        data = {"id": ref.id, "object": ref.kind, "livemode": livemode, **what_gone_means(ref.kind)}
        stone = rows_of(kind_for(ref.kind), data, owner_id=owner_id, now=now)[0]
        stones.append(stone)
    write(stones)
    for kind_name in {ref.kind for ref in buried}:
        mark_purged(kind_for(kind_name), [ref.id for ref in buried if ref.kind == kind_name], now)
    return buried


@cache
def may_be_buried_model(model: Any) -> bool:
    fields = {field.column: field for field in model._meta.local_concrete_fields}
    return all(
        fields[column.name].null or column.type == "text" and column.target is None
        for column in layout_of(model).columns
        if column.read is not None
    )


def may_be_buried(kind: Kind) -> bool:
    return may_be_buried_model(kind.model)


def mark_gone(kind: Kind, ids: Iterable[str], *, owner_id: str | None, now: datetime) -> set[str]:
    """Mark the rows of objects that Stripe has no more, and keep what they said; return the ids of those marked anew.

    Nothing is deleted: invoices go on pointing to prices. Rows of another account are left alone: a key of another
    account finds none of our objects, and that must not read as if all had been deleted.
    """
    layout = layout_for(kind)
    gone = what_gone_means(kind.name)
    active = ", active = false" if "active" in layout.names else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE "{layout.table}" t SET {DATA} = t.{DATA} || %(gone)s, {UPDATED} = %(now)s {active}
            WHERE id = ANY(%(ids)s) AND NOT t.{DATA} @> %(gone)s
              AND coalesce(t.{OWNER} = %(owner)s, true)
            RETURNING id
            """,  # noqa: S608
            {"gone": as_json(gone), "now": now, "ids": sorted(ids), "owner": owner_id},
        )
        marked = {object_id for (object_id,) in cursor.fetchall()}
    mark_purged(kind, marked, now)
    return marked


def mark_purged(kind: Kind, ids: Iterable[str], now: datetime) -> None:
    if kind.name == "customer":
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE djstripe_customer SET date_purged = %s WHERE id = ANY(%s) AND date_purged IS NULL",
                [now, sorted(ids)],
            )


def what_gone_means(kind_name: str) -> Data:
    gone: Data = {"deleted": True}
    if kind_name in ("product", "price"):
        gone["active"] = False
    if kind_name == "subscription":
        gone["status"] = "canceled"  # Stripe keeps ended subscriptions; one it does not know serves nobody
    return gone
