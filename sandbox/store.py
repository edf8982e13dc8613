"""Everything on disk: one SQLite file. One writer at a time, any number of readers (WAL).

    with store.write() as tx:   # BEGIN IMMEDIATE … COMMIT, or ROLLBACK when an exception flies
        tx.insert(scope, doc); tx.save(scope, doc); tx.get(scope, "customer", "cus_…")
    with store.read() as tx:    # a snapshot

Documents are the API's objects as JSON. A `scope` is one account in one mode ("acct_…:test"); nothing is
ever read across scopes except by `tx.locate`, which hosted pages use. Lists come out newest first: by
`created`, then by the order of insertion. Fields that start with "_" are ours and never leave the sandbox.
"""

import queue
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import schema, search_index
from sandbox.json_text import dumps, load
from sandbox.kinds import Doc
from sandbox.page_query import TIMELESS, Cursor, page_query
from sandbox.unwritten import INDEX, UNINDEX, Key, Row, Unwritten, index_changes

Entry = tuple[str, str] | None
"""A field and a value of the index."""


class Transaction:
    """Reads and writes documents. Use `sql` for the other tables.

    What was read once is not decoded again in the same transaction, and what was changed is written when a statement
    asks or at the end, so nobody may change what lies inside a document; its own fields are a copy each time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._unwritten = Unwritten(connection)
        self._last_seq: int | None = None
        self._known: dict[Key, Row] = {}
        self._listed: dict[tuple[str, str], dict[Any, list[Doc]]] = {}

    def sql(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if statement.startswith("ROLLBACK"):
            self._unwritten.drop()
            self.forget()
        elif statement.startswith("SAVEPOINT") or "object" in statement:
            self._unwritten.write()
        return self._connection.execute(statement, values)

    def finish(self) -> None:
        """Write what is still unwritten: the transaction is about to be committed."""
        self._unwritten.write()

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """What is done inside is undone at the end; what was known before is known still."""
        unwritten, known = self._unwritten.copied(), dict(self._known)
        listed = {place: dict(lists) for place, lists in self._listed.items()}
        self._connection.execute("SAVEPOINT rehearsal")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK TO rehearsal")
            self._connection.execute("RELEASE rehearsal")
            self._unwritten, self._known, self._listed = unwritten, known, listed

    def forget(self) -> None:
        """What is asked for is read anew from here on."""
        self._unwritten.write()
        self._known.clear()
        self._listed.clear()

    def get(self, scope: str, kind: str, id: str) -> Doc | None:
        """The stored document, a deleted object's stub too; None when there never was one."""
        known = self._row(scope, kind, id)
        return dict(known.doc) if known else None

    def read(self, scope: str, kind: str, id: str) -> Doc | None:
        """The stored document as nobody else has it: what lies inside it may be changed."""
        self._unwritten.write(kind)
        row = self._connection.execute(BODY, (scope, kind, id)).fetchone()
        return load(row[0]) if row else None

    def get_any(self, scope: str, id: str) -> Doc | None:
        row = self.sql("SELECT body FROM objects WHERE id=? AND +scope=?", id, scope).fetchone()
        return load(row[0]) if row else None

    def locate(self, kind: str, id: str) -> str | None:
        """The scope an object lives in."""
        row = self.sql("SELECT scope FROM objects WHERE id=? AND kind=?", id, kind).fetchone()
        return row[0] if row else None

    def insert(self, scope: str, doc: Doc) -> None:
        """Store a new document, whose id nobody has."""
        created = int(doc.get("created") or doc.get("_created") or 0)
        self._keep(scope, Row(self._next_seq(), created, None, dict(doc)))

    def save(self, scope: str, doc: Doc) -> None:
        """Write a changed document back. Raises KeyError when there is none."""
        known = self._existing(scope, doc)
        self._keep(scope, Row(known.seq, known.created, known.written, dict(doc)))

    def delete(self, scope: str, doc: Doc, stub: Doc | None) -> None:
        """Take an object out of all lists; `stub` is what it answers from now on, None when it is gone for good."""
        self._unwritten.write(doc["object"])
        known = self._existing(scope, doc)
        gone, _ = index_changes(doc["object"], known.doc, {"deleted": True})
        place = (known.created, known.seq)
        self._connection.executemany(UNINDEX, [(scope, doc["object"], *entry, *place) for entry in gone])
        if stub is None:
            self.sql("DELETE FROM objects WHERE seq=?", known.seq)
        else:
            self.sql("UPDATE objects SET body=?, deleted=1 WHERE seq=?", dumps(stub), known.seq)
        self._known.pop((scope, doc["object"], doc["id"]), None)
        self._listed.pop((scope, doc["object"]), None)

    def cursor(self, scope: str, kind: str, id: str) -> Cursor | None:
        known = self._row(scope, kind, id)
        return Cursor(known.created, known.seq) if known else None

    def listed(self, scope: str, kind: str, **filters: Any) -> list[Doc]:
        """Like `page`, for short lists that are asked for again and again: read once until one of the kind changes."""
        lists = self._listed.setdefault((scope, kind), {})
        wanted = tuple(sorted(filters.items()))
        if wanted not in lists:
            lists[wanted] = self.page(scope, kind, filters)
        return lists[wanted]

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
        self._unwritten.write(kind)
        statement, values = page_query(scope, kind, filters or {}, created or {}, after, before)
        if timeless:
            statement += f" AND {TIMELESS}"
        order = "ASC" if before else "DESC"
        paged = f"{statement} ORDER BY t.created {order}, t.seq {order} LIMIT ?"
        docs = [load(row[0]) for row in self._connection.execute(paged, (*values, limit))]
        return docs[::-1] if before else docs

    def matching(
        self, scope: str, kind: str, condition: str, values: Sequence[Any], *, entry: Entry, limit: int, offset: int
    ) -> list[Doc]:
        """Documents that fit an SQL condition on `t` (body) and `c` (created), newest first; only with this entry of
        the index, if one is given."""
        source, wanted = _candidates(scope, kind, entry)
        rows = self.sql(
            f"SELECT t.body {source} AND ({condition}) ORDER BY c.created DESC, c.seq DESC LIMIT ? OFFSET ?",
            *wanted, *values, limit, offset,
        )  # fmt: skip
        return [load(row[0]) for row in rows.fetchall()]

    def count_matching(self, scope: str, kind: str, condition: str, values: Sequence[Any], *, entry: Entry) -> int:
        source, wanted = _candidates(scope, kind, entry)
        return int(self.sql(f"SELECT count(*) {source} AND ({condition})", *wanted, *values).fetchone()[0])

    def count(self, scope: str, kind: str, filters: Mapping[str, Any] | None = None) -> int:
        statement, values = page_query(scope, kind, filters or {}, {}, None, None)
        return int(self.sql(f"SELECT count(*) FROM ({statement})", *values).fetchone()[0])  # noqa: S608

    def index_words(self) -> None:
        """Make the entries of words that a file of an earlier sandbox lacks."""
        for kind in search_index.WORDS:
            rows = self.sql("SELECT scope, created, seq, body FROM objects WHERE kind=? AND deleted=0", kind)
            for scope, created, seq, body in rows.fetchall():
                new = [(scope, kind, *entry, created, seq) for entry in search_index.entries(kind, load(body))]
                self._connection.executemany(INDEX.replace("INSERT", "INSERT OR IGNORE"), new)

    def _row(self, scope: str, kind: str, id: str) -> Row | None:
        key = (scope, kind, id)
        if known := self._unwritten.find(key) or self._known.get(key):
            return known
        row = self._connection.execute(ROW, key).fetchone()
        if row is None:
            return None
        doc = load(row[2])
        known = self._known[key] = Row(row[0], row[1], doc, doc)
        return known

    def _existing(self, scope: str, doc: Doc) -> Row:
        known = self._row(scope, doc["object"], doc["id"])
        if known is None:
            raise KeyError(doc["id"])
        return known

    def _next_seq(self) -> int:
        if self._last_seq is None:
            row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name='objects'").fetchone()
            self._last_seq = row[0] if row else 0
        self._last_seq += 1
        return self._last_seq

    def _keep(self, scope: str, row: Row) -> None:
        kind = row.doc["object"]
        key = (scope, kind, row.doc["id"])
        self._listed.pop((scope, kind), None)
        self._unwritten.add(key, row)
        if kind != "event":
            self._known[key] = Row(row.seq, row.created, row.doc, row.doc)


ROW = "SELECT seq, created, body FROM objects WHERE scope=? AND kind=? AND id=?"
BODY = "SELECT body FROM objects WHERE scope=? AND kind=? AND id=?"


def _candidates(scope: str, kind: str, entry: Entry) -> tuple[str, list[Any]]:
    """Where a search looks: `t` are the documents, `c` says in which order they come."""
    if entry is None:
        return "FROM objects t, objects c ON c.seq=t.seq WHERE c.scope=? AND c.kind=? AND c.deleted=0", [scope, kind]
    return (
        "FROM object_index c JOIN objects t ON t.seq=c.seq WHERE c.scope=? AND c.kind=? AND c.field=? AND c.value=?",
        [scope, kind, *entry],
    )


class Store:
    """The file DIR/sandbox.sqlite3. Raises sqlite3.Error when it cannot be opened or written."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / "sandbox.sqlite3"
        self._writer = self._connect()
        self._lock, self._next = threading.Lock(), threading.Lock()
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        older = schema.prepare(self._writer)
        if older:
            with self.write() as tx:
                tx.index_words()

    @property
    def wanted(self) -> bool:
        """Somebody waits to write."""
        return self._next.locked()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One writer at a time; not to be entered twice by one thread. No network inside. Whoever waits is next, also
        when the last writer comes again at once, as one that does many jobs."""
        with self._next:
            self._lock.acquire()
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                transaction = Transaction(self._writer)
                yield transaction
                transaction.finish()
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")
        finally:
            self._lock.release()

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
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "temp_store=MEMORY",
            "cache_size=-16000",
            "wal_autocheckpoint=16000",
        ):
            connection.execute(f"PRAGMA {pragma}")
        # SQLite's own lower() knows ASCII alone.
        connection.create_function("folded", 1, search_index.fold, deterministic=True)
        connection.create_function("worded", 1, search_index.spaced, deterministic=True)
        return connection


def clear(tx: Transaction, tables: Sequence[str] = schema.TABLES) -> None:
    for table in tables:
        tx.sql(f"DELETE FROM {table}")  # noqa: S608
