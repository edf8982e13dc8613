"""The tables of the sandbox's file, and what a file that an earlier sandbox made still lacks."""

import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
  created INTEGER NOT NULL, deleted INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS objects_one ON objects (id, kind, scope);
CREATE INDEX IF NOT EXISTS objects_page ON objects (scope, kind, deleted, created, seq);
CREATE TABLE IF NOT EXISTS object_index (
  scope TEXT NOT NULL, kind TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL,
  created INTEGER NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (scope, kind, field, value, created, seq)) WITHOUT ROWID;
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
CREATE INDEX IF NOT EXISTS ledger_key ON ledger (idempotency_key, id) WHERE idempotency_key IS NOT NULL;
CREATE TABLE IF NOT EXISTS ledger_sums (
  scope TEXT NOT NULL, entry TEXT NOT NULL, currency TEXT NOT NULL, account TEXT NOT NULL, amount INTEGER NOT NULL,
  PRIMARY KEY (scope, entry, currency, account)) WITHOUT ROWID;
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
ADD_UP = """
CREATE TRIGGER IF NOT EXISTS ledger_adds_up AFTER INSERT ON ledger BEGIN
  INSERT INTO ledger_sums VALUES (new.scope, new.entry, new.currency,
    iif(instr(new.credit, ':'), substr(new.credit, 1, instr(new.credit, ':')) || '*', new.credit), new.amount)
    ON CONFLICT (scope, entry, currency, account) DO UPDATE SET amount = amount + excluded.amount;
  INSERT INTO ledger_sums VALUES (new.scope, new.entry, new.currency,
    iif(instr(new.debit, ':'), substr(new.debit, 1, instr(new.debit, ':')) || '*', new.debit), -new.amount)
    ON CONFLICT (scope, entry, currency, account) DO UPDATE SET amount = amount + excluded.amount;
END;
INSERT INTO ledger_sums
  SELECT scope, entry, currency, iif(instr(name, ':'), substr(name, 1, instr(name, ':')) || '*', name) AS account,
    sum(amount)
  FROM (SELECT scope, entry, currency, credit AS name, amount FROM ledger
    UNION ALL SELECT scope, entry, currency, debit, -amount FROM ledger)
  WHERE NOT EXISTS (SELECT 1 FROM ledger_sums) GROUP BY scope, entry, currency, account;
"""
"""What stands in each account, kept with every row; all customers' accounts are one, `customer:*`. The rows that an
older file has are added up when it is opened."""
SINCE = """
DROP INDEX IF EXISTS jobs_due;
DROP INDEX IF EXISTS objects_id;
DROP INDEX IF EXISTS objects_any;
DROP INDEX IF EXISTS object_index_seq;
CREATE INDEX IF NOT EXISTS jobs_next ON jobs (clock, due_at, id);
"""
"""What needs the columns that an older file gets only when it is opened."""
TABLES = (
    "objects", "object_index", "idempotency", "jobs", "deliveries", "attempts", "ledger", "ledger_sums", "usage",
    "api_keys", "settings", "unsupported", "faults", "delivery_faults",
)  # fmt: skip


VERSION = 2
"""Counts up when the index has entries that the documents of older files lack."""


def prepare(connection: sqlite3.Connection) -> bool:
    """Make the tables, or give an older file the columns and indices that it lacks. Whether it holds documents that
    have to be indexed anew."""
    connection.executescript(SCHEMA)
    columns = {row[1] for row in connection.execute("PRAGMA table_info(jobs)")}
    if "clock" not in columns:
        connection.execute("ALTER TABLE jobs ADD COLUMN clock TEXT NOT NULL DEFAULT ''")
    connection.executescript(SINCE + ADD_UP)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.execute(f"PRAGMA user_version={VERSION}")
    return bool(version < VERSION and connection.execute("SELECT 1 FROM objects LIMIT 1").fetchone())
