"""How news gets in: one row, once, then a nudge to whoever watches."""

import json
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from accounts.models import Organization
from billing.activity.models import Activity
from billing.nudge import publish_quietly

# The first half of the advisory locks that order one organization's activities ("acti" in ASCII).
ORDER_LOCK = 0x61637469
INSERT = """
    INSERT INTO billing_activity (organization_id, verb, subject_id, data, dedup_key, at)
    VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (dedup_key) DO NOTHING RETURNING id
"""


def publish(
    organization: Organization | None,
    verb: str,
    *,
    subject_id: str = "",
    data: dict[str, Any] | None = None,
    dedup_key: str,
    now: datetime,
) -> Activity | None:
    """Write an activity unless `dedup_key` was published before (then None), and nudge its streams after commit.

    `verb` is one of `billing.activity.verbs`. The row belongs to the caller's transaction: no commit, no news.
    """
    data = data or {}
    owner = organization.pk if organization else None
    with transaction.atomic(), connection.cursor() as cursor:
        # Ids must become visible in their order: a stream that has seen 6 never asks for a 5 committed later.
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [ORDER_LOCK, lock_number(owner)])
        cursor.execute(INSERT, [owner, verb, subject_id, json.dumps(data), dedup_key, now])
        row = cursor.fetchone()
    if row is None:
        return None
    if owner is not None:
        transaction.on_commit(lambda: publish_quietly(channel(owner), str(row[0])))
    return Activity(
        pk=row[0],
        organization=organization,
        verb=verb,
        subject_id=subject_id,
        data=data,
        dedup_key=dedup_key,
        at=now,
    )


def lock_number(organization_pk: int | None) -> int:
    """PostgreSQL's two-part advisory locks take 32-bit numbers; two organizations that share one only wait."""
    return (organization_pk or 0) % 2**31


def channel(organization_pk: int) -> str:
    """The Redis channel on which an organization's streams are woken."""
    return f"activity:{organization_pk}"
