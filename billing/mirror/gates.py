"""The gates' table: locked in one order, opened a step at a time."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from billing.mirror.gate import Gate
from billing.mirror.kinds import Ref
from billing.sending import sending_cursor

# Every row that is locked is there first, and both statements go in the same order: no two workers wait in a circle.
MAKE = """
    INSERT INTO billing_mirrorgate (object_id, kind, owner, low, high, version, gone)
    SELECT object_id, kind, %s, -1, -1, 0, false
    FROM jsonb_to_recordset(%s::jsonb) AS wanted (object_id text, kind text)
    ORDER BY object_id COLLATE "C", kind COLLATE "C"
    ON CONFLICT DO NOTHING
"""
FIND = """
    SELECT gate.kind, gate.object_id, low, high, version, gone FROM billing_mirrorgate AS gate
    JOIN jsonb_to_recordset(%s::jsonb) AS wanted (object_id text, kind text)
      ON wanted.object_id = gate.object_id AND wanted.kind = gate.kind
    WHERE owner = %s
"""
LOCK = FIND + ' ORDER BY gate.object_id COLLATE "C", gate.kind COLLATE "C" FOR UPDATE OF gate'
ADVANCE = """
    UPDATE billing_mirrorgate AS gate SET low = new.low, high = new.high, gone = new.gone, version = gate.version + 1
    FROM jsonb_to_recordset(%s::jsonb) AS new (object_id text, kind text, low bigint, high bigint, gone boolean)
    WHERE gate.object_id = new.object_id AND gate.kind = new.kind AND gate.owner = %s
"""


def lock(refs: Iterable[Ref], *, owner: str) -> dict[Ref, Gate | None]:
    """Lock the gates of these objects until the transaction ends; None for an object that had none.

    One that had none has a row now, of version 0. Two statements, whatever the number. Only inside a transaction.
    """
    wanted = as_json(refs)
    with sending_cursor() as cursor:
        cursor.execute(MAKE, [owner, wanted])
        cursor.execute(LOCK, [wanted, owner])
        return {Ref(kind, object_id): gate_of(row) for kind, object_id, *row in cursor.fetchall()}


def gate_of(row: Sequence[Any]) -> Gate | None:
    gate = Gate(*row)
    return gate if gate.version else None


def versions(refs: Iterable[Ref], *, owner: str) -> dict[Ref, int]:
    """Return how often each object was written, 0 for those that never were: one statement."""
    refs = list(refs)
    found = {ref: gate.version for ref, gate in read(refs, owner=owner).items()}
    return {ref: found.get(ref, 0) for ref in refs}


def read(refs: Iterable[Ref], *, owner: str) -> dict[Ref, Gate]:
    """Return the gates that there are, unlocked."""
    with sending_cursor() as cursor:
        cursor.execute(FIND, [as_json(refs), owner])
        rows = ((Ref(kind, object_id), gate_of(row)) for kind, object_id, *row in cursor.fetchall())
        return {ref: gate for ref, gate in rows if gate}


def advance(stamps: Iterable[tuple[Ref, int, int, bool]], *, owner: str) -> None:
    """Stamp the gates of written objects: `(ref, low, high, gone)` each. They are locked by the caller."""
    rows = [
        {"kind": ref.kind, "object_id": ref.id, "low": low, "high": high, "gone": gone}
        for ref, low, high, gone in stamps
    ]
    if rows:
        with sending_cursor() as cursor:
            cursor.execute(ADVANCE, [orjson.dumps(rows).decode(), owner])


def as_json(refs: Iterable[Ref]) -> str:
    return orjson.dumps([{"kind": ref.kind, "object_id": ref.id} for ref in refs]).decode()
