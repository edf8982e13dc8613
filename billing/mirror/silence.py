"""Changes that no event tells of: what a resync, a healed difference or somebody else's question brought.

Each is noted in the transaction that writes it. Whoever waits for a state looks at the notes after that has committed:
so nothing is missed between a look at the mirror and the beginning of a wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from billing.inbox import settled

NOTE = "INSERT INTO billing_silentchange (owner, livemode, object_ids) VALUES (%s, %s, %s)"
TAKE = """
    DELETE FROM billing_silentchange WHERE id IN (
        SELECT id FROM billing_silentchange ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
    RETURNING owner, livemode, object_ids
"""
WAITING = "SELECT EXISTS (SELECT 1 FROM billing_silentchange)"


@dataclass(frozen=True)
class Silent:
    """Objects of one configured account that changed together."""

    owner: str
    livemode: bool
    object_ids: list[str]


def note(object_ids: Sequence[str], *, owner: str, livemode: bool) -> None:
    """Note that these objects changed, in the transaction that writes them: one row, however many they are."""
    if object_ids:
        with connection.cursor() as cursor:
            cursor.execute(NOTE, [owner, livemode, list(object_ids)])
        settled.tell_after_commit()


def take(limit: int) -> list[Silent]:
    """Take up to `limit` notes, in the caller's transaction; those that others hold are passed over."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [limit])
        return [Silent(*row) for row in cursor.fetchall()]


def waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return bool(cursor.fetchone()[0])
