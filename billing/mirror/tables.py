"""The mirror's tables in bulk: one statement for each table, however many rows. The caller has the transaction."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from djstripe import models as djstripe
from psycopg.types.json import Jsonb

from billing.mirror.columns import LINKS, MODELS, TableRow, as_stripe_has_it, layout_for, layouts_for, rows_of, without
from billing.mirror.kinds import KINDS, Kind, Ref, kind_for
from billing.mirror.layout import DATA, MODE, OWNER, UPDATED, Column, Data, Layout, Links, layout_of
from billing.mirror.raw import RawObject
from billing.mirror.signals import before_write
from billing.sending import sending_cursor
from billing.unusual_json import storable

Key = tuple[Any, ...]  # the values of a table's unique columns


def read(kind: Kind, ids: Iterable[str], *, livemode: bool | None = None) -> dict[str, Data]:
    """Return those of the objects that the mirror holds, as Stripe has them; one statement.

    `livemode` is needed for coupons alone, whose ids may be the same in both modes.
    """
    parts = [
        f'SELECT id, {DATA}::text FROM "{layout.table}" WHERE id = ANY(%(ids)s) {of_kind(layout)} {of_mode(layout)}'  # noqa: S608
        for layout in layouts_for(kind)
    ]
    with sending_cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), {"ids": list(ids), "mode": livemode, "kind": kind.name})
        return {object_id: as_stripe_has_it(kind, orjson.loads(data)) for object_id, data in cursor.fetchall()}


def of_kind(layout: Layout) -> str:
    return "AND kind = %(kind)s" if "kind" in layout.key else ""


def of_mode(layout: Layout) -> str:
    return "AND coalesce(livemode = %(mode)s, true)" if "livemode" in layout.key else ""


def existing(refs: Iterable[Ref]) -> set[Ref]:
    """Return those of the objects that the mirror holds; one statement."""
    ids: dict[str, list[str]] = defaultdict(list)
    for ref in refs:
        ids[ref.kind].append(ref.id)
    if not ids:
        return set()
    parts: list[str] = []
    values: list[Any] = []
    for name, wanted in ids.items():
        kind = kind_for(name)
        parts.append(f'SELECT %s, id FROM "{layout_for(kind).table}" WHERE id = ANY(%s)')  # noqa: S608
        values += [name, wanted]
        if kind.model is None:
            parts[-1] += " AND kind = %s"
            values.append(name)
    with sending_cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), values)
        return {Ref(kind_name, object_id) for kind_name, object_id in cursor.fetchall()}


def write(rows: Sequence[TableRow]) -> set[str]:
    """Insert or update the rows, one statement for each table; return the ids of those that were refused.

    A row that belongs to another Stripe account, or to the other mode, is refused: it stays as it is. Of two rows with
    the same id the later one counts. Parents stand before children, ids in order, so that no two writers wait for
    each other in a circle. Must run in a transaction.
    """
    tables: dict[tuple[str, bool], dict[Key, TableRow]] = defaultdict(dict)
    linking: list[TableRow] = []
    for row in without(rows, homeless(rows)):
        if row.table in LINKS:
            linking.append(row)
        else:
            tables[row.table, row.only_new][key_in(layout_of(MODELS[row.table]), row)] = row
    refused: set[str] = set()
    for table, only_new in sorted(tables, key=lambda entry: (ORDER[entry[0]], entry[1])):
        refused |= upsert(layout_of(MODELS[table]), tables[table, only_new], only_new=only_new)
    for links in LINKS.values():
        if (links.owner_table, False) in tables:
            owners = {row.id for row in tables[links.owner_table, False].values()} - refused
            link(links, owners, [row.values for row in linking if row.table == links.table])
    return refused


def homeless(rows: Iterable[TableRow]) -> set[Ref]:
    """Which of the objects are kept whole though their kind has a model: no foreign key can point to them."""
    return {Ref(row.values["kind"], row.id) for row in rows if row.table == RAW_TABLE and row.values["kind"] in KINDS}


RAW_TABLE = layout_of(RawObject).table
ORDER = {table: number for number, table in enumerate(MODELS)}


def key_in(layout: Layout, row: TableRow) -> Key:
    return tuple(row.values[name] for name in layout.key)


def upsert(layout: Layout, rows: dict[Key, TableRow], *, only_new: bool) -> set[str]:
    before_write(MODELS[layout.table], list(rows.values()))
    if only_new:
        send(insert_sql(layout), [rows[key] for key in sorted(rows)])
        return set()
    written = send(upsert_sql(layout), [rows[key] for key in sorted(rows)])
    inward = [rows[key] for key in sorted(rows) if any(rows[key].values[name] for name in layout.inward)]
    if inward:
        written |= send(upsert_sql(layout), inward)  # now that the rows which they point to are there
    return foreign(layout, [row for key, row in rows.items() if key not in written])


def send(statement: str, rows: Sequence[TableRow]) -> set[Key]:
    """Write rows of one table; return the keys of those that were new or differed."""
    with sending_cursor() as cursor:
        cursor.execute(statement, [as_json([row.values for row in rows])])
        return set(cursor.fetchall())


def as_json(values: Any) -> Jsonb:
    """Write JSON that PostgreSQL takes: it keeps neither NUL nor half a surrogate pair."""
    try:
        body = orjson.dumps(values)
    except TypeError:  # half a surrogate pair, or a number of more than 64 bits
        body = json.dumps(storable(values)).encode()
    return Jsonb(orjson.dumps(storable(values)) if b"\\u0000" in body else body, dumps=bytes)


@cache
def upsert_sql(layout: Layout) -> str:
    """One statement that takes all rows as JSON, and writes only those that differ from what the table has."""
    changing = [column for column in layout.columns if column.name not in layout.key and not column.only_new]
    compared = [column for column in changing if column.name != UPDATED]
    return f"""
        {insert(layout)}
        ON CONFLICT ({", ".join(layout.key)}) DO UPDATE SET
            {", ".join(f"{column.name} = {value_after(column)}" for column in changing)}
        WHERE {same_owner(layout)}
          AND ({", ".join(f"t.{column.name}" for column in compared)})
              IS DISTINCT FROM ({", ".join(value_after(column) for column in compared)})
        RETURNING {", ".join(f"t.{name}" for name in layout.key)}
    """


@cache
def insert_sql(layout: Layout) -> str:
    """The same for rows that must overwrite nothing."""
    return f"{insert(layout)} ON CONFLICT DO NOTHING RETURNING {', '.join(f't.{name}' for name in layout.key)}"


def insert(layout: Layout) -> str:
    return f"""
        INSERT INTO "{layout.table}" AS t ({", ".join(column.name for column in layout.columns)})
        SELECT {", ".join(column.value for column in layout.columns)}
        FROM jsonb_to_recordset(%s) AS r({", ".join(f"{column.name} {column.sql_type}" for column in layout.columns)})
    """  # noqa: S608


def value_after(column: Column) -> str:
    return f"coalesce(EXCLUDED.{column.name}, t.{column.name})" if column.keeps else f"EXCLUDED.{column.name}"


def same_owner(layout: Layout) -> str:
    """Two Stripe accounts, and live and test mode, never mix. What is not known of a row does not part it."""
    conditions = [f"coalesce(t.{name} = EXCLUDED.{name}, true)" for name in (OWNER, "livemode") if name in layout.names]
    return " AND ".join(conditions) or "true"


def link(links: Links, owners: Collection[str], wanted: Sequence[dict[str, Any]]) -> None:
    """Make the rows of the owners be linked to what they list, and to nothing else."""
    owner, target = links.owner_column, links.target_column
    listed = f"""
        SELECT o.djstripe_id AS {owner}, t.djstripe_id AS {target}
        FROM jsonb_to_recordset(%(wanted)s) AS r({owner} text, {target} text)
        JOIN "{links.owner_table}" o ON o.id = r.{owner}
        JOIN "{links.target._meta.db_table}" t ON t.id = r.{target}
    """  # noqa: S608
    values = {"owners": sorted(owners), "wanted": as_json([row for row in wanted if row[owner] in owners])}
    with sending_cursor() as cursor:
        cursor.execute(
            f"""
            DELETE FROM "{links.table}"
            WHERE {owner} IN (SELECT djstripe_id FROM "{links.owner_table}" WHERE id = ANY(%(owners)s))
              AND ({owner}, {target}) NOT IN ({listed})
            """,  # noqa: S608
            values,
        )
        if wanted:
            cursor.execute(f'INSERT INTO "{links.table}" ({owner}, {target}) {listed} ON CONFLICT DO NOTHING', values)


def foreign(layout: Layout, unwritten: Iterable[TableRow]) -> set[str]:
    """Return those of the rows not written that belong to another account or mode; the others were up to date."""
    if OWNER not in layout.names:
        return set()
    groups: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for row in unwritten:
        values = row.values
        groups[values[OWNER], values.get("livemode"), values.get("kind")].append(row.id)
    found: set[str] = set()
    for (owner, livemode, kind_name), ids in groups.items():
        mode = "coalesce(livemode = %(mode)s, true)" if "livemode" in layout.names else "true"
        with sending_cursor() as cursor:
            cursor.execute(
                f'SELECT id FROM "{layout.table}" WHERE id = ANY(%(ids)s) {of_kind(layout)} '  # noqa: S608
                f"AND NOT (coalesce({OWNER} = %(owner)s, true) AND {mode})",
                {"ids": ids, "owner": owner, "mode": livemode, "kind": kind_name},
            )
            found |= {object_id for (object_id,) in cursor.fetchall()}
    return found


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
        stones.append(replace(stone, only_new=True))
    write(stones)
    mark_purged([stone.id for stone in stones if stone.table == CUSTOMERS], now)
    return buried


def may_be_buried(kind: Kind) -> bool:
    """Whether all columns of the kind's table can do without what Stripe said."""
    model: Any = kind.model or RawObject
    may_be_empty = {field.column for field in model._meta.local_concrete_fields if field.null}
    return all(
        column.name in may_be_empty or (column.sql_type == "text" and column.target is None)
        for column in layout_of(model).columns
        if column.read is not None
    )


def mark_gone(
    kind: Kind, ids: Iterable[str], *, owner_id: str | None, livemode: bool | None = None, now: datetime
) -> set[str]:
    """Mark the rows of objects that Stripe has no more, and keep what they said; return the ids of those marked anew.

    Nothing is deleted: invoices go on pointing to prices. Rows of another account, or of the other mode, are left
    alone: their key finds none of our objects, and that must not read as if all had been deleted.
    """
    gone = {"gone": as_json(what_gone_means(kind.name)), "kind": kind.name, "ids": sorted(ids)}
    marked = {
        object_id
        for layout in layouts_for(kind)
        for object_id in mark_in(layout, {**gone, "owner": owner_id, "livemode": livemode, "now": now})
    }
    if kind.name == "customer":
        mark_purged(marked, now)
    return marked


def mark_in(layout: Layout, values: dict[str, Any]) -> set[str]:
    owned = f"AND coalesce(t.{OWNER} = %(owner)s, true)" if OWNER in layout.names else ""
    of_mode = f"AND coalesce(t.{MODE} = %(livemode)s, true)" if MODE in layout.names else ""
    active = ", active = false" if "active" in layout.names else ""
    with sending_cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE "{layout.table}" t SET {DATA} = t.{DATA} || %(gone)s, {UPDATED} = %(now)s {active}
            WHERE id = ANY(%(ids)s) AND NOT t.{DATA} @> %(gone)s {of_kind(layout)} {owned} {of_mode}
            RETURNING id
            """,  # noqa: S608
            values,
        )
        return {object_id for (object_id,) in cursor.fetchall()}


CUSTOMERS = layout_of(djstripe.Customer).table


def mark_purged(ids: Iterable[str], now: datetime) -> None:
    """dj-stripe keeps beside a deleted customer since when it is gone."""
    with sending_cursor() as cursor:
        cursor.execute(
            f'UPDATE "{CUSTOMERS}" SET date_purged = %s WHERE id = ANY(%s) AND {DATA} @> %s',  # noqa: S608
            [now, sorted(ids), as_json({"deleted": True})],
        )


def what_gone_means(kind_name: str) -> Data:
    gone: Data = {"deleted": True}
    if kind_name in ("product", "price"):
        gone["active"] = False
    if kind_name == "subscription":
        gone["status"] = "canceled"  # Stripe keeps ended subscriptions; one it does not know serves nobody
    return gone
