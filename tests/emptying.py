"""How the database is emptied after a test that committed: the few tables that it wrote to, not all that there are.

Django truncates every table, which makes a thousand new files at PostgreSQL for two hundred tables, and then fills in
content types and permissions again. Here the tables that hold rows are found by one question and their rows deleted;
content types and permissions stay, as they were made with the tables.
"""

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase

KEPT = {"django_migrations", "django_content_type", "auth_permission"}
MANY = 2_000  # rows of one table, from which on they are truncated, with the tables that refer to them


def empty_instead_of_flushing() -> None:
    TransactionTestCase._fixture_teardown = empty  # type: ignore[attr-defined]


def empty(case: TransactionTestCase) -> None:
    for alias in case._databases_names(include_mirrors=False):  # type: ignore[attr-defined]
        delete_rows(connections[alias])


def delete_rows(connection: BaseDatabaseWrapper) -> None:
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    tables = sorted(set(names) - KEPT)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        # As a truncation does, this waits for whoever still writes: what a thread commits late is deleted too.
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE")
        counting = "(SELECT '{0}', count(*) FROM (SELECT FROM {0} LIMIT {1}) AS rows)"
        cursor.execute(" UNION ALL ".join(counting.format(table, MANY) for table in tables))
        rows = {table: count for table, count in cursor.fetchall() if count}
        if MANY in rows.values():
            cursor.execute(f"TRUNCATE {', '.join(rows)} CASCADE")
            return
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")  # references are looked at when all is gone
        for table in rows:
            cursor.execute(f"DELETE FROM {table}")
