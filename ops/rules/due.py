"""Which worker makes which calls: leased by a conditional update, so that a dead worker's calls are made again.

While a call is leased its `due_at` is the end of the lease. Each resource has a queue of its own: a few of each are
taken, so that one that is slow, or has a thousand calls waiting, holds up none of the others.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from ops.rules.models import Delivery, DeliveryState
from ops.rules.targets.call import TargetCall

LEASE = timedelta(seconds=120)  # longer than any call may take
CLAIM = """
    WITH RECURSIVE resources AS (
        (SELECT arn FROM ops_delivery WHERE state = 'due' ORDER BY arn LIMIT 1)
        UNION ALL
        SELECT (SELECT arn FROM ops_delivery WHERE state = 'due' AND arn > resources.arn ORDER BY arn LIMIT 1)
        FROM resources WHERE resources.arn IS NOT NULL
    ), chosen AS (
        SELECT due.id FROM resources, LATERAL (
            SELECT id, due_at FROM ops_delivery
            WHERE state = 'due' AND arn = resources.arn AND due_at <= %(now)s
            ORDER BY due_at, id LIMIT %(of_each)s FOR UPDATE SKIP LOCKED) AS due
        WHERE NOT resources.arn = ANY(%(busy)s)
        ORDER BY due.due_at, due.id LIMIT %(limit)s
    )
    UPDATE ops_delivery AS call SET due_at = %(until)s, claimed_until = %(until)s
    FROM chosen, ops_match AS match WHERE call.id = chosen.id AND match.id = call.match_id
    RETURNING call.id, call.attempts, call.max_retries, call.give_up_at, call.rule_name, call.target_name, call.kind,
        call.arn, call.input, call.parameters::text, call.key, call.depth, match.event_id, match.event_type,
        match.customer_id
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A call that is this worker's until its lease ends."""

    pk: int
    attempts: int  # before this one
    max_retries: int
    give_up_at: datetime
    call: TargetCall
    until: datetime


def claim(*, limit: int, of_each: int, busy: Collection[str], now: datetime) -> list[Claimed]:
    """Lease up to `limit` due calls, the longest due first, at most `of_each` of a resource and none of busy ones."""
    until = now + LEASE
    given: dict[str, Any] = {"now": now, "until": until, "limit": limit, "of_each": of_each, "busy": list(busy)}
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, given)
        rows = cursor.fetchall()
    return [claimed(row, now=now, until=until) for row in sorted(rows)]


def claimed(row: tuple[Any, ...], *, now: datetime, until: datetime) -> Claimed:
    pk, attempts, max_retries, give_up_at, rule, target, kind, arn, text, parameters, key, depth, *about = row
    event_id, event_type, customer_id = about
    call = TargetCall(
        rule_name=rule,
        target_name=target,
        kind=kind,
        arn=arn,
        input=text,
        parameters=orjson.loads(parameters),
        key=key,
        depth=depth,
        event_id=event_id,
        event_type=event_type,
        customer_id=customer_id,
        now=now,
    )
    return Claimed(pk, attempts, max_retries, give_up_at, call, until)


def waiting(now: datetime) -> bool:
    return Delivery.objects.filter(state=DeliveryState.DUE, due_at__lte=now).exists()
