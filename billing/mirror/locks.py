"""One object, one writer: a lock in PostgreSQL that its connection holds, through the fetch and the write.

It is of the session, not of a transaction, because Stripe is asked while it is held and no transaction may be open
then. A worker that is killed loses its connection, and the lock with it. A connection pooler between must pool
sessions, not transactions.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, InterfaceError, connection

from billing.mirror.kinds import Ref


@contextmanager
def object_lock(ref: Ref) -> Iterator[None]:
    """Wait for the object's lock and hold it. Never take a second one inside: two that do could wait for ever."""
    with named_lock(f"mirror:{ref.kind}:{ref.id}"):
        yield


@contextmanager
def named_lock(name: str) -> Iterator[None]:
    """Wait for the lock of that name and hold it, outside any transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
    try:
        yield
    finally:
        with suppress(DatabaseError, InterfaceError), connection.cursor() as cursor:  # no connection, no lock
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])
