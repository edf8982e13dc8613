"""Everything on disk: one SQLite file. One writer at a time, any number of readers (WAL).

    with store.write() as tx:   # BEGIN IMMEDIATE … COMMIT, or ROLLBACK when an exception flies
        tx.insert(scope, doc); tx.save(scope, doc); tx.get(scope, "customer", "cus_…")
    with store.read() as tx:    # a snapshot

Documents are the API's objects as JSON. A `scope` is one account in one mode ("acct_…:test"); nothing is
ever read across scopes except by `tx.locate`, which hosted pages use. Lists come out newest first: by
`created`, then by the order of insertion. Fields that start with "_" are ours and never leave the sandbox.
"""

import json
import queue
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.kinds import KINDS, Doc

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
  created INTEGER NOT NULL, deleted INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS objects_id ON objects (scope, kind, id);
CREATE INDEX IF NOT EXISTS objects_any ON objects (id);
CREATE INDEX IF NOT EXISTS objects_page ON objects (scope, kind, deleted, created, seq);
CREATE TABLE IF NOT EXISTS object_index (
  scope TEXT NOT NULL, kind TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL,
  created INTEGER NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (scope, kind, field, value, created, seq)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS object_index_seq ON object_index (seq);
CREATE TABLE IF NOT EXISTS idempotency (
  scope TEXT NOT NULL, key TEXT NOT NULL, created INTEGER NOT NULL, fingerprint TEXT NOT NULL,
  path TEXT NOT NULL, request_id TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL DEFAULT '',
  due_at INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, payload TEXT NOT NULL, error TEXT,
  clock TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS jobs_name ON jobs (scope, kind, name);
CREATE TABLE IF NOT EXISTS settings (
  scope TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (scope, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, event TEXT NOT NULL, endpoint TEXT NOT NULL,
  state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, due_at, id);
CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event);
CREATE TABLE IF NOT EXISTS attempts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, delivery INTEGER NOT NULL, at INTEGER NOT NULL,
  status INTEGER, error TEXT, duration_ms INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS attempts_delivery ON attempts (delivery);
CREATE TABLE IF NOT EXISTS faults (
  id INTEGER PRIMARY KEY AUTOINCREMENT, effect TEXT NOT NULL, spec TEXT NOT NULL,
  seen INTEGER NOT NULL DEFAULT 0, struck INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS delivery_faults (delivery INTEGER PRIMARY KEY, marks TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ledger (
  id INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, at INTEGER NOT NULL, entry TEXT NOT NULL,
  debit TEXT NOT NULL, credit TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL,
  customer TEXT, cause TEXT NOT NULL, request TEXT, idempotency_key TEXT);
CREATE INDEX IF NOT EXISTS ledger_scope ON ledger (scope, id);
CREATE INDEX IF NOT EXISTS ledger_customer ON ledger (customer, id);
CREATE INDEX IF NOT EXISTS ledger_cause ON ledger (cause, id);
CREATE TABLE IF NOT EXISTS usage (
  id INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, meter TEXT NOT NULL, customer TEXT NOT NULL,
  at INTEGER NOT NULL, received_at INTEGER NOT NULL, identifier TEXT NOT NULL, whole INTEGER NOT NULL,
  fraction INTEGER NOT NULL, canceled INTEGER NOT NULL DEFAULT 0, error TEXT, message TEXT);
CREATE INDEX IF NOT EXISTS usage_at ON usage (scope, meter, customer, at, id);
CREATE INDEX IF NOT EXISTS usage_identifier ON usage (scope, identifier, received_at);
CREATE INDEX IF NOT EXISTS usage_error ON usage (scope, meter, received_at) WHERE error IS NOT NULL;
CREATE TABLE IF NOT EXISTS api_keys (
  key TEXT PRIMARY KEY, permissions TEXT NOT NULL, expired INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unsupported (
  what TEXT NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL, last_at INTEGER NOT NULL,
  PRIMARY KEY (what, name)) WITHOUT ROWID;
"""
SINCE = """
DROP INDEX IF EXISTS jobs_due;
CREATE INDEX IF NOT EXISTS jobs_next ON jobs (clock, due_at, id);
"""
"""What needs the columns that an older file gets only when it is opened."""
TABLES = (
    "objects", "object_index", "idempotency", "jobs", "deliveries", "attempts", "ledger", "usage", "api_keys",
    "settings", "unsupported",
)  # fmt: skip


@dataclass(frozen=True)
class Cursor:
    """A place in a list."""

    created: int
    seq: int


class Transaction:
    """Reads and writes documents. Use `sql` for the other tables."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def sql(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def get(self, scope: str, kind: str, id: str) -> Doc | None:
        """The stored document, a deleted object's stub too; None when there never was one."""
        row = self.sql("SELECT body FROM objects WHERE scope=? AND kind=? AND id=?", scope, kind, id).fetchone()
        return _load(row[0]) if row else None

    def get_any(self, scope: str, id: str) -> Doc | None:
        row = self.sql("SELECT body FROM objects WHERE id=? AND scope=?", id, scope).fetchone()
        return _load(row[0]) if row else None

    def locate(self, kind: str, id: str) -> str | None:
        """The scope an object lives in."""
        row = self.sql("SELECT scope FROM objects WHERE id=? AND kind=?", id, kind).fetchone()
        return row[0] if row else None

    def insert(self, scope: str, doc: Doc) -> None:
        """Store a new document. Raises sqlite3.IntegrityError when the id is taken."""
        kind, created = doc["object"], int(doc.get("created") or doc.get("_created") or 0)
        cursor = self.sql(
            "INSERT INTO objects (scope, kind, id, created, body) VALUES (?,?,?,?,?)",
            scope, kind, doc["id"], created, dumps(doc),
        )  # fmt: skip
        self._index(scope, doc, created, int(cursor.lastrowid or 0), previous=None)

    def save(self, scope: str, doc: Doc) -> None:
        """Write a changed document back. Raises KeyError when there is none."""
        row = self._row(scope, doc["object"], doc["id"])
        if row is None:
            raise KeyError(doc["id"])
        seq, created, body = row
        self.sql("UPDATE objects SET body=? WHERE seq=?", dumps(doc), seq)
        self._index(scope, doc, created, seq, previous=json.loads(body))

    def delete(self, scope: str, doc: Doc, stub: Doc | None) -> None:
        """Take an object out of all lists; `stub` is what it answers from now on, None when it is gone for good."""
        row = self._row(scope, doc["object"], doc["id"])
        if row is None:
            raise KeyError(doc["id"])
        self.sql("DELETE FROM object_index WHERE seq=?", row[0])
        if stub is None:
            self.sql("DELETE FROM objects WHERE seq=?", row[0])
        else:
            self.sql("UPDATE objects SET body=?, deleted=1 WHERE seq=?", dumps(stub), row[0])

    def cursor(self, scope: str, kind: str, id: str) -> Cursor | None:
        row = self._row(scope, kind, id)
        return Cursor(row[1], row[0]) if row else None

    def page(
        self,
        scope: str,
        kind: str,
        filters: Mapping[str, Any] | None = None,
        *,
        created: Mapping[str, int] | None = None,
        after: Cursor | None = None,
        before: Cursor | None = None,
        limit: int = -1,
        timeless: bool = False,
    ) -> list[Doc]:
        """Documents newest first. `filters` are indexed fields: a value, or a list of values of which one must fit.
        `created` has gt, gte, lt, lte. With `before` the page ends just before that place. `timeless` leaves out what
        lives in the time of a test clock."""
        statement, values = _page_query(scope, kind, filters or {}, created or {}, after, before)
        if timeless:
            statement += " AND NOT EXISTS (SELECT 1 FROM object_index c WHERE c.seq=t.seq AND c.field='_clock')"
        order = "ASC" if before else "DESC"
        rows = self.sql(f"{statement} ORDER BY t.created {order}, t.seq {order} LIMIT ?", *values, limit).fetchall()
        docs = [json.loads(row[0]) for row in rows]
        return docs[::-1] if before else docs

    def matching(
        self, scope: str, kind: str, condition: str, values: Sequence[Any], *, limit: int, offset: int
    ) -> list[Doc]:
        """Documents that fit an SQL condition on `t` (created, body), newest first."""
        rows = self.sql(
            f"SELECT t.body FROM objects t WHERE t.scope=? AND t.kind=? AND t.deleted=0 AND ({condition}) "  # noqa: S608
            "ORDER BY t.created DESC, t.seq DESC LIMIT ? OFFSET ?",
            scope, kind, *values, limit, offset,
        )  # fmt: skip
        return [json.loads(row[0]) for row in rows.fetchall()]

    def count_matching(self, scope: str, kind: str, condition: str, values: Sequence[Any]) -> int:
        statement = f"SELECT count(*) FROM objects t WHERE t.scope=? AND t.kind=? AND t.deleted=0 AND ({condition})"  # noqa: S608
        return int(self.sql(statement, scope, kind, *values).fetchone()[0])

    def count(self, scope: str, kind: str, filters: Mapping[str, Any] | None = None) -> int:
        statement, values = _page_query(scope, kind, filters or {}, {}, None, None)
        return int(self.sql(f"SELECT count(*) FROM ({statement})", *values).fetchone()[0])  # noqa: S608

    def _row(self, scope: str, kind: str, id: str) -> tuple[int, int, str] | None:
        statement = "SELECT seq, created, body FROM objects WHERE scope=? AND kind=? AND id=?"
        row: tuple[int, int, str] | None = self.sql(statement, scope, kind, id).fetchone()
        return row

    def _index(self, scope: str, doc: Doc, created: int, seq: int, *, previous: Doc | None) -> None:
        kind = doc["object"]
        old, new = _index_entries(previous), _index_entries(doc)
        for field, value in old - new:
            self.sql(
                "DELETE FROM object_index WHERE scope=? AND kind=? AND field=? AND value=? AND created=? AND seq=?",
                scope, kind, field, value, created, seq,
            )  # fmt: skip
        for field, value in new - old:
            self.sql("INSERT INTO object_index VALUES (?,?,?,?,?,?)", scope, kind, field, value, created, seq)


def _page_query(
    scope: str,
    kind: str,
    filters: Mapping[str, Any],
    created: Mapping[str, int],
    after: Cursor | None,
    before: Cursor | None,
) -> tuple[str, list[Any]]:
    """The first one-value filter drives the scan in the order of its index; further filters are looked up."""
    wanted = {field: _as_values(value) for field, value in filters.items() if value is not None}
    driver = next((field for field, values in wanted.items() if len(values) == 1), None)
    if driver is None:
        values: list[Any]
        clauses, values = ["t.scope=?", "t.kind=?", "t.deleted=0"], [scope, kind]
        source = "SELECT t.body FROM objects t WHERE "
    else:
        clauses = ["t.scope=?", "t.kind=?", "t.field=?", "t.value=?"]
        values = [scope, kind, driver, *wanted.pop(driver)]
        source = "SELECT o.body FROM object_index t JOIN objects o ON o.seq=t.seq WHERE "
    for field, options in wanted.items():
        marks = ",".join("?" * len(options))
        clauses.append(
            "EXISTS (SELECT 1 FROM object_index i WHERE i.scope=t.scope AND i.kind=t.kind AND i.field=? "  # noqa: S608
            f"AND i.value IN ({marks}) AND i.created=t.created AND i.seq=t.seq)"
        )
        values += [field, *options]
    for name, bound in created.items():
        clauses.append(f"t.created {COMPARISONS[name]} ?")
        values.append(bound)
    if place := after or before:
        clauses.append(f"(t.created, t.seq) {'<' if after else '>'} (?,?)")
        values += [place.created, place.seq]
    return source + " AND ".join(clauses), values


COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _as_values(value: Any) -> list[str]:
    return [_text(item) for item in value] if isinstance(value, list | tuple | set) else [_text(value)]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _index_entries(doc: Doc | None) -> set[tuple[str, str]]:
    if doc is None or doc.get("deleted") is True:
        return set()
    entries: set[tuple[str, str]] = set()
    kind = KINDS.get(doc["object"])
    for field in kind.indexed if kind else ():
        value = dig(doc, field)
        if value is not None:
            entries |= {(field, text) for text in _as_values(value)}
    if doc.get("_clock"):
        entries.add(("_clock", doc["_clock"]))
    return entries


def dig(doc: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, None where the way ends early."""
    value: Any = doc
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _load(body: str) -> Doc:
    doc: Doc = json.loads(body)
    return doc


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Store:
    """The file DIR/sandbox.sqlite3. Raises sqlite3.Error when it cannot be opened or written."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / "sandbox.sqlite3"
        self._writer = self._connect()
        self._lock = threading.Lock()
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._writer.executescript(SCHEMA)
        self._catch_up()

    def _catch_up(self) -> None:
        """Give a file that an earlier sandbox made the columns that it lacks."""
        columns = {row[1] for row in self._writer.execute("PRAGMA table_info(jobs)")}
        if "clock" not in columns:
            self._writer.execute("ALTER TABLE jobs ADD COLUMN clock TEXT NOT NULL DEFAULT ''")
        self._writer.executescript(SINCE)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One writer at a time; not to be entered twice by one thread. No network inside."""
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self._writer)
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            connection = self._connect()
        try:
            connection.execute("BEGIN")
            yield Transaction(connection)
        finally:
            connection.execute("ROLLBACK")
            self._readers.put(connection)

    def close(self) -> None:
        with self._lock:
            self._writer.close()
        while not self._readers.empty():
            self._readers.get_nowait().close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "temp_store=MEMORY", "cache_size=-16000"):
            connection.execute(f"PRAGMA {pragma}")
        # SQLite's own lower() knows ASCII alone.
        connection.create_function("folded", 1, lambda text: str(text).lower(), deterministic=True)
        return connection


def clear(tx: Transaction, tables: Sequence[str] = TABLES) -> None:
    for table in tables:
        tx.sql(f"DELETE FROM {table}")  # noqa: S608
