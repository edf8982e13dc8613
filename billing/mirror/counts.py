"""How many objects of each kind the mirror holds."""

from dataclasses import dataclass

from django.db import connection

from billing.mirror.kinds import KINDS, RAW, Kind, kind_for
from billing.mirror.raw import RawObject

EXACT = 20_000  # rows that are counted one by one; a longer table says what PostgreSQL's statistics estimate


@dataclass(frozen=True)
class KindCount:
    """Rows of one kind, those included that are marked as gone."""

    kind: Kind
    rows: int
    exact: bool = True


def counts() -> list[KindCount]:
    """Count every kind that the mirror knows or has met, in the order of `KINDS`, then raw ones; two statements."""
    kept = raw_counts()
    names = sorted({*RAW, *kept})
    return [*model_counts(), *(KindCount(kind_for(name), kept.get(name, 0)) for name in names)]


def model_counts() -> list[KindCount]:
    """Counting a large table takes long, and nobody needs its last digit."""
    kinds = [kind for kind in KINDS.values() if kind.model is not None]
    tables = [kind.model._meta.db_table for kind in kinds if kind.model is not None]
    parts = [
        f'SELECT (SELECT count(*) FROM (SELECT 1 FROM "{table}" LIMIT {EXACT + 1}) s), '  # noqa: S608
        f"(SELECT reltuples::bigint FROM pg_class WHERE oid = '\"{table}\"'::regclass)"
        for table in tables
    ]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts))
        found = cursor.fetchall()
    return [
        KindCount(kind, counted) if counted <= EXACT else KindCount(kind, max(counted, estimated), exact=False)
        for kind, (counted, estimated) in zip(kinds, found, strict=True)
    ]


def raw_counts() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT kind, count(*) FROM "{RawObject._meta.db_table}" GROUP BY kind')  # noqa: S608
        return dict(cursor.fetchall())
