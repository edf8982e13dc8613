"""Many rows into a sandbox's file: without a journal, indices last, in batches so that memory stays small."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from sandbox import search_index
from sandbox.fill.lives import ROWS
from sandbox.fill.stamps import Person, Row, Stamp

BATCH = 5000
"""Rows that are held before they are written."""
OBJECT = "INSERT INTO objects (seq, scope, kind, id, created, deleted, body) VALUES (?,?,?,?,?,?,?)"
INDEX = "INSERT INTO filled_index VALUES (?,?,?,?,?,?)"


class Bulk:
    """Writes copies behind the rows that the file has."""

    def __init__(self, connection: sqlite3.Connection, scope: str, oldest_event: int) -> None:
        """Events before `oldest_event` are left out."""
        self._connection, self._scope, self._oldest_event = connection, scope, oldest_event
        self._last = int(connection.execute("SELECT coalesce(max(seq), 0) FROM objects").fetchone()[0])
        self.written = 0
        self._objects: list[tuple[Any, ...]] = []
        self._indices: list[tuple[Any, ...]] = []
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in ROWS}
        self._columns = {name: _columns(connection, name) for name in ROWS}

    def add(self, stamp: Stamp, person: Person, random: Random) -> None:
        """One customer with everything of theirs."""
        values, shift, dropped = stamp.gaps.fill(person, random), person.shift, set()
        first = stamp.objects[0][0] - 1
        base = self._last - first
        for seq, kind, id, created, deleted, body in stamp.objects:
            if kind == "event" and created + shift < self._oldest_event:
                dropped.add(seq)
                continue
            filled = (base + seq, self._scope, kind, id.fill(values), created + shift, deleted, body.fill(values))
            self._objects.append(filled)
        for kind, field, value, created, seq in stamp.indices:
            if seq not in dropped:
                for entry in _entries(field, value.fill(values)):
                    self._indices.append((self._scope, kind, field, entry, created + shift, base + seq))
        for name, rows in stamp.rows.items():
            self._rows[name] += [_filled(row, values, shift) for row in rows]
        self._last = base + stamp.objects[-1][0]
        if len(self._objects) >= BATCH:
            self.flush()

    def redeemed(self, coupon: str, times: int) -> None:
        """The coupon was there before the customers, and says how many of them came with it."""
        self._connection.execute(
            "UPDATE objects SET body=json_set(body, '$.times_redeemed', ?) WHERE kind='coupon' AND id=?",
            (times, coupon),
        )

    def flush(self) -> None:
        self.written += len(self._objects)
        self._connection.executemany(OBJECT, self._objects)
        self._connection.executemany(INDEX, self._indices)
        for name, rows in self._rows.items():
            marks = ",".join("?" * len(self._columns[name]))
            self._connection.executemany(f"INSERT INTO filled_{name} VALUES ({marks})", rows)  # noqa: S608
            rows.clear()
        self._objects.clear()
        self._indices.clear()


def _entries(field: str, value: str) -> Iterable[str]:
    """A life's name is one word, that of its copy several: an entry each."""
    return set(value.split()) if " " in value and search_index.is_words(field) else (value,)


def _filled(row: Row, values: list[str], shift: int) -> tuple[Any, ...]:
    return row.fill(values, shift)


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """All but the first, which counts the rows."""
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")][1:]


@contextmanager
def bulk(path: Path, scope: str, oldest_event: int) -> Iterator[Bulk]:
    """Rows may be added inside; at the end they are put in order and indexed."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-64000", "temp_store=FILE"):
        connection.execute(f"PRAGMA {pragma}")
    indices = _drop_indices(connection)
    connection.execute("CREATE TEMP TABLE filled_index (scope, kind, field, value, created, seq)")
    for name in ROWS:
        connection.execute(f"CREATE TEMP TABLE filled_{name} ({','.join(_columns(connection, name))})")
    connection.execute("BEGIN")
    writer = Bulk(connection, scope, oldest_event)
    yield writer
    writer.flush()
    _put_in_order(connection)
    connection.execute("COMMIT")
    for statement in indices:
        connection.execute(statement)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def _drop_indices(connection: sqlite3.Connection) -> list[str]:
    """Those of the objects; the statements that make them again."""
    found = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type='index' AND sql NOT NULL AND tbl_name IN "
        "('objects', 'object_index', 'jobs', 'ledger')"
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}")
    return [statement for _, statement in found]


def _put_in_order(connection: sqlite3.Connection) -> None:
    """Index entries in the order of their table, which is quickest; ledger rows in the order of time."""
    connection.execute("INSERT INTO object_index SELECT * FROM filled_index ORDER BY 1, 2, 3, 4, 5, 6")
    connection.execute("DROP TABLE filled_index")
    order = {"ledger": "at", "jobs": "due_at"}
    for name in ROWS:
        columns = ",".join(_columns(connection, name))
        by = f" ORDER BY {order[name]}" if name in order else ""
        connection.execute(f"INSERT INTO {name} ({columns}) SELECT * FROM filled_{name}{by}")  # noqa: S608
