"""Messages of a queue behind EventBridge: which event is in them. Pure.

Envelopes: AWS docs, "EventBridge event structure". Stripe's partner source: Stripe docs, "Send events to Amazon
EventBridge" (`aws.partner/stripe.com/…`). The quick start that turns webhooks into events of one's own bus: AWS docs,
"Receiving events from a SaaS partner using webhooks" (source `stripe.com`). SNS in between wraps the message once more,
unless raw delivery is on (AWS docs, "Amazon SNS raw message delivery").
"""

from typing import Any

from billing.inbox.envelope import SNAPSHOT, STRIPE, THIN, Envelope, needed_text, written_moment
from billing.inbox.refusals import NotAnEvent, Reason, Refused
from billing.unusual_json import read_json

PARTNER = "aws.partner/stripe.com/"
LONGEST_MESSAGE = 1_048_576  # characters; AWS docs: a message of SQS has at most 1 MiB
LONGEST_SOURCE = 256


def read_message(body: str) -> dict[str, Any]:
    """Return the EventBridge envelope in a message, or Stripe's bare event. Raises Refused with what is wrong."""
    if len(body) > LONGEST_MESSAGE:
        raise Refused("The message is longer than any event.", reason=Reason.TOO_LONG)
    message = parse(body)
    if is_sns(message):
        message = parse(message["Message"])
    if not isinstance(message, dict):
        raise NotAnEvent("The message is no event.")
    return message


def parse(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError:
        raise Refused("The message is not JSON.", reason=Reason.NOT_JSON)


def is_sns(message: Any) -> bool:
    return (
        isinstance(message, dict) and message.get("Type") == "Notification" and isinstance(message.get("Message"), str)
    )


def stripe_event(message: dict[str, Any]) -> Any | None:
    """Return Stripe's own event where this is one, in whatever wrapping; None for events of others."""
    if message.get("object") in (SNAPSHOT, THIN):
        return message  # a rule that hands on `$.detail` alone
    source = message.get("source")
    if isinstance(source, str) and (source == STRIPE or source.startswith(PARTNER)):
        return message.get("detail") or {}
    return None


def read_bus_envelope(message: dict[str, Any]) -> tuple[str, Envelope]:
    """Return source and envelope of an event that is not Stripe's: AWS's own, or the product's. Raises NotAnEvent."""
    source = message.get("source")
    if not isinstance(source, str) or not 0 < len(source) <= LONGEST_SOURCE or "detail" not in message:
        raise NotAnEvent("The message is in no envelope of EventBridge's.")
    resources = message.get("resources")
    first = resources[0] if isinstance(resources, list) and resources else ""
    return source, Envelope(
        id=needed_text(message, "id"),
        type=needed_text(message, "detail-type"),
        account="",
        livemode=None,
        api_version="",
        object_kind="",
        object_id=first if isinstance(first, str) and len(first) <= 255 else "",
        customer_id="",
        occurred_at=written_moment(message.get("time")),
    )
