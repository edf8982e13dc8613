"""What operators do with destinations: test one, make a logged request once more, roll its signing secret.

Each act is written down and committed before anything goes out.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from ops.audit import REPLAY_REQUEST, ROLL_SIGNING, TEST_DESTINATION, record_act
from ops.effects.destinations import signing
from ops.effects.destinations.invoke import Called, call
from ops.effects.destinations.models import Destination, DestinationRequest, Origin
from ops.effects.destinations.shape import Wish


class CannotReplay(Exception):
    """The request cannot be made again; the message says why."""


def send_test(
    destination: Destination,
    *,
    body: str,
    parameters: Mapping[str, Any],
    now: datetime,
    actor: User | None = None,
    reason: str = "",
) -> Called:
    """Call a destination as a rule would, under a key of its own. Without an actor (a command) no act is recorded."""
    key = f"test:{uuid.uuid4()}"
    if actor:
        after = {"key": key, "body": body[:2000], "parameters": dict(parameters)}
        record(actor, TEST_DESTINATION, destination.name, reason=reason, after=after, now=now)
    return call(destination, Wish(body, key, parameters), now=now, origin=Origin.TEST)


def replay(row: DestinationRequest, *, now: datetime, actor: User | None = None, reason: str = "") -> Called:
    """Make a logged request once more, with the destination as it is now and the same idempotency key.

    A receiver that knows the key does nothing twice. Raises CannotReplay.
    """
    if row.destination is None:
        raise CannotReplay(_("Its destination is not there any more."))
    if row.body_cut:
        raise CannotReplay(_("Only the beginning of its body was kept, or secrets were taken out of it."))
    if actor:
        after = {"key": row.key, "request": row.pk}
        record(actor, REPLAY_REQUEST, row.destination_name, reason=reason, after=after, now=now)
    wish = Wish(row.body, row.key, row.parameters)
    return call(row.destination, wish, now=now, origin=Origin.REPLAY, replay_of=row)


@transaction.atomic
def roll_signing_secret(destination: Destination, *, now: datetime, actor: User | None = None, reason: str = "") -> str:
    """Give the destination a new secret to sign with; return it, to be shown once."""
    before = {"signing_secret_set_at": told(destination.signing_secret_set_at)}
    secret = signing.roll(destination, now=now)
    if actor:
        after = {"old_secret_until": told(destination.old_signing_secret_until)}
        record(actor, ROLL_SIGNING, destination.name, reason=reason, before=before, after=after, now=now)
    return secret


def record(
    actor: User,
    act: str,
    name: str,
    *,
    reason: str,
    after: dict[str, Any],
    now: datetime,
    before: dict[str, Any] | None = None,
) -> None:
    with transaction.atomic():
        record_act(
            actor,
            act,
            subject_kind="destination",
            subject_id=name,
            reason=reason,
            before=before or {},
            after=after,
            now=now,
        )


def told(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
