"""What the inbox reads of an event; the rest stays in its payload. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from billing.inbox.refusals import NotAnEvent, Reason, Refused
from billing.stripe_accounts import StripeAccount

STRIPE = "stripe.com"  # the source under which Stripe's own events are stored
LONGEST = 255  # characters; Stripe docs: "object IDs … will never exceed 255 characters"
SNAPSHOT = "event"  # with a copy of its object; API reference "The Event object"
THIN = "v2.core.event"  # with a reference to its object alone; API reference "Event (v2)"
# Objects without an id of their own, of which each customer has one: they go by the customer's id.
ONE_OF_A_CUSTOMER = frozenset({"cash_balance", "entitlements.active_entitlement_summary"})
# 2026-08-26.dahlia; older ones have no name, previews have more.
VERSION = re.compile(r"20\d\d-\d\d-\d\d\b.*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event without its payload. `livemode` is None where the source knows no modes."""

    id: str
    type: str
    account: str
    livemode: bool | None
    api_version: str
    object_kind: str
    object_id: str
    customer_id: str
    occurred_at: datetime


def read_envelope(payload: Any) -> Envelope:
    """Read what an event of Stripe's is about. Raises NotAnEvent with what is wrong, Refused for an unknown version."""
    if not isinstance(payload, dict):
        raise NotAnEvent("This is not an event.")
    form = payload.get("object")
    if form == SNAPSHOT:
        return read_snapshot(payload)
    if form == THIN:
        return read_thin(payload)
    if isinstance(form, str) and re.fullmatch(r"v\d+\.core\.event", form):
        raise Refused("Events of this version are not known here.", reason=Reason.VERSION)
    raise NotAnEvent("This is not an event.")


def read_snapshot(payload: dict[str, Any]) -> Envelope:
    data = payload.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if not isinstance(subject, dict):
        raise NotAnEvent("The event has no data.object.")
    kind = text(subject, "object", longest=64)
    return Envelope(
        id=needed_text(payload, "id"),
        type=needed_text(payload, "type"),
        account=text(payload, "account", longest=64) or account_in(payload.get("context")),
        livemode=payload.get("livemode") is True,
        api_version=version(payload.get("api_version")),
        object_kind=kind,
        object_id=id_of(subject.get("customer")) if kind in ONE_OF_A_CUSTOMER else text(subject, "id"),
        customer_id=text(subject, "id") if kind == "customer" else customer_of(subject, data),
        occurred_at=moment(payload.get("created")),
    )


def read_thin(payload: dict[str, Any]) -> Envelope:
    """A thin event tells no state, so it has no API version: its object must be asked for."""
    related = payload.get("related_object")
    subject = related if isinstance(related, dict) else {}
    kind = text(subject, "type", longest=64).removeprefix("v1.")
    return Envelope(
        id=needed_text(payload, "id"),
        type=needed_text(payload, "type"),
        account=account_in(payload.get("context")),
        livemode=payload.get("livemode") is True,
        api_version="",
        object_kind=kind,
        object_id=text(subject, "id"),
        customer_id=text(subject, "id") if kind == "customer" else "",
        occurred_at=written_moment(payload.get("created")),
    )


def check_belongs(event: Envelope, account: StripeAccount) -> None:
    """Raises Refused unless the event is this account's own, in this account's mode."""
    if event.account and event.account != account.account_id:
        raise Refused("This event is of an account that is not served here.", reason=Reason.ACCOUNT)
    if event.livemode is not account.livemode:
        raise Refused("This event is of the other mode, live or test.", reason=Reason.MODE)


def customer_of(subject: dict[str, Any], data: Any) -> str:
    """Whose the object is, or was until this event: a payment method that was detached is nobody's any more."""
    before = data.get("previous_attributes")
    return id_of(subject.get("customer")) or id_of(before.get("customer") if isinstance(before, dict) else None)


def needed_text(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST:
        raise NotAnEvent(f"The event has no {name}.")
    return value


def text(payload: dict[str, Any], name: str, *, longest: int = LONGEST) -> str:
    """A value that may be missing; one that is no text, or too long for its column, counts as missing."""
    value = payload.get(name)
    return value if isinstance(value, str) and len(value) <= longest else ""


def id_of(reference: Any) -> str:
    """The id of a reference, expanded or not."""
    return text(reference, "id") if isinstance(reference, dict) else text({"id": reference}, "id")


def account_in(context: Any) -> str:
    """The account that an event's context names (Stripe docs: "Stripe-Context": acct_…, or org_…/acct_…)."""
    last = context.rpartition("/")[2] if isinstance(context, str) else ""
    return last if last.startswith("acct_") and len(last) <= 64 else ""


def version(value: Any) -> str:
    """Raises Refused for what is no API version; events without one are Stripe's own wish (null)."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 64 or not VERSION.fullmatch(value):
        raise Refused("The event's API version is none of Stripe's.", reason=Reason.VERSION)
    return value


def moment(seconds: Any) -> datetime:
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise NotAnEvent("The event has no created time.")
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (ValueError, OverflowError, OSError):
        raise NotAnEvent("The event's created time is out of range.")


def written_moment(value: Any) -> datetime:
    """A time in words, 2026-01-31T12:00:00.000Z (RFC 3339)."""
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise NotAnEvent("The event has no created time.")
