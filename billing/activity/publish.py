"""How news gets in: one row, once, then a nudge to whoever watches."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection, transaction

from accounts.models import Organization
from billing.activity.models import Activity
from billing.nudge import publish_quietly

# The first half of the advisory locks that order one organization's activities ("acti" in ASCII).
ORDER_LOCK = 0x61637469
# Ids must become visible in their order: a stream that has seen 6 never asks for a 5 committed later. The locks are
# taken in one order, so that no two publishers wait for each other.
LOCK = "SELECT pg_advisory_xact_lock(%s, number) FROM (SELECT unnest(%s::int[]) AS number ORDER BY 1) AS numbers"
INSERT = """
    INSERT INTO billing_activity (organization_id, verb, subject_id, data, dedup_key, at)
    SELECT organization_id, verb, subject_id, data, dedup_key, at
    FROM ROWS FROM (jsonb_to_recordset(%s::jsonb) AS (
        organization_id bigint, verb text, subject_id text, data jsonb, dedup_key text, at timestamptz
    )) WITH ORDINALITY AS news (organization_id, verb, subject_id, data, dedup_key, at, place)
    ORDER BY place
    ON CONFLICT (dedup_key) DO NOTHING RETURNING id, organization_id, dedup_key
"""


@dataclass(frozen=True)
class News:
    """One activity to be: `verb` is one of `billing.activity.verbs`, the same fact has the same `dedup_key`."""

    organization_id: int | None
    verb: str
    subject_id: str
    data: dict[str, Any]
    dedup_key: str
    at: datetime


def publish(
    organization: Organization | None,
    verb: str,
    *,
    subject_id: str = "",
    data: dict[str, Any] | None = None,
    dedup_key: str,
    now: datetime,
) -> Activity | None:
    """Write one activity as `publish_many` does; None when its fact was published before."""
    owner = organization.pk if organization else None
    news = News(owner, verb, subject_id, data or {}, dedup_key, now)
    written = publish_many([news])
    if not written:
        return None
    return Activity(
        pk=written[dedup_key],
        organization=organization,
        verb=verb,
        subject_id=subject_id,
        data=news.data,
        dedup_key=dedup_key,
        at=now,
    )


def publish_many(news: Sequence[News]) -> dict[str, int]:
    """Write what was not published before, and nudge the streams concerned after commit; ids by `dedup_key`.

    The rows belong to the caller's transaction: no commit, no news. Two statements, whatever the number.
    """
    if not news:
        return {}
    numbers = sorted({lock_number(item.organization_id) for item in news})
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK, [ORDER_LOCK, numbers])
        cursor.execute(INSERT, [orjson.dumps([asdict(item) for item in news]).decode()])
        rows = cursor.fetchall()
    newest = {owner: activity_id for activity_id, owner, _ in rows if owner is not None}
    if newest:
        wake = {channel(owner): str(activity_id) for owner, activity_id in newest.items()}
        transaction.on_commit(lambda: publish_quietly(wake))
    return {dedup_key: activity_id for activity_id, _, dedup_key in rows}


def lock_number(organization_pk: int | None) -> int:
    """PostgreSQL's two-part advisory locks take 32-bit numbers; two organizations that share one only wait."""
    return (organization_pk or 0) % 2**31


def channel(organization_pk: int) -> str:
    """The Redis channel on which an organization's streams are woken."""
    return f"activity:{organization_pk}"
