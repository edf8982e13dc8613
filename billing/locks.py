"""A lock of PostgreSQL's that a connection holds by name, outside any transaction, while a call to Stripe is made.

A process that is killed loses its connection, and the lock with it. A connection pooler between must pool sessions.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, InterfaceError, connection


@contextmanager
def named_lock(name: str) -> Iterator[None]:
    """Wait for the lock of that name and hold it. Never take a second one inside: two that do could wait for ever."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
    try:
        yield
    finally:
        with suppress(DatabaseError, InterfaceError), connection.cursor() as cursor:  # no connection, no lock
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])
