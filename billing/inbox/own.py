"""Events of our own (source `kessai`): what the portal finds out is an event like any other, and rules see it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from billing.inbox.bus import read_bus_envelope
from billing.inbox.intake import Arrival, Stored, storable_json, store
from billing.inbox.models import Door
from billing.inbox.nudge import mirror_soon
from billing.stripe_accounts import PRIMARY

SOURCE = "kessai"
APPROVAL_ASKED = "approval.asked"  # a workflow waits for a person's decision
QUESTION_ASKED = "question.asked"  # a workflow waits for a customer's answer
QUESTION_ANSWERED = "question.answered"
DRIFT_FOUND = "drift.found"  # a check found objects that differ from Stripe
ACCESS_SUSPENDED = "access.suspended"  # an organization's access rests
ACCESS_RESTORED = "access.restored"
FINDING_OPENED = "finding.opened"
FINDING_CLOSED = "finding.closed"
RULE_DEAD_LETTER = "rule.dead-letter"  # the call of a rule's target was given up
# No bus brought them, and no AWS account has them.
REGION, ACCOUNT = "local", "000000000000"


def publish(
    kind: str, *, key: str, detail: Mapping[str, Any], now: datetime, resources: tuple[str, ...] = (), depth: int = 0
) -> bool:
    """Store an event of our own in the caller's transaction; False when one of this kind and key was stored before.

    No commit, no event. `depth` says how many rules' targets lie between an event from outside and this one: whoever
    publishes because a target was called hands on the call's depth.
    """
    envelope, body = storable_json(
        {
            "version": "0",
            "id": f"{kind}:{key}",
            "detail-type": kind,
            "source": SOURCE,
            "account": ACCOUNT,
            "time": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": REGION,
            "resources": list(resources),
            "detail": dict(detail),
        }
    )
    source, read = read_bus_envelope(envelope)
    # A workflow's clock may be ahead of the machine's (billing/clock.py); the inbox's is not, or it would wait for it.
    arrived_at = min(now, timezone.now())
    [stored] = store([Arrival(read, body, source, Door.OWN, PRIMARY, arrived_at, depth=depth)])
    if stored is Stored.NEW:
        transaction.on_commit(mirror_soon)
    return stored is Stored.NEW
