"""What a transaction has still to write of its documents: many rows by one statement, each as it is in the end.

A renewal makes an invoice and changes it five times; written when somebody looks, or when the transaction commits, that
is one row. Who rolls back loses what is unwritten too.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sandbox import search_index
from sandbox.json_text import dumps
from sandbox.kinds import KINDS, Doc
from sandbox.page_query import as_values

MOST = 2000
"""Rows that are kept back: what lies unwritten is memory."""
INSERT = "INSERT INTO objects (seq, scope, kind, id, created, body) VALUES (?,?,?,?,?,?)"
UPDATE = "UPDATE objects SET body=? WHERE seq=?"
INDEX = "INSERT INTO object_index VALUES (?,?,?,?,?,?)"
UNINDEX = "DELETE FROM object_index WHERE scope=? AND kind=? AND field=? AND value=? AND created=? AND seq=?"
Key = tuple[str, str, str]
"""Scope, kind and id."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the objects: its place in lists, what the file has of it (None of a new one), and what it becomes."""

    seq: int
    created: int
    written: Doc | None
    doc: Doc


class Unwritten:
    """The rows of one transaction that are still to be written, by kind."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._kinds: dict[str, dict[Key, Row]] = {}
        self._count = 0

    def find(self, key: Key) -> Row | None:
        rows = self._kinds.get(key[1])
        return rows.get(key) if rows else None

    def add(self, key: Key, row: Row) -> None:
        rows = self._kinds.setdefault(key[1], {})
        self._count += key not in rows
        rows[key] = row
        if self._count > MOST:
            self.write()

    def copied(self) -> "Unwritten":
        """The same rows, for whoever will undo what comes now."""
        copy = Unwritten(self._connection)
        copy._kinds = {kind: dict(rows) for kind, rows in self._kinds.items()}
        copy._count = self._count
        return copy

    def drop(self) -> None:
        self._kinds, self._count = {}, 0

    def write(self, kind: str | None = None) -> None:
        """Write what there is, or what there is of a kind."""
        if not self._count:
            return
        for name in list(self._kinds) if kind is None else [kind]:
            rows = self._kinds.pop(name, {})
            self._count -= len(rows)
            self._write(name, rows)

    def _write(self, kind: str, rows: Mapping[Key, Row]) -> None:
        new = [(row.seq, *key, row.created, dumps(row.doc)) for key, row in rows.items() if row.written is None]
        changed = [(dumps(row.doc), row.seq) for row in rows.values() if row.written is not None]
        gone: list[tuple[Any, ...]] = []
        come: list[tuple[Any, ...]] = []
        for (scope, _, _), row in rows.items():
            lost, gained = index_changes(kind, row.written or {}, row.doc)
            gone += [(scope, kind, *entry, row.created, row.seq) for entry in lost]
            come += [(scope, kind, *entry, row.created, row.seq) for entry in gained]
        for statement, values in ((INSERT, new), (UPDATE, changed), (UNINDEX, gone), (INDEX, come)):
            if values:
                self._connection.executemany(statement, values)


def index_changes(kind: str, old: Doc, new: Doc) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """The entries (field, value) that a document no longer has, and those that it has now. A deleted one has none."""
    gone: set[tuple[str, str]] = set()
    come: set[tuple[str, str]] = set()
    for field in _indexed(kind):
        before, after = dig(old, field), dig(new, field)
        if before != after:
            gone |= _entries(field, before)
            come |= _entries(field, after)
    if kind in search_index.WORDS:
        gone |= search_index.entries(kind, old)
        come |= search_index.entries(kind, new)
    return (gone - come, come - gone) if gone else (gone, come)


@cache
def _indexed(kind: str) -> tuple[str, ...]:
    return (*KINDS[kind].indexed, "_clock") if kind in KINDS else ("_clock",)


def _entries(field: str, value: Any) -> set[tuple[str, str]]:
    return set() if value is None else {(field, text) for text in as_values(value)}


def dig(doc: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, None where the way ends early."""
    if "." not in path:
        return doc.get(path)
    value: Any = doc
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
