"""dj-stripe's tables made at once are what its migrations would have made."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState
from django.test.utils import CaptureQueriesContext

from billing.mirror import schema

# Every fact of a schema that PostgreSQL's catalogs tell, one row each. Only the order of columns is left out:
# no statement of ours names columns by position.
COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
           pg_get_expr(d.adbin, d.adrelid), co.collname
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    LEFT JOIN pg_collation co ON co.oid = a.attcollation
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
"""
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, contype, condeferrable, condeferred, convalidated,
           pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
SEQUENCES = """
    SELECT sequencename, data_type::text, start_value, increment_by, max_value, cycle
    FROM pg_sequences WHERE schemaname = 'public'
"""
OTHERS = """
    SELECT 'trigger', tgname::text FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'function', proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'type', typname::text FROM pg_type
        WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
"""
MIGRATIONS = "SELECT app, name FROM django_migrations"
CONTENT_TYPES = "SELECT app_label, model FROM django_content_type"
PERMISSIONS = """
    SELECT t.app_label, t.model, p.codename FROM auth_permission p JOIN django_content_type t ON t.id = content_type_id
"""
pytestmark = pytest.mark.xdist_group("schema")  # one database is prepared for all

CATALOGS = [COLUMNS, CONSTRAINTS, INDEXES, SEQUENCES, OTHERS, MIGRATIONS, CONTENT_TYPES, PERMISSIONS]


@contextmanager
def empty_database() -> Iterator[BaseDatabaseWrapper]:
    """Point Django's default connection at a new, empty database for a while."""
    name, own = f"schema_{uuid4().hex[:12]}", connection.settings_dict["NAME"]
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield connection
    finally:
        connection.close()
        connection.settings_dict["NAME"] = own
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def read_catalogs() -> list[set[tuple[object, ...]]]:
    """Return the rows of every catalog question, as sets."""
    with connection.cursor() as cursor:
        found = []
        for question in CATALOGS:
            cursor.execute(question)
            found.append(set(cursor.fetchall()))
        return found


@pytest.fixture
def with_migrations(settings, django_db_blocker) -> Iterator[None]:
    """Let migrations run: pytest-django's `--nomigrations` hides them from every other test."""
    settings.MIGRATION_MODULES = {}
    with django_db_blocker.unblock():
        yield


@dataclass(frozen=True)
class Prepared:
    """What came of preparing an empty database: first in vain, then well, and once more."""

    left_by_failure: list[str]
    made: bool
    statements: list[str]
    catalogs: list[set[tuple[object, ...]]]
    made_again: bool
    catalogs_afterwards: list[set[tuple[object, ...]]]


@pytest.fixture(scope="module")
def prepared(django_db_blocker) -> Prepared:
    """Prepare a database, once for all tests that look at it: it takes ten seconds."""
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock(), empty_database() as database:
        patch.setattr(settings, "MIGRATION_MODULES", {})
        fail_half_way(database)
        left_by_failure = tables_of_djstripe(database)
        with CaptureQueriesContext(database) as queries:
            made = schema.prepare_database(database, verbosity=0)
        catalogs = read_catalogs()
        made_again = schema.prepare_database(database, verbosity=0)
        said = [query["sql"] for query in queries]
        return Prepared(left_by_failure, made, said, catalogs, made_again, read_catalogs())


def fail_half_way(database: BaseDatabaseWrapper) -> None:
    """Prepare the database, and fail when dj-stripe's tables have been made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MigrationRecorder, "record_applied", refuse_for_djstripe(MigrationRecorder.record_applied))
        with pytest.raises(RuntimeError, match="the disk is full"):
            schema.prepare_database(database, verbosity=0)


def refuse_for_djstripe(record_applied):
    def record(recorder: MigrationRecorder, app: str, name: str) -> None:
        if app == "djstripe":
            assert tables_of_djstripe(recorder.connection)
            raise RuntimeError("the disk is full")
        record_applied(recorder, app, name)

    return record


def tables_of_djstripe(database: BaseDatabaseWrapper) -> list[str]:
    return [name for name in database.introspection.table_names() if name.startswith("djstripe_")]


@pytest.mark.slow
def test_tables_made_at_once_equal_those_of_the_migrations(with_migrations, prepared: Prepared, monkeypatch) -> None:
    monkeypatch.setattr(ProjectState, "remove_field", remove_field)
    assert prepared.made is True
    with empty_database():
        call_command("migrate", verbosity=0, interactive=False)
        long_way = read_catalogs()
    for question, short, long in zip(CATALOGS, prepared.catalogs, long_way, strict=True):
        assert short == long, question
        assert question == OTHERS or long, f"nothing was compared: {question}"
    assert sum(1 for table, *_ in long_way[0] if str(table).startswith("djstripe_")) > 500


def remove_field(state: ProjectState, app_label: str, model_name: str, name: str) -> None:
    """Forget a field without making all models that are related anew: dj-stripe removes 1,500, which takes a minute.

    The statements are the same: each names its own column. A model is made anew with the next change that is another.
    """
    state.models[app_label, model_name].fields.pop(name)


def test_a_second_run_changes_nothing(prepared: Prepared) -> None:
    assert prepared.made_again is False
    assert prepared.catalogs_afterwards == prepared.catalogs


def test_it_takes_a_lock_that_makes_a_second_deployment_wait(prepared: Prepared) -> None:
    assert "pg_advisory_lock" in prepared.statements[0]
    assert "pg_advisory_unlock" in prepared.statements[-1]


def test_a_recorded_migration_sends_it_the_long_way(with_migrations: None) -> None:
    with empty_database() as database:
        recorder = MigrationRecorder(database)
        recorder.ensure_schema()
        recorder.record_applied("djstripe", "0001_initial")
        assert schema.may_make_tables(database) is False


@pytest.mark.parametrize(
    "left_over",
    [
        "CREATE TABLE djstripe_customer (id int)",  # a table of dj-stripe itself
        "CREATE TABLE djstripe_forgotten (id int)",  # a table that an older dj-stripe had
        "CREATE VIEW djstripe_report AS SELECT 1",  # somebody's view in its name space
    ],
)
def test_anything_of_djstripe_sends_it_the_long_way(with_migrations: None, left_over: str) -> None:
    with empty_database() as database:
        with database.cursor() as cursor:
            cursor.execute(left_over)
        assert schema.may_make_tables(database) is False


def test_another_version_of_djstripe_goes_the_long_way(with_migrations: None, monkeypatch) -> None:
    with empty_database() as database:
        assert schema.may_make_tables(database) is True
        monkeypatch.setattr(schema, "PROVEN_VERSION", "2.10.0")
        assert schema.may_make_tables(database) is False


def test_a_failure_half_way_leaves_nothing_of_djstripe_and_the_next_try_succeeds(prepared: Prepared) -> None:
    assert prepared.left_by_failure == []
    assert prepared.made is True
