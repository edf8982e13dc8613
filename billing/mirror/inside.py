"""The mirror beside itself: whether columns, links and the read model say what the objects in the rows say.

Drift compares the objects with Stripe. Pages, console and rules filter on what was made of them, which a wrong
migration, a statement typed by hand or a mistake of ours can falsify while the object stays right.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from django.db import connection, transaction

from billing.mirror import readmodel, tables
from billing.mirror.columns import LINKS, MODELS, TableRow, references, without
from billing.mirror.compare import LONGEST_PATH, Difference
from billing.mirror.kinds import Ref
from billing.mirror.layout import CREATED, DATA, UPDATED, Links, layout_of
from billing.mirror.owner import owner_id
from billing.mirror.write import by_kind, hold, own_rows
from billing.stripe_accounts import StripeAccount

Place = tuple[str, str]  # a table, and the id of a row in it
Columns = Mapping[str, Any]
# What the object does not say: when the row was written, and its number here.
LEFT_OUT = [DATA, CREATED, UPDATED, "djstripe_id"]


def look_inside(
    refs: Iterable[Ref], *, account: StripeAccount, now: datetime, heal: bool
) -> dict[Ref, list[Difference]]:
    """Make the rows of these objects again from the objects that the mirror holds; say what was another before.

    The rows stay as they were unless `heal`. Nothing is asked of Stripe, but once whose the key is.
    """
    owner = owner_id(account)
    with transaction.atomic():
        held = hold(refs, account=account)
        living = {ref: data for ref, data in held.stored.items() if not data.get("deleted")}
        make = partial(own_rows, owner_id=owner, livemode=account.livemode, now=now)
        rows = {ref: make(ref, data) for ref, data in living.items()}
        places = {ref: [*map(place_of, rows[ref]), *read_model_places(ref)] for ref in rows}
        before = columns_at((place for listed in places.values() for place in listed), livemode=account.livemode)
        write([row for listed in rows.values() for row in listed])
        for kind, ids in by_kind(living).items():
            readmodel.update(kind, [living[Ref(kind, object_id)] for object_id in ids], now=now)
        after = columns_at(before, livemode=account.livemode)
        if not heal:
            transaction.set_rollback(True)
    found = {ref: list(differing(places[ref], before, after)) for ref in places}
    return {ref: differences for ref, differences in found.items() if differences}


def place_of(row: TableRow) -> Place:
    """The place of a row; of a link, that of all links of its owner."""
    return (row.table, row.values[LINKS[row.table].owner_column]) if row.table in LINKS else (row.table, row.id)


def read_model_places(ref: Ref) -> list[Place]:
    table = readmodel.TABLES.get(ref.kind)
    return [(table.model._meta.db_table, ref.id)] if table else []


def write(rows: Sequence[TableRow]) -> None:
    """What a row points to and the mirror does not hold was left empty when it was written."""
    wanted = {reference.ref for reference in references(rows)}
    tables.write(without(rows, wanted - tables.existing(wanted)))


def columns_at(places: Iterable[Place], *, livemode: bool) -> dict[Place, Columns | None]:
    """Return what the rows say, None where there is none; one statement a table."""
    found: dict[Place, Columns | None] = dict.fromkeys(places)
    ids: dict[str, list[str]] = defaultdict(list)
    for table, object_id in found:
        ids[table].append(object_id)
    with connection.cursor() as cursor:
        for table, wanted in ids.items():
            statement = links_sql(LINKS[table]) if table in LINKS else rows_sql(table)
            cursor.execute(statement, {"ids": wanted, "mode": livemode})
            found |= {(table, object_id): loaded(columns) for object_id, columns in cursor.fetchall()}
    return found


def rows_sql(table: str) -> str:
    columns = " ".join(["to_jsonb(t)", *(f"- '{name}'" for name in LEFT_OUT)])
    mode = tables.of_mode(layout_of(MODELS[table])) if table in MODELS else ""
    return f'SELECT id, {columns} FROM "{table}" t WHERE id = ANY(%(ids)s) {mode}'  # noqa: S608 - our own tables


def links_sql(links: Links) -> str:
    return f"""
        SELECT o.id, jsonb_build_object('{links.target_column}', jsonb_agg(p.id ORDER BY p.id))
        FROM "{links.table}" t JOIN "{links.owner_table}" o ON o.djstripe_id = t.{links.owner_column}
        JOIN "{links.target._meta.db_table}" p ON p.djstripe_id = t.{links.target_column}
        WHERE o.id = ANY(%(ids)s) GROUP BY o.id
    """  # noqa: S608 - our own tables


def loaded(value: Any) -> Any:
    """jsonb comes as text where Django's cursor reads it."""
    return orjson.loads(value) if isinstance(value, str) else value


def differing(
    places: Iterable[Place], before: Mapping[Place, Columns | None], after: Mapping[Place, Columns | None]
) -> Iterator[Difference]:
    """What differs in the rows of one object: a path is a table, a row of it, a column."""
    for table, object_id in dict.fromkeys(places):
        ours, right = before[table, object_id] or {}, after[table, object_id] or {}
        for name in sorted(ours.keys() | right.keys()):
            if ours.get(name) != right.get(name):
                yield Difference(f"{table}[{object_id}].{name}"[:LONGEST_PATH], ours.get(name), right.get(name))
