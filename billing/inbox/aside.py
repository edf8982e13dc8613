"""Messages that are no events of ours: kept, counted and shown, so that the queue can let go of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Value
from django.db.models.functions import Greatest

from billing.inbox.models import AsideMessage
from billing.inbox.refusals import Refused
from billing.unusual_json import storable

KEPT_CHARACTERS = 65_536  # of a message's body: enough to see what it is


@dataclass(frozen=True, slots=True)
class Message:
    """What a queue handed over."""

    id: str
    receipt: str
    body: str
    receive_count: int
    sent_at: datetime | None


def keep_aside(messages: Sequence[tuple[Message, Refused]], *, queue: str, now: datetime) -> None:
    """Write each with the reason why; one that came before is the same row, received once more."""
    for message, refusal in sorted(messages, key=lambda pair: pair[0].id):
        AsideMessage.objects.update_or_create(
            queue=queue,
            message_id=message.id,
            defaults={"receive_count": Greatest(F("receive_count"), Value(message.receive_count))},
            create_defaults={
                "reason": refusal.reason,
                "error": str(refusal),
                "body": storable(message.body[:KEPT_CHARACTERS]),
                "length": len(message.body),
                "receive_count": message.receive_count,
                "sent_at": message.sent_at,
                "received_at": now,
            },
        )
